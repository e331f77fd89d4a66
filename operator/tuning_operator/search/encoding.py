"""An arm's points as rows of numbers, between which a model can measure distances.

A row of *units* has a coordinate for each searched hyperparameter: where its value stands on its scale, or NaN where it
does not exist. A row of *features* has one column for a range or an Ordinal, and for a Categorical one for each value:
1/sqrt(2) where it has that value and else 0, so that two different values are at distance 1, whichever they are.
What does not exist has constant features: points that differ only in what neither of them has are the same point.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuning_operator.api.hyperparameters import Hyperparameter, HyperparameterType, Role
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import (
    Assignment,
    UnitPoint,
    exists,
    fixed_value,
    unit_of,
    value_at,
    values_of,
)

Array = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

MIDDLE = 0.5
"""Where what does not exist stands: as far from one end of its scale as from the other."""


def units_of(arm: Arm, assignments: Sequence[Assignment]) -> Array:
    """Return a row of units for each assignment; below 0 or above 1 is a value outside the arm's bounds.

    Raises:
        ValueError: the arm has no place for a value.
    """
    rows = [
        [unit_of(h, assignment[h.name]) if h.name in assignment else math.nan for h in arm.dimensions]
        for assignment in assignments
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(arm.dimensions))


def snapped(arm: Arm, cube: Array) -> Array:
    """Return the units of what stands at points of the unit cube: `units_of` and `Arm.assignment_at` for a matrix."""
    inside = np.clip(cube, 0, np.nextafter(1, 0))
    units = np.column_stack([_snapped_column(h, inside[:, column]) for column, h in enumerate(arm.dimensions)])
    present: dict[str, Mask] = {}
    for hyperparameter in arm.space:
        present[hyperparameter.name] = _presence(hyperparameter, arm, units, present)
    return np.where(np.column_stack([present[h.name] for h in arm.dimensions]), units, math.nan)


def features_of(arm: Arm, units: Array) -> Array:
    """Return the features of rows of units."""
    return np.column_stack([_features(h, units[:, column]) for column, h in enumerate(arm.dimensions)])


def feature_owners(arm: Arm) -> list[int]:
    """Return, for each feature, the number of the dimension that it belongs to."""
    widths = [len(h.values or []) if h.type is HyperparameterType.CATEGORICAL else 1 for h in arm.dimensions]
    return [dimension for dimension, width in enumerate(widths) for _ in range(width)]


def unit_point(arm: Arm, units: Array) -> UnitPoint:
    """Return a row of units as a point of [0, 1)^d."""
    inside = np.clip(np.nan_to_num(units, nan=MIDDLE), 0, np.nextafter(1, 0))
    return {h.name: float(u) for h, u in zip(arm.dimensions, inside, strict=True)}


def _snapped_column(hyperparameter: Hyperparameter, column: Array) -> Array:
    if hyperparameter.type.is_list:
        shares = len(hyperparameter.values or [])
        return (np.floor(column * shares) + 0.5) / shares
    if hyperparameter.type is HyperparameterType.FLOAT:
        return column
    values = [value_at(hyperparameter, u) for u in column]
    places = {value: unit_of(hyperparameter, value) for value in set(values)}
    return np.array([places[value] for value in values])


def _presence(hyperparameter: Hyperparameter, arm: Arm, units: Array, present: Mapping[str, Mask]) -> Mask:
    """Return in which rows the hyperparameter exists, given where those before it exist."""
    when = hyperparameter.when
    if when is None or when.name not in present:
        return np.ones(len(units), dtype=bool)
    parent = next(h for h in arm.space if h.name == when.name)
    dimensions = [h.name for h in arm.dimensions]
    if parent.name not in dimensions:
        value = fixed_value(parent) if parent.role is Role.FIXED else arm.scientific[parent.name]
        return present[parent.name] & exists(hyperparameter, {parent.name: value})
    holds = np.array([exists(hyperparameter, {parent.name: value}) for value in values_of(parent)])
    index = (units[:, dimensions.index(parent.name)] * len(holds)).astype(int)
    there: Mask = present[parent.name] & holds[index]
    return there


def _features(hyperparameter: Hyperparameter, column: Array) -> Array:
    if hyperparameter.type is not HyperparameterType.CATEGORICAL:
        return np.nan_to_num(column, nan=MIDDLE)[:, None]
    shares = len(hyperparameter.values or [])
    index = np.floor(np.nan_to_num(column, nan=-1) * shares)
    indicators: Array = (index[:, None] == np.arange(shares)) / math.sqrt(2)
    return indicators
