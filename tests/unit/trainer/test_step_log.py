"""Every step is counted, also those between two evaluations and those before an interruption."""

import math

import pytest

from tests.unit.trainer.needs_torch import torch
from tuning_contract.diagnostics import LogHistogram
from tuning_trainer import step_log
from tuning_trainer.step_log import StepLog

STEPS = [(2.0, 1.5, 0.1), (1.5, 0.5, 0.2), (1.0, 3.0, 0.3), (0.5, 0.25, 0.4)]
"""Loss, gradient norm and update norm."""


def add(log: StepLog, steps: list[tuple[float, float, float]]) -> None:
    for step in steps:
        log.add(*map(torch.tensor, step))


def test_an_evaluation_tells_of_the_latest_step_and_of_those_since_the_last_one() -> None:
    log = StepLog(0, clip_norm=1.0)
    add(log, STEPS[:3])
    assert log.metrics() == pytest.approx({"grad_norm": 3.0, "clipped_fraction": 2 / 3, "update_norm": 0.3})
    add(log, STEPS[3:])
    assert log.metrics() == pytest.approx({"grad_norm": 0.25, "clipped_fraction": 0.0, "update_norm": 0.4})


def test_nothing_is_clipped_where_nothing_clips() -> None:
    log = StepLog(0, clip_norm=0.0)
    add(log, STEPS)
    assert log.metrics()["clipped_fraction"] == 0


def test_the_histogram_has_every_step() -> None:
    log = StepLog(0, 0.0)
    for steps in (STEPS[:1], STEPS[1:]):
        add(log, steps)
        log.metrics()
    assert log.histogram == LogHistogram.of([1.5, 0.5, 3.0, 0.25])
    assert log.histogram.total == 4


@pytest.mark.parametrize("wanted", [0, 3, 500])
def test_only_as_many_first_losses_as_a_probe_asks_for(wanted: int) -> None:
    log = StepLog(wanted, 0.0)
    add(log, STEPS[:2])
    log.metrics()
    add(log, STEPS[2:])
    log.metrics()
    assert log.dense_loss == [2.0, 1.5, 1.0, 0.5][:wanted]


@pytest.mark.parametrize(
    ("steps", "first"),
    [
        (STEPS, None),
        ([*STEPS, (math.nan, 1.0, 1.0)], 5),
        ([STEPS[0], (1.0, math.inf, 1.0), (math.nan, math.nan, math.nan)], 2),
    ],
)
def test_the_first_step_that_was_not_finite(steps: list[tuple[float, float, float]], first: int | None) -> None:
    log = StepLog(0, 0.0)
    add(log, steps)
    log.metrics()
    assert log.first_non_finite == first


@pytest.mark.parametrize("cut", range(5))
@pytest.mark.parametrize("read", [False, True])
def test_an_interruption_anywhere_changes_nothing(cut: int, read: bool) -> None:
    whole, before, after = StepLog(3, 1.0), StepLog(3, 1.0), StepLog(3, 1.0)
    add(whole, STEPS[:cut])
    add(before, STEPS[:cut])
    if read:
        whole.metrics()
        before.metrics()
    after.restore(before.state())
    for log in (whole, after):
        add(log, STEPS[cut:])
    assert whole.metrics() == after.metrics()
    assert whole.state() == after.state()


def test_rare_evaluations_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_log, "READ_AT_LEAST_EVERY", 3)
    log, waiting = StepLog(0, clip_norm=1.0), 0
    for step in STEPS * 5:
        add(log, [step])
        waiting = max(waiting, len(log._pending))
    assert waiting <= 2 * step_log.NUMBERS_A_STEP
    assert log.metrics() == pytest.approx({"grad_norm": 0.25, "clipped_fraction": 0.5, "update_norm": 0.4})
    assert log.histogram.total == 20
