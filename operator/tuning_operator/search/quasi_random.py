"""Quasi-random search: the Playbook's choice for exploration.

Playbook, "Why use quasi-random search instead of more sophisticated black box optimization algorithms during the
exploration phase of tuning?": its points are non-adaptive, spread evenly over the whole space, and can answer later
questions as well. The sequence is a scrambled Halton sequence (Halton 1960; scrambling by random digit permutations,
Owen 2017): unlike Sobol's it has no preferred sample size.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from tuning_contract.environment import ParameterValue, parameters_json
from tuning_operator.api.study import Role, TuningStudySpec
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import Assignment, exists, fixed_value, parameters_of, value_at


@dataclass(frozen=True)
class Suggestion:
    """What one trial shall train with."""

    assignment: Assignment
    """By hyperparameter name."""
    parameters: dict[str, ParameterValue]
    """By parameter name, as the container receives them."""
    seed: int
    """The root of the trial's own randomness, in [0, 2**31)."""

    @property
    def parameters_json(self) -> str:
        """The parameters in the one spelling that everyone hashes."""
        return parameters_json(self.parameters)


def suggest(spec: TuningStudySpec, arm: Arm, position: int) -> Suggestion:
    """Return trial number `position` (from 0) of the arm: a function of the study's seed, the arm and the position."""
    point = unit_point(spec.search.seed, arm, position)
    assignment: Assignment = {}
    for hyperparameter in arm.space:
        if hyperparameter.name in arm.scientific:
            assignment[hyperparameter.name] = arm.scientific[hyperparameter.name]
        elif not exists(hyperparameter, assignment):
            continue
        elif hyperparameter.role is Role.FIXED:
            assignment[hyperparameter.name] = fixed_value(hyperparameter)
        else:
            assignment[hyperparameter.name] = value_at(hyperparameter, point[hyperparameter.name])
    return Suggestion(
        assignment=assignment,
        parameters=parameters_of(spec.hyperparameters, assignment),
        seed=derived_seed(spec.search.seed, arm.key, position, "training") % 2**31,
    )


def unit_point(seed: int, arm: Arm, position: int) -> dict[str, float]:
    """Return the point of the arm's sequence in [0, 1)^d, one coordinate for each searched hyperparameter by name."""
    dimensions = arm.dimensions
    if not dimensions:
        return {}
    rng = np.random.default_rng(derived_seed(seed, arm.key, 0, "search"))
    sequence = qmc.Halton(d=len(dimensions), scramble=True, rng=rng)
    # As fast_forward(position), which would compute all points before it.
    sequence.num_generated = position
    coordinates = sequence.random(1)[0]
    return {h.name: float(u) for h, u in zip(dimensions, coordinates, strict=True)}


def derived_seed(seed: int, arm_key: str, position: int, source: str) -> int:
    """Return a 64-bit seed for one source of randomness; different sources never share one."""
    text = f"{seed}|{arm_key}|{position}|{source}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
