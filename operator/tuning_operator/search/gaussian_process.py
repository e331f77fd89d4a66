"""A Gaussian process: what a few hundred noisy values say about all other points (Rasmussen and Williams 2006).

A Matérn-5/2 kernel with a length for each dimension, a signal and a noise variance, all by maximum a posteriori. The
prior on the lengths grows with the square root of the number of dimensions, without which a model of many dimensions
finds all points unrelated (Hvarfner, Hellsten and Nardi 2024, arXiv 2402.02229).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

Array = np.ndarray[Any, np.dtype[np.float64]]

LENGTH_PRIOR = (math.sqrt(2), math.sqrt(3))
"""Mean, before log(d) / 2 is added, and deviation of a length's logarithm; a dimension has the length 1."""
SIGNAL_PRIOR = (0.0, 1.0)
"""Mean and deviation of the signal variance's logarithm; the values have variance 1."""
NOISE_PRIOR = (-4.0, 1.5)
"""Mean and deviation of the noise variance's logarithm."""
LOG_BOUNDS = {"length": (-4.5, 5.0), "signal": (-4.0, 4.0), "noise": (-12.0, 1.0)}
JITTER = 1e-8
"""Added to the noise variance, so that points seen twice leave the covariance invertible."""
LEAST_VARIANCE = 1e-12
"""What is left of a variance where rounding makes it nought or less."""
MAX_STEPS = 40
TOLERANCE = 1e-5
"""Of the optimiser, relative: what comes after changes no suggestion that matters."""


@dataclass(frozen=True)
class Kernel:
    """A covariance function."""

    lengths: Array
    """One for each dimension."""
    owners: tuple[int, ...]
    """For each feature, the dimension that it belongs to."""
    signal: float
    noise: float

    def between(self, a: Array, b: Array) -> Array:
        """Return the covariances of the values at rows of features, without noise."""
        scale = 1 / self.lengths[list(self.owners)]
        return self.signal * _matern(_squared_distances(a * scale, b * scale))


@dataclass(frozen=True)
class GaussianProcess:
    """A kernel, conditioned on values; far from all of them the expectation is 0."""

    kernel: Kernel
    features: Array
    values: Array
    factor: Array
    """The lower Cholesky factor of the covariance of the values."""

    def posterior(self, features: Array) -> tuple[Array, Array]:
        """Return the means and the standard deviations of the noise-free values at rows of features."""
        cross = self.kernel.between(self.features, features)
        half = solve_triangular(self.factor, cross, lower=True, check_finite=False)
        whitened = solve_triangular(self.factor, self.values, lower=True, check_finite=False)
        variance = self.kernel.signal - np.sum(half**2, axis=0)
        return half.T @ whitened, np.sqrt(np.maximum(variance, LEAST_VARIANCE))

    def believing(self, features: Array) -> "GaussianProcess":
        """Return the process as if the values at further rows had come out as it expects them.

        The expectation stays what it is everywhere and the doubt around those rows goes ("kriging believer",
        Ginsbourger, Le Riche and Carraro 2010): so trials that run already are not suggested again.
        """
        if not len(features):
            return self
        expected, _ = self.posterior(features)
        return conditioned(self.kernel, np.vstack([self.features, features]), np.concatenate([self.values, expected]))


def fitted(features: Array, values: Array, owners: Sequence[int]) -> Kernel:
    """Return the kernel that explains the values best, under the priors.

    Args:
        features: a row for each value.
        values: of mean 0 and variance 1, or nearly so.
        owners: for each feature, the number of the dimension that it belongs to, from 0.
    """
    dimensions = max(owners) + 1
    squares = _squares_by_dimension(features, owners)
    middle, deviation = _priors(dimensions)
    bounds = [*[LOG_BOUNDS["length"]] * dimensions, LOG_BOUNDS["signal"], LOG_BOUNDS["noise"]]

    def loss(logs: Array) -> tuple[float, Array]:
        value, slope = _misfit(logs, squares, values)
        away = (logs - middle) / deviation
        return value + 0.5 * float(away @ away), slope + away / deviation

    # Lengths of the prior's mode would say that nothing matters, from where the slope is small: start below.
    start = middle.copy()
    start[:dimensions] = math.log(0.5 * math.sqrt(dimensions))
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": MAX_STEPS, "ftol": TOLERANCE}
    )
    lengths, signal, noise = np.exp(found.x[:dimensions]), math.exp(found.x[-2]), math.exp(found.x[-1])
    return Kernel(lengths, tuple(owners), signal, noise)


def conditioned(kernel: Kernel, features: Array, values: Array) -> GaussianProcess:
    """Return the process with this kernel after it has seen the values at rows of features."""
    covariance = kernel.between(features, features)
    covariance[np.diag_indices_from(covariance)] += kernel.noise + JITTER
    factor = cholesky(covariance, lower=True, check_finite=False)
    return GaussianProcess(kernel, features, values, factor)


def _priors(dimensions: int) -> tuple[Array, Array]:
    length = LENGTH_PRIOR[0] + math.log(dimensions) / 2
    middle = np.array([*[length] * dimensions, SIGNAL_PRIOR[0], NOISE_PRIOR[0]])
    deviation = np.array([*[LENGTH_PRIOR[1]] * dimensions, SIGNAL_PRIOR[1], NOISE_PRIOR[1]])
    return middle, deviation


def _misfit(logs: Array, squares: Array, values: Array) -> tuple[float, Array]:
    """Return the negative log likelihood, up to a constant, and its slope (Rasmussen and Williams, equation 5.9)."""
    number = len(values)
    weights, signal, noise = np.exp(-2 * logs[:-2]), math.exp(logs[-2]), math.exp(logs[-1])
    squared = np.tensordot(weights, squares, axes=1)
    root = np.sqrt(5 * squared)
    decay = np.exp(-root)
    correlation = (1 + root + 5 / 3 * squared) * decay
    covariance = signal * correlation
    covariance[np.diag_indices(number)] += noise + JITTER
    factor = cholesky(covariance, lower=True, check_finite=False)
    solved = cho_solve((factor, True), values, check_finite=False)
    half, _ = dpotri(factor, lower=1)
    inverse = half + half.T
    inverse[np.diag_indices(number)] /= 2
    value = 0.5 * float(values @ solved) + float(np.sum(np.log(np.diag(factor))))
    by_covariance = 0.5 * (inverse - np.outer(solved, solved))
    by_square = by_covariance * (5 / 3 * signal * (1 + root) * decay)
    lengths = weights * np.tensordot(squares, by_square, axes=2)
    return value, np.array([*lengths, np.sum(by_covariance * correlation) * signal, np.trace(by_covariance) * noise])


def _squares_by_dimension(features: Array, owners: Sequence[int]) -> Array:
    squares = np.zeros((max(owners) + 1, len(features), len(features)))
    for feature, owner in enumerate(owners):
        column = features[:, feature]
        squares[owner] += (column[:, None] - column) ** 2
    return squares


def _matern(squared: Array) -> Array:
    root = np.sqrt(5 * squared)
    correlation: Array = (1 + root + 5 / 3 * squared) * np.exp(-root)
    return correlation


def _squared_distances(a: Array, b: Array) -> Array:
    squared = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squared, 0))
