"""The objective over an arm's space, as a sum of parabolas: how much each hyperparameter matters, and its optimum.

Least squares on 1, (u - 1/2) and (u - 1/2)^2 of every numeric nuisance hyperparameter, u being the position in its
range on its scale (K23). It describes a smooth surface and no more: `explained` says how well.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy import stats

from tuning_operator.api.hyperparameters import Hyperparameter, Role
from tuning_operator.playbook.arms import Arm, position
from tuning_operator.playbook.records import TrialRecord
from tuning_operator.playbook.series import Series
from tuning_operator.playbook.thresholds import Origin, Threshold, Thresholds

TRIALS_PER_TERM: Final = Threshold(
    "sensitivityTrials", 3, Origin.DEFAULT, "The fewest feasible trials of an arm for each term that is fitted"
)
RANKS: Final = Threshold(
    "sensitivityRanks", 10, Origin.DEFAULT, "Where the objective spans more than this factor, its ranks are fitted"
)
ROUNDING: Final = 1e-12
"""Outcomes that differ by less than this fraction of them are the same number."""
SPARE_TRIALS: Final = 5
"""How many more than its terms a fit of ranks must have."""
RESAMPLES: Final = 200
SEED: Final = 0


@dataclass(frozen=True)
class Surface:
    """An arm's feasible trials, and the fit to them."""

    arm: Arm
    names: tuple[str, ...]
    """The hyperparameters that were fitted."""
    positions: Series
    """A row for each trial, a column for each hyperparameter: u - 1/2."""
    outcomes: Series
    """A loss, or its rank, for each trial."""

    @cached_property
    def explained(self) -> float:
        """The share of the outcomes' variance that the fit explains, in [0, 1]; 0 where they are all the same."""
        return 1 - _residual(self.positions, self.outcomes) / self._total if self._total > 0 else 0.0

    @cached_property
    def shares(self) -> Mapping[str, float]:
        """Of each hyperparameter, how much of the variance only it explains, in [0, 1]: its partial share."""
        if self._total <= 0:
            return dict.fromkeys(self.names, 0.0)
        full = _residual(self.positions, self.outcomes)
        without = (_residual(np.delete(self.positions, i, axis=1), self.outcomes) for i in range(len(self.names)))
        return dict(zip(self.names, ((rest - full) / self._total for rest in without), strict=True))

    @cached_property
    def optima(self) -> Mapping[str, float]:
        """Of each hyperparameter, where in its range the fit is best: u in [0, 1]."""
        found = self._optima_of(np.ones(len(self.outcomes)))
        return dict(zip(self.names, map(float, found), strict=True))

    @cached_property
    def errors(self) -> Mapping[str, float]:
        """Of each optimum, the standard error: from a bootstrap of the trials with a constant seed."""
        rng, n = np.random.default_rng(SEED), len(self.outcomes)
        draws = [self._optima_of(rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64)) for _ in range(RESAMPLES)]
        return dict(zip(self.names, map(float, np.std(draws, axis=0)), strict=True))

    @cached_property
    def _total(self) -> float:
        if np.ptp(self.outcomes) <= ROUNDING * np.abs(self.outcomes).max():
            return 0.0
        return float(((self.outcomes - self.outcomes.mean()) ** 2).sum())

    def _optima_of(self, weights: Series) -> Series:
        """Return where the fit is best, each trial counting so many times."""
        weighted = _terms(self.positions) * weights[:, None]
        # The normal equations: small, however many trials there are.
        coefficients = np.linalg.lstsq(weighted.T @ _terms(self.positions), weighted.T @ self.outcomes, rcond=None)[0]
        slopes, bends = coefficients[1 : 1 + len(self.names)], coefficients[1 + len(self.names) :]
        return np.array([_lowest(b, c) + 0.5 for b, c in zip(slopes, bends, strict=True)])


def fitted(arm: Arm) -> tuple[Hyperparameter, ...]:
    """Return what a surface of the arm has as its axes: numeric nuisance hyperparameters that all its trials have."""
    nuisance = (h for h in arm.numeric if h.role is Role.NUISANCE)
    return tuple(h for h in nuisance if all(position(h, t) is not None for t in arm.feasible))


def trials_needed(axes: int, thresholds: Thresholds) -> int:
    """Return how many feasible trials a fit with so many axes takes."""
    return math.ceil(thresholds[TRIALS_PER_TERM] * (1 + 2 * axes))


def surface(arm: Arm) -> Surface | None:
    """Return the fit to an arm's feasible trials; None where it has too few of them, or nothing to fit."""
    axes = fitted(arm)
    if not axes or len(arm.feasible) < trials_needed(len(axes), arm.study.thresholds):
        return None
    positions = np.array([[_centred(h, t) for h in axes] for t in arm.feasible])
    losses = np.asarray(arm.losses)
    spans = losses.min() * losses.max() > 0 and _spread(losses) > arm.study.thresholds[RANKS]
    return Surface(arm, tuple(h.name for h in axes), positions, stats.rankdata(losses) if spans else losses)


def ranked(arm: Arm) -> Surface | None:
    """Return the fit to the ranks of an arm's results over all its ranges, which any monotonous scale leaves alone.

    None where there are hardly more trials than terms, or a range does not exist in all of them.
    """
    axes = arm.numeric
    if len(arm.feasible) < 1 + 2 * len(axes) + SPARE_TRIALS:
        return None
    positions = np.array([[_centred(h, t) for h in axes] for t in arm.feasible])
    if np.isnan(positions).any():
        return None
    return Surface(arm, tuple(h.name for h in axes), positions, stats.rankdata(arm.losses))


def _centred(hyperparameter: Hyperparameter, trial: TrialRecord) -> float:
    u = position(hyperparameter, trial)
    return math.nan if u is None else u - 0.5


def _spread(losses: Series) -> float:
    sizes = np.abs(losses)
    return float(sizes.max() / sizes.min())


def _terms(positions: Series) -> Series:
    return np.hstack([np.ones((len(positions), 1)), positions, positions**2])


def _residual(positions: Series, outcomes: Series) -> float:
    terms = _terms(positions)
    coefficients = np.linalg.lstsq(terms, outcomes, rcond=None)[0]
    return float(((outcomes - terms @ coefficients) ** 2).sum())


def _lowest(slope: float, bend: float) -> float:
    """Return where in [-1/2, 1/2] the parabola is lowest."""
    if bend > 0:
        return float(np.clip(-slope / (2 * bend), -0.5, 0.5))
    return -0.5 if slope > 0 else 0.5


def axes_of(arms: Sequence[Arm]) -> dict[str, Hyperparameter]:
    """Return the numeric nuisance hyperparameters of some arms by name, each once, in the manifest's order."""
    return {h.name: h for arm in arms for h in arm.numeric if h.role is Role.NUISANCE}
