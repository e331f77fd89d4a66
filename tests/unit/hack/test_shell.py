"""Commands end in order when they are interrupted."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from hack import shell

SLOW_TO_END = """
import pathlib, signal, sys, time
def end(*_):
    time.sleep(1)
    pathlib.Path(sys.argv[1]).write_text("released the lock")
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[2]).touch()
time.sleep(60)
"""


def interrupt_when(there: Path) -> None:
    """Interrupt this process, as Ctrl-C does, a moment after a file appears."""

    def look(number: int, frame: FrameType | None) -> None:
        if there.exists():
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)


@pytest.mark.parametrize(
    "run", [lambda *command: shell.output(*command), lambda *command: shell.run(*command, log="test")]
)
def test_an_interrupted_command_is_asked_to_end_and_has_time_for_it(
    run: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNING_OPERATOR_CACHE", str(tmp_path / "cache"))
    released, started = tmp_path / "released", tmp_path / "started"
    interrupt_when(started)
    with pytest.raises(KeyboardInterrupt):
        run(sys.executable, "-c", SLOW_TO_END, released, started)
    assert released.read_text() == "released the lock"


def test_a_command_gets_its_input_and_a_failure_says_what_it_complained_about() -> None:
    assert shell.output("cat", input="hello") == "hello"
    with pytest.raises(shell.CommandError, match="no such thing"):
        shell.output(sys.executable, "-c", "import sys; sys.exit('no such thing')")
