"""Do the best trials lie at the edge of a range? (K02)"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tests.support.synthetic import a_centre, a_synthetic_study, bowl
from tuning_operator.api.findings import Finding, Severity, Side
from tuning_operator.playbook.records import State, StudyRecord
from tuning_operator.playbook.space.edges import check

GRID = np.arange(0.025, 1, 0.05)
"""Twenty places."""
KNOWN_NOISE = {"baseline": {"scientific": {}, "retrainDeviation": 0.001}}
X = {"name": "x", "type": "Float", "role": "Nuisance", "low": 0.0, "high": 1.0}


def _study(
    loss: Callable[[float], float],
    places: Sequence[float] = tuple(GRID),
    fails: Callable[[float], bool] = lambda _: False,
    hyperparameter: dict[str, Any] = X,
    **fields: Any,
) -> StudyRecord:
    spec = spec_of([hyperparameter], **{**KNOWN_NOISE, **fields})
    name = str(hyperparameter["name"])
    return study_of(
        spec,
        [
            trial_of(spec, i, {name: float(u)}, state=State.INFEASIBLE)
            if fails(u)
            else trial_of(spec, i, {name: float(u)}, loss(u))
            for i, u in enumerate(places)
        ],
    )


def _only(study: StudyRecord) -> Finding:
    (finding,) = check(study)
    return finding


def rising(u: float) -> float:
    """Better towards the high end."""
    return 0.3 + 0.1 * (1 - u)


def falling(u: float) -> float:
    return 0.3 + 0.1 * u


def inside(u: float) -> float:
    return 0.3 + 0.1 * (u - 0.5) ** 2


def level(u: float) -> float:
    return 0.3 + 0.0005 * (1 - u)


@pytest.mark.parametrize(
    ("loss", "hyperparameter", "verdict", "side", "new_limit", "severity"),
    [
        (rising, X, "Expand", Side.HIGH, 1.5, Severity.BLOCK),
        (falling, X, "Expand", Side.LOW, -0.5, Severity.BLOCK),
        (inside, X, "Ok", None, None, Severity.INFO),
        (rising, X | {"hardHigh": 1.0}, "NaturalLimit", Side.HIGH, None, Severity.INFO),
        (rising, X | {"hardHigh": 1.2}, "Expand", Side.HIGH, 1.2, Severity.BLOCK),
        (rising, X | {"hardLow": 0.0}, "Expand", Side.HIGH, 1.5, Severity.BLOCK),
        (falling, X | {"name": "dropout"}, "NaturalLimit", Side.LOW, None, Severity.INFO),
        (level, X, "Flat", Side.HIGH, None, Severity.INFO),
    ],
)
def test_the_verdict_follows_from_where_the_best_trials_lie(
    loss: Callable[[float], float],
    hyperparameter: dict[str, Any],
    verdict: str,
    side: Side | None,
    new_limit: float | None,
    severity: Severity,
) -> None:
    finding = _only(_study(loss, hyperparameter=hyperparameter))
    assert (finding.verdict, finding.side, finding.severity) == (verdict, side, severity)
    assert finding.new_limit == new_limit
    assert finding.parameter == hyperparameter["name"]
    assert finding.message
    assert finding.evidence.thresholds


def test_a_regulariser_whose_best_strength_is_zero_may_be_removed() -> None:
    assert "removing the regulariser" in _only(_study(falling, hyperparameter=X | {"name": "dropout"})).action


def test_one_lucky_trial_at_the_edge_is_only_suspicious() -> None:
    finding = _only(_study(lambda u: 0.2 if u > 0.95 else inside(u)))
    assert (finding.verdict, finding.side, finding.severity) == ("Suspicious", Side.HIGH, Severity.WARN)


def test_an_adaptive_algorithm_never_says_for_certain_that_a_range_is_too_narrow() -> None:
    assert _only(_study(rising, search={"algorithm": "Bayesian"})).verdict == "Suspicious"
    assert _only(_study(rising, search={"algorithm": "Random"})).verdict == "Expand"
    switch = {"switchTo": {"algorithm": "Bayesian", "afterTrials": 10}}
    assert _only(_study(rising, search=switch)).verdict == "Suspicious"
    later = {"switchTo": {"algorithm": "Bayesian", "afterTrials": 20}}
    assert _only(_study(rising, search=later)).verdict == "Expand"


def test_an_edge_beyond_which_training_fails_is_a_matter_of_stability() -> None:
    places = np.linspace(0.0125, 0.9875, 40)
    study = _study(rising, list(places), fails=lambda u: u > 0.92)
    finding = _only(study)
    assert (finding.verdict, finding.side, finding.severity) == ("FeasibilityEdge", Side.HIGH, Severity.WARN)
    assert finding.evidence.numbers["infeasibleBeyond"] == 3


def test_one_infeasible_trial_beyond_is_no_cliff() -> None:
    places = np.linspace(0.0125, 0.9875, 40)
    assert _only(_study(rising, list(places), fails=lambda u: u > 0.97)).verdict == "Expand"


@pytest.mark.parametrize("number", [0, 1, 4])
def test_too_few_feasible_trials_are_no_pass(number: int) -> None:
    finding = _only(_study(inside, list(GRID[:number]), fails=lambda _: False))
    assert (finding.verdict, finding.severity) == ("Unknown", Severity.INFO)
    assert finding.evidence.numbers == {"feasible": number}
    assert finding.action


def test_infeasible_trials_do_not_count_towards_those_needed() -> None:
    assert _only(_study(inside, fails=lambda u: u > 0.2)).verdict == "Unknown"


def test_of_two_values_each_is_an_edge() -> None:
    assert _only(_study(inside, [0.1, 0.9] * 5)).verdict == "Unknown"


@pytest.mark.parametrize("number", [5, 6, 8, 10])
def test_few_trials_show_an_optimum_that_lies_outside(number: int) -> None:
    finding = _only(_study(rising, list((np.arange(number) + 0.5) / number)))
    assert (finding.verdict, finding.side) == ("Expand", Side.HIGH)


@pytest.mark.parametrize(("best", "verdict"), [(0.75, "Ok"), (1.0, "Expand")])
def test_of_a_grid_only_the_last_value_is_an_edge(best: float, verdict: str) -> None:
    places = list(np.linspace(0, 1, 5)) * 4
    study = _study(lambda u: 0.3 + abs(u - best), places, search={"algorithm": "Grid"})
    assert _only(study).verdict == verdict


def test_a_rate_is_widened_by_a_decade() -> None:
    hyperparameter = LEARNING_RATE | {"low": 1e-5, "high": 2e-4}
    study = _study(lambda u: -1e4 * u, list(np.geomspace(1e-5, 2e-4, 20)), hyperparameter=hyperparameter)
    finding = _only(study)
    assert (finding.verdict, finding.new_limit) == ("Expand", 2e-3)
    assert "0.002" in finding.action


def test_a_maximised_objective_has_the_same_edges() -> None:
    objective = {"metric": "accuracy", "direction": "Maximize"}
    assert _only(_study(lambda u: 0.9 * u, objective=objective)).side is Side.HIGH
    assert _only(_study(lambda u: -inside(u), objective=objective)).verdict == "Ok"


def test_results_that_are_all_the_same_show_no_edge() -> None:
    assert _only(_study(lambda _: 0.3)).verdict in ("Ok", "Flat")


def test_an_integer_is_widened_to_an_integer() -> None:
    hyperparameter = {"name": "blocks", "type": "Integer", "role": "Nuisance", "low": 1, "high": 6}
    study = _study(lambda u: -u, [1, 2, 3, 4, 5, 6] * 3, hyperparameter=hyperparameter)
    finding = _only(study)
    assert (finding.verdict, finding.new_limit) == ("Expand", 9)


def _two_arms(best: dict[str, float], shared: bool) -> StudyRecord:
    optimizer = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["sgd", "adam"]}
    own = [
        {**X, "name": f"{o}_x", "parameter": "x", "when": {"name": "optimizer", "values": [o]}} for o in ("sgd", "adam")
    ]
    spec = spec_of([optimizer, X] if shared else [optimizer, *own], thresholds={"edgeTrials": 5})
    trials = [
        trial_of(spec, 100 * a + i, {"optimizer": o, "x": float(u)}, 0.3 + (u - best[o]) ** 2)
        for a, o in enumerate(("sgd", "adam"))
        for i, u in enumerate(GRID)
    ]
    return study_of(spec, trials)


@pytest.mark.parametrize("shared", [True, False])
def test_each_arm_is_looked_at_by_itself(shared: bool) -> None:
    found = check(_two_arms({"sgd": 0.5, "adam": 1.3}, shared))
    assert [(f.scientific, f.parameter, f.verdict, f.side) for f in found] == [
        ({"optimizer": "sgd"}, "x", "Ok", None),
        ({"optimizer": "adam"}, "x", "Expand", Side.HIGH),
    ]
    assert "optimizer=adam" in found[1].message


def test_an_arm_without_trials_is_unknown_and_the_other_is_not() -> None:
    study = _two_arms({"sgd": 0.5, "adam": 0.5}, shared=True)
    rest = study_of(study.spec, study.trials[:20])
    assert [f.verdict for f in check(rest)] == ["Ok", "Unknown"]


def test_a_hyperparameter_that_exists_in_some_trials_is_judged_by_these() -> None:
    switch = {"name": "use", "type": "Categorical", "role": "Nuisance", "values": ["on", "off"]}
    spec = spec_of([switch, X | {"when": {"name": "use", "values": ["on"]}}], **KNOWN_NOISE)
    trials = [trial_of(spec, i, {"use": "on", "x": float(u)}, rising(u)) for i, u in enumerate(GRID)]
    trials += [trial_of(spec, 50 + i, {"use": "off"}, 0.5) for i in range(10)]
    assert _only(study_of(spec, trials)).verdict == "Expand"


def test_a_study_sets_its_own_thresholds() -> None:
    finding = _only(_study(rising, thresholds={"edgeTrials": 30}))
    assert finding.verdict == "Unknown"
    assert finding.evidence.thresholds[0].origin == "Study"


@pytest.mark.parametrize("dimensions", [1, 2, 4])
@pytest.mark.parametrize("trials", [10, 20, 40])
def test_an_optimum_inside_the_space_hardly_ever_asks_for_a_wider_one(dimensions: int, trials: int) -> None:
    found = [
        any(
            f.verdict == "Expand"
            for f in check(a_synthetic_study(seed, trials, bowl(a_centre(seed, dimensions)), dimensions=dimensions))
        )
        for seed in range(30)
    ]
    assert sum(found) <= 2


@pytest.mark.parametrize("dimensions", [2, 4])
def test_a_hyperparameter_that_does_not_matter_hardly_ever_asks_for_a_wider_range(dimensions: int) -> None:
    weights = [1.0] + [0.0] * (dimensions - 1)
    found: Counter[str] = Counter()
    for seed in range(30):
        objective = bowl(a_centre(seed, dimensions), weights)
        found.update(f.verdict for f in check(a_synthetic_study(seed, 20, objective, dimensions=dimensions)))
    assert found["Expand"] <= 1


@pytest.mark.parametrize(("dimensions", "trials", "least"), [(1, 10, 29), (1, 20, 29), (2, 20, 22), (4, 40, 18)])
def test_an_optimum_outside_the_space_is_found_on_its_side(dimensions: int, trials: int, least: int) -> None:
    found = 0
    for seed in range(30):
        objective = bowl([1.3, *a_centre(seed, dimensions)[1:]])
        first, *_ = check(a_synthetic_study(seed, trials, objective, dimensions=dimensions))
        found += first.verdict == "Expand"
        assert first.side in (None, Side.HIGH)
    assert found >= least


@pytest.mark.parametrize("trials", [10, 20])
def test_many_arms_do_not_make_a_false_alarm_likely(trials: int) -> None:
    found = [
        any(
            f.verdict == "Expand"
            for f in check(a_synthetic_study(seed, trials, bowl(a_centre(seed, 4)), dimensions=4, arms=4))
        )
        for seed in range(15)
    ]
    assert sum(found) <= 1


def test_a_plateau_of_bad_results_does_not_hide_an_optimum_outside() -> None:
    study = _study(lambda u: 0.3 + 2 * float(np.exp(-6 * u)))
    assert (_only(study).verdict, _only(study).side) == ("Expand", Side.HIGH)


def test_two_lucky_trials_beside_an_optimum_inside_are_only_suspicious() -> None:
    finding = _only(_study(lambda u: 0.3 + (u - 0.6) ** 2 - {0.825: 0.2, 0.925: 0.3}.get(round(u, 3), 0.0)))
    assert finding.verdict == "Suspicious"
    assert "smooth fit" in finding.message


def test_a_lucky_neighbour_on_a_steep_slope_makes_no_edge_flat() -> None:
    spec = spec_of([LEARNING_RATE], **KNOWN_NOISE)
    losses = [0.28, 0.26, 0.24, 0.21, 0.19, 0.18, 0.16, 0.14, 0.122, 0.119, 0.118, 0.095, 0.0766, 0.076]
    trials = [
        trial_of(spec, i, {"learning_rate": 10 ** (-4 + 4 * (i + 0.3) / 14)}, curve=[1.0] * 10 + [loss] * 10)
        for i, loss in enumerate(losses)
    ]
    (found,) = check(study_of(spec, trials))
    assert (found.verdict, found.side) == ("Expand", Side.HIGH)
