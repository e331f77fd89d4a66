"""Late noise against what is to be told apart (playbook K13)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.curves import SHAPES, curve
from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_contract.diagnostics import Diagnostics, Evaluation
from tuning_operator.api.findings import Finding, Severity
from tuning_operator.playbook.curves.step_variance import Late, check, is_high, late_of
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord

VALUES = ("adamw", "nesterov")
OPTIMIZER = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": list(VALUES)}


def late(best: float, noise: float, gain: float = 0.0) -> Late:
    return Late(best, best + gain, noise)


@pytest.mark.parametrize(
    ("winner", "rival", "high"),
    [
        (late(0.248, 0.010), late(0.250, 0.010), True),
        (late(0.235, 0.0003), late(0.250, 0.0003), False),
        (late(0.2499, 0.0004), late(0.2500, 0.0004), False),
        # Far apart by their best steps, and not by those that are usual.
        (late(0.20, 0.010, 0.03), late(0.23, 0.010, 0.001), True),
        (late(0.20, 0.010), late(0.23, 0.002), False),
        (late(0.248, 0.0001), late(0.250, 0.010), True),
        (late(0.25, 0.004), None, False),
        (late(0.25, 0.006), None, True),
        (late(-0.95, 0.02), None, True),
        (late(-0.95, 0.01), None, False),
        (late(0.0, 0.0), late(0.0, 0.0), False),
        (late(0.0, 0.0), None, False),
    ],
)
def test_noise_is_high_where_it_drowns_the_difference_or_much_of_the_value(
    winner: Late, rival: Late | None, high: bool
) -> None:
    assert is_high(winner, rival) is high


def plateau(level: float, noise: float, seed: int, points: int = 60) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(v) for v in np.where(np.arange(points) < 10, 0.5, level) + noise * rng.standard_normal(points)]


def study_with(*levels: float, noise: float = 0.01, train_noise: float | None = 0.0, **fields: Any) -> StudyRecord:
    """Return a study with an arm for each level, at most two, and a trial in each."""
    several = len(levels) > 1
    spec = spec_of([OPTIMIZER, LEARNING_RATE] if several else [LEARNING_RATE], **fields)
    sign = -1 if spec.objective.direction.value == "Maximize" else 1
    trials = []
    for i, level in enumerate(levels):
        parameters = {"learning_rate": 0.1} | ({"optimizer": VALUES[i]} if several else {})
        train = None if train_noise is None else plateau(0.4, train_noise, 100 + i)
        trials.append(trial_of(spec, i, parameters, curve=[sign * v for v in plateau(level, noise, i)], train=train))
    return study_of(spec, trials)


def only(findings: Sequence[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_high_variance_blocks_where_arms_are_compared() -> None:
    finding = only(check(study_with(0.25, 0.248, goal={"question": "Which?", "kind": "Understand"})))
    assert (finding.verdict, finding.severity, finding.rule) == ("High", Severity.BLOCK, "CRV-10")
    assert finding.evidence.numbers["noise"] == pytest.approx(0.01, rel=0.5)
    assert finding.evidence.numbers["luckyGain"] > 0.01
    assert finding.evidence.numbers["rivalLuckyGain"] > 0.01


def test_high_variance_restricts_only_where_nothing_is_compared() -> None:
    minimise = {"question": "How low?", "kind": "Minimise"}
    assert only(check(study_with(0.25, 0.248, goal=minimise))).severity is Severity.WARN
    finding = only(check(study_with(0.25, noise=0.02, goal={"question": "How?", "kind": "Understand"})))
    assert (finding.verdict, finding.severity) == ("High", Severity.WARN)


def test_small_noise_is_fine_and_the_lucky_gain_is_told_all_the_same() -> None:
    for study in (study_with(0.25, 0.235, noise=0.0003), study_with(0.25, noise=0.001)):
        finding = only(check(study))
        assert finding.verdict == "Ok"
        assert finding.evidence.numbers["luckyGain"] > 0


def test_what_production_should_expect_is_told_as_the_objective_is_known() -> None:
    study = study_with(0.75, noise=0.03, objective={"metric": "accuracy", "direction": "Maximize"})
    finding = only(check(study))
    assert finding.verdict == "High"
    assert finding.evidence.numbers["lateObjective"] == pytest.approx(-0.75, abs=0.03)
    assert finding.evidence.numbers["luckyGain"] > 0


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [{"value": 0.3}],
        [{"curve": [0.3] * 7}],
        [{"curve": [0.3] * 30, "state": State.STOPPED, "stopped_by": "Median"}],
        [{"curve": [0.3] * 30, "purpose": Purpose.RETRAIN}],
        [{"curve": [float("nan")] * 30}],
    ],
)
def test_without_the_curve_of_a_best_trial_nothing_is_known(trials: list[dict[str, Any]]) -> None:
    spec = spec_of()
    records = [trial_of(spec, i, {"learning_rate": 0.1}, **t) for i, t in enumerate(trials)]
    assert only(check(study_of(spec, records))).verdict == "Unknown"


def test_one_of_two_best_trials_without_a_curve_is_too_little() -> None:
    study = study_with(0.25, 0.248)
    bare = trial_of(study.spec, 7, {"optimizer": "nesterov", "learning_rate": 0.1}, value=0.2)
    assert only(check(study_of(study.spec, [study.trials[0], bare]))).verdict == "Unknown"


def with_rates(trial: TrialRecord, rates: Iterable[float]) -> TrialRecord:
    values = {**trial.curve.values, "learning_rate": tuple(float(r) for r in rates)}
    return replace(trial, curve=replace(trial.curve, values=values))


def cause_of(study: StudyRecord) -> tuple[str, str]:
    finding = only(check(study))
    assert finding.verdict == "High"
    return finding.evidence.notes[0], finding.action


def test_noise_of_both_losses_with_a_high_rate_at_the_end_asks_for_decay() -> None:
    study = study_with(0.25, noise=0.02, train_noise=0.02)
    constant = study_of(study.spec, [with_rates(t, [0.1] * 60) for t in study.trials])
    cause, action = cause_of(constant)
    assert "learning rate" in cause
    assert "decay" in action
    assert cause_of(study_with(0.25, noise=0.02, train_noise=0.02, training={"schedule": {"family": "Constant"}})) == (
        cause,
        action,
    )


def test_noise_of_both_losses_after_decay_asks_for_a_larger_batch() -> None:
    study = study_with(0.25, noise=0.02, train_noise=0.02)
    decayed = study_of(study.spec, [with_rates(t, np.linspace(0.1, 0.0, 60)) for t in study.trials])
    cause, action = cause_of(decayed)
    assert "batches" in cause
    assert "larger batch" in action


def test_noise_of_the_size_of_a_small_validation_set_asks_for_more_data() -> None:
    study = study_with(0.25, noise=0.02)
    small = Diagnostics(full_evaluation=Evaluation(0.22, 400))
    cause, action = cause_of(study_of(study.spec, [replace(t, diagnostics=small) for t in study.trials]))
    assert "validation set" in cause
    assert "more validation data" in action
    large = Diagnostics(full_evaluation=Evaluation(0.22, 40_000))
    assert "not known" in cause_of(study_of(study.spec, [replace(t, diagnostics=large) for t in study.trials]))[0]


def test_without_a_training_loss_the_cause_is_not_known() -> None:
    assert "not known" in cause_of(study_with(0.25, noise=0.02, train_noise=None))[0]


def test_smooth_curves_of_any_length_are_hardly_ever_called_noisy_and_noisy_ones_are() -> None:
    rng = np.random.default_rng(0)
    smooth = []
    for i in range(600):
        values = curve(rng, SHAPES[i % len(SHAPES)], int(rng.integers(10, 201)), 0.0005)
        smooth.append(is_high(late_of(values, float(values.min())), None))
    assert sum(smooth) <= 0.02 * len(smooth)
    noisy = []
    for _ in range(400):
        points = int(rng.integers(10, 200))
        values = 0.25 + 0.5 * np.exp(-np.arange(points) / points / 0.05) + 0.02 * rng.standard_normal(points)
        noisy.append(is_high(late_of(values, float(values.min())), None))
    assert sum(noisy) >= 0.95 * len(noisy)
