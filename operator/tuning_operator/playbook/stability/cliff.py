"""The learning rate from which on training fails, and whether the best rate lies suspiciously near it (WRM-1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

CLIFF_TRIALS: Final = Threshold(
    "cliffTrials", 2, Origin.DEFAULT, "A learning rate is a cliff where at least so many trials fail from there on"
)
CLIFF_STABLE: Final = Threshold(
    "cliffStable",
    0.1,
    Origin.DEFAULT,
    "A learning rate is no cliff where more than this share of the trials from there on are stable",
    high=1.0,
)
CLIFF_BETWEEN: Final = Threshold(
    "cliffBetween",
    1,
    Origin.FIGURE,
    "The best rate is suspiciously near a cliff with at most so many stable trials between them",
)
CLIFF_RATIO: Final = Threshold(
    "cliffRatio",
    4.0,
    Origin.FIGURE,
    "The best rate is suspiciously near a cliff that is at most so many times as high",
    low=1.0,
)
NEAR: Final = (CLIFF_TRIALS, CLIFF_STABLE, CLIFF_BETWEEN, CLIFF_RATIO)


@dataclass(frozen=True)
class Cliff:
    """The smallest learning rate from which on trials fail, but for a lucky one in ten."""

    rate: float
    best: float
    """The rate of the best trial."""
    between: int
    """How many stable trials have rates strictly between the two."""


def cliff_above(
    best: float, stable: Sequence[float], unstable: Sequence[float], thresholds: Thresholds = DEFAULTS
) -> Cliff | None:
    """Return the cliff above the best rate; None: there is none.

    Args:
        best: The best trial's learning rate.
        stable: The rates of all trials that trained well, the best one's too.
        unstable: The rates of those that failed or whose loss rose.
        thresholds: The study's.
    """
    failing, well = np.sort(unstable), np.sort(stable)
    for number, rate in enumerate(failing):
        failed, good = len(failing) - number, len(well) - int(np.searchsorted(well, rate))
        is_cliff = failed >= thresholds[CLIFF_TRIALS] and good <= thresholds[CLIFF_STABLE] * (failed + good)
        if rate > best and is_cliff:
            between = int(np.searchsorted(well, rate) - np.searchsorted(well, best, side="right"))
            return Cliff(float(rate), best, between)
    return None


def is_near(cliff: Cliff, thresholds: Thresholds = DEFAULTS) -> bool:
    """Whether the best rate lies so near the cliff that instability may hold it down (WRM-1)."""
    return cliff.between <= thresholds[CLIFF_BETWEEN] or cliff.rate <= thresholds[CLIFF_RATIO] * cliff.best
