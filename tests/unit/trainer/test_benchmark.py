"""The trainer's benchmark measures what it says, on a run that is too small to say anything. No clock is judged."""

import pytest

import tests.unit.trainer.needs_torch  # noqa: F401 - skips all of this where there is none
from benchmarks.trainer import report
from benchmarks.trainer.loops import LOOPS, LoopTimes, loop_times
from benchmarks.trainer.populations import Rate, given, rates


def test_all_loops_learn_the_same() -> None:
    times = loop_times("tabular", steps=60, repetitions=2)
    assert times.seconds.keys() == times.losses.keys() == LOOPS.keys()
    assert all(len(seconds) == 2 for seconds in times.seconds.values())
    assert times.losses["ours"] == times.losses["ours, bare"], "diagnostics change nothing in a run"
    assert times.losses["ours"] == pytest.approx(times.losses["plain"], rel=0.5)
    assert "tabular" in list(report.loop_lines([times]))[2]


def test_populations_train_the_trials_that_run_one_by_one() -> None:
    alone, two, three = rates("tabular", steps=20, sizes=(2, 3), one_by_one=2)
    assert [(rate.k, rate.trials) for rate in (alone, two, three)] == [(0, 2), (2, 2), (3, 3)]
    assert two.best_losses == pytest.approx(alone.best_losses, rel=1e-4)
    assert three.best_losses[:2] == pytest.approx(alone.best_losses, rel=1e-4)
    assert len({given("tabular", 20, n)["learning_rate"] for n in range(64)}) == 64


def test_where_it_is_asked_for_each_population_is_measured_with_shared_batches_too() -> None:
    _, own, shared = rates("tabular", steps=20, sizes=(2,), one_by_one=1, shared=True)
    assert (own.shared_batches, shared.shared_batches, shared.trials) == (False, True, 2)
    assert shared.best_losses != own.best_losses
    assert "| 2, shared batches |" in list(report.rate_lines([_, own, shared]))[-1]


def test_the_tables_say_how_many_times_as_many() -> None:
    measured = [Rate("digits", 0, 10, 2, 6.0, [0.5, 0.7], 1e6), Rate("digits", 8, 10, 8, 4.0, [0.5] * 8, 2e6)]
    assert list(report.rate_lines(measured))[3].startswith("| digits | 8 | 120.0 | 6.00 | 0.50000 (0.60000 one by one)")
    times = LoopTimes("digits", 10, {"plain": [1.0, 2.0, 9.0], "ours, bare": [1.0] * 3, "ours": [2.0, 2.5, 2.0]}, {})
    assert times.ratio("ours") == 0.8
