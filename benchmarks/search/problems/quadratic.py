"""Group B: the noisy quadratic model of large-batch training (Zhang et al. 2019, arXiv 1907.04164).

A loss of independent curvatures h_i = 1/i, and gradients with noise of variance h_i / batch: the expected loss of
SGD, momentum, preconditioned and averaged variants is computed exactly, step by step, from the second moments of
position and velocity. Past learning rates of about 2 (1 + momentum) / h the model diverges, as training does; the
number of examples is fixed, so that a larger batch has fewer steps.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.search.problems.problem import Problem, arm_of, choice, only, real, relative_noise, whole
from tuning_operator.search.space import Assignment

DIVERGED = 1e3
"""Times the loss at the start."""
NOISE = 0.03


def loss_after_training(
    curvatures: np.ndarray[Any, Any],
    examples: int,
    batch: int,
    rate: float,
    momentum: float = 0.0,
    power: float = 0.0,
    average: float = 0.0,
    decay: float = 0.0,
) -> float | None:
    """Return the expected loss when the examples are used up; None: diverged.

    Args:
        curvatures: the second derivatives.
        examples: of all steps together.
        batch: examples in each step.
        rate: the learning rate at the start.
        momentum: in [0, 1).
        power: gradients are divided by the curvatures to this power: preconditioning.
        average: in [0, 1), of the exponential moving average of the parameters that is evaluated.
        decay: the fraction of the steps, the last ones, over which the rate falls to a hundredth, linearly.
    """
    steps = max(examples // batch, 1)
    scaled = curvatures ** (1 - power)
    # Second moments of (position, velocity, averaged position); the start is at distance 1 in each dimension.
    state = np.zeros((len(curvatures), 3, 3))
    state[:, 0, 0] = state[:, 0, 2] = state[:, 2, 0] = state[:, 2, 2] = 1.0
    start = 0.5 * float(curvatures.sum())
    for step in range(steps):
        left = (steps - step) / steps
        now = rate * (max(left / decay, 0.01) if left < decay else 1.0)
        move = np.zeros_like(state)
        # v' = m v - now * scaled * x;  x' = x + v';  a' = c a + (1 - c) x'
        move[:, 1, 0], move[:, 1, 1] = -now * scaled, momentum
        move[:, 0] = move[:, 1]
        move[:, 0, 0] += 1
        move[:, 2] = (1 - average) * move[:, 0]
        move[:, 2, 2] += average
        kick = np.array([1.0, 1.0, 1 - average])
        noise = (now**2 * curvatures ** (1 - 2 * power) / batch)[:, None, None] * np.outer(kick, kick)
        state = move @ state @ move.transpose(0, 2, 1) + noise
        if step % 16 == 0 and not 0.5 * float(curvatures @ state[:, 0, 0]) < DIVERGED * start:
            return None
    final = 0.5 * float(curvatures @ state[:, 2, 2])
    return final if final < DIVERGED * start else None


RATE = real("learning_rate", 1e-3, 10, "Log")
BATCH = whole("batch", 8, 512, "Log")
MOMENTUM = real("momentum", 0.5, 0.999, "ReverseLog")
POWER = real("power", 0.0, 1.0)
AVERAGE = real("average", 0.5, 0.999, "ReverseLog")
DECAY = real("decay", 0.0, 1.0)
PLAIN = {**RATE, "name": "sgd_rate", "parameter": "learning_rate"}
HEAVY = {**RATE, "name": "heavy_rate", "parameter": "learning_rate"}
SHARP = {**RATE, "name": "sharp_rate", "parameter": "learning_rate"}

SPACES: Mapping[str, list[dict[str, Any]]] = {
    "sgd": [RATE, BATCH, DECAY],
    "momentum": [RATE, BATCH, MOMENTUM],
    "preconditioned": [RATE, BATCH, MOMENTUM, POWER],
    "averaged": [RATE, BATCH, MOMENTUM, AVERAGE, DECAY],
    "two-optimizers": [
        choice("optimizer", "sgd", "heavy"),
        {**PLAIN, **only("optimizer", "sgd")},
        {**HEAVY, **only("optimizer", "heavy")},
        {**MOMENTUM, **only("optimizer", "heavy")},
        BATCH,
    ],
    "three-optimizers": [
        choice("optimizer", "sgd", "heavy", "sharp"),
        {**PLAIN, **only("optimizer", "sgd")},
        {**HEAVY, **only("optimizer", "heavy")},
        {**SHARP, **only("optimizer", "sharp")},
        {**MOMENTUM, **only("optimizer", "heavy", "sharp")},
        {**POWER, **only("optimizer", "sharp")},
        BATCH,
    ],
    "optional-average": [
        choice("averaging", "none", "ema"),
        {**AVERAGE, **only("averaging", "ema")},
        RATE,
        MOMENTUM,
    ],
    "all": [
        choice("optimizer", "sgd", "heavy", "sharp"),
        {**PLAIN, **only("optimizer", "sgd")},
        {**HEAVY, **only("optimizer", "heavy")},
        {**SHARP, **only("optimizer", "sharp")},
        {**MOMENTUM, **only("optimizer", "heavy", "sharp")},
        {**POWER, **only("optimizer", "sharp")},
        choice("averaging", "none", "ema"),
        {**AVERAGE, **only("averaging", "ema")},
        BATCH,
        DECAY,
    ],
}


def quadratic_problems(instance: int) -> list[Problem]:
    """Return the group's eight problems; the instance chooses dimensions, conditioning and number of examples."""
    return [_problem(name, number, instance) for number, name in enumerate(SPACES)]


def _problem(name: str, number: int, instance: int) -> Problem:
    rng = np.random.default_rng([number, instance])
    curvatures = np.arange(1, 1 + int(rng.integers(30, 60))) ** -float(rng.uniform(0.8, 1.3))
    curvatures *= float(rng.uniform(0.5, 3.0))
    examples = int(rng.integers(800, 2400))
    return Problem(
        name=f"quadratic-{name}",
        group="B",
        arm=arm_of(*SPACES[name]),
        truth=_truth(curvatures, examples),
        noise=relative_noise(NOISE),
    )


def _truth(curvatures: np.ndarray[Any, Any], examples: int) -> Callable[[Assignment], float | None]:
    def truth(assignment: Assignment) -> float | None:
        values = {name: v for name, v in assignment.items() if not isinstance(v, str)}
        rate = next(float(v) for name, v in values.items() if name.endswith("_rate"))
        others = {name: float(values[name]) for name in ("momentum", "power", "average", "decay") if name in values}
        return loss_after_training(curvatures, examples, int(values.get("batch", 16)), rate, **others)

    return truth
