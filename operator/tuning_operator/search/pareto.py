"""Two objectives: which points are not beaten in both, and one loss that stands for both.

ParEGO (Knowles 2006, doi 10.1109/TEVC.2005.851274): each suggestion weighs the objectives anew, and searches for the
best point by that one weighed loss; the weights together lead to all of the front.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from tuning_operator.search.observation import Observation
from tuning_operator.search.warping import Array, warped

SUM_SHARE: Final = 0.05
"""Of the weighted sum in the loss: of two points that are level in what counts most, the better one wins."""


def nondominated(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the places of the points of which no other is at least as good in both and better in one.

    Smaller is better. Of equal points the first one stays. By the first coordinate, ascending.
    """
    front: list[int] = []
    least = float("inf")
    for place in sorted(range(len(points)), key=lambda i: (*points[i], i)):
        if points[place][1] < least:
            front.append(place)
            least = points[place][1]
    return front


def weighed(observations: Sequence[Observation], seed: int) -> list[Observation]:
    """Return the observations with one loss that stands for both objectives.

    One with only one of the two values is left out: it says nothing about how both go together.

    Args:
        observations: `second_loss` is set where `loss` is.
        seed: of the weights; another one for each suggestion.
    """
    known = [i for i, o in enumerate(observations) if o.loss is not None and o.second_loss is not None]
    kept = [i for i, o in enumerate(observations) if o.loss is None or o.second_loss is not None]
    if not known:
        return [observations[i] for i in kept]
    weight = float(np.random.default_rng(seed).random())
    first = _unit([observations[i].loss or 0.0 for i in known])
    second = _unit([observations[i].second_loss or 0.0 for i in known])
    shares = np.column_stack([weight * first, (1 - weight) * second])
    losses = dict(zip(known, shares.max(axis=1) + SUM_SHARE * shares.sum(axis=1), strict=True))
    return [replace(observations[i], loss=float(losses[i])) if i in losses else observations[i] for i in kept]


def _unit(losses: Sequence[float]) -> Array:
    """Return losses in [0, 1], the best one 0; warped first, so that one near divergence does not make all equal."""
    values = warped(losses)
    span = float(np.ptp(values))
    unit: Array = (values - values.min()) / (span if span > 0 else 1)
    return unit
