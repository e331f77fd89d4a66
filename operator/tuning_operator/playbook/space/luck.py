"""How good the best of fewer trials would have been: the Playbook's figure of search luck (figure 3, NTR-2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

DRAWS: Final = 1000
SEED: Final = 0
MOST_POINTS: Final = 100
"""Of the figure, however many trials there are."""
QUANTILES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class BestOf:
    """The distribution of the best of m trials, for some m; each field has one value for each of them."""

    trials: tuple[int, ...]
    """m, ascending: 1 to the number of trials; of more than 100 some."""
    lowest: tuple[float, ...]
    lower_quartile: tuple[float, ...]
    median: tuple[float, ...]
    upper_quartile: tuple[float, ...]
    highest: tuple[float, ...]


def best_of(losses: Sequence[float], draws: int = DRAWS, seed: int = SEED) -> BestOf:
    """Return how good the best of m trials is, by drawing m of the trials with replacement.

    Args:
        losses: Of feasible trials; smaller is better.
        draws: How often each m is drawn.
        seed: Of the draws.
    """
    n = len(losses)
    if not n:
        return BestOf((), (), (), (), (), ())
    numbers = np.unique(np.linspace(1, n, min(n, MOST_POINTS)).round().astype(int))
    rng, values = np.random.default_rng(seed), np.sort(np.asarray(losses, dtype=np.float64))
    # A sorted list's best of a draw is its smallest index. One draw of n serves all m: its first m are one of m.
    best = np.stack([np.minimum.accumulate(rng.integers(n, size=n))[numbers - 1] for _ in range(draws)])
    rows = np.quantile(values[best], QUANTILES, axis=0)
    return BestOf(tuple(map(int, numbers)), *(tuple(map(float, row)) for row in rows))


def search_spread(losses: Sequence[float]) -> float:
    """Return the interquartile range of the best of half of the trials: how much the result owes to luck (NTR-2)."""
    figure = best_of(losses)
    half = max(len(losses) // 2, 1)
    at = int(np.argmin([abs(m - half) for m in figure.trials]))
    return figure.upper_quartile[at] - figure.lower_quartile[at]
