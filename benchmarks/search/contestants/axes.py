"""The axes of an arm as every search library understands them: ranges, with or without a logarithm, and choices."""

from dataclasses import dataclass

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, HyperparameterType, Scale
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import bounds_of, values_of

Native = int | float
"""An axis's value in a library: a number, or the index of a choice."""


@dataclass(frozen=True)
class Axis:
    """One hyperparameter: peers search the logarithm of 1 - x where we do, and the place of an Ordinal's value."""

    hyperparameter: Hyperparameter
    kind: str
    """real, whole or choice."""
    low: float
    high: float
    """Both included; of a choice, the first and the last index."""
    is_log: bool

    def value(self, native: Native) -> ParameterValue:
        """Return what the trial receives."""
        h = self.hyperparameter
        if h.type.is_list:
            return values_of(h)[int(native)]
        low, high = bounds_of(h)
        value = min(max(1 - native if h.scale is Scale.REVERSE_LOG else native, low), high)
        return round(value) if self.kind == "whole" else float(value)


def axes_of(arm: Arm) -> list[Axis]:
    """Return the arm's axes, in dependency order."""
    return [_axis(h) for h in arm.dimensions]


def _axis(h: Hyperparameter) -> Axis:
    if h.type.is_list:
        kind = "choice" if h.type is HyperparameterType.CATEGORICAL else "whole"
        return Axis(h, kind, 0, len(h.values or []) - 1, False)
    low, high = bounds_of(h)
    if h.scale is Scale.REVERSE_LOG:
        low, high = 1 - high, 1 - low
    kind = "whole" if h.type is HyperparameterType.INTEGER else "real"
    return Axis(h, kind, low, high, h.scale in (Scale.LOG, Scale.REVERSE_LOG))
