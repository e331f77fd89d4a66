"""Scores: how far from random search to the best known a contestant came, and whether it is ahead of another.

Score = (median of random search at 16 trials - loss of the contestant) / (median of random at 16 - best known loss),
clipped to [-1, 1]. The loss is the noise-free one of the point that the user would be told is best: the one with the
best measured value. One scale for a problem, whatever the budget.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.search.simulation import Ending

BUDGETS = (16, 32, 64, 128)
SCALE_BUDGET = 16
RESAMPLES = 4000

Cell = tuple[str, int]
"""A problem and a seed."""
Scores = Mapping[Cell, float]


def told_best(endings: Sequence[Ending]) -> float:
    """Return the noise-free loss of the trial with the best measured value; infinite where no trial was feasible."""
    feasible = [(e.measured, e.truth) for e in endings if e.measured is not None and e.truth is not None]
    return min(feasible)[1] if feasible else math.inf


@dataclass(frozen=True)
class Scale:
    """What counts as nothing and as everything on a problem."""

    random: float
    """The median of random search at 16 trials."""
    best: float
    """The least loss known."""

    def score(self, loss: float) -> float:
        """Return the score in [-1, 1]."""
        return float(np.clip((self.random - loss) / (self.random - self.best), -1, 1))


def bootstrap(ours: Scores, theirs: Scores, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Return resampled mean differences over the cells that both have: problems are drawn, and seeds within them."""
    by_problem: dict[str, list[float]] = {}
    for problem, seed in sorted(ours.keys() & theirs.keys()):
        by_problem.setdefault(problem, []).append(ours[problem, seed] - theirs[problem, seed])
    differences = [np.array(values) for values in by_problem.values()]
    resampled = np.stack([d[rng.integers(len(d), size=(RESAMPLES, len(d)))].mean(axis=1) for d in differences], axis=1)
    drawn = rng.integers(len(differences), size=(RESAMPLES, len(differences)))
    return np.asarray(np.take_along_axis(resampled, drawn, axis=1).mean(axis=1))


def p_value(resampled: np.ndarray[Any, Any]) -> float:
    """Return the one-sided p-value of a mean difference above 0."""
    return float((1 + np.sum(resampled <= 0)) / (1 + len(resampled)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return the p-values adjusted for their number (Holm 1979).

    >>> holm({"a": 0.01, "b": 0.04})
    {'a': 0.02, 'b': 0.04}
    """
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda n: p_values[n])):
        highest = max(highest, min(1.0, p_values[name] * (len(p_values) - rank)))
        adjusted[name] = highest
    return adjusted


def mean_ranks(losses: Mapping[str, Mapping[Cell, float]]) -> dict[str, float]:
    """Return each contestant's mean rank over the cells that all have; 1 is best, ties share."""
    common = sorted(set.intersection(*(set(cells) for cells in losses.values())))
    ranks: dict[str, list[float]] = {name: [] for name in losses}
    for cell in common:
        values = [losses[name][cell] for name in losses]
        for name in losses:
            mine = losses[name][cell]
            below, equal = sum(v < mine for v in values), sum(v == mine for v in values)
            ranks[name].append(below + (equal + 1) / 2)
    return {name: float(np.mean(values)) for name, values in ranks.items()}
