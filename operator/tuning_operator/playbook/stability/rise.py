"""A loss that rises after it had fallen: what instability looks like in a training curve (UNS-5, UNS-6).

The loss need not become NaN, and a jump of one evaluation is none: the running median is judged.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tuning_operator.playbook.series import MAD_TO_DEVIATION, Series, as_series, running_median
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

DEVIATIONS: Final = Threshold(
    "riseDeviations",
    6.0,
    Origin.DEFAULT,
    "A loss has risen only where it is this many standard deviations above its lowest value",
)
SHARE: Final = Threshold(
    "riseShare", 0.1, Origin.DEFAULT, "A loss has risen only where it regained this share of its fall so far", high=1.0
)
DECLINE: Final = Threshold(
    "riseDecline", 0.1, Origin.DEFAULT, "Before it can rise, a loss must have fallen by this share of its first value"
)
DECLINE_POINTS: Final = Threshold(
    "riseDeclinePoints", 3, Origin.DEFAULT, "Before it can rise, a loss must have fallen for this many evaluations"
)
THRESHOLDS: Final = (DEVIATIONS, SHARE, DECLINE, DECLINE_POINTS)

NOISE_POINTS: Final = 60
"""The step-to-step noise is that of so many evaluations before the lowest one: it is larger early in training."""
LAGS: Final = (1, 2, 4, 8)
LEAST_DIFFERENCES: Final = 4
LEAST_NOISE_POINTS: Final = 10
"""Of fewer evaluations the noise cannot be told, and it is taken from later ones."""


@dataclass(frozen=True)
class Rise:
    """Where a loss that had fallen went up."""

    index: int
    """Of the evaluation at which it had risen."""
    step: int
    lowest: float
    """The running median's lowest value before."""
    height: float
    """By how much it stands above that; infinite where the loss is not finite any more."""


def rise_after_decline(steps: Sequence[int], losses: Sequence[float], thresholds: Thresholds = DEFAULTS) -> Rise | None:
    """Return the first rise after a decline; None: there is none.

    Args:
        steps: The evaluations' steps, ascending.
        losses: The training loss at each of them, smaller is better. NaN at some evaluations only was not measured
            there; NaN to the end, and infinity, are a loss that has gone.
        thresholds: The study's.

    Source: Deep Learning Tuning Playbook, "How can optimization failures be debugged and mitigated?";
    K08.
    """
    values = as_series(losses)
    end = first_gone(values)
    measured = np.flatnonzero(np.isfinite(values[:end]))
    finite = values[measured]
    lowest_at = _first_rise(finite, thresholds)
    if lowest_at is not None:
        at, level, lowest = lowest_at
        return Rise(int(measured[at]), steps[measured[at]], lowest, level - lowest)
    if end < len(values) and has_declined(finite, thresholds):
        return Rise(end, steps[end], float(running_median(finite).min()), math.inf)
    return None


def first_gone(values: Series) -> int:
    """Return the index from which the values are not finite to the end, or are infinite; their number: all is well."""
    infinite = np.flatnonzero(np.isinf(values) & (values > 0))
    known = np.flatnonzero(np.isfinite(values))
    last = int(known[-1]) + 1 if len(known) else 0
    return min(last, int(infinite[0])) if len(infinite) else last


def has_declined(losses: Series, thresholds: Thresholds = DEFAULTS) -> bool:
    """Whether a loss, all finite, fell far enough and long enough that a rise would be one after a decline."""
    smooth = running_median(losses)
    return bool(len(smooth) and _declined(smooth, thresholds).any())


def _first_rise(losses: Series, thresholds: Thresholds) -> tuple[int, float, float] | None:
    """Return the index, the level and the lowest level before of the first rise of the running median."""
    if not len(losses):
        return None
    smooth = _smooth(losses)
    lowest = np.minimum.accumulate(smooth)
    above = smooth - lowest
    candidates = np.flatnonzero(
        np.maximum.accumulate(_declined(smooth, thresholds))
        & (above > thresholds[SHARE] * (smooth[0] - lowest))
        & (above > 0)
    )
    noise: dict[float, float] = {}
    for at in candidates:
        level = float(lowest[at])
        if level not in noise:
            noise[level] = _noise_before(losses, int(np.argmin(smooth[: at + 1])))
        if above[at] > thresholds[DEVIATIONS] * noise[level]:
            return int(at), float(smooth[at]), level
    return None


def _smooth(losses: Series) -> Series:
    """Return the running median, whose last values are not those of the last evaluation alone."""
    smooth = running_median(losses).copy()
    half = 1 if len(losses) < 30 else 2
    if len(losses) > 2 * half:
        smooth[-half:] = np.median(losses[-2 * half - 1 :])
    return smooth


def _declined(smooth: Series, thresholds: Thresholds) -> Series:
    """Return, for each evaluation, whether the level there is a decline from the first one."""
    deep: Series = smooth <= smooth[0] - thresholds[DECLINE] * abs(smooth[0])
    deep[: max(int(thresholds[DECLINE_POINTS]) - 1, 1)] = False
    return deep


def _noise_before(losses: Series, bottom: int) -> float:
    """Return the noise up to the lowest point: what follows is judged, and an unstable loss would excuse itself.

    Noise that wanders from evaluation to evaluation hardly shows between neighbours, so wider steps are looked at too.
    """
    later = losses[len(losses) // 2 :]
    if bottom + 1 >= LEAST_NOISE_POINTS or len(later) < LEAST_NOISE_POINTS:
        return _noise(losses[max(0, bottom + 1 - NOISE_POINTS) : max(bottom + 1, LEAST_NOISE_POINTS)])
    # So early there are too few evaluations before: the noise is in proportion to the loss what it is later.
    level = abs(float(np.median(later)))
    return _noise(later) * (max(1.0, abs(losses[bottom]) / level) if level else 1.0)


def _noise(losses: Series) -> float:
    return max(_wander(losses, lag) for lag in LAGS)


def _wander(losses: Series, lag: int) -> float:
    """Return the noise over steps of `lag` evaluations, from second differences: a steep decline is no noise."""
    if len(losses) < max(6 * lag, 2 * lag + LEAST_DIFFERENCES):
        return 0.0
    bends = losses[2 * lag :] - 2 * losses[lag:-lag] + losses[: -2 * lag]
    return float(MAD_TO_DEVIATION * np.median(np.abs(bends - np.median(bends))) / np.sqrt(6))
