"""Were the scientific values, and each range, sampled evenly? (K12)"""

from typing import Any

import numpy as np
import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tests.support.synthetic import a_centre, a_synthetic_study, bowl
from tuning_operator.api.findings import Finding, Severity
from tuning_operator.playbook.records import State, StudyRecord
from tuning_operator.playbook.space.design import check

OPTIMIZER = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["sgd", "adam"]}
X = {"name": "x", "type": "Float", "role": "Nuisance", "low": 0.0, "high": 1.0}


def _counted(sgd: int, adam: int, **fields: Any) -> Finding:
    spec = spec_of([OPTIMIZER, X], **fields)
    names = ["sgd"] * sgd + ["adam"] * adam
    trials = [trial_of(spec, i, {"optimizer": o, "x": i / 100}, 0.3) for i, o in enumerate(names)]
    return check(study_of(spec, trials))[0]


@pytest.mark.parametrize(
    ("sgd", "adam", "verdict"),
    [
        (10, 10, "Ok"),
        (4, 3, "Ok"),
        (1, 0, "Ok"),
        (15, 10, "Ok"),
        (16, 10, "UnevenSampling"),
        (10, 16, "UnevenSampling"),
        (40, 5, "UnevenSampling"),
        (5, 0, "UnevenSampling"),
        (0, 0, "Unknown"),
    ],
)
def test_scientific_values_have_about_as_many_trials(sgd: int, adam: int, verdict: str) -> None:
    finding = _counted(sgd, adam)
    assert (finding.parameter, finding.verdict, finding.rule) == ("optimizer", verdict, "STU-9")
    assert finding.severity is (Severity.WARN if verdict == "UnevenSampling" else Severity.INFO)


def test_a_joint_design_is_counted_by_value() -> None:
    finding = _counted(20, 8, search={"design": "Joint"})
    assert (finding.verdict, finding.evidence.notes) == ("UnevenSampling", ["sgd: 20, adam: 8"])


def test_infeasible_trials_count_as_launched_and_lost_ones_do_not() -> None:
    spec = spec_of([OPTIMIZER, X])
    infeasible = [trial_of(spec, i, {"optimizer": "sgd", "x": 0.5}, state=State.INFEASIBLE) for i in range(10)]
    lost = [trial_of(spec, 20 + i, {"optimizer": "adam", "x": 0.5}, state=State.LOST) for i in range(30)]
    good = [trial_of(spec, 60 + i, {"optimizer": "adam", "x": 0.5}, 0.3) for i in range(10)]
    assert check(study_of(spec, [*infeasible, *lost, *good]))[0].evidence.numbers["most"] == 10


def _covered(places: list[float], hyperparameter: dict[str, Any] = X, **fields: Any) -> list[Finding]:
    spec = spec_of([hyperparameter], **fields)
    return check(study_of(spec, [trial_of(spec, i, {"x": u}, 0.3) for i, u in enumerate(places)]))


EVEN = list(np.linspace(0.01, 0.99, 20))


@pytest.mark.parametrize(
    ("places", "verdict"),
    [
        (EVEN, "Ok"),
        ([u / 2 for u in EVEN], "UnevenSampling"),
        ([*EVEN[:5], *EVEN[15:]] * 2, "UnevenSampling"),
        (EVEN[:7], "Unknown"),
        ([], "Unknown"),
    ],
)
def test_a_quasi_random_design_leaves_no_part_of_a_range_out(places: list[float], verdict: str) -> None:
    (finding,) = _covered(places)
    assert (finding.parameter, finding.verdict, finding.rule) == ("x", verdict, "QMC-2")


@pytest.mark.parametrize("algorithm", ["Random", "Grid", "Bayesian"])
def test_other_algorithms_do_not_promise_to_cover_a_range(algorithm: str) -> None:
    assert _covered([0.5] * 20, search={"algorithm": algorithm}) == []


def test_a_range_of_few_integers_has_no_parts() -> None:
    hyperparameter = {"name": "x", "type": "Integer", "role": "Nuisance", "low": 1, "high": 4}
    assert _covered([1, 2, 3, 4] * 5, hyperparameter) == []


def test_a_study_without_lists_and_ranges_has_nothing_to_check() -> None:
    spec = spec_of([OPTIMIZER | {"role": "Nuisance"}])
    assert check(study_of(spec)) == []


def _halton(seed: int, trials: int, dimensions: int) -> StudyRecord:
    return a_synthetic_study(seed, trials, bowl(a_centre(seed, dimensions)), dimensions=dimensions, arms=2)


@pytest.mark.parametrize("trials", [8, 10, 20, 40])
@pytest.mark.parametrize("dimensions", [1, 4])
def test_our_own_designs_are_even(trials: int, dimensions: int) -> None:
    for seed in range(20):
        assert {f.verdict for f in check(_halton(seed, trials, dimensions))} == {"Ok"}


def test_a_design_of_independent_points_would_often_be_caught() -> None:
    caught = 0
    for seed in range(40):
        places = list(map(float, np.random.default_rng(seed).random(40)))
        caught += _covered(places)[0].verdict == "UnevenSampling"
    assert caught >= 8


def test_each_arm_is_looked_at_by_itself() -> None:
    spec = spec_of([OPTIMIZER, X])
    trials = [
        trial_of(spec, 100 * k + i, {"optimizer": o, "x": u * (1 - 0.7 * k)}, 0.3)
        for k, o in enumerate(("sgd", "adam"))
        for i, u in enumerate(EVEN)
    ]
    found = check(study_of(spec, trials))[1:]
    assert [(f.scientific, f.verdict) for f in found] == [
        ({"optimizer": "sgd"}, "Ok"),
        ({"optimizer": "adam"}, "UnevenSampling"),
    ]


def test_a_log_range_is_covered_on_its_scale() -> None:
    spec = spec_of([LEARNING_RATE])
    trials = [trial_of(spec, i, {"learning_rate": float(10 ** (-4 * u))}, 0.3) for i, u in enumerate(EVEN)]
    assert [f.verdict for f in check(study_of(spec, trials))] == ["Ok"]
