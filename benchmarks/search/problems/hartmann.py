"""Group C: Hartmann's functions of three and six dimensions, at the reduced fidelity of MF-Hartmann and with noise.

The multi-fidelity form (Kandasamy et al. 2017, arXiv 1703.06240; the constants of mf-prior-bench) shifts the weights of
the four wells with the fidelity, so that another point is best than at full fidelity: the search sees, and is scored
on, the shifted function, whose optimum no textbook gives away. An instance turns and reflects the axes.
"""

from typing import Any

import numpy as np

from benchmarks.search.problems.problem import Problem, absolute_noise, arm_of, real
from tuning_operator.search.space import Assignment

Array = np.ndarray[Any, np.dtype[np.float64]]

WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
BIAS = 0.5
"""How much each weight loses per unit of fidelity that is missing."""
FIDELITY = 0.8
NOISE = 0.1

A3 = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
P3 = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])
A6 = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
P6 = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann_problems(instance: int) -> list[Problem]:
    """Return the group's two problems."""
    return [_problem(A3, P3, instance), _problem(A6, P6, instance)]


def _problem(steepness: Array, wells: Array, instance: int) -> Problem:
    dimension = wells.shape[1]
    rng = np.random.default_rng([dimension, instance])
    order, reflected = rng.permutation(dimension), rng.random(dimension) < 0.5
    weights = WEIGHTS - BIAS * (1 - FIDELITY) * rng.uniform(0, 2, size=4)

    def truth(assignment: Assignment) -> float:
        x = np.array([float(assignment[f"x{i}"]) for i in order])
        x = np.where(reflected, 1 - x, x)
        return -float(weights @ np.exp(-np.sum(steepness * (x - wells) ** 2, axis=1)))

    return Problem(
        name=f"hartmann-{dimension}d",
        group="C",
        arm=arm_of(*(real(f"x{i}", 0, 1) for i in range(dimension))),
        truth=truth,
        noise=absolute_noise(NOISE),
    )
