"""What a rule sees of a trial: its evaluations so far, and how long its schedule is."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import accumulate

from tuning_contract.curve import Point

ROUNDING = 1e-9
"""Relative: a third of 600 steps is step 200, whatever 1/9 * 3 is in binary."""


class Progress(StrEnum):
    """How far a trial has come."""

    RUNNING = "Running"
    PAUSED = "Paused"
    """Its checkpoint is kept, and it goes on when it is promoted."""
    COMPLETE = "Complete"
    """It trained to the end of its schedule."""
    STOPPED = "Stopped"
    """It ended before its schedule did: by a rule, by infeasibility, or by somebody's hand."""


@dataclass(frozen=True)
class Curve:
    """One trial's objective over its steps, turned so that smaller is better."""

    trial: str
    points: tuple[Point, ...] = ()
    """By ascending step, each step once; a value may be NaN or infinite."""
    length: int | None = None
    """Steps of the whole schedule, at least 1; None: unknown, so that nobody can say which fraction of it is done."""
    warmup: int = 0
    """Steps of learning-rate warm-up, of which nothing is concluded."""
    progress: Progress = Progress.RUNNING
    passed: int = 0
    """Rungs of successive halving that the trial was let past, as its status records: a promotion is final."""
    keeps_best: bool = False
    """The objective is the best evaluation, whose checkpoint is kept: what comes after it takes nothing away."""
    maximised: bool = False
    """The objective itself is better when larger; `points` hold its negative, messages and evidence what it is."""

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """The steps of the points."""
        return tuple(point.step for point in self.points)

    @cached_property
    def losses(self) -> tuple[float, ...]:
        """The values, what is not finite as the worst that there is."""
        return tuple(point.value if math.isfinite(point.value) else math.inf for point in self.points)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended: it runs, or it is paused."""
        return self.progress in (Progress.RUNNING, Progress.PAUSED)

    @cached_property
    def fraction(self) -> float:
        """The part of the schedule that is evaluated, in [0, 1]; all of it for a complete trial. Needs the length."""
        if self.progress is Progress.COMPLETE:
            return 1.0
        return min(1.0, self.steps[-1] / self._known_length) if self.points else 0.0

    def has_reached(self, fraction: float) -> bool:
        """Whether that fraction of the schedule is evaluated. Needs the length."""
        return self.fraction >= fraction * (1 - ROUNDING)

    def best_until(self, fraction: float) -> float:
        """Return the best loss up to a fraction of the schedule; infinite where there is none."""
        count = self._points_until(fraction)
        return self._bests[count - 1] if count else math.inf

    def average_until(self, fraction: float) -> float:
        """Return the mean loss up to a fraction of the schedule; infinite where one is, or where there is none."""
        count = self._points_until(fraction)
        return self._averages[count - 1] if count else math.inf

    def first_past(self, fraction: float) -> Point:
        """Return the first evaluation at or past a fraction of the schedule that was reached.

        Of a complete trial whose evaluations end a little before its schedule, the last.
        """
        index = bisect_left(self.steps, fraction * self._known_length * (1 - ROUNDING))
        return self.points[min(index, len(self.points) - 1)]

    def until(self, step: int) -> "Curve":
        """Return the curve as it was at a step."""
        return replace(self, points=self.points[: bisect_right(self.steps, step)])

    def shown(self, loss: float) -> float:
        """Return a loss as the objective that people know."""
        return -loss if self.maximised else loss

    @cached_property
    def _bests(self) -> tuple[float, ...]:
        return tuple(accumulate(self.losses, min))

    @cached_property
    def _averages(self) -> tuple[float, ...]:
        return tuple(total / (i + 1) for i, total in enumerate(accumulate(self.losses)))

    @property
    def _known_length(self) -> int:
        if self.length is None:
            raise ValueError(f"the length of {self.trial} is unknown")
        return self.length

    def _points_until(self, fraction: float) -> int:
        return bisect_right(self.steps, fraction * self._known_length * (1 + ROUNDING))


def in_order(curves: Iterable[Curve]) -> list[Curve]:
    """Return the curves by name, so that no answer depends on the order in which they came."""
    return sorted(curves, key=lambda curve: curve.trial)
