"""Where the time goes: into steps, and of that into waiting for data; evaluations and pauses are left out."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the time inside its `with` blocks."""

    def __init__(self) -> None:
        self._steps = 0
        self._step_seconds = 0.0
        self._data_seconds = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Time one step."""
        started = time.perf_counter()
        yield
        self._step_seconds += time.perf_counter() - started
        self._steps += 1

    @contextmanager
    def data(self) -> Iterator[None]:
        """Time the part of a step that waits for its batch."""
        started = time.perf_counter()
        yield
        self._data_seconds += time.perf_counter() - started

    def metrics(self, batch_size: int) -> dict[str, float]:
        """Return the rates since the last call, and the share of the time spent waiting for data; 0 without a step."""
        rate = self._steps / self._step_seconds if self._step_seconds else 0.0
        waited = self._data_seconds / self._step_seconds if self._step_seconds else 0.0
        self._steps, self._step_seconds, self._data_seconds = 0, 0.0, 0.0
        return {
            "examples_per_second": rate * batch_size,
            "steps_per_second": rate,
            "data_wait_fraction": min(1.0, waited),
        }


class BatchClock:
    """The same for a loop that is not ours and calls back around each batch: time between two batches is waiting."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        """`now` returns seconds since any moment."""
        self._now = now
        self._mark = now()
        self._seconds = self._waited = 0.0
        self._examples = 0

    def resume(self) -> None:
        """Leave out the time since the last call: it went into an evaluation."""
        self._mark = self._now()

    def batch_came(self) -> None:
        """Count the time since the last call as waiting for this batch."""
        self._waited += self._passed()

    def batch_done(self, examples: int) -> None:
        """Count the time since the last call as the training step of that many examples."""
        self._passed()
        self._examples += examples

    def device_done(self) -> None:
        """Count the time since the last call as waiting for steps that the device had yet to finish."""
        self._passed()

    def metrics(self) -> dict[str, float]:
        """Return the rate since the last time, and the share of it that was waiting; {} without a batch."""
        examples, seconds, waited = self._examples, self._seconds, self._waited
        self._seconds, self._waited, self._examples = 0.0, 0.0, 0
        if not examples or not seconds:
            return {}
        return {"examples_per_second": examples / seconds, "data_wait_fraction": waited / seconds}

    def _passed(self) -> float:
        before, self._mark = self._mark, self._now()
        self._seconds += self._mark - before
        return self._mark - before
