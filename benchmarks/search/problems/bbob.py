"""Group A: functions of the black-box optimisation benchmark BBOB (Hansen et al. 2009), from the package ioh.

Separable, ill-conditioned, multimodal with and without global structure, and weakly structured ones. Two are noisy, in
proportion to the distance from the optimum's value; in two, half of the cube is infeasible, the optimum near its edge.
"""

import ioh
import numpy as np

from benchmarks.search.problems.problem import Problem, arm_of, real, relative_noise
from tuning_operator.search.space import Assignment

DIMENSIONS = {1: 6, 3: 5, 8: 4, 10: 6, 15: 5, 16: 4, 20: 8, 21: 5}
"""By the number of the function."""
NOISY = (1, 21)
HALF_INFEASIBLE = (3, 10)
NOISE = 0.1


def bbob_problems(instance: int) -> list[Problem]:
    """Return the group's eight problems."""
    return [_problem(function, dimension, instance) for function, dimension in DIMENSIONS.items()]


def _problem(function: int, dimension: int, instance: int) -> Problem:
    evaluate = ioh.get_problem(function, instance, dimension, ioh.ProblemClass.BBOB)
    best = np.array(evaluate.optimum.x)
    rng = np.random.default_rng([function, instance])
    normal = rng.standard_normal(dimension)
    # The optimum stands a twentieth of the cube's edge inside the feasible half.
    border = normal @ best + 0.5 * np.linalg.norm(normal)

    def truth(assignment: Assignment) -> float | None:
        x = np.array([float(assignment[f"x{i}"]) for i in range(dimension)])
        if function in HALF_INFEASIBLE and normal @ x > border:
            return None
        return float(evaluate(x)) - float(evaluate.optimum.y)

    return Problem(
        name=f"bbob-f{function}-{dimension}d" + _suffix(function),
        group="A",
        arm=arm_of(*(real(f"x{i}", -5, 5) for i in range(dimension))),
        truth=truth,
        noise=relative_noise(NOISE) if function in NOISY else None,
        optimum=0.0,
    )


def _suffix(function: int) -> str:
    return "-noisy" if function in NOISY else "-half" if function in HALF_INFEASIBLE else ""
