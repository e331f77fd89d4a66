"""How many points a space has, and which."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.views import a_spec
from tuning_operator.search.arms import Arm, arms_of
from tuning_operator.search.domain import has_listable_points, number_of_points, points_of


def only(name: str, *values: str) -> dict[str, Any]:
    return {"when": {"name": name, "values": list(values)}}


def an_option(name: str, number: int = 2, **fields: Any) -> dict[str, Any]:
    return a_choice(name, role="Nuisance", values=[f"v{i}" for i in range(number)], **fields)


def a_count(name: str, number: int, **fields: Any) -> dict[str, Any]:
    return a_range(name, type="Integer", low=1, high=number, **fields)


def arm_of(*hyperparameters: dict[str, Any]) -> Arm:
    (arm,) = arms_of(a_spec(hyperparameters=list(hyperparameters)))
    return arm


NESTED = (
    an_option("a", 3),
    a_count("n", 4, **only("a", "v0")),
    an_option("b", 2, **only("a", "v0", "v1")),
    an_option("c", 5, **only("b", "v1")),
)


@pytest.mark.parametrize(
    ("space", "number"),
    [
        ([a_fixed()], 1),
        ([an_option("a", 3), a_count("n", 4)], 12),
        ([a_count("n", 2**53), a_count("m", 2**53)], 2**106),
        ([a_range()], None),
        ([a_range(), an_option("a")], None),
        # a range that exists under one value only
        ([an_option("a"), a_range("x", **only("a", "v0"))], None),
        # v0: 4 x (1 + 5); v1: 1 + 5; v2: 1
        (NESTED, 24 + 6 + 1),
        # what cannot exist counts for nothing
        ([a_fixed("f", type="Categorical", value="on"), an_option("a", 7, **only("f", "off"))], 1),
        # more integers than a float can count, beside an endless range
        ([a_range(), *(a_range(f"n{i}", type="Integer", low=-(2.0**53), high=2.0**53) for i in range(20))], None),
        # sixteen independent choices of 32 values: more than anybody could list
        ([an_option(f"o{i}", 32) for i in range(16)], 32**16),
    ],
)
def test_points_are_counted_without_listing_them(space: list[dict[str, Any]], number: int | None) -> None:
    assert number_of_points(arm_of(*space)) == number


@pytest.mark.parametrize(
    ("space", "listable"),
    [
        ([a_range()], False),
        ([a_count("n", 9)], True),
        ([an_option("a"), a_range("x", **only("a", "v0"))], True),
        ([an_option("a"), a_range("x", **only("a", "v0", "v1"))], False),
        ([an_option("a"), a_range("x")], False),
    ],
)
def test_only_points_without_a_float_can_come_twice(space: list[dict[str, Any]], listable: bool) -> None:
    assert has_listable_points(arm_of(*space)) is listable


@st.composite
def discrete_spaces(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to five options, each perhaps under some values of an earlier one."""
    space: list[dict[str, Any]] = []
    for i in range(draw(st.integers(1, 5))):
        fields: dict[str, Any] = {}
        parent = draw(st.sampled_from([None, *space]))
        if parent is not None:
            values = draw(st.lists(st.sampled_from(parent["values"]), min_size=1, unique=True))
            fields = only(parent["name"], *values)
        space.append(an_option(f"o{i}", draw(st.integers(1, 3)), **fields))
    return space


@given(discrete_spaces())
@settings(max_examples=50)
def test_all_points_are_listed_once_and_are_as_many_as_were_counted(space: list[dict[str, Any]]) -> None:
    arm = arm_of(*space)
    points = list(points_of(arm))
    assert len({frozenset(point.items()) for point in points}) == len(points) == number_of_points(arm)


def test_a_float_range_cannot_be_listed() -> None:
    with pytest.raises(ValueError, match="learning_rate cannot be listed"):
        list(points_of(arm_of(a_range())))


def test_an_arm_s_points_have_its_scientific_values() -> None:
    spec = a_spec(hyperparameters=[a_choice(), a_count("n", 2, **only("optimizer", "adamw"))])
    assert [list(points_of(arm)) for arm in arms_of(spec)] == [
        [{"optimizer": "adamw", "n": 1}, {"optimizer": "adamw", "n": 2}],
        [{"optimizer": "nesterov"}],
    ]
