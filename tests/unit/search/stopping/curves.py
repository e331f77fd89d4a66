"""Curves for tests, of a schedule of 100 steps unless they say otherwise."""

from collections.abc import Iterable
from typing import Any

from tuning_contract.curve import Point
from tuning_operator.search.stopping.curve import Curve, Progress


def a_curve(trial: str, values: Iterable[float], every: int = 10, **fields: Any) -> Curve:
    """Return a curve evaluated at step 0 and then every so many steps.

    >>> a_curve("a", [2.3, 1.9]).points
    (Point(step=0, value=2.3), Point(step=10, value=1.9))
    """
    points = tuple(Point(i * every, value) for i, value in enumerate(values))
    return Curve(trial, points, **({"length": 100} | fields))


def complete(trial: str, values: Iterable[float], **fields: Any) -> Curve:
    """Return the curve of a trial that trained to the end of its schedule."""
    return a_curve(trial, values, progress=Progress.COMPLETE, **fields)


def paused(trial: str, values: Iterable[float], **fields: Any) -> Curve:
    """Return the curve of a trial that waits with its checkpoint."""
    return a_curve(trial, values, progress=Progress.PAUSED, **fields)
