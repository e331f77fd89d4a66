"""Quasi-random search: the Playbook's choice for exploration.

Playbook, "Why use quasi-random search instead of more sophisticated black box optimization algorithms during the
exploration phase of tuning?": its points are non-adaptive, spread evenly over the whole space, and can answer later
questions as well. The sequence is a scrambled Halton sequence (Halton 1960; scrambling by random digit permutations,
Owen 2017): unlike Sobol's it has no preferred sample size.
"""

import numpy as np
from scipy.stats import qmc

from tuning_operator.search.arms import Arm
from tuning_operator.search.seeds import derived_seed
from tuning_operator.search.space import UnitPoint


def quasi_random_points(seed: int, arm: Arm, first: int, number: int) -> list[UnitPoint]:
    """Return `number` points of the arm's sequence in [0, 1)^d, from position `first` on."""
    dimensions = arm.dimensions
    if not dimensions:
        return [{}] * number
    rng = np.random.default_rng(derived_seed(seed, arm.key, 0, "search"))
    sequence = qmc.Halton(d=len(dimensions), scramble=True, rng=rng)
    # As fast_forward(first), which would compute all points before it.
    sequence.num_generated = first
    names = [h.name for h in dimensions]
    return [dict(zip(names, map(float, row), strict=True)) for row in sequence.random(number)]
