"""A scientific value wins only where luck does not explain it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.findings.landscapes import LANDSCAPES
from benchmarks.findings.studies import OWN, SHARED, Plan, drawn
from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.comparison.outcome import Reason
from tuning_operator.playbook.comparison.winner import outcome
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord

OPTIMIZER = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["a", "b"]}


def two_arms(a: Sequence[float], b: Sequence[float], **fields: Any) -> StudyRecord:
    """Return a study of two arms with these results, in the order of rising learning rates."""
    spec = spec_of([OPTIMIZER, LEARNING_RATE], **fields)
    return study_of(spec, [*arm_trials(spec, "a", a, 0), *arm_trials(spec, "b", b, 100)])


def arm_trials(spec: TuningStudySpec, arm: str, results: Sequence[float], first: int) -> list[TrialRecord]:
    rates = np.geomspace(1e-4, 0.99, len(results))
    return [
        trial_of(spec, first + i, {"optimizer": arm, "learning_rate": float(rate)}, value)
        for i, (rate, value) in enumerate(zip(rates, results, strict=True))
    ]


def bowl(best: float, number: int = 20, curvature: float = 0.1) -> list[float]:
    return [best + curvature * float(x) ** 2 for x in np.linspace(-0.5, 0.5, number)]


def test_a_clear_difference_has_a_winner() -> None:
    found = outcome(two_arms(bowl(0.250), bowl(0.235), baseline={"retrainDeviation": 0.002}))
    assert found.values == {"optimizer": "b"}
    assert found.reason is Reason.WINNER
    assert found.difference == pytest.approx(0.015, abs=1e-4)
    assert found.uncertainty is not None
    assert 0.0028 < found.uncertainty < 0.004
    assert found.confidence is not None
    assert found.confidence > 0.95
    assert [s.scientific for s in found.ranked] == [{"optimizer": "b"}, {"optimizer": "a"}]


def test_a_difference_within_the_noise_is_a_tie() -> None:
    found = outcome(two_arms(bowl(0.250), bowl(0.249), baseline={"retrainDeviation": 0.002}))
    assert (found.reason, found.winner, found.values) == (Reason.TIE, None, None)
    assert found.difference == pytest.approx(0.001, abs=1e-4)


def test_a_difference_within_the_luck_of_the_search_is_a_tie() -> None:
    steps = [0.002 * i for i in range(12)]
    assert outcome(two_arms([0.250 + s for s in steps], [0.249 + s for s in steps])).reason is Reason.TIE


def test_one_lucky_trial_wins_nothing() -> None:
    assert outcome(two_arms([0.30] * 19 + [0.20], [0.30 + 0.001 * i for i in range(20)])).winner is None


def test_more_is_better_where_the_objective_is_maximised() -> None:
    objective = {"metric": "accuracy", "direction": "Maximize"}
    found = outcome(two_arms([-v for v in bowl(-0.9)], [-v for v in bowl(-0.7)], objective=objective))
    assert found.values == {"optimizer": "a"}
    assert found.difference == pytest.approx(0.2)


def test_a_difference_that_does_not_matter_is_a_tie() -> None:
    objective = {"metric": "validation_loss", "smallestDifferenceThatMatters": 0.02}
    assert outcome(two_arms(bowl(0.250), bowl(0.235), objective=objective)).reason is Reason.TIE
    objective["smallestDifferenceThatMatters"] = 0.01
    assert outcome(two_arms(bowl(0.250), bowl(0.235), objective=objective)).reason is Reason.WINNER


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (bowl(0.2), [], Reason.ARM_WITHOUT_RESULT),
        ([], [], Reason.ARM_WITHOUT_RESULT),
        ([0.2], [0.3], Reason.TOO_FEW_TRIALS),
        ([0.2] * 3, [0.3] * 3, Reason.TOO_FEW_TRIALS),
        ([0.2] * 10, [0.2] * 10, Reason.TIE),
        ([0.2] * 10, [0.3] * 10, Reason.WINNER),
    ],
)
def test_too_little_is_no_victory(a: list[float], b: list[float], reason: Reason) -> None:
    assert outcome(two_arms(a, b)).reason is reason


def test_an_adaptive_search_must_lead_by_more() -> None:
    search = {"algorithm": "Bayesian"}
    assert outcome(two_arms(bowl(0.250), bowl(0.235))).reason is Reason.WINNER
    assert outcome(two_arms(bowl(0.250), bowl(0.2465))).reason is Reason.WINNER
    assert outcome(two_arms(bowl(0.250), bowl(0.2465), search=search)).reason is Reason.TIE
    assert outcome(two_arms(bowl(0.250), bowl(0.150), search=search)).reason is Reason.WINNER


def test_the_threshold_can_be_changed() -> None:
    study = two_arms([0.2] * 3, [0.3] * 3, thresholds={"winnerLevel": 0.2})
    assert outcome(study).values == {"optimizer": "a"}


def test_retrains_and_probes_change_no_winner() -> None:
    study = two_arms(bowl(0.250), bowl(0.235))
    spec = study.spec
    again = [
        trial_of(spec, 200 + i, dict(study.trials[10].parameters), 0.1 + 0.05 * i, purpose=Purpose.RETRAIN, of="t-10")
        for i in range(5)
    ]
    assert outcome(replace(study, trials=study.trials + tuple(again))) == outcome(study)


def test_infeasible_trials_count_as_tried_and_lost_ones_do_not() -> None:
    spec = spec_of([OPTIMIZER, LEARNING_RATE])
    lost = [trial_of(spec, 300 + i, {"optimizer": "a", "learning_rate": 0.1}, state=State.LOST) for i in range(5)]
    bad = [trial_of(spec, 400 + i, {"optimizer": "a", "learning_rate": 0.9}, state=State.INFEASIBLE) for i in range(5)]
    study = study_of(
        spec, [*arm_trials(spec, "a", bowl(0.2, 15), 0), *lost, *bad, *arm_trials(spec, "b", bowl(0.3), 99)]
    )
    found = outcome(study)
    assert found.values == {"optimizer": "a"}
    assert found.ranked[0].tried == 20


def test_a_winner_by_a_lucky_evaluation_alone_is_a_tie() -> None:
    spec = spec_of([OPTIMIZER, LEARNING_RATE])
    trials = []
    for i in range(12):
        lucky = [0.5] * 10 + [0.20 + 0.001 * i] + [0.40] * 9
        steady = [0.5] * 10 + [0.30 + 0.001 * i] * 10
        trials.append(trial_of(spec, i, {"optimizer": "a", "learning_rate": 0.01 + 0.01 * i}, curve=lucky))
        trials.append(trial_of(spec, 50 + i, {"optimizer": "b", "learning_rate": 0.01 + 0.01 * i}, curve=steady))
    found = outcome(study_of(spec, trials))
    assert (found.reason, found.winner) == (Reason.TIE_BY_STEP_VARIANCE, None)


def test_arms_with_different_evaluation_intervals_are_compared_at_common_steps() -> None:
    spec = spec_of([OPTIMIZER, LEARNING_RATE])
    trials = []
    for i in range(12):
        # Between the common steps the first arm has a dip that nobody looked for in the second.
        often = [0.5, 0.4, 0.1, 0.3, 0.1, 0.3 + 0.001 * i]
        seldom = [0.4, 0.3, 0.3 + 0.001 * i]
        trials.append(trial_of(spec, i, {"optimizer": "a", "learning_rate": 0.01 + 0.01 * i}, curve=often))
        trials.append(
            trial_of(
                spec, 50 + i, {"optimizer": "b", "learning_rate": 0.01 + 0.01 * i}, curve=seldom, steps=[20, 40, 60]
            )
        )
    found = outcome(study_of(spec, trials))
    assert found.reason is Reason.TIE
    assert found.difference == pytest.approx(0.0)


def test_without_scientific_values_the_best_trial_is_the_answer() -> None:
    spec = spec_of()
    trials = [trial_of(spec, i, {"learning_rate": 0.01 * (i + 1)}, value) for i, value in enumerate([0.3, 0.2, 0.4])]
    found = outcome(study_of(spec, trials))
    assert (found.reason, found.values) == (Reason.ONE_ARM, {"learning_rate": 0.02})
    assert outcome(study_of(spec)).values is None


def a_range(results: Sequence[float]) -> StudyRecord:
    width = {"name": "width", "type": "Float", "role": "Scientific", "low": 0.0, "high": 1.0}
    spec = spec_of([width, LEARNING_RATE])
    rng = np.random.default_rng(1)
    return study_of(
        spec,
        [
            trial_of(
                spec, i, {"width": (i + 0.5) / len(results), "learning_rate": float(rng.uniform(0.001, 0.9))}, value
            )
            for i, value in enumerate(results)
        ],
    )


def test_a_scientific_range_that_matters_has_a_best_value_with_an_interval() -> None:
    found = outcome(a_range([0.2 + (i / 36 - 0.3) ** 2 for i in range(36)]))
    assert found.winner is not None
    assert dict(found.values or {}) == pytest.approx({"width": 0.3}, abs=0.03)
    assert found.winner.interval is not None
    assert found.winner.interval[0] <= 0.17 <= 0.3 <= found.winner.interval[1] <= 0.7


def test_a_scientific_range_that_does_not_matter_is_a_tie() -> None:
    alarms = [outcome(a_range(list(np.random.default_rng(s).normal(0.3, 0.05, 36)))).winner for s in range(100)]
    assert sum(winner is not None for winner in alarms) <= 9


@pytest.mark.parametrize("space", [SHARED, OWN])
@pytest.mark.parametrize(("arms", "trials", "dimensions"), [(2, 10, 1), (2, 40, 4), (8, 10, 2), (4, 20, 1)])
def test_identical_arms_hardly_ever_have_a_winner(space: str, arms: int, trials: int, dimensions: int) -> None:
    plan = Plan(arms, trials, (dimensions,), space)
    spec = plan.spec()
    found = [
        outcome(drawn(spec, trials, landscape, noise, 0.0, seed)).winner
        for landscape in (LANDSCAPES[0], LANDSCAPES[4])
        for noise in (0.02, 1.0)
        for seed in range(10)
    ]
    # Of 40 runs with a probability of 5 %, seven or more would happen in one of 290 tests.
    assert sum(winner is not None for winner in found) < 7


@pytest.mark.parametrize("space", [SHARED, OWN])
def test_a_better_arm_is_found(space: str) -> None:
    spec = Plan(2, 40, (2,), space).spec()
    found = [outcome(drawn(spec, 40, LANDSCAPES[0], 0.05, 1.0, seed)).values for seed in range(10)]
    assert found.count({"variant": "a0"}) >= 9


def test_arms_without_any_nuisance_hyperparameter_are_compared_by_their_replicates() -> None:
    spec = spec_of([OPTIMIZER], search={"replicates": 8})
    values = {"a": 0.2, "b": 0.3}
    trials = [
        trial_of(spec, i, {"optimizer": arm}, values[arm] + 0.001 * (i % 7)) for i, arm in enumerate(["a", "b"] * 8)
    ]
    assert outcome(study_of(spec, trials)).values == {"optimizer": "a"}
