"""Peers that need a Python environment of their own: they run there as a process, one JSON line for each call.

The process is this module itself: `python -m benchmarks.search.contestants.remote MODULE FUNCTION`.
"""

import importlib
import json
import os
import subprocess
import sys
from typing import IO, Any

from benchmarks.search.simulation import Contestant, Entrant
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.search.arms import Arm
from tuning_operator.search.sequence import ExhaustedError
from tuning_operator.search.space import Assignment


class Remote:
    """A contestant in another process."""

    def __init__(self, python: str, module: str, function: str, arm: Arm, seed: int) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.search.contestants.remote", module, function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        space = [h.model_dump(mode="json", by_alias=True, exclude_none=True) for h in arm.space]
        self._call({"space": space, "seed": seed})

    def ask(self, number: int) -> Assignment:
        """Return what the process suggests."""
        answer = self._call({"ask": number})
        if answer is None:
            raise ExhaustedError("the peer has no further point")
        return dict(answer)

    def tell(self, number: int, loss: float | None) -> None:
        """Tell the process."""
        self._call({"tell": number, "loss": loss})

    def __del__(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()

    def _call(self, message: dict[str, Any]) -> Any:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the peer has no pipes")
        print(json.dumps(message), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peer has died; its last words are above")
        return json.loads(line)


def remote(python: str, module: str, function: str) -> Entrant:
    """Return an entrant that runs `module.function(arm, seed)` in another Python."""

    def entrant(arm: Arm, seed: int) -> Contestant:
        return Remote(python, module, function, arm, seed)

    return entrant


def _serve(entrant: Entrant, lines: IO[str], answers: IO[str]) -> None:
    first = json.loads(next(lines))
    arm = Arm(0, {}, tuple(Hyperparameter.model_validate(h) for h in first["space"]))
    contestant = entrant(arm, first["seed"])
    print("null", file=answers, flush=True)
    for line in lines:
        message = json.loads(line)
        if "ask" in message:
            try:
                answer: Assignment | None = contestant.ask(message["ask"])
            except ExhaustedError:
                answer = None
            print(json.dumps(answer), file=answers, flush=True)
        else:
            contestant.tell(message["tell"], message["loss"])
            print("null", file=answers, flush=True)


if __name__ == "__main__":
    # Libraries print to standard output; the answers keep it to themselves.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _serve(getattr(importlib.import_module(sys.argv[1]), sys.argv[2]), sys.stdin, channel)
