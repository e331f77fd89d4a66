"""The throughput at one batch size, measured until it is steady (BAT-8)."""

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from tuning_contract.diagnostics import Throughput
from tuning_trainer.run import Run

WINDOWS: Final = 3
"""So many windows in a row must agree."""
SPREAD: Final = 0.05
"""By this share of their median, from the slowest to the fastest."""
MOST_WINDOWS: Final = 30
WINDOW_SECONDS: Final = 0.5
"""A window takes about so long: long beside the clock's and the scheduler's grain."""
WARM_UP_STEPS: Final = 3
"""Before the first window: they allocate memory, choose kernels and fill caches."""


def measure(run: Run, stop: threading.Event, clock: Callable[[], float] = time.perf_counter) -> Throughput:
    """Return the examples a second of a run's steps, which are taken in windows until these agree.

    Takes steps of `run`, whose schedule does not matter here: give it one that is thrown away. Where the windows never
    agree, or `stop` is set, the figure is the median of the last ones.
    """
    take(run, WARM_UP_STEPS, clock)
    steps = max(1, round(WINDOW_SECONDS / max(take(run, 1, clock), 1e-9)))
    rates: list[float] = []
    while len(rates) < MOST_WINDOWS and not steady(rates) and not stop.is_set():
        rates.append(steps * run.parameters.batch_size / max(take(run, steps, clock), 1e-9))
    return Throughput(run.parameters.batch_size, statistics.median(rates[-WINDOWS:]) if rates else None)


def take(run: Run, steps: int, clock: Callable[[], float]) -> float:
    """Take some steps, and return the seconds that they took on the device."""
    run.wait_for_device()
    started = clock()
    for _ in range(steps):
        run.take_step()
    run.wait_for_device()
    return clock() - started


def steady(rates: Sequence[float]) -> bool:
    """Say whether the last windows agree.

    >>> steady([50.0, 99.0, 101.0, 100.0]), steady([99.0, 101.0]), steady([90.0, 100.0, 100.0])
    (True, False, False)
    """
    last = rates[-WINDOWS:]
    return len(last) == WINDOWS and max(last) - min(last) <= SPREAD * statistics.median(last)
