"""How likely a point keeps to its constraints: a Gaussian process on the value of each constraint's metric.

With it, the expected improvement counts only as far as the point is likely to be allowed (Gardner et al. 2014; Gelbart,
Snoek and Adams 2014, arXiv 1403.5607).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import log_ndtr

from tuning_operator.search.encoding import Array
from tuning_operator.search.gaussian_process import GaussianProcess
from tuning_operator.search.warping import LARGEST_LOSS

FARTHEST: Final = 1e3
"""Values farther from the limit count as this many typical distances: how far off they are teaches nothing more."""
LEAST_DEVIATION: Final = 1e-9
"""Values that differ by less, relatively, are the same but for rounding."""


@dataclass(frozen=True)
class Limits:
    """Between which values a constraint's metric must lie, the limits included."""

    low: float = -math.inf
    high: float = math.inf

    def hold(self, value: float) -> bool:
        """Return whether a value is allowed; NaN never is."""
        return self.low <= value <= self.high

    @property
    def middle(self) -> float:
        """The limit; halfway between the two where there are two."""
        finite = [limit for limit in (self.low, self.high) if math.isfinite(limit)]
        return sum(limit / len(finite) for limit in finite)


@dataclass(frozen=True)
class Scaled:
    """A constraint's values on a scale that a Gaussian process can fit, and the limits on the same scale."""

    values: Array
    low: float
    high: float


@dataclass(frozen=True)
class ConstraintModel:
    """What is believed about one constraint's metric."""

    process: GaussianProcess
    low: float
    high: float

    def log_probability(self, features: Array) -> Array:
        """Return the logarithm of the probability that the metric is allowed, at rows of features.

        Of two limits, each is taken for itself: where one is near, the other one is far, and the logarithm of a
        difference of two tails would be lost in rounding.
        """
        mean, deviation = self.process.posterior(features)
        found: Array = log_ndtr((self.high - mean) / deviation) + log_ndtr((mean - self.low) / deviation)
        return found


def scaled(values: Sequence[float], limits: Limits) -> Scaled | None:
    """Return a constraint's values with their order kept, mean 0 and variance 1; None where they are all the same.

    Distances from the limit are logarithmic where they are large: a latency of a minute does not make ten and twenty
    milliseconds equal. NaN counts as far beyond the limit.
    """
    beyond = math.inf if math.isfinite(limits.high) else -math.inf
    told = [beyond if math.isnan(value) else value for value in values]
    known = np.clip(np.array(told, dtype=np.float64), -LARGEST_LOSS, LARGEST_LOSS)
    middle = limits.middle
    distance = np.abs(known - middle)
    typical = float(np.median(distance)) or float(distance.max(initial=0.0)) or 1.0

    def bent(numbers: Array) -> Array:
        with np.errstate(over="ignore"):  # what overflows is clipped
            far: Array = np.arcsinh(np.clip((numbers - middle) / typical, -FARTHEST, FARTHEST))
        return far

    found = bent(known)
    mean, deviation = float(found.mean()), float(found.std())
    if deviation <= LEAST_DEVIATION * max(abs(mean), 1.0):
        return None
    low, high = (
        float((bent(np.array([limit]))[0] - mean) / deviation) if math.isfinite(limit) else limit
        for limit in (limits.low, limits.high)
    )
    return Scaled((found - mean) / deviation, low, high)
