"""Where the time goes: into steps, and of that into waiting for data; evaluations and pauses are left out."""

import time
from collections.abc import Iterator
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
