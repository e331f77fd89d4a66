"""Is one configuration better than another, trained a few times each? (ADP-8).

Tests of means for a few trainings; for many pairs a sign test, as Bouthillier et al. (2021, arXiv 2103.03098) advise:
how often one beats the other matters, and their number of pairs, 29, follows from Noether (1987).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.stats import binom, norm, t


class Method(StrEnum):
    """Which test was made."""

    PAIRED = "paired t test"
    WELCH = "Welch's t test"
    KNOWN = "z test with a deviation measured before"
    SIGNS = "sign test of pairs"


@dataclass(frozen=True)
class Superiority:
    """How surely the candidate's loss is smaller than the baseline's, by more than a margin."""

    method: Method
    difference: float
    """Mean loss of the baseline minus that of the candidate: positive where the candidate is better."""
    error: float
    """The standard error of the difference."""
    freedom: float
    """Degrees of freedom; infinite where the deviation is known."""
    p_value: float
    """One-sided: how likely the candidate looks as good where it is better by no more than the margin."""
    wins: float
    """How likely one training of the candidate beats one of the baseline."""

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval in which the difference lies with a probability of 1 - 2 `level`."""
        reach = float(t.isf(level, self.freedom)) if math.isfinite(self.freedom) else float(norm.isf(level))
        return self.difference - reach * self.error, self.difference + reach * self.error


def paired(baseline: Sequence[float], candidate: Sequence[float], margin: float) -> Superiority:
    """Compare losses that belong to the same seeds, in the same order; at least two pairs."""
    gains = np.asarray(baseline) - np.asarray(candidate)
    deviation = float(np.std(gains, ddof=1))
    mean, error, freedom = float(np.mean(gains)), deviation / math.sqrt(len(gains)), len(gains) - 1
    return Superiority(
        Method.PAIRED, mean, error, freedom, _p_value(mean - margin, error, freedom), _wins(mean, deviation)
    )


def welch(baseline: Sequence[float], candidate: Sequence[float], margin: float) -> Superiority:
    """Compare losses of different seeds; at least two of each side."""
    parts = [float(np.var(side, ddof=1)) / len(side) for side in (baseline, candidate)]
    variance = sum(float(np.var(side, ddof=1)) for side in (baseline, candidate))
    mean, error = float(np.mean(baseline) - np.mean(candidate)), math.sqrt(sum(parts))
    weights = sum(p**2 / (len(side) - 1) for p, side in zip(parts, (baseline, candidate), strict=True))
    freedom = sum(parts) ** 2 / weights if weights > 0 else float(len(baseline) + len(candidate) - 2)
    return Superiority(
        Method.WELCH, mean, error, freedom, _p_value(mean - margin, error, freedom), _wins(mean, math.sqrt(variance))
    )


def known(baseline: Sequence[float], candidate: Sequence[float], margin: float, deviation: float) -> Superiority:
    """Compare losses whose standard deviation an earlier study has measured; at least one of each side."""
    mean = float(np.mean(baseline) - np.mean(candidate))
    error = deviation * math.sqrt(1 / len(baseline) + 1 / len(candidate))
    wins = _wins(mean, deviation * math.sqrt(2))
    return Superiority(Method.KNOWN, mean, error, math.inf, _p_value(mean - margin, error, math.inf), wins)


def signs(baseline: Sequence[float], candidate: Sequence[float], margin: float) -> Superiority:
    """Count the pairs that the candidate wins: whatever the losses' distribution, an exact test of P(win) > 1/2.

    With 29 pairs 20 must be won: an error of 3.1 %, and a power of 83 % where three of four are won in the long run.
    """
    gains = np.asarray(baseline) - np.asarray(candidate)
    won = int(np.count_nonzero(gains > margin))
    mean, error = float(np.mean(gains)), float(np.std(gains, ddof=1)) / math.sqrt(len(gains))
    return Superiority(
        Method.SIGNS, mean, error, len(gains) - 1, float(binom.sf(won - 1, len(gains), 0.5)), won / len(gains)
    )


def _p_value(excess: float, error: float, freedom: float) -> float:
    if error == 0:
        return 0.0 if excess > 0 else 1.0
    return float(t.sf(excess / error, freedom) if math.isfinite(freedom) else norm.sf(excess / error))


def _wins(mean: float, deviation: float) -> float:
    if deviation == 0:
        return 0.5 if mean == 0 else float(mean > 0)
    return float(norm.cdf(mean / deviation))
