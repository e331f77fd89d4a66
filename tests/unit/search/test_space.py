"""Values lie in their domain and cover it evenly on its scale; conditions decide what exists."""

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.views import a_hyperparameter
from tuning_contract.environment import ParameterValue, parameter_text
from tuning_operator.api.hyperparameters import Hyperparameter, ValueType
from tuning_operator.search.space import (
    exists,
    fixed_value,
    in_dependency_order,
    parameters_of,
    typed,
    unit_of,
    value_at,
)

UNIT = st.floats(0, 1, exclude_max=True)
BOUND = st.floats(-1e300, 1e300, allow_nan=False)
POSITIVE = st.floats(1e-300, 1e300)
WHOLE = st.integers(-(2**53), 2**53)


def grid(points: int) -> list[float]:
    """Evenly spaced points of [0, 1)."""
    return [(i + 0.5) / points for i in range(points)]


def h(manifest: dict[str, Any]) -> Hyperparameter:
    return a_hyperparameter(manifest)


@pytest.mark.parametrize(
    ("text", "value_type", "value"),
    [
        ("adamw", ValueType.STRING, "adamw"),
        ("64", ValueType.STRING, "64"),
        ("true", ValueType.STRING, "true"),
        ("64", ValueType.INTEGER, 64),
        ("-3", ValueType.INTEGER, -3),
        ("0.1", ValueType.FLOAT, 0.1),
        ("1e-4", ValueType.FLOAT, 0.0001),
        ("1", ValueType.FLOAT, 1.0),
        ("true", ValueType.BOOLEAN, True),
        ("false", ValueType.BOOLEAN, False),
    ],
)
def test_text_becomes_a_value_of_its_type(text: str, value_type: ValueType, value: ParameterValue) -> None:
    assert typed(text, value_type) == value
    assert type(typed(text, value_type)) is type(value)


@pytest.mark.parametrize(
    ("text", "value_type"),
    [
        ("1.5", ValueType.INTEGER),
        ("many", ValueType.INTEGER),
        ("nan", ValueType.FLOAT),
        ("inf", ValueType.FLOAT),
        ("1e999", ValueType.FLOAT),
        ("True", ValueType.BOOLEAN),
        ("1", ValueType.BOOLEAN),
    ],
)
def test_text_of_another_type_is_refused(text: str, value_type: ValueType) -> None:
    with pytest.raises(ValueError, match=r".+"):
        typed(text, value_type)


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text()))
def test_values_go_to_text_and_back(value: ParameterValue) -> None:
    types = {bool: ValueType.BOOLEAN, int: ValueType.INTEGER, float: ValueType.FLOAT, str: ValueType.STRING}
    assert typed(parameter_text(value), types[type(value)]) == value


@given(BOUND, BOUND, UNIT)
def test_a_linear_float_stays_within_its_bounds(low: float, high: float, u: float) -> None:
    assume(low < high)
    assert low <= value_at(h(a_range(low=low, high=high)), u) <= high  # type: ignore[operator]


@given(POSITIVE, POSITIVE, UNIT)
def test_a_log_float_stays_within_its_bounds(low: float, high: float, u: float) -> None:
    assume(low < high)
    assert low <= value_at(h(a_range(low=low, high=high, scale="Log")), u) <= high  # type: ignore[operator]


@given(WHOLE, WHOLE, UNIT)
def test_an_integer_is_one_and_stays_within_its_bounds(low: int, high: int, u: float) -> None:
    assume(low < high)
    value = value_at(h(a_range(type="Integer", low=low, high=high)), u)
    assert type(value) is int
    assert low <= value <= high


@given(st.integers(1, 2**53), st.integers(1, 2**53), UNIT)
def test_a_log_integer_is_one_and_stays_within_its_bounds(low: int, high: int, u: float) -> None:
    assume(low < high)
    value = value_at(h(a_range(type="Integer", low=low, high=high, scale="Log")), u)
    assert type(value) is int
    assert low <= value <= high


@pytest.mark.parametrize("scale", ["Linear", "Log"])
@given(data=st.data())
def test_larger_coordinates_never_give_smaller_values(scale: str, data: st.DataObject) -> None:
    one, other = sorted((data.draw(UNIT), data.draw(UNIT)))
    for kind in ("Float", "Integer"):
        parameter = h(a_range(type=kind, low=2, high=900, scale=scale))
        assert value_at(parameter, one) <= value_at(parameter, other)  # type: ignore[operator]


def test_a_linear_range_has_as_many_values_in_each_tenth() -> None:
    values = [value_at(h(a_range(low=10.0, high=20.0)), u) for u in grid(1000)]
    assert Counter(int(v) for v in values) == dict.fromkeys(range(10, 20), 100)


def test_a_log_range_has_as_many_values_in_each_decade() -> None:
    values = [value_at(h(a_range(low=1e-4, high=1.0, scale="Log")), u) for u in grid(1000)]
    assert Counter(math.floor(math.log10(v)) for v in values) == dict.fromkeys(range(-4, 0), 250)  # type: ignore[arg-type]


def test_each_integer_has_an_equal_share_the_bounds_as_well() -> None:
    values = [value_at(h(a_range(type="Integer", low=-1, high=3)), u) for u in grid(1000)]
    assert Counter(values) == dict.fromkeys([-1, 0, 1, 2, 3], 200)


def test_a_log_integer_has_the_share_of_its_interval() -> None:
    values = Counter(value_at(h(a_range(type="Integer", low=1, high=4, scale="Log")), u) for u in grid(9000))
    for k in (1, 2, 3, 4):
        share = math.log((k + 0.5) / (k - 0.5)) / math.log(4.5 / 0.5)
        assert values[k] / 9000 == pytest.approx(share, abs=2e-4)


def test_each_category_has_an_equal_share() -> None:
    values = [value_at(h(a_choice(values=["16", "32", "64"], valueType="Integer")), u) for u in grid(300)]
    assert Counter(values) == {16: 100, 32: 100, 64: 100}


@pytest.mark.parametrize("u", [0.0, math.nextafter(1.0, 0.0)])
def test_the_ends_of_the_unit_interval_are_values_too(u: float) -> None:
    assert value_at(h(a_choice(values=["a", "b", "c"])), u) == ("a" if u == 0 else "c")
    assert value_at(h(a_range(type="Integer", low=1, high=9)), u) == (1 if u == 0 else 9)


def test_a_fixed_value_has_its_type() -> None:
    assert fixed_value(h(a_fixed(value="600"))) == 600
    assert fixed_value(h(a_fixed(type="Categorical", value="true", valueType="Boolean"))) is True


@pytest.mark.parametrize(
    ("value_type", "when", "value", "there"),
    [
        ("String", ["adamw"], "adamw", True),
        ("String", ["adamw"], "nesterov", False),
        ("String", ["a", "b"], "b", True),
        ("Integer", ["64"], 64, True),
        ("Integer", ["64"], 640, False),
        ("Float", ["1e-3"], 0.001, True),
        ("Float", ["0.10"], 0.1, True),
        ("Float", ["1"], 1.0, True),
        ("Float", ["0.2"], 0.1, False),
        ("Boolean", ["true"], True, True),
        ("Boolean", ["false"], True, False),
    ],
)
def test_when_compares_values_however_they_are_written(
    value_type: str, when: list[str], value: ParameterValue, there: bool
) -> None:
    depending = h(a_range(when={"name": "other", "values": when}))
    assert exists(depending, {"other": value}) is there
    assert not exists(depending, {})


@given(st.permutations(["a", "b", "c", "d"]))
def test_a_hyperparameter_stands_after_the_one_that_it_depends_on(names: list[str]) -> None:
    chain = [
        h(a_choice(name, **({} if name == "a" else {"when": {"name": chr(ord(name) - 1), "values": ["adamw"]}})))
        for name in names
    ]
    assert [x.name for x in in_dependency_order(chain)] == ["a", "b", "c", "d"]


def test_without_conditions_the_order_is_the_manifest_s() -> None:
    assert [x.name for x in in_dependency_order([h(a_range(n)) for n in "zxya"])] == list("zxya")


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"a": "b", "b": "a"}, "cycle: a -> b -> a"),
        ({"a": "b", "b": "c", "c": "d", "d": "a"}, "cycle"),
        ({"a": "a"}, "cycle: a -> a"),
        ({"a": "missing"}, "depends on missing"),
    ],
)
def test_conditions_that_lead_nowhere_are_refused(conditions: dict[str, str], message: str) -> None:
    parameters = [h(a_choice(n, when={"name": on, "values": ["adamw"]})) for n, on in conditions.items()]
    with pytest.raises(ValueError, match=message):
        in_dependency_order(parameters)


def test_the_container_receives_parameter_names() -> None:
    parameters = [h(a_range("adamw_learning_rate", parameter="learning_rate")), h(a_fixed())]
    assignment: dict[str, ParameterValue] = {"adamw_learning_rate": 0.1, "max_steps": 600}
    assert parameters_of(parameters, assignment) == {"learning_rate": 0.1, "max_steps": 600}


# --- there and back --------------------------------------------------------------------------------------------------


@st.composite
def ranges(draw: st.DrawFn) -> Hyperparameter:
    """A range of any kind and scale, at least a thousandth wide against its ends."""
    scale = draw(st.sampled_from(["Linear", "Log", "ReverseLog"]))
    if scale == "Log":
        low = draw(st.floats(1e-12, 1e6))
        return h(a_range(low=low, high=low * draw(st.floats(1.001, 1e6)), scale=scale))
    if scale == "ReverseLog":
        beyond = draw(st.floats(1e-9, 0.5))
        return h(a_range(low=1 - beyond * draw(st.floats(1.001, 1e3)), high=1 - beyond, scale=scale))
    low = draw(st.floats(-1e6, 1e6))
    return h(a_range(low=low, high=low + draw(st.floats(1e-3, 1e6)), scale=scale))


@given(ranges(), UNIT)
def test_a_float_goes_to_the_unit_interval_and_back(range_: Hyperparameter, u: float) -> None:
    value = value_at(range_, u)
    assert isinstance(value, float)
    # 1 - x loses digits of x near 1; what is lost is far below any difference that training could show.
    assert value_at(range_, min(max(unit_of(range_, value), 0.0), 1.0)) == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(ranges(), UNIT, UNIT)
def test_every_scale_keeps_the_order(range_: Hyperparameter, u: float, v: float) -> None:
    small, large = sorted((u, v))
    assert value_at(range_, small) <= value_at(range_, large)  # type: ignore[operator]


@given(st.integers(-1000, 1000), st.integers(1, 10_000), st.sampled_from(["Linear", "Log"]), st.data())
def test_an_integer_goes_to_the_unit_interval_and_back_exactly(
    low: int, width: int, scale: str, data: st.DataObject
) -> None:
    low = abs(low) + 1 if scale == "Log" else low
    range_ = h(a_range(type="Integer", low=low, high=low + width, scale=scale))
    value = data.draw(st.integers(low, low + width))
    assert value_at(range_, unit_of(range_, value)) == value


@pytest.mark.parametrize("type_", ["Categorical", "Ordinal"])
def test_a_value_of_a_list_goes_to_the_middle_of_its_share_and_back(type_: str) -> None:
    values = h(a_choice(type=type_, role="Nuisance", values=["16", "32", "64", "128"], valueType="Integer"))
    assert [unit_of(values, value) for value in (16, 32, 64, 128)] == [0.125, 0.375, 0.625, 0.875]
    assert [value_at(values, u) for u in grid(4)] == [16, 32, 64, 128]


def test_reverse_log_is_even_in_the_distance_from_one() -> None:
    momentum = h(a_range(low=0.9, high=0.9999, scale="ReverseLog"))
    found = [value_at(momentum, u) for u in (0, 1 / 3, 2 / 3, 1)]
    assert found == pytest.approx([0.9, 1 - 1e-2, 1 - 1e-3, 0.9999])


def test_a_value_outside_the_range_stands_outside_the_unit_interval() -> None:
    rate = h(a_range(low=1e-3, high=1e-1, scale="Log"))
    assert unit_of(rate, 1e-4) == pytest.approx(-0.5)
    assert unit_of(rate, 1.0) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("hyperparameter", "value"),
    [
        (a_choice(role="Nuisance"), "lion"),
        (a_range(low=1e-3, high=1.0, scale="Log"), 0.0),
        (a_range(low=0.0, high=0.9, scale="ReverseLog"), 1.0),
        (a_range(), "fast"),
    ],
)
def test_what_no_point_can_be_has_no_place(hyperparameter: dict[str, Any], value: ParameterValue) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unit_of(h(hyperparameter), value)
