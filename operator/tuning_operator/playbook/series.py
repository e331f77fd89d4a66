"""Statistics of training curves that outliers and trends do not mislead (shared/playbook 2.0)."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Series = NDArray[np.float64]

MAD_TO_DEVIATION: Final = 1.4826
"""The median absolute deviation of a normal distribution, times this, is its standard deviation."""
LATE_FRACTION: Final = 0.2
"""`late` values are of the last fifth of the evaluations ..."""
LATE_POINTS: Final = 8
"""... and at least this many, where there are so many."""


def as_series(values: Sequence[float]) -> Series:
    """Return the values as an array of doubles."""
    return np.asarray(values, dtype=np.float64)


def running_median(values: Series) -> Series:
    """Return the running median over three points, over five where there are at least 30; ends repeat their value."""
    if len(values) < 3:
        return values
    filtered: Series = median_filter(values, size=3 if len(values) < 30 else 5, mode="nearest")
    return filtered


def deviation(values: Series) -> float:
    """Return the standard deviation of a series around its trend, from its differences; 0 below three points.

    Robust: a single jump does not count (1.4826 MAD of the first differences over the square root of two). The bend of
    a short smooth curve is no noise: the second differences hardly see it, so theirs counts where it is smaller.
    """
    if len(values) < 3:
        return 0.0
    first = _spread(np.diff(values)) / np.sqrt(2)
    return float(first if len(values) < 4 else min(first, _spread(np.diff(values, 2)) / np.sqrt(6)))


def late_part(values: Series) -> Series:
    """Return the last fifth of a series, at least eight points, or all of a shorter one."""
    return values[-max(LATE_POINTS, int(np.ceil(len(values) * LATE_FRACTION))) :]


def late_median(values: Series) -> float:
    """Return the median of the last fifth: less lucky than the best step (CRV-11). NaN for no values."""
    return float(np.median(late_part(values))) if len(values) else float("nan")


def late_deviation(values: Series) -> float:
    """Return the step-to-step standard deviation over the last fifth (CRV-10)."""
    return deviation(late_part(values))


def _spread(values: Series) -> float:
    return float(MAD_TO_DEVIATION * np.median(np.abs(values - np.median(values))))
