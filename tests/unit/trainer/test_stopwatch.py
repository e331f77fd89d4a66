"""Rates and waiting of a loop that is not ours. No PyTorch."""

import pytest

from tuning_trainer.stopwatch import BatchClock


class Clock:
    """Says what a test wants the time to be."""

    time = 0.0

    def __call__(self) -> float:
        return self.time


def batches(clock: Clock, measured: BatchClock, count: int) -> None:
    """Let batches of ten examples come after a quarter of a second, and be done a quarter of a second later."""
    for _ in range(count):
        clock.time += 0.25
        measured.batch_came()
        clock.time += 0.25
        measured.batch_done(10)


def test_time_between_two_batches_is_waiting() -> None:
    clock = Clock()
    measured = BatchClock(clock)
    batches(clock, measured, 4)
    assert measured.metrics() == {"examples_per_second": 20.0, "data_wait_fraction": 0.5}


def test_what_the_device_still_has_to_do_is_no_waiting_and_an_evaluation_is_neither() -> None:
    clock = Clock()
    measured = BatchClock(clock)
    batches(clock, measured, 2)
    clock.time += 1.0
    measured.device_done()
    clock.time += 100.0
    measured.resume()
    assert measured.metrics() == {"examples_per_second": 10.0, "data_wait_fraction": 0.25}


def test_each_evaluation_is_told_of_the_batches_since_the_last_one() -> None:
    clock = Clock()
    measured = BatchClock(clock)
    batches(clock, measured, 1)
    measured.metrics()
    assert measured.metrics() == {}
    clock.time += 1.0
    measured.batch_came()
    measured.batch_done(10)
    assert measured.metrics()["examples_per_second"] == pytest.approx(10.0)
