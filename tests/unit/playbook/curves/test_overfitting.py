"""The best trial of an arm overfits, others do, or it is expected (playbook K05)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.curves import curve, curves
from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_operator.api.findings import Finding, Severity
from tuning_operator.playbook.curves.overfitting import Course, check, rise_of
from tuning_operator.playbook.records import Purpose, State
from tuning_operator.playbook.series import Series, as_series

RISING = [0.90, 0.60, 0.40, 0.30, 0.25, 0.24, 0.26, 0.28, 0.30, 0.31]
FALLING_TRAINING = [2.0, 1.2, 0.7, 0.4, 0.25, 0.2, 0.15, 0.1, 0.08, 0.06]
RISING_TRAINING = [2.0, 1.2, 0.7, 0.4, 0.25, 0.25, 0.3, 0.4, 0.5, 0.6]
SOUND = [0.90, 0.50, 0.30, 0.251, 0.249, 0.250, 0.2505, 0.2495, 0.251, 0.2495]
DECAYS = {"name": "weight_decay", "type": "Categorical", "role": "Scientific", "valueType": "Float"}
OPTIMIZER = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adamw", "nesterov"]}


def verdicts(findings: Sequence[Finding]) -> list[str]:
    return [f.verdict for f in findings]


@pytest.mark.parametrize(
    ("validation", "training", "course"),
    [
        (RISING, FALLING_TRAINING, Course.OVERFITS),
        (RISING, [], Course.OVERFITS),
        (RISING, RISING_TRAINING, Course.TRAINING_ALSO_RISES),
        (SOUND, FALLING_TRAINING, Course.SOUND),
        ([0.5] * 10, [], Course.SOUND),
        (RISING[:6], FALLING_TRAINING[:6], Course.SOUND),
        # One lucky step early in a plateau is no best value to come back to.
        ([0.9, 0.5, 0.10, *[0.30, 0.31, 0.29] * 5], [], Course.SOUND),
        # An excursion that is over at the end.
        ([0.9, 0.5, 0.3, 0.3, 0.6, 0.7, 0.6, 0.3, 0.3, 0.3, 0.3, 0.3], [], Course.SOUND),
    ],
)
def test_a_validation_curve_that_rises_for_good_while_training_goes_on_overfits(
    validation: list[float], training: list[float], course: Course
) -> None:
    assert rise_of(as_series(validation), as_series(training)).course is course


def test_evaluations_that_did_not_measure_the_objective_change_nothing() -> None:
    nan = float("nan")
    validation = as_series([x for v in RISING for x in (v, nan)])
    training = as_series([x for v in FALLING_TRAINING for x in (v, v)])
    assert rise_of(validation, training).course is Course.OVERFITS
    assert rise_of(validation, as_series([x for v in RISING_TRAINING for x in (nan, v)])).course is (
        Course.TRAINING_ALSO_RISES
    )


def test_three_values_are_no_curve() -> None:
    with pytest.raises(ValueError, match="four"):
        rise_of(as_series([1.0, 0.5, float("nan"), 0.7]), as_series([]))


def test_overfitting_of_the_best_trial_blocks_and_proposes_regularisation() -> None:
    spec = spec_of()
    trial = trial_of(spec, 0, {"learning_rate": 0.01}, curve=RISING, train=FALLING_TRAINING)
    (finding,) = check(study_of(spec, [trial]))
    assert (finding.verdict, finding.severity, finding.rule) == ("BestTrial", Severity.BLOCK, "CRV-4")
    assert finding.evidence.trials == ["t-0"]
    assert finding.evidence.numbers["bestStep"] == 50
    assert "weight decay" in finding.action


def test_an_objective_that_is_maximised_overfits_when_it_falls() -> None:
    spec = spec_of(objective={"metric": "accuracy", "direction": "Maximize"})
    parameters = {"learning_rate": 0.01}
    falls = trial_of(spec, 0, parameters, curve=[1 - v for v in RISING], train=FALLING_TRAINING)
    rises = trial_of(spec, 0, parameters, curve=[1 - v for v in sorted(RISING, reverse=True)])
    assert verdicts(check(study_of(spec, [falls]))) == ["BestTrial"]
    assert verdicts(check(study_of(spec, [rises]))) == ["Ok"]


def test_trouble_with_training_itself_is_no_overfitting_and_is_pointed_at() -> None:
    spec = spec_of()
    (finding,) = check(study_of(spec, [trial_of(spec, 0, {"learning_rate": 0.1}, curve=RISING, train=RISING_TRAINING)]))
    assert finding.verdict == "Ok"
    assert "Instability" in finding.evidence.notes[0]


def test_each_arm_has_its_answer() -> None:
    spec = spec_of([OPTIMIZER, LEARNING_RATE])
    trials = [
        trial_of(spec, 0, {"optimizer": "adamw", "learning_rate": 0.01}, curve=RISING, train=FALLING_TRAINING),
        trial_of(spec, 1, {"optimizer": "nesterov", "learning_rate": 0.01}, curve=SOUND),
    ]
    found = {f.scientific["optimizer"]: f.verdict for f in check(study_of(spec, trials))}
    assert found == {"adamw": "BestTrial", "nesterov": "Ok"}


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [{"value": 0.3}],
        [{"curve": RISING[:7]}],
        [{"curve": [float("nan")] * 20}],
        [{"curve": RISING, "state": State.STOPPED, "stopped_by": "Median"}],
        [{"curve": RISING, "state": State.RUNNING}],
        [{"curve": RISING, "state": State.INFEASIBLE}],
        [{"curve": RISING, "purpose": Purpose.RETRAIN}],
    ],
)
def test_without_a_complete_curve_of_the_best_trial_nothing_is_known(trials: list[dict[str, Any]]) -> None:
    spec = spec_of()
    records = [trial_of(spec, i, {"learning_rate": 0.01}, **t) for i, t in enumerate(trials)]
    assert verdicts(check(study_of(spec, records))) == ["Unknown"]


def regularised(values: list[str], which: Any, **fields: Any) -> str:
    """Return the verdict about the arm of one value of a scientific weight decay whose best trial overfits."""
    spec = spec_of([{**DECAYS, **fields, "values": values}, LEARNING_RATE])
    trial = trial_of(spec, 0, {"weight_decay": which, "learning_rate": 0.01}, curve=RISING, train=FALLING_TRAINING)
    found = [f for f in check(study_of(spec, [trial])) if f.scientific == {"weight_decay": which}]
    return found[0].verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(1e-6, "Exempt"), (1e-5, "Exempt"), (1e-4, "BestTrial"), (1e-3, "BestTrial"), (1e-2, "BestTrial")],
)
def test_the_lower_half_of_a_regulariser_that_is_the_question_may_overfit(value: float, verdict: str) -> None:
    values = ["0.001", "1e-4", "0.01", "1e-06", "1e-05"]  # In no order.
    assert regularised(values, value) == verdict


def test_of_two_or_three_values_only_the_lowest_is_exempt() -> None:
    assert [regularised(["0", "0.1"], v) for v in (0.0, 0.1)] == ["Exempt", "BestTrial"]
    assert [regularised(["0", "0.1", "0.2"], v) for v in (0.0, 0.1, 0.2)] == ["Exempt", "BestTrial", "BestTrial"]
    assert regularised(["0.1"], 0.1) == "Exempt"


def test_a_switch_that_is_off_is_exempt() -> None:
    switch = {"valueType": "Boolean"}
    assert regularised(["true", "false"], False, **switch) == "Exempt"
    assert regularised(["true", "false"], True, **switch) == "BestTrial"
    words = {"valueType": "String", "category": "regularizationSwitch"}
    assert [regularised(["none", "l2"], v, **words) for v in ("none", "l2")] == ["Exempt", "BestTrial"]


def test_the_lower_half_of_a_scientific_range_is_exempt() -> None:
    decay = {"name": "wd", "type": "Float", "role": "Scientific", "low": 1e-6, "high": 1e-2, "scale": "Log"}
    spec = spec_of([decay, LEARNING_RATE])
    for value, verdict in ((1e-5, "Exempt"), (1e-3, "BestTrial")):
        trial = trial_of(spec, 0, {"wd": value, "learning_rate": 0.01}, curve=RISING, train=FALLING_TRAINING)
        assert verdicts(check(study_of(spec, [trial]))) == [verdict]


def test_a_regulariser_that_is_a_nuisance_exempts_nothing() -> None:
    assert regularised(["0", "0.1"], 0.0) == "Exempt"
    spec = spec_of([{**DECAYS, "role": "Nuisance", "values": ["0", "0.1"]}, LEARNING_RATE])
    trial = trial_of(spec, 0, {"weight_decay": 0.0, "learning_rate": 0.01}, curve=RISING, train=FALLING_TRAINING)
    assert verdicts(check(study_of(spec, [trial]))) == ["BestTrial"]


def test_overfitting_of_many_other_trials_is_a_warning_with_the_learning_rates() -> None:
    spec = spec_of()
    best = trial_of(spec, 0, {"learning_rate": 0.001}, curve=[v - 0.05 for v in SOUND])
    sound = [trial_of(spec, i, {"learning_rate": 0.003}, curve=SOUND) for i in range(1, 7)]
    overfit = [trial_of(spec, i, {"learning_rate": 0.1}, curve=RISING, train=FALLING_TRAINING) for i in (7, 8)]
    first, second = check(study_of(spec, [best, *sound, *overfit]))
    assert first.verdict == "Ok"
    assert (second.verdict, second.severity, second.rule) == ("Elsewhere", Severity.WARN, "CRV-8")
    assert second.evidence.numbers["medianLearningRateOverfitting"] == 0.1
    assert second.evidence.numbers["medianLearningRateBest"] == 0.001
    assert "lower learning rates" in second.message
    assert set(second.evidence.trials) == {"t-7", "t-8"}


def test_one_of_ten_others_is_no_warning_and_neither_are_the_trials_of_an_exempt_arm() -> None:
    spec = spec_of()
    best = trial_of(spec, 0, {"learning_rate": 0.001}, curve=[v - 0.05 for v in SOUND])
    sound = [trial_of(spec, i, {"learning_rate": 0.003}, curve=SOUND) for i in range(1, 10)]
    one = trial_of(spec, 10, {"learning_rate": 0.1}, curve=RISING, train=FALLING_TRAINING)
    assert verdicts(check(study_of(spec, [best, *sound, one]))) == ["Ok", "Ok"]
    spec = spec_of([{**DECAYS, "values": ["0", "0.1"]}, LEARNING_RATE])
    weak = [
        trial_of(spec, i, {"weight_decay": 0.0, "learning_rate": 0.1}, curve=RISING, train=FALLING_TRAINING)
        for i in range(4)
    ]
    strong = [trial_of(spec, i, {"weight_decay": 0.1, "learning_rate": 0.1}, curve=SOUND) for i in range(4, 8)]
    assert verdicts(check(study_of(spec, [*weak, *strong]))) == ["Exempt", "Ok", "Ok"]


def test_a_study_may_set_its_own_threshold() -> None:
    spec = spec_of(thresholds={"overfittingRise": 0.5})
    trial = trial_of(spec, 0, {"learning_rate": 0.01}, curve=RISING, train=FALLING_TRAINING)
    (finding,) = check(study_of(spec, [trial]))
    assert finding.verdict == "Ok"
    assert ("overfittingRise", 0.5, "Study") in [(t.name, t.value, t.origin) for t in finding.evidence.thresholds]


def overfitting_curve(rng: np.random.Generator, points: int, noise: float, rise: float) -> Series:
    """Return a curve whose minimum is at 40 % of the run and which rises by a fraction of its fall after it."""
    clean = curve(rng, "saturated", points, noise)
    fraction = np.arange(1, points + 1) / points
    return clean + 0.7 * rise * np.maximum(0, (fraction - 0.4) / 0.6)


def test_of_realistic_curves_hardly_any_is_taken_for_overfitting_and_hardly_any_overfitting_is_missed() -> None:
    wrong = [rise_of(v, as_series([])).course is not Course.SOUND for v in curves(3000)]
    assert sum(wrong) <= 0.005 * len(wrong)
    rng = np.random.default_rng(1)
    found = [
        rise_of(overfitting_curve(rng, points, noise, 0.15), as_series([])).course is Course.OVERFITS
        for points in (20, 50, 200)
        for noise in (0.001, 0.01)
        for _ in range(100)
    ]
    assert sum(found) >= 0.97 * len(found)


@pytest.mark.parametrize(("points", "most"), [(12, 0.05), (20, 0.02), (40, 0.01), (100, 0.01)])
def test_the_luckiest_of_ten_flat_curves_is_hardly_ever_taken_for_overfitting(points: int, most: float) -> None:
    rng = np.random.default_rng(points)
    wrong = []
    for noise in (0.003, 0.01, 0.05):
        for _ in range(60):
            best = min((curve(rng, "saturated", points, noise) for _ in range(10)), key=lambda v: float(v.min()))
            wrong.append(rise_of(best, as_series([])).course is not Course.SOUND)
    assert sum(wrong) <= most * len(wrong)
