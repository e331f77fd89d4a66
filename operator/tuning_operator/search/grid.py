"""Grid search: all combinations of some values along each axis.

Quasi-random points are nearly always the better use of a budget (Playbook, "Why use quasi-random search"); a grid is
for spaces of a few values, of which all shall be tried.
"""

import numpy as np

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, HyperparameterType
from tuning_operator.api.search import POINTS_PER_RANGE
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.arms import Arm
from tuning_operator.search.domain import Values, number_of_points, points_of
from tuning_operator.search.seeds import derived_seed
from tuning_operator.search.space import Assignment, bounds_of, value_at, values_of

MAX_GRID = 10_000
"""As many as a study may have trials."""


def grid_points(spec: TuningStudySpec, arm: Arm) -> list[Assignment]:
    """Return the arm's grid in the order in which it is tried: a random one, so that any part of it is spread out."""
    points = list(points_of(arm, _along(spec)))
    order = np.random.default_rng(derived_seed(spec.search.seed, arm.key, 0, "grid")).permutation(len(points))
    return [points[i] for i in order]


def grid_size(spec: TuningStudySpec, arm: Arm) -> int:
    """Return how many points the arm's grid has."""
    return number_of_points(arm, _along(spec)) or 0


def is_on_grid(spec: TuningStudySpec, arm: Arm, point: Assignment) -> bool:
    """Whether a point of the arm is one of its grid's."""
    along = _along(spec)
    return all(point[h.name] in (along(h) or ()) for h in arm.dimensions if h.name in point)


def _along(spec: TuningStudySpec) -> Values:
    number = spec.search.points_per_range or POINTS_PER_RANGE
    return lambda hyperparameter: values_along(hyperparameter, number)


def values_along(hyperparameter: Hyperparameter, number: int) -> list[ParameterValue]:
    """Return all values of a list, and `number` values of a range, evenly on its scale with both ends among them.

    An Integer range of fewer integers than that gives all of them.
    """
    if hyperparameter.type.is_list:
        return values_of(hyperparameter)
    low, high = bounds_of(hyperparameter)
    if hyperparameter.type is HyperparameterType.INTEGER and high - low < number:
        return list(range(int(low), int(high) + 1))
    between = [value_at(hyperparameter, i / (number - 1)) for i in range(1, number - 1)]
    if hyperparameter.type is HyperparameterType.INTEGER:
        return list(dict.fromkeys([int(low), *between, int(high)]))
    # The ends are the ones that were named, and not what a logarithm makes of them.
    return [low, *between, high]
