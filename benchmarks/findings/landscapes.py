"""How a loss may depend on nuisance hyperparameters: shapes on the unit cube, best 0, of different character."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from scipy.stats import qmc

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Landscape:
    """A loss over the unit cube."""

    name: str
    loss: Callable[[Array], Array]
    """Of rows of points; infinite where training fails."""

    @cached_property
    def _spreads(self) -> dict[int, float]:
        return {}

    def spread(self, dimensions: int) -> float:
        """Return the distance of the median feasible loss from the best one: the unit of noise and of effects."""
        if dimensions not in self._spreads:
            losses = self.loss(qmc.Sobol(dimensions, rng=np.random.default_rng(0)).random(2**12))
            feasible = losses[np.isfinite(losses)]
            self._spreads[dimensions] = float(np.median(feasible) - feasible.min())
        return self._spreads[dimensions]


def _bowl(points: Array) -> Array:
    return np.asarray(np.sum((points - 0.4) ** 2, axis=1))


def _valley(points: Array) -> Array:
    """Return a bowl that matters along its first axis most, as learning rates do."""
    return np.asarray(np.sum((points - 0.4) ** 2 * 0.3 ** np.arange(points.shape[1]), axis=1))


def _steep(points: Array) -> Array:
    return np.asarray(np.expm1(6 * np.sqrt(_bowl(points))))


def _one_sided(points: Array) -> Array:
    return np.asarray(np.mean(points, axis=1))


def _cliff(points: Array) -> Array:
    """Return a loss that falls with the first axis until, beyond 0.6, training fails (a stability edge)."""
    return np.asarray(np.where(points[:, 0] > 0.6, np.inf, 0.6 - points[:, 0] + 0.2 * _bowl(points)))


def _plateau(points: Array) -> Array:
    """Return one good region beside which nothing is learnt, and nothing is told apart."""
    return np.asarray(np.minimum(_bowl(points), 0.12 * points.shape[1]))


def _flat(points: Array) -> Array:
    """Return a floor of equally good points, as where other things limit quality."""
    return np.asarray(np.maximum(_bowl(points), 0.04 * points.shape[1]))


def _mostly_infeasible(points: Array) -> Array:
    return np.asarray(np.where(points[:, -1] > 0.4, np.inf, np.sum((points - 0.3) ** 2, axis=1)))


LANDSCAPES: Final = (
    Landscape("bowl", _bowl),
    Landscape("valley", _valley),
    Landscape("steep", _steep),
    Landscape("one-sided", _one_sided),
    Landscape("cliff", _cliff),
    Landscape("plateau", _plateau),
    Landscape("flat floor", _flat),
    Landscape("60 % infeasible", _mostly_infeasible),
)
