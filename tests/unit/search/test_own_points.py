"""The user's own points: each in its arm, and what is wrong with one is said."""

from typing import Any

import pytest

from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.views import a_spec
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.arms import arms_of
from tuning_operator.search.own_points import PointError, check_points, own_points

SPACE = [
    a_choice(),
    a_range("rate", low=1e-4, high=1.0, scale="Log"),
    a_range("momentum", when={"name": "optimizer", "values": ["nesterov"]}),
    a_range("width", type="Ordinal", low=None, high=None, values=["16", "32"], valueType="Integer"),
    a_fixed(),
]
GOOD = {"optimizer": "adamw", "rate": "1e-3", "width": "32"}


def with_points(*points: dict[str, str]) -> TuningStudySpec:
    return a_spec(hyperparameters=SPACE, search={"points": list(points)})


def test_a_point_belongs_to_the_arm_of_its_scientific_values_and_counts_once() -> None:
    spec = with_points(GOOD, {**GOOD, "optimizer": "nesterov", "momentum": "0.9"}, {**GOOD, "rate": "0.001"})
    adamw, nesterov = arms_of(spec)
    assert own_points(spec, adamw) == [{"optimizer": "adamw", "rate": 0.001, "width": 32, "max_steps": 600}]
    assert [point["momentum"] for point in own_points(spec, nesterov)] == [0.9]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": None}, r"spec.search.points\[1\] needs a value of rate"),
        ({"rate": "2"}, r"spec.search.points\[1\]: rate is 2, which is outside 0.0001 to 1"),
        ({"rate": "fast"}, "rate is fast, which is no Float"),
        ({"rate": "nan"}, "rate is nan, which is no Float"),
        ({"rate": "1_0"}, "rate is 1_0, which is no Float"),
        ({"rate": " 0.1"}, "rate is  0.1, which is no Float"),
        ({"width": "24"}, "width is 24, which is not among its values"),
        ({"optimizer": "lion"}, "optimizer is lion, which is not among its values"),
        ({"momentum": "0.9"}, "has a value of momentum, which is not searched or does not exist there"),
        ({"max_steps": "600"}, "has a value of max_steps, which is not searched"),
        ({"learning_speed": "1"}, "has a value of learning_speed, which is not searched"),
    ],
)
def test_what_is_wrong_with_a_point_is_said(changes: dict[str, Any], message: str) -> None:
    point = {name: text for name, text in {**GOOD, **changes}.items() if text is not None}
    with pytest.raises(PointError, match=message):
        check_points(with_points(GOOD, point))
