"""What the trainer's commands share: lines for people, and signals. No PyTorch here."""

import signal
import sys
import threading


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def say(text: str) -> None:
    """Print one line of progress at once, also into a pipe."""
    print(text, flush=True)


def complain(error: Exception) -> None:
    """Say on standard error why the run ends."""
    print(f"tuning_trainer: {error}", file=sys.stderr, flush=True)
