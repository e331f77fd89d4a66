"""Say what is happening: step k of n, how long it takes, how long such a step usually takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

NOTEWORTHY_SECONDS = 15  # shorter steps need no estimate
HEARTBEAT_SECONDS = 30

console = Console(highlight=False)


@dataclass(frozen=True)
class Step:
    """One thing to do, with the seconds that it usually takes on two cores."""

    title: str
    act: Callable[[], object]
    seconds: float = 0


def run(steps: Sequence[Step]) -> None:
    """Do the steps in order, telling the user about each."""
    began = time.monotonic()
    for number, step in enumerate(steps, 1):
        with _told(f"[{number}/{len(steps)}] {step.title}", step.seconds):
            step.act()
    if len(steps) > 1:
        console.print(f"All {len(steps)} steps took {duration(time.monotonic() - began)}.")


def say(text: str) -> None:
    """Print one line."""
    console.print(text, markup=False, emoji=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds as people say them: `8 s`, `4 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@contextmanager
def _told(title: str, estimate: float) -> Iterator[None]:
    began = time.monotonic()
    about = f" (about {duration(estimate)})" if estimate >= NOTEWORTHY_SECONDS else ""
    if not console.is_terminal:
        say(f"{title}{about} …")
    with _spinner(title, about, began) if console.is_terminal else _heartbeat(title, began):
        yield
    say(f"{title}: done in {duration(time.monotonic() - began)}")


@contextmanager
def _spinner(title: str, about: str, began: float) -> Iterator[None]:
    with (
        console.status(_escaped(f"{title}{about}")) as status,
        _every(1, lambda: status.update(_escaped(f"{title}{about}: {duration(time.monotonic() - began)}"))),
    ):
        yield


@contextmanager
def _heartbeat(title: str, began: float) -> Iterator[None]:
    with _every(HEARTBEAT_SECONDS, lambda: say(f"{title}: {duration(time.monotonic() - began)} so far")):
        yield


@contextmanager
def _every(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    stopped = threading.Event()

    def repeat() -> None:
        while not stopped.wait(seconds):
            act()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
