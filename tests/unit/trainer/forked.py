"""Two processes that know each other, forked from a server that has imported PyTorch, so that they start at once.

Not from the test's own process: PyTorch refuses to compute gradients in the fork of one that has computed some.
"""

import multiprocessing
import os
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from tuning_trainer.launcher import variables_of

TIMEOUT_SECONDS = 60.0
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch", "torch.distributed", "tuning_trainer.training", "tuning_trainer.lightning"])


def in_two_processes(work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Run `work(rank, *arguments)` in two processes at once, and return what each of them returned.

    `work` is a function of a module, which the processes import; what it patches is gone with its process.

    Raises:
        AssertionError: one of them raised, with its traceback, or did not end.
    """
    return _in_processes(work, arguments, variables_of(2, {}))


def in_a_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run `work(0, *arguments)` in a process of its own, likewise."""
    (answer,) = _in_processes(work, arguments, [{}])
    return answer


def _in_processes(
    work: Callable[..., Any], arguments: Sequence[Any], variables_of_each: Sequence[dict[str, str]]
) -> list[Any]:
    started = []
    for rank, variables in enumerate(variables_of_each):
        here, there = SERVER.Pipe(duplex=False)
        process = SERVER.Process(target=_child, args=(work, rank, arguments, variables, there), daemon=True)
        process.start()
        there.close()
        started.append((process, here))
    answers = [_answer(here) for _, here in started]
    for process, _ in started:
        process.join(TIMEOUT_SECONDS)
    for error, _ in answers:
        assert error is None, error
    return [answer for _, answer in answers]


def _answer(here: Connection) -> tuple[str | None, Any]:
    if not here.poll(TIMEOUT_SECONDS):
        return "the process did not answer", None
    try:
        answer: tuple[str | None, Any] = here.recv()
    except EOFError:
        return "the process died", None
    return answer


def _child(
    work: Callable[..., Any], rank: int, arguments: Sequence[Any], variables: dict[str, str], there: Connection
) -> None:
    os.environ.update(variables)
    try:
        there.send((None, work(rank, *arguments)))
    except BaseException:
        there.send((traceback.format_exc(), None))
