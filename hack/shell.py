"""Run commands quietly: what they print goes to a log, of which a failure shows the end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, TypeVar

from hack.paths import logs

TAIL_LINES = 25
GRACE_SECONDS = 10.0

T = TypeVar("T")

_running: set[subprocess.Popen[str]] = set()
_lock = threading.Lock()
_ended = threading.Event()

Argument = str | Path


class CommandError(RuntimeError):
    """A command ended badly; the message names it, its log and the last lines it wrote."""


def run(
    *command: Argument,
    log: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: IO[bytes] | IO[str] | None = None,
    timeout: float | None = None,
) -> None:
    """Run a command that takes a while: its output is appended to the log as it comes."""
    if _ended.is_set():
        raise CommandError("interrupted")
    path = logs() / f"{log}.log"
    with path.open("a") as file:
        file.write(f"$ {render(command)}\n")
        file.flush()
        process = subprocess.Popen(
            [str(word) for word in command],
            env=environment(env),
            cwd=cwd,
            stdin=stdin if stdin is not None else subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
        code = _awaited(process, lambda: process.wait(timeout))
    if code != 0:
        raise CommandError(f"{render(command)} ended with {code}; the end of {path}:\n{tail(path)}")


def output(
    *command: Argument,
    env: Mapping[str, str] | None = None,
    input: str | None = None,  # noqa: A002 - as in subprocess
    cwd: Path | None = None,
    timeout: float | None = None,
) -> str:
    """What a short command prints on standard output; a failure carries its standard error."""
    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=environment(env),
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            text=True,
        )
        printed, complaint = _awaited(process, lambda: process.communicate(input, timeout))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"{render(command)}: {error}") from error
    if process.returncode != 0:
        raise CommandError(f"{render(command)} ended with {process.returncode}: {complaint.strip()}")
    return printed


def succeeds(*command: Argument, env: Mapping[str, str] | None = None, timeout: float = 10) -> bool:
    """Whether a probe exists, ends in time, and ends well."""
    try:
        output(*command, env=env, timeout=timeout)
    except CommandError:
        return False
    return True


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a file."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def render(command: Sequence[Argument]) -> str:
    """A command as one would type it. Secrets travel in environments and files, never in arguments."""
    return shlex.join(str(word) for word in command)


def terminate_children() -> None:
    """End the commands that other threads still wait for, and let them start no more: an interrupt ends everything."""
    _ended.set()
    with _lock:
        for process in _running:
            process.terminate()


@contextmanager
def interrupts_end_everything() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, and on either leave no command behind."""
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except BaseException:
        terminate_children()
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _awaited(process: subprocess.Popen[str], wait: Callable[[], T]) -> T:
    """Wait for a command; an interrupt asks it to end and gives it time, since a killed Helm leaves its lock behind."""
    with _lock:
        _running.add(process)
    try:
        return wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
    finally:
        with _lock:
            _running.discard(process)


def environment(changes: Mapping[str, str] | None) -> dict[str, str] | None:
    """This process's environment with changes, for `subprocess`; None, which means unchanged, where there are none."""
    return None if changes is None else {**os.environ, **changes}
