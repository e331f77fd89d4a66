"""Which hyperparameters matter, which interact, which features to leave out? (K23)"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tests.support.synthetic import a_centre, a_synthetic_study, bowl
from tuning_operator.api.findings import Severity
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.space.roles import check, importance

A = {"name": "a", "type": "Float", "role": "Nuisance", "low": 0.0, "high": 1.0}
B = A | {"name": "b"}
VARIANT = {"name": "variant", "type": "Categorical", "role": "Scientific", "values": ["v0", "v1"]}
NOISE = {"baseline": {"scientific": {"variant": "v0"}, "retrainDeviation": 0.01}}


def _points(seed: int, number: int) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in np.random.default_rng(seed).random((number, 2))]


def _study(
    loss: Callable[[float, float, int], float], number: int = 20, space: Sequence[Mapping[str, Any]] = (VARIANT, A, B)
) -> StudyRecord:
    spec = spec_of(space, **(NOISE if VARIANT in space else {}))
    arms = ["v0", "v1"] if VARIANT in space else [""]
    trials = [
        trial_of(spec, 100 * arm + i, ({"variant": name} if name else {}) | {"a": a, "b": b}, float(loss(a, b, arm)))
        for arm, name in enumerate(arms)
        for i, (a, b) in enumerate(_points(arm, number))
    ]
    return study_of(spec, trials)


def _verdicts(study: StudyRecord) -> dict[str | None, str]:
    return {f.parameter: f.verdict for f in check(study)}


def test_what_the_objective_does_not_depend_on_can_be_fixed_at_the_best_trials_value() -> None:
    study = _study(lambda a, b, arm: 0.3 + (a - 0.4) ** 2)
    keep, fix = check(study)
    assert (keep.parameter, keep.verdict) == ("a", "KeepNuisance")
    assert (fix.parameter, fix.verdict, fix.severity) == ("b", "CanFix", Severity.INFO)
    best = min(study.trials, key=study.loss)
    assert fix.evidence.numbers["value"] == best.parameters["b"]
    assert str(best.parameters["b"]) in fix.action
    assert fix.evidence.trials == [best.name]


def test_what_matters_in_one_arm_alone_is_kept() -> None:
    assert _verdicts(_study(lambda a, b, arm: 0.3 + (a - 0.4) ** 2 + arm * (b - 0.5) ** 2))["b"] == "KeepNuisance"


def test_an_optimum_that_moves_with_the_question_interacts() -> None:
    study = _study(lambda a, b, arm: 0.3 + (a - (0.4, 0.7)[arm]) ** 2)
    finding = check(study)[0]
    assert (finding.parameter, finding.verdict, finding.rule) == ("a", "Interacts", "ROL-6")
    assert finding.evidence.numbers["distance"] == pytest.approx(0.3, abs=0.01)
    assert "variant=v0" in finding.message
    assert "variant=v1" in finding.message


def test_an_optimum_that_hardly_moves_does_not_interact() -> None:
    assert _verdicts(_study(lambda a, b, arm: 0.3 + (a - (0.4, 0.5)[arm]) ** 2))["a"] == "KeepNuisance"


def test_two_ranges_whose_best_is_at_the_same_end_do_not_interact() -> None:
    assert _verdicts(_study(lambda a, b, arm: 0.3 - (1, 3)[arm] * a))["a"] == "KeepNuisance"


@pytest.mark.parametrize("number", [0, 1, 14])
def test_too_few_trials_are_no_answer(number: int) -> None:
    found = check(_study(lambda a, b, arm: 0.3 + (a - 0.4) ** 2, number))
    assert [(f.verdict, f.evidence.numbers["needed"]) for f in found] == [("Unknown", 15), ("Unknown", 15)]


def test_results_that_no_smooth_surface_explains_say_nothing() -> None:
    rng = np.random.default_rng(0)
    # With so many trials chance explains less than two percent.
    assert _verdicts(_study(lambda a, b, arm: float(rng.random()), 400)) == {"a": "Unknown", "b": "Unknown"}


def test_results_that_are_all_the_same_say_nothing() -> None:
    assert _verdicts(_study(lambda a, b, arm: 0.3)) == {"a": "Unknown", "b": "Unknown"}


def test_an_objective_over_many_decades_is_judged_by_its_ranks() -> None:
    def loss(a: float, b: float, _: int) -> float:
        return 10 ** (6 * abs(a - 0.5)) * (1 + 0.01 * b)

    assert _verdicts(_study(loss, 40)) == {"a": "KeepNuisance", "b": "CanFix"}


def test_a_maximised_objective_is_judged_alike() -> None:
    spec = spec_of([A, B], objective={"metric": "accuracy", "direction": "Maximize"})
    trials = [trial_of(spec, i, {"a": a, "b": b}, 0.9 - (a - 0.4) ** 2) for i, (a, b) in enumerate(_points(0, 20))]
    study = study_of(spec, trials)
    assert _verdicts(study) == {"a": "KeepNuisance", "b": "CanFix"}
    assert check(study)[1].evidence.numbers["value"] == max(trials, key=lambda t: t.value or 0).parameters["b"]


def test_a_conditional_hyperparameter_is_judged_in_its_own_arm() -> None:
    own = [A | {"name": f"a{i}", "parameter": "a", "when": {"name": "variant", "values": [f"v{i}"]}} for i in range(2)]
    spec = spec_of([VARIANT, *own, B])
    trials = [
        trial_of(spec, 100 * arm + i, {"variant": f"v{arm}", "a": a, "b": b}, 0.3 + (b - 0.5) ** 2 + arm * a**2)
        for arm in range(2)
        for i, (a, b) in enumerate(_points(arm, 20))
    ]
    found = check(study_of(spec, trials))
    assert sorted((f.parameter or "", str(f.scientific), f.verdict) for f in found) == [
        ("a", "{'variant': 'v0'}", "CanFix"),
        ("a", "{'variant': 'v1'}", "KeepNuisance"),
        ("b", "{}", "KeepNuisance"),
    ]


def test_a_study_without_ranges_has_no_roles_to_judge() -> None:
    spec = spec_of([VARIANT])
    assert check(study_of(spec, [trial_of(spec, 0, {"variant": "v0"}, 0.3)])) == []


def test_importance_is_told_by_arm_and_parameter() -> None:
    found = importance(_study(lambda a, b, arm: 0.3 + (a - 0.4) ** 2))
    assert set(found) == {'{"variant": "v0"}', '{"variant": "v1"}'}
    for shares in found.values():
        assert shares["a"] == pytest.approx(0.9, abs=0.11)
        assert shares["b"] == pytest.approx(0, abs=1e-9)
    assert importance(_study(lambda a, b, arm: a, 3)) == {}


@pytest.mark.parametrize(("dimensions", "trials"), [(1, 20), (2, 20), (4, 40)])
def test_arms_that_are_alike_do_not_interact_and_what_matters_is_not_fixed(dimensions: int, trials: int) -> None:
    found: Counter[str] = Counter()
    for seed in range(15):
        objective = bowl(a_centre(seed, dimensions))
        study = a_synthetic_study(seed, trials, objective, dimensions=dimensions, arms=3, noise=0.02)
        found.update(f.verdict for f in check(study))
    assert found["Interacts"] + found["CanFix"] <= 1
