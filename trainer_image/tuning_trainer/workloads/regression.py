"""Friedman's first function with noise, 20,000 computed rows, and a perceptron.

y = 10 sin(π x₁ x₂) + 20 (x₃ - ½)² + 10 x₄ + 5 x₅ + ε with ten uniform inputs, five of them irrelevant, and ε of
deviation 1 (Friedman 1991, Multivariate Adaptive Regression Splines). Targets are scaled to deviation 1, so that the
smallest possible loss is known: `NOISE_SHARE`.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from tuning_trainer.parameters import Parameters
from tuning_trainer.workloads.layers import perceptron
from tuning_trainer.workloads.splits import split
from tuning_trainer.workloads.workload import Regression, Workload

ROWS: Final = 20_000
INPUTS: Final = 10
MEAN: Final = 14.42
"""Of the targets, and their deviation, to scale them by: constants, so that no split tells another anything."""
DEVIATION: Final = 4.92
NOISE_SHARE: Final = 1.0 / DEVIATION**2
"""The mean squared error of the function itself, about 0.04: what no model can go below."""


def make_workload(parameters: Parameters) -> Workload:
    """Return 12,000 rows to learn from and 4,000 to validate."""
    inputs, targets = friedman()
    x, y = torch.from_numpy(2 * inputs - 1).float(), torch.from_numpy((targets - MEAN) / DEVIATION).float()
    train, validation, _ = map(torch.tensor, split("regression", ROWS))
    return Workload(
        train=(x[train], y[train]),
        validation=(x[validation], y[validation]),
        make_model=lambda: torch.nn.Sequential(perceptron(INPUTS, 1, parameters), torch.nn.Flatten(0)),
        task=Regression(),
    )


def friedman() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return inputs in [0, 1), shape (20000, 10), and targets, shape (20000,)."""
    drawn = uniform(ROWS * (INPUTS + 2)).reshape(ROWS, INPUTS + 2)
    x, (u, v) = drawn[:, :INPUTS], drawn[:, INPUTS:].T
    noise = np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v)
    return x, 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4] + noise


def uniform(count: int) -> NDArray[np.float64]:
    """Return numbers in [0, 1): the SplitMix64 sequence from 0 (Steele, Lea and Flood 2014).

    Written out, because the streams of NumPy's generators may change with its version, and the data may not.
    """
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) / 2**53
