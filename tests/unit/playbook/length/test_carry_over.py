"""How a schedule goes over to a longer run."""

import numpy as np
import pytest

from tests.support.studies import spec_of, trial_of
from tuning_contract.diagnostics import LEARNING_RATE
from tuning_operator.api.procedure import Schedule, ScheduleFamily, Training
from tuning_operator.playbook.length.carry_over import (
    Phases,
    carried_over,
    longer_training,
    low_share_planned,
    low_share_seen,
    phases_of,
)
from tuning_operator.playbook.records import Curve, TrialRecord

LINEAR, COSINE, CONSTANT = ScheduleFamily.LINEAR, ScheduleFamily.COSINE, ScheduleFamily.CONSTANT


@pytest.mark.parametrize(
    ("phases", "longer"),
    [
        (Phases(LINEAR, 0, 2000, 8000), Phases(LINEAR, 0, 42_000, 8000)),
        (Phases(LINEAR, 500, 1500, 8000), Phases(LINEAR, 500, 41_500, 8000)),
        (Phases(COSINE, 0, 0, 10_000), Phases(COSINE, 0, 0, 50_000)),
        (Phases(COSINE, 500, 0, 9500), Phases(COSINE, 500, 0, 49_500)),
        (Phases(CONSTANT, 500, 9500, 0), Phases(CONSTANT, 500, 49_500, 0)),
        (Phases(ScheduleFamily.OTHER, 0, 0, 10_000), Phases(ScheduleFamily.OTHER, 0, 40_000, 10_000)),
    ],
    ids=["linear", "with a warm-up", "cosine", "cosine after a warm-up", "constant", "another"],
)
def test_the_phase_of_the_high_rate_takes_the_extra_steps(phases: Phases, longer: Phases) -> None:
    assert carried_over(phases, 50_000) == longer
    assert carried_over(phases, 10_000) == phases


def test_a_shorter_run_is_refused() -> None:
    with pytest.raises(ValueError, match="9999 steps are fewer than 10000"):
        carried_over(Phases(LINEAR, 0, 0, 10_000), 9999)
    with pytest.raises(ValueError, match="fewer"):
        longer_training(Training(), 100, 99)


@pytest.mark.parametrize(
    ("schedule", "phases"),
    [
        (Schedule(family=LINEAR), Phases(LINEAR, 0, 0, 1000)),
        (Schedule(family=LINEAR, warmup_steps=100), Phases(LINEAR, 100, 0, 900)),
        (Schedule(family=LINEAR, warmup_steps=100, decay_steps=400), Phases(LINEAR, 100, 500, 400)),
        (Schedule(family=LINEAR, warmup_steps=2000, decay_steps=400), Phases(LINEAR, 1000, 0, 0)),
        (Schedule(family=CONSTANT, warmup_steps=100), Phases(CONSTANT, 100, 900, 0)),
        (Schedule(warmup_steps=100), None),
        (None, None),
    ],
)
def test_a_schedule_has_phases_that_fill_the_run(schedule: Schedule | None, phases: Phases | None) -> None:
    assert phases_of(schedule, 1000) == phases
    assert phases is None or phases.steps == 1000


def test_the_next_rounds_training_keeps_a_linear_decay_that_was_never_written_down() -> None:
    training = Training(max_steps=10_000, production_steps=50_000, schedule=Schedule(family=LINEAR, warmup_steps=1000))
    longer = longer_training(training, 10_000, 50_000)
    assert longer.max_steps == 50_000
    assert longer.schedule == Schedule(family=LINEAR, warmup_steps=1000, decay_steps=9000)
    assert longer.production_steps == 50_000


def test_the_next_rounds_training_without_a_known_schedule_is_only_longer() -> None:
    assert longer_training(Training(max_steps=10), 10, 20) == Training(max_steps=20)
    constant = Training(max_steps=10, schedule=Schedule(family=CONSTANT))
    assert longer_training(constant, 10, 20) == constant.model_copy(update={"max_steps": 20})


def with_rates(rates: np.ndarray) -> TrialRecord:
    spec = spec_of()
    trial = trial_of(spec, 0, {"learning_rate": 0.1}, 0.5)
    curve = Curve(tuple(range(1, len(rates) + 1)), {LEARNING_RATE: tuple(rates.tolist())})
    return TrialRecord(**{**trial.__dict__, "curve": curve})


T = np.arange(1000) / 1000


@pytest.mark.parametrize(
    ("rates", "phases"),
    [
        (1 - T, Phases(LINEAR, 0, 0, 1000)),
        (np.minimum(1, 4 * (1 - T)), Phases(LINEAR, 0, 750, 250)),
        ((1 + np.cos(np.pi * T)) / 2, Phases(COSINE, 0, 0, 1000)),
        (np.ones(1000), Phases(CONSTANT, 0, 1000, 0)),
        (np.minimum(1, 10 * T), Phases(CONSTANT, 100, 900, 0)),
    ],
    ids=["linear", "trapezoid", "cosine", "constant", "a warm-up is no low rate"],
)
def test_the_share_of_low_rates_is_the_same_by_curve_and_by_schedule(rates: np.ndarray, phases: Phases) -> None:
    seen, planned = low_share_seen(with_rates(rates)), low_share_planned(phases)
    assert planned is not None
    assert seen == pytest.approx(planned, abs=0.005)


def test_the_share_of_low_rates_is_not_known_without_a_curve_or_a_form() -> None:
    assert low_share_seen(with_rates(np.asarray([]))) is None
    assert low_share_seen(with_rates(np.asarray([1.0]))) is None
    assert low_share_planned(Phases(ScheduleFamily.STEP, 0, 0, 10)) is None
    assert low_share_planned(Phases(LINEAR, 0, 0, 0)) is None
