"""A grid has every combination once, the ends of each range among them."""

from typing import Any

import pytest

from tests.support.builders import a_choice, a_range
from tests.support.views import a_hyperparameter, a_spec
from tuning_contract.environment import ParameterValue
from tuning_operator.search.arms import arms_of
from tuning_operator.search.grid import grid_points, grid_size, is_on_grid, values_along


@pytest.mark.parametrize(
    ("range_", "number", "values"),
    [
        ({"low": 0.0, "high": 1.0}, 3, [0.0, 0.5, 1.0]),
        ({"low": 1e-4, "high": 1e-2, "scale": "Log"}, 3, [1e-4, 1e-3, 1e-2]),
        ({"low": 0.9, "high": 0.999, "scale": "ReverseLog"}, 3, [0.9, 0.99, 0.999]),
        ({"type": "Integer", "low": 1, "high": 3}, 5, [1, 2, 3]),
        ({"type": "Integer", "low": 1, "high": 100}, 3, [1, 51, 100]),
        ({"type": "Integer", "low": 1, "high": 9}, 9, list(range(1, 10))),
    ],
)
def test_values_along_a_range(range_: dict[str, Any], number: int, values: list[ParameterValue]) -> None:
    found = values_along(a_hyperparameter(a_range(**range_)), number)
    assert found == pytest.approx(values)
    assert (found[0], found[-1]) == (range_["low"], range_["high"])


def test_each_combination_is_there_once_in_an_order_of_the_seed() -> None:
    def points(seed: int) -> list[tuple[ParameterValue, ...]]:
        spec = a_spec(
            hyperparameters=[a_range("x"), a_range("y"), a_choice(role="Nuisance")],
            search={"algorithm": "Grid", "pointsPerRange": 3, "seed": seed},
        )
        (arm,) = arms_of(spec)
        found = [tuple(point.values()) for point in grid_points(spec, arm)]
        assert grid_size(spec, arm) == len(set(found)) == len(found) == 18
        return found

    assert points(1) == points(1)
    assert points(1) != points(2)
    assert set(points(1)) == set(points(2))


def test_a_value_between_the_lines_is_not_on_the_grid() -> None:
    spec = a_spec(hyperparameters=[a_range("x")], search={"algorithm": "Grid", "pointsPerRange": 3})
    (arm,) = arms_of(spec)
    assert is_on_grid(spec, arm, {"x": 0.5})
    assert not is_on_grid(spec, arm, {"x": 0.4})
