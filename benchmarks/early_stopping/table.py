"""A table of learning curves: what each configuration's training came to, evaluation by evaluation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEPS = 600
WARMUP = 30
EVALUATE_EVERY = 20


@dataclass(frozen=True)
class Table:
    """One problem: a curve for each configuration."""

    name: str
    losses: NDArray[np.float64]
    """Validation loss by configuration and evaluation, the first at step 0."""
    seconds: NDArray[np.float64]
    """Simulated seconds a step, by configuration: larger batches take longer, and machines differ."""

    @property
    def results(self) -> NDArray[np.float64]:
        """The objective of each configuration trained to the end: its best evaluation."""
        best: NDArray[np.float64] = np.where(np.isfinite(self.losses), self.losses, np.inf).min(axis=1)
        return best

    @property
    def scale(self) -> float:
        """From the best configuration to the median one: the unit in which regret is given."""
        return float(np.median(self.results) - self.results.min())

    @property
    def lost(self) -> float:
        """The fraction of configurations that end worse than they began."""
        last = np.where(np.isfinite(self.losses[:, -1]), self.losses[:, -1], np.inf)
        return float((last > self.losses[:, 0]).mean())
