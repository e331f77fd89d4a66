"""Search spaces: from a point of the unit cube to the hyperparameters of a trial."""

import math
from collections.abc import Mapping, Sequence

from tuning_contract.environment import ParameterValue, parameter_text
from tuning_operator.api.study import Hyperparameter, HyperparameterType, Role, Scale, ValueType

Assignment = dict[str, ParameterValue]
"""A value for each hyperparameter that exists in a trial, by the hyperparameter's name."""


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

    A Float range is covered evenly on its scale. Each integer of a Linear range, and each value of a Categorical, has
    an equal share; an integer of a Log range has the share of its interval [k - 1/2, k + 1/2) on the log scale.
    """
    if hyperparameter.type is HyperparameterType.CATEGORICAL:
        values = hyperparameter.values or []
        return typed(values[min(int(u * len(values)), len(values) - 1)], hyperparameter.effective_value_type)
    low, high = _bounds(hyperparameter)
    if hyperparameter.type is HyperparameterType.FLOAT:
        return _clamp(_interpolate(low, high, u, hyperparameter.scale), low, high)
    widened = _interpolate(low - 0.5, high + 0.5, u, hyperparameter.scale)
    return int(_clamp(math.floor(widened + 0.5), low, high))


def is_searched(hyperparameter: Hyperparameter) -> bool:
    """Whether the hyperparameter has more than one value to choose from by search."""
    return hyperparameter.role is not Role.FIXED


def is_range(hyperparameter: Hyperparameter) -> bool:
    """Whether the domain is an interval and not a list of values."""
    return is_searched(hyperparameter) and hyperparameter.type is not HyperparameterType.CATEGORICAL


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


def _bounds(hyperparameter: Hyperparameter) -> tuple[float, float]:
    if hyperparameter.low is None or hyperparameter.high is None:
        raise ValueError(f"{hyperparameter.name} has no range")
    return hyperparameter.low, hyperparameter.high


def _interpolate(low: float, high: float, u: float, scale: Scale | None) -> float:
    if scale is Scale.LOG:
        return math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
    return low + u * (high - low)


def _clamp(value: float, low: float, high: float) -> float:
    # exp(log(x)) can miss x by a rounding error, and a bound is a promise.
    return min(max(value, low), high)
