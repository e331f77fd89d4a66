"""The user's own points: tried first, or, with the algorithm List, alone."""

import re
from collections.abc import Mapping, Sequence

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import (
    Assignment,
    bounds_of,
    exists,
    fixed_value,
    in_dependency_order,
    is_searched,
    typed,
    values_of,
)


class PointError(ValueError):
    """A point of `spec.search.points` is none of the search space; the message says which, and what to change."""


def own_points(spec: TuningStudySpec, arm: Arm) -> list[Assignment]:
    """Return the user's points that belong to the arm, each once, in their order.

    Raises:
        PointError: see `check_points`.
    """
    found: list[Assignment] = []
    for assignment in check_points(spec):
        if all(assignment.get(name) == value for name, value in arm.scientific.items()) and assignment not in found:
            found.append(assignment)
    return found


def check_points(spec: TuningStudySpec) -> list[Assignment]:
    """Check the user's points, and return them all.

    Raises:
        PointError: a point names what does not exist in it, leaves out what does, or has a value outside its domain.
    """
    points = spec.search.points or ()
    ordered = in_dependency_order(spec.hyperparameters) if points else []
    return [_assignment(ordered, f"spec.search.points[{number}]", texts) for number, texts in enumerate(points)]


def _assignment(ordered: Sequence[Hyperparameter], where: str, texts: Mapping[str, str]) -> Assignment:
    assignment: Assignment = {}
    for hyperparameter in ordered:
        name = hyperparameter.name
        if not exists(hyperparameter, assignment):
            continue
        if not is_searched(hyperparameter):
            assignment[name] = fixed_value(hyperparameter)
        elif name not in texts:
            raise PointError(f"{where} needs a value of {name}")
        else:
            assignment[name] = _value(hyperparameter, texts[name], where)
    surplus = texts.keys() - {h.name for h in ordered if is_searched(h) and h.name in assignment}
    if surplus:
        raise PointError(f"{where} has a value of {min(surplus)}, which is not searched or does not exist there")
    return assignment


def _value(hyperparameter: Hyperparameter, text: str, where: str) -> ParameterValue:
    name = hyperparameter.name
    try:
        # Python reads more as a number than JSON does: 1_000, digits of other scripts, spaces around it.
        if not hyperparameter.type.is_list and re.search(r"[^-+.0-9eE]", text):
            raise ValueError(text)
        value = typed(text, hyperparameter.effective_value_type)
    except ValueError:
        raise PointError(f"{where}: {name} is {text}, which is no {hyperparameter.effective_value_type}") from None
    if hyperparameter.type.is_list:
        if value not in values_of(hyperparameter):
            raise PointError(f"{where}: {name} is {text}, which is not among its values")
        return value
    low, high = bounds_of(hyperparameter)
    if isinstance(value, str) or not low <= value <= high:
        raise PointError(f"{where}: {name} is {text}, which is outside {low:g} to {high:g}")
    return value
