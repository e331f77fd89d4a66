"""A problem: a space and a loss, with the noise that an experimenter would see."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import Assignment, in_dependency_order

Truth = Callable[[Assignment], float | None]
"""The noise-free loss at a point; None: infeasible."""

Noise = Callable[[Assignment, float, np.random.Generator], float]
"""What one trial at a point measures, where the truth is so much."""


@dataclass(frozen=True)
class Problem:
    """One search space with one loss."""

    name: str
    group: str
    arm: Arm
    truth: Truth
    noise: Noise | None = None
    optimum: float | None = None
    """The least possible loss, where it is known."""

    def measured(self, assignment: Assignment, truth: float | None, rng: np.random.Generator) -> float | None:
        """Return what one trial at a point of that truth reports."""
        return truth if truth is None or self.noise is None else self.noise(assignment, truth, rng)


def arm_of(*hyperparameters: Mapping[str, Any]) -> Arm:
    """Return the one arm of a study without scientific hyperparameters; all given ones are nuisance parameters."""
    models = [Hyperparameter.model_validate({"role": "Nuisance", **h}) for h in hyperparameters]
    return Arm(0, {}, tuple(in_dependency_order(models)))


def real(name: str, low: float, high: float, scale: str = "Linear", **fields: Any) -> dict[str, Any]:
    """Return a Float range."""
    return {"name": name, "type": "Float", "low": low, "high": high, "scale": scale, **fields}


def whole(name: str, low: int, high: int, scale: str = "Linear", **fields: Any) -> dict[str, Any]:
    """Return an Integer range."""
    return {"name": name, "type": "Integer", "low": low, "high": high, "scale": scale, **fields}


def choice(name: str, *values: str, **fields: Any) -> dict[str, Any]:
    """Return a Categorical."""
    return {"name": name, "type": "Categorical", "values": list(values), **fields}


def levels(name: str, values: Sequence[float], **fields: Any) -> dict[str, Any]:
    """Return an Ordinal of numbers."""
    return {
        "name": name,
        "type": "Ordinal",
        "valueType": "Float",
        "values": [repr(float(v)) for v in values],
        **fields,
    }


def only(name: str, *values: str) -> dict[str, Any]:
    """Return the field that makes a hyperparameter exist only where another one has one of the values."""
    return {"when": {"name": name, "values": list(values)}}


def relative_noise(size: float) -> Noise:
    """Return noise in proportion to the loss."""
    return lambda _, truth, rng: truth * (1 + size * float(rng.standard_normal()))


def absolute_noise(size: float) -> Noise:
    """Return noise of one standard deviation everywhere."""
    return lambda _, truth, rng: truth + size * float(rng.standard_normal())
