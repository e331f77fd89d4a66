"""Losses on a scale that a Gaussian process can fit, however heavy their tail.

Measured on the development instances of benchmarks/search: the half-rank warping is ahead of ranks alone, which forget
how much better the best points are.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

Array = np.ndarray[Any, np.dtype[np.float64]]

LARGEST_LOSS = 1e150
"""Anything beyond counts as this much: its square is still a number."""


def warped(losses: Sequence[float]) -> Array:
    """Return losses on a scale that a Gaussian process can fit: order kept, mean 0, variance 1.

    The better half keeps its distances; of the worse half only the ranks count, as normal quantiles, so that a loss
    near divergence does not flatten all others (the half-rank warping of Vizier, Song et al. 2024, arXiv 2408.11527).
    """
    values = np.clip(np.array(losses, dtype=np.float64), -LARGEST_LOSS, LARGEST_LOSS)
    distance = values - np.median(values)
    better = distance < 0
    if not better.any():
        return np.zeros(len(values)) if not distance.any() else _standardised(_normal_scores(values))
    warped_values = np.maximum(_normal_scores(values), 0)
    # By the largest first: the squares of tiny distances would be zero.
    relative = distance[better] / np.abs(distance[better]).max()
    warped_values[better] = relative / math.sqrt(float(np.mean(relative**2)))
    return _standardised(warped_values)


def _normal_scores(values: Array) -> Array:
    order, index = np.unique(values, return_inverse=True)
    below = np.searchsorted(np.sort(values), order, side="left")
    above = np.searchsorted(np.sort(values), order, side="right")
    scores: Array = ndtri((below + above)[index] / 2 / len(values))
    return scores


def _standardised(values: Array) -> Array:
    deviation = float(values.std())
    standardised: Array = (values - values.mean()) / (deviation if deviation > 0 else 1)
    return standardised
