"""SuccessiveHalving, asynchronous: at each rung only the best part goes on; the others wait with their checkpoint.

ASHA (Li et al., MLSys 2020, arXiv 1810.05934), with rungs at fractions of the schedule: a trial that reaches a rung is
paused unless it is among the best 1/eta of all that reached it so far. As more arrive, paused ones rise into that part
and are resumed where they were, never trained again. A free slot goes to a promotion before it goes to a new trial, the
highest rung first. When nothing runs and nothing more will start, what is still paused ends as stopped.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from tuning_operator.search.stopping.curve import Curve, Progress, in_order
from tuning_operator.search.stopping.verdicts import Pass, Pause, Resume, Stop, Verdicts, numbers

RULE = "SuccessiveHalving"
NOT_PROMOTED = "NotPromoted"
"""Why a trial was stopped that waited at a rung to the end."""


@dataclass(frozen=True)
class SuccessiveHalving:
    """The settings of the rule."""

    eta: int = 3
    """The best 1/eta of a rung go on, at least one; each rung is eta times as far as the one before. At least 2."""
    min_fraction: float = 1 / 9
    """Of the schedule, in (0, 1): the first rung."""
    min_trials: int = 5
    """With fewer trials at a rung, all go on past it; at least 1."""

    @cached_property
    def rungs(self) -> tuple[float, ...]:
        """The fractions of the schedule at which trials are judged, ascending; the end is none of them."""
        count = math.ceil(-math.log(self.min_fraction, self.eta) - 1e-9)
        return tuple(self.min_fraction * self.eta**i for i in range(count))


@dataclass(frozen=True)
class _Standing:
    """A trial's place at a rung."""

    curve: Curve
    rung: int
    fraction: float
    loss: float
    """The best up to the rung's evaluation."""
    rank: int
    """From 1, the best; equal losses by name."""
    keep: int
    """How many of the rung go on."""
    judged: tuple[str, ...]
    """All trials that reached the rung: one tuple for all of them, however many they are."""
    min_trials: int

    @property
    def goes_on(self) -> bool:
        """Whether the trial may go on past the rung."""
        return len(self.judged) < self.min_trials or (self.rank <= self.keep and self.loss < math.inf)

    @property
    def text(self) -> str:
        """For people."""
        return f"number {self.rank} of {len(self.judged)} trials at {self.fraction:.0%} of the schedule"

    @property
    def evidence(self) -> dict[str, float]:
        """For the status."""
        loss = self.curve.shown(self.loss)
        return numbers(rung=self.rung, fraction=self.fraction, value=loss, rank=self.rank, keep=self.keep)

    @property
    def step(self) -> int:
        """The evaluation at the rung."""
        return self.curve.first_past(self.fraction).step


def judged(rule: SuccessiveHalving, curves: Iterable[Curve]) -> Verdicts:
    """Return what is to be done with the trials that stand at a rung which they have not passed.

    A running one is paused or let past. A paused one may be resumed, or waits on; the highest rung and the best there
    come first.
    """
    decisive = list(_decisive(rule, curves))
    running = [standing for standing in decisive if standing.curve.progress is Progress.RUNNING]
    risen = [s for s in decisive if s.curve.progress is Progress.PAUSED and s.goes_on]
    risen.sort(key=lambda s: (-s.rung, s.rank, s.curve.trial))
    return Verdicts(
        pauses=tuple(_pause(s) for s in running if not s.goes_on),
        passes=tuple(Pass(s.curve.trial, s.rung + 1, f"It goes on as {s.text}.") for s in running if s.goes_on),
        resumes=tuple(Resume(s.curve.trial, s.rung + 1, f"It goes on as {s.text}.") for s in risen),
    )


def unpromoted(rule: SuccessiveHalving, curves: Iterable[Curve]) -> tuple[Stop, ...]:
    """Return the stops of the paused trials that may not go on: for when nothing runs and nothing more will start."""
    decisive = _decisive(rule, curves)
    return tuple(_end(s) for s in decisive if s.curve.progress is Progress.PAUSED and not s.goes_on)


def _pause(standing: _Standing) -> Pause:
    message = f"It is {standing.text}, of which the best {standing.keep} go on."
    trial, rung, step = standing.curve.trial, standing.rung, standing.step
    return Pause(trial, rung, step, message, standing.evidence, standing.judged)


def _end(standing: _Standing) -> Stop:
    message = f"To the end it was {standing.text}, of which the best {standing.keep} went on."
    trial, step = standing.curve.trial, standing.step
    return Stop(trial, RULE, step, NOT_PROMOTED, message, standing.evidence, standing.judged)


def _decisive(rule: SuccessiveHalving, curves: Iterable[Curve]) -> Iterator[_Standing]:
    """Yield, by name, each open trial's standing at the rung that decides: where it is held, else its highest.

    Rungs that it has passed before are behind it, and all of them once it is evaluated at its end.
    """
    ladder = _ladder(rule, [curve for curve in in_order(curves) if curve.length is not None and curve.points])
    for trial in sorted({name for rung in ladder for name in rung}):
        waiting = [rung[trial] for rung in ladder if trial in rung and rung[trial].rung >= rung[trial].curve.passed]
        if waiting and waiting[0].curve.is_open and waiting[0].curve.fraction < 1:
            yield next((standing for standing in waiting if not standing.goes_on), waiting[-1])


def _ladder(rule: SuccessiveHalving, curves: Sequence[Curve]) -> list[dict[str, _Standing]]:
    """Return for each rung the standings of all trials that reached it, by trial."""
    return [_standings(rule, number, curves) for number in range(len(rule.rungs))]


def _standings(rule: SuccessiveHalving, number: int, curves: Sequence[Curve]) -> dict[str, _Standing]:
    fraction = rule.rungs[number]
    there = [curve for curve in curves if _counts_at(curve, fraction)]
    judged = tuple(curve.trial for curve in there)
    keep = max(1, len(there) // rule.eta)
    ranked = sorted(((_loss_at(curve, fraction), curve.trial, curve) for curve in there), key=lambda item: item[:2])
    return {
        trial: _Standing(curve, number, fraction, loss, place + 1, keep, judged, rule.min_trials)
        for place, (loss, trial, curve) in enumerate(ranked)
    }


def _counts_at(curve: Curve, fraction: float) -> bool:
    """Whether the trial has reached the rung, past its warm-up: nothing is concluded from a rung within it."""
    return curve.has_reached(fraction) and curve.first_past(fraction).step > curve.warmup


def _loss_at(curve: Curve, fraction: float) -> float:
    step = curve.first_past(fraction).step
    return curve.best_until(step / curve.length) if curve.length else math.inf
