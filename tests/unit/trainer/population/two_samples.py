"""Two-sample tests in NumPy, for tests that ask whether two ways to train end at the same losses.

SciPy, which has them, is not in the trainer's image.
"""

import numpy as np
from numpy.typing import ArrayLike

FIVE_PERCENT = 1.959964
"""|z| that chance exceeds once in twenty times."""


def rank_sum_z(one: ArrayLike, other: ArrayLike) -> float:
    """Return the Wilcoxon-Mann-Whitney statistic, standard normal where both samples are of one distribution.

    It sees a shift. For continuous values and samples of more than about ten.
    """
    a, b = np.asarray(one), np.asarray(other)
    n, m = len(a), len(b)
    larger = (a[:, None] > b[None, :]).sum()
    return float((larger - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))


def spread_z(one: ArrayLike, other: ArrayLike) -> float:
    """Return the same of the distances from each sample's median, which sees another spread (Brown and Forsythe)."""
    a, b = np.asarray(one), np.asarray(other)
    return rank_sum_z(np.abs(a - np.median(a)), np.abs(b - np.median(b)))
