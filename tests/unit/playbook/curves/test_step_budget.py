"""The best steps tell whether runs are too long or too short (playbook K09)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.curves import curve
from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.api.findings import Finding, Severity
from tuning_operator.playbook.curves.evaluations import Measured
from tuning_operator.playbook.curves.step_budget import Length, best_step_of, check, length_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord

POINTS = 50
LATE_AND_FLAT = [0.76, 0.77, 0.78, 0.79, 0.5]
"""Best steps late in the run, and nothing that still improves in its last fifth."""


@pytest.mark.parametrize(
    ("fractions", "length"),
    [
        ([0.03, 0.05, 0.08, 0.10, 0.02], Length.TOO_LONG),
        ([0.80, 0.90, 0.76, 0.99, 0.50], Length.TOO_SHORT),
        ([0.3, 0.5, 0.9, 0.7, 0.6], Length.RIGHT),
        ([0.03, 0.05, 0.08, 0.10, 0.12], Length.RIGHT),
        ([0.75] * 4 + [0.1], Length.TOO_SHORT),
        ([0.75] * 3 + [0.1] * 2, Length.RIGHT),
        ([3 * 0.1 / 3], Length.TOO_LONG),
    ],
)
def test_best_steps_that_are_all_early_or_mostly_late_tell_a_wrong_length(
    fractions: list[float], length: Length
) -> None:
    assert length_of(fractions) is length


def test_the_best_step_of_a_noisy_plateau_is_where_it_begins_and_not_its_luckiest() -> None:
    rng = np.random.default_rng(3)
    values = np.where(np.arange(100) < 10, 1.0 - 0.08 * np.arange(100), 0.2) + 0.01 * rng.standard_normal(100)
    values[90] = 0.15
    assert best_step_of(Measured(np.arange(10, 1010, 10), values)) <= 200


def falling_until(fraction: float, points: int = POINTS) -> list[float]:
    """Return a loss that falls evenly until a fraction of the run and stays there."""
    at = np.arange(1, points + 1) / points
    return [float(v) for v in 0.3 + 0.5 * np.maximum(0, fraction - at)]


def study_with(fractions: Sequence[float], points: int = POINTS, **fields: Any) -> StudyRecord:
    spec = spec_of(**fields)
    trials = [
        trial_of(spec, i, {"learning_rate": 0.01}, curve=falling_until(f, points)) for i, f in enumerate(fractions)
    ]
    return study_of(spec, trials)


def only(findings: Sequence[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_runs_whose_best_steps_are_always_early_are_too_long() -> None:
    finding = only(check(study_with([0.04, 0.06, 0.08, 0.1, 0.02])))
    assert (finding.verdict, finding.severity, finding.rule) == ("TooLong", Severity.INFO, "NCB-4")
    assert finding.evidence.numbers["bestStepLargest"] == 50
    assert finding.evidence.numbers["proposedSteps"] == 200
    assert ("bestStepEarly", "Text") in [(t.name, t.origin) for t in finding.evidence.thresholds]


def test_runs_whose_best_steps_are_consistently_late_are_too_short() -> None:
    finding = only(check(study_with([0.8, 0.9, 0.76, 0.98, 0.5], training={"schedule": {"family": "Constant"}})))
    assert (finding.verdict, finding.severity, finding.rule) == ("TooShort", Severity.WARN, "NCB-5")
    assert finding.evidence.numbers["proposedSteps"] == 750
    assert "nuisance" in finding.action


@pytest.mark.parametrize("training", [{}, {"schedule": {"family": "Cosine"}}])
def test_late_best_steps_may_come_of_the_decay(training: dict[str, Any]) -> None:
    finding = only(check(study_with(LATE_AND_FLAT, training=training)))
    assert (finding.verdict, finding.severity) == ("TooShort", Severity.INFO)
    assert "Confounded by decay" in finding.evidence.notes[0]


def test_decay_is_no_excuse_where_training_still_improves() -> None:
    finding = only(check(study_with([1.0] * 5, training={"schedule": {"family": "Cosine"}})))
    assert (finding.verdict, finding.severity, finding.evidence.notes) == ("TooShort", Severity.WARN, [])


def test_a_reported_learning_rate_that_does_not_decay_is_no_excuse_either() -> None:
    study = study_with(LATE_AND_FLAT)
    flat = tuple(with_rates(t, [0.1] * POINTS) for t in study.trials)
    assert only(check(study_of(study.spec, flat))).severity is Severity.WARN
    decayed = tuple(with_rates(t, np.linspace(0.1, 0, POINTS)) for t in study.trials)
    assert only(check(study_of(study.spec, decayed))).severity is Severity.INFO


def with_rates(trial: TrialRecord, rates: Iterable[float]) -> TrialRecord:
    values = {**trial.curve.values, "learning_rate": tuple(float(r) for r in rates)}
    return replace(trial, curve=replace(trial.curve, values=values))


def test_best_steps_all_over_the_run_are_fine() -> None:
    finding = only(check(study_with([0.3, 0.5, 0.9, 0.7, 0.6])))
    assert (finding.verdict, finding.action) == ("Ok", "")


def test_only_the_best_trials_count() -> None:
    study = study_with([0.5] * 20)
    bad = [trial_of(study.spec, 50 + i, {"learning_rate": 1.0}, curve=falling_until(1.0)) for i in range(4)]
    bad = [replace(t, value=0.9) for t in bad]
    finding = only(check(study_of(study.spec, [*study.trials, *bad])))
    assert finding.evidence.numbers["trials"] == 6  # A quarter of 24.
    assert finding.verdict == "Ok"


def test_too_few_evaluations_are_said_to_be_too_few() -> None:
    finding = only(check(study_with([0.04, 0.06, 0.08, 0.1, 0.02], points=19)))
    assert (finding.verdict, finding.rule) == ("InsufficientEvaluations", "NCB-2")
    assert finding.evidence.numbers["evaluationsFewest"] == 19
    assert only(check(study_with([0.5] * 5, points=20))).verdict == "Ok"


@pytest.mark.parametrize("fractions", [[], [0.5], [0.5] * 4])
def test_fewer_than_five_trials_tell_nothing(fractions: list[float]) -> None:
    assert only(check(study_with(fractions))).verdict == "Unknown"


def test_results_without_curves_tell_nothing() -> None:
    spec = spec_of()
    trials = [trial_of(spec, i, {"learning_rate": 0.01}, value=0.3) for i in range(8)]
    finding = only(check(study_of(spec, trials)))
    assert (finding.verdict, "keep the curve" in finding.action) == ("Unknown", True)


def test_fractions_are_of_the_run_and_not_of_its_curve() -> None:
    study = study_with([0.2] * 5)
    longer = [replace(t, max_steps=1000) for t in study.trials]
    assert only(check(study_of(study.spec, longer))).evidence.numbers["bestFractionLargest"] == 0.1


def test_noise_does_not_make_saturated_runs_look_short_nor_decaying_ones_long() -> None:
    rng = np.random.default_rng(0)
    steps = np.arange(1, 101)

    def lengths(shape: str, noise: float) -> list[Length]:
        return [
            length_of([best_step_of(Measured(steps, curve(rng, shape, 100, noise))) / 100 for _ in range(5)])
            for _ in range(60)
        ]

    for noise in (0.0, 0.001, 0.01, 0.05):
        assert Length.TOO_SHORT not in lengths("saturated", noise)
        assert Length.TOO_LONG not in lengths("decay", min(noise, 0.01))
    assert lengths("cosine", 0.001).count(Length.TOO_SHORT) == 60
