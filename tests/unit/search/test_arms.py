"""Each combination of scientific values is an arm with its own space and an equal share of the budget."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.views import a_spec
from tuning_operator.api.search import Design
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.arms import MAX_ARMS, Arm, arms_of, design_of, shares, trial_index
from tuning_operator.search.suggest import suggest


def space(*hyperparameters: dict[str, Any], **search: Any) -> TuningStudySpec:
    return a_spec(hyperparameters=list(hyperparameters), search=search)


def scientific(spec: TuningStudySpec) -> list[dict[str, Any]]:
    return [dict(arm.scientific) for arm in arms_of(spec)]


def axes(arm: Arm) -> list[str]:
    return [h.name for h in arm.dimensions]


def only(name: str, *values: str) -> dict[str, Any]:
    return {"when": {"name": name, "values": list(values)}}


def test_without_scientific_values_there_is_one_arm() -> None:
    (arm,) = arms_of(space(a_range(), a_fixed()))
    assert (arm.scientific, arm.key, axes(arm)) == ({}, "{}", ["learning_rate"])


def test_each_combination_is_an_arm_in_the_manifest_s_order() -> None:
    spec = space(a_choice("optimizer"), a_choice("size", values=["1", "2"], valueType="Integer"), a_range())
    assert scientific(spec) == [
        {"optimizer": "adamw", "size": 1},
        {"optimizer": "adamw", "size": 2},
        {"optimizer": "nesterov", "size": 1},
        {"optimizer": "nesterov", "size": 2},
    ]


def test_a_scientific_value_that_exists_in_one_arm_only_splits_that_arm_alone() -> None:
    spec = space(
        a_choice(), a_choice("decoupled", values=["true", "false"], valueType="Boolean", **only("optimizer", "adamw"))
    )
    assert scientific(spec) == [
        {"optimizer": "adamw", "decoupled": True},
        {"optimizer": "adamw", "decoupled": False},
        {"optimizer": "nesterov"},
    ]


def test_a_scientific_value_under_a_fixed_one_exists_where_that_has_the_value() -> None:
    cosine, linear = (a_fixed("schedule", type="Categorical", value=v) for v in ("cosine", "linear"))
    restarts = a_choice("restarts", values=["0", "1"], **only("schedule", "cosine"))
    assert len(arms_of(space(cosine, restarts))) == 2
    assert len(arms_of(space(linear, restarts))) == 1


def test_an_arm_has_no_axis_for_what_cannot_exist_in_it() -> None:
    spec = space(
        a_choice(),
        a_range("nesterov_rate", parameter="rate", **only("optimizer", "nesterov")),
        a_range("adamw_rate", parameter="rate", **only("optimizer", "adamw")),
        a_choice("clip", role="Nuisance", values=["on", "off"], **only("optimizer", "adamw")),
        a_range("norm", **only("clip", "on")),
    )
    adamw, nesterov = arms_of(spec)
    assert axes(adamw) == ["adamw_rate", "clip", "norm"]
    assert axes(nesterov) == ["nesterov_rate"]


def test_a_scientific_range_implies_the_design_joint() -> None:
    spec = space(a_range("width", type="Integer", low=1, high=9, role="Scientific"), a_range())
    (arm,) = arms_of(spec)
    assert design_of(spec) is Design.JOINT
    assert axes(arm) == ["width", "learning_rate"]


def test_the_design_joint_searches_scientific_values_too() -> None:
    (arm,) = arms_of(space(a_choice(), a_range(), design="Joint"))
    assert axes(arm) == ["optimizer", "learning_rate"]


def test_too_many_combinations_are_refused() -> None:
    many = [a_choice(f"choice{i}") for i in range(11)]
    with pytest.raises(ValueError, match=f"more than {MAX_ARMS} combinations"):
        arms_of(space(*many))
    assert len(arms_of(space(*many[:10]))) == MAX_ARMS


@given(st.integers(0, 10_000), st.integers(1, 1024))
def test_shares_differ_by_at_most_one_and_add_up(total: int, arms: int) -> None:
    divided = shares(total, arms)
    assert len(divided) == arms
    assert sum(divided) == total
    assert max(divided) - min(divided) <= 1


@given(st.integers(0, 9_999), st.integers(1, 64))
def test_raising_the_budget_takes_nothing_from_an_arm(total: int, arms: int) -> None:
    assert all(more >= less for more, less in zip(shares(total + 1, arms), shares(total, arms), strict=True))


@given(st.integers(1, 1024), st.integers(0, 10**6))
def test_index_and_place_determine_each_other(arms: int, index: int) -> None:
    position, number = divmod(index, arms)
    assert trial_index(Arm(number, {}, (), arms), position) == index


@given(st.integers(0, 2**31 - 1), st.integers(0, 50))
@settings(max_examples=20)
def test_an_arm_s_sequence_is_unchanged_when_a_scientific_value_is_added(seed: int, position: int) -> None:
    def spec(values: list[str]) -> TuningStudySpec:
        return space(
            a_choice(values=values),
            a_range("adamw_rate", **only("optimizer", "adamw")),
            *([a_range("lion_beta", **only("optimizer", "lion"))] if "lion" in values else []),
            a_range("dropout"),
            seed=seed,
        )

    before, larger = spec(["adamw", "nesterov"]), spec(["lion", "adamw", "nesterov"])
    old = {arm.key: arm for arm in arms_of(before)}
    for arm in arms_of(larger):
        if arm.key in old:
            assert suggest(larger, arm, position) == suggest(before, old[arm.key], position)
