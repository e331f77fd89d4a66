"""Statistics of training curves that outliers and trends do not mislead."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
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
    size = 3 if len(values) < 30 else 5
    if np.isnan(values).any():
        # What was not measured counts for nothing; a filter that sorts would put it anywhere.
        return _median_of_measured(values, size)
    filtered: Series = median_filter(values, size=size, mode="nearest")
    return filtered


def is_gone(values: Series, may_miss: int = 0) -> bool:
    """Whether a series ends in values that are not finite: the training that it is of has come to nothing.

    A metric that is measured at some evaluations only is NaN at the others. So NaN at the end says something only where
    there is more of it than was ever left out before.

    Args:
        values: One for each evaluation; NaN where it was not measured, or is NaN.
        may_miss: So many at the end are forgiven in any case.
    """
    measured = np.flatnonzero(~np.isnan(values))
    if not len(measured):
        return len(values) > 0
    if np.isinf(values[measured[-1]]):
        return True
    gaps = np.diff(measured, prepend=-1) - 1
    return bool(len(values) - 1 - measured[-1] > max(int(gaps.max()), may_miss))


def deviation(values: Series) -> float:
    """Return the standard deviation of a series around its trend, from its differences; 0 below three points.

    Robust: a single jump does not count (1.4826 MAD of the first differences over the square root of two). The bend of
    a short smooth curve is no noise: the second differences hardly see it, so theirs counts where it is smaller. Values
    that are not finite are left out.
    """
    values = values[np.isfinite(values)]
    if len(values) < 3:
        return 0.0
    first = _spread(np.diff(values)) / np.sqrt(2)
    return float(first if len(values) < 4 else min(first, _spread(np.diff(values, 2)) / np.sqrt(6)))


def late_part(values: Series) -> Series:
    """Return the last fifth of a series' finite values, at least eight of them, or all of a shorter one."""
    values = values[np.isfinite(values)]
    return values[-max(LATE_POINTS, int(np.ceil(len(values) * LATE_FRACTION))) :]


def late_median(values: Series) -> float:
    """Return the median of the last fifth: less lucky than the best step (CRV-11). NaN for no finite values."""
    late = late_part(values)
    return float(np.median(late)) if len(late) else float("nan")


def late_deviation(values: Series) -> float:
    """Return the step-to-step standard deviation over the last fifth (CRV-10)."""
    return deviation(late_part(values))


def _median_of_measured(values: Series, size: int) -> Series:
    windows = sliding_window_view(np.pad(values, size // 2, mode="edge"), size)
    result = np.full(len(values), np.nan)
    known = ~np.isnan(windows).all(axis=1)
    result[known] = np.nanmedian(windows[known], axis=1)
    return result


def _spread(values: Series) -> float:
    return float(MAD_TO_DEVIATION * np.median(np.abs(values - np.median(values))))
