"""Search spaces: from a point of the unit cube to the hyperparameters of a trial, and back."""

import math
from collections.abc import Mapping, Sequence

from tuning_contract.environment import ParameterValue, parameter_text
from tuning_operator.api.hyperparameters import Hyperparameter, HyperparameterType, Role, Scale, ValueType

Assignment = dict[str, ParameterValue]
"""A value for each hyperparameter that exists in a trial, by the hyperparameter's name."""

UnitPoint = dict[str, float]
"""A point of [0, 1)^d: a coordinate for each searched hyperparameter, by its name."""


def typed(text: str, value_type: ValueType) -> ParameterValue:
    """Return a value that the API holds as a string, as the container receives it.

    Raises:
        ValueError: the text is no value of that type.
    """
    match value_type:
        case ValueType.STRING:
            return text
        case ValueType.INTEGER:
            return int(text)
        case ValueType.FLOAT:
            number = float(text)
            if not math.isfinite(number):
                raise ValueError(f"{text} is not a finite number")
            return number
        case ValueType.BOOLEAN:
            if text not in ("true", "false"):
                raise ValueError(f"{text} is neither true nor false")
            return text == "true"


def value_at(hyperparameter: Hyperparameter, u: float) -> ParameterValue:
    """Return the value at `u` in [0, 1) of a searched hyperparameter's domain.

    A Float range is covered evenly on its scale. Each integer of a Linear range, and each value of a list, has an
    equal share; an integer of a Log range has the share of its interval [k - 1/2, k + 1/2) on the log scale.
    """
    if hyperparameter.type.is_list:
        values = values_of(hyperparameter)
        return values[min(int(u * len(values)), len(values) - 1)]
    low, high = bounds_of(hyperparameter)
    if hyperparameter.type is HyperparameterType.FLOAT:
        return _clamp(_from_scale(u, low, high, hyperparameter.scale), low, high)
    widened = _from_scale(u, low - 0.5, high + 0.5, hyperparameter.scale)
    return int(_clamp(math.floor(widened + 0.5), low, high))


def unit_of(hyperparameter: Hyperparameter, value: ParameterValue) -> float:
    """Return where a value of a searched hyperparameter stands: the inverse of `value_at`.

    A value of a list, and an integer, stand in the middle of their share, so that `value_at` gives them back exactly;
    a Float to within rounding. A number outside the range, as an earlier study may have tried, stands outside [0, 1).

    Raises:
        ValueError: the list does not have the value, or the scale does not reach it.
    """
    if hyperparameter.type.is_list:
        values = values_of(hyperparameter)
        return (values.index(value) + 0.5) / len(values)
    low, high = bounds_of(hyperparameter)
    if isinstance(value, str):
        raise ValueError(f"{value} is not a number")
    if hyperparameter.type is HyperparameterType.FLOAT:
        return _to_scale(value, low, high, hyperparameter.scale)
    below, above = (_to_scale(value + half, low - 0.5, high + 0.5, hyperparameter.scale) for half in (-0.5, 0.5))
    return (below + above) / 2


def values_of(hyperparameter: Hyperparameter) -> list[ParameterValue]:
    """Return the values of a list, as the container receives them, in the manifest's order."""
    return [typed(text, hyperparameter.effective_value_type) for text in hyperparameter.values or []]


def is_searched(hyperparameter: Hyperparameter) -> bool:
    """Whether the hyperparameter has more than one value to choose from by search."""
    return hyperparameter.role is not Role.FIXED


def is_range(hyperparameter: Hyperparameter) -> bool:
    """Whether the domain is an interval and not a list of values."""
    return is_searched(hyperparameter) and not hyperparameter.type.is_list


def in_dependency_order(hyperparameters: Sequence[Hyperparameter]) -> list[Hyperparameter]:
    """Return the hyperparameters, each after the one that its `when` names, otherwise in the given order.

    Raises:
        ValueError: a `when` names an unknown hyperparameter, or the `when`s form a cycle.
    """
    by_name = {h.name: h for h in hyperparameters}
    ordered: dict[str, Hyperparameter] = {}

    def visit(hyperparameter: Hyperparameter, path: tuple[str, ...]) -> None:
        if hyperparameter.name in ordered:
            return
        if hyperparameter.name in path:
            raise ValueError(f"the conditions form a cycle: {' -> '.join((*path, hyperparameter.name))}")
        if hyperparameter.when is not None:
            if hyperparameter.when.name not in by_name:
                raise ValueError(f"{hyperparameter.name} depends on {hyperparameter.when.name}, which does not exist")
            visit(by_name[hyperparameter.when.name], (*path, hyperparameter.name))
        ordered[hyperparameter.name] = hyperparameter

    for hyperparameter in hyperparameters:
        visit(hyperparameter, ())
    return list(ordered.values())


def exists(hyperparameter: Hyperparameter, assignment: Mapping[str, ParameterValue]) -> bool:
    """Whether the hyperparameter's `when` holds under the values assigned so far."""
    when = hyperparameter.when
    if when is None:
        return True
    return when.name in assignment and any(_is_spelling(text, assignment[when.name]) for text in when.values)


def _is_spelling(text: str, value: ParameterValue) -> bool:
    # The value was read from a text once, and 1e-3 is written back as 0.001: texts cannot be compared.
    if isinstance(value, str | bool):
        return text == parameter_text(value)
    try:
        return float(text) == value
    except ValueError:
        return False


def parameters_of(hyperparameters: Sequence[Hyperparameter], assignment: Assignment) -> dict[str, ParameterValue]:
    """Return what the container receives: the values by parameter name instead of hyperparameter name."""
    names = {h.name: h.parameter_name for h in hyperparameters}
    return {names[name]: value for name, value in assignment.items()}


def fixed_value(hyperparameter: Hyperparameter) -> ParameterValue:
    """Return the value of a Fixed hyperparameter."""
    return typed(hyperparameter.value or "", hyperparameter.effective_value_type)


def bounds_of(hyperparameter: Hyperparameter) -> tuple[float, float]:
    """Return the smallest and the largest value of a range.

    Raises:
        ValueError: it is no range.
    """
    if hyperparameter.low is None or hyperparameter.high is None:
        raise ValueError(f"{hyperparameter.name} has no range")
    return hyperparameter.low, hyperparameter.high


def _from_scale(u: float, low: float, high: float, scale: Scale | None) -> float:
    match scale:
        case Scale.LOG:
            return math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        case Scale.REVERSE_LOG:
            return 1 - _from_scale(u, 1 - low, 1 - high, Scale.LOG)
        case _:
            return low + u * (high - low)


def _to_scale(value: float, low: float, high: float, scale: Scale | None) -> float:
    match scale:
        case Scale.LOG:
            return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        case Scale.REVERSE_LOG:
            return _to_scale(1 - value, 1 - low, 1 - high, Scale.LOG)
        case _:
            return (value - low) / (high - low)


def _clamp(value: float, low: float, high: float) -> float:
    # exp(log(x)) can miss x by a rounding error, and a bound is a promise.
    return min(max(value, low), high)
