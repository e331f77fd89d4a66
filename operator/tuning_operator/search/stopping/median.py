"""Median: stop what is worse than the middle of the others at the same fraction of the schedule.

The rule of Google Vizier (Golovin et al., KDD 2017, section 3.2.2): a trial is stopped when its best value so far is
strictly worse than the median of the others' running averages. Steps become fractions of the schedule here, since a
learning rate that decays over twice the steps ranks later, and all others that came as far count: were it the complete
ones alone, each stop would raise the bar for the next.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from tuning_operator.search.stopping.curve import ROUNDING, Curve, Progress, in_order
from tuning_operator.search.stopping.verdicts import Stop, numbers

RULE = "Median"
MOST_COMPARED = 256
"""Others: the median of more is no better known, and with thousands a look would take seconds."""


@dataclass(frozen=True)
class Median:
    """The settings of the rule."""

    min_trials: int = 5
    """How many others must be complete before any trial is stopped; at least 1."""
    grace_fraction: float = 0.25
    """Of the schedule, in [0, 1]: no trial is stopped before this, nor within its warm-up."""


def stops(rule: Median, curves: Iterable[Curve]) -> tuple[Stop, ...]:
    """Return the stops of running trials, each judged at its newest evaluation."""
    known = [curve for curve in in_order(curves) if curve.length is not None and curve.points]
    if sum(curve.progress is Progress.COMPLETE for curve in known) < rule.min_trials:
        return ()
    judged = [curve for curve in known if _is_judged(rule, curve)]
    # The complete ones first: they have reached every fraction.
    pool = sorted(known, key=lambda curve: curve.progress is not Progress.COMPLETE)[: MOST_COMPARED + 1]
    averages = {fraction: _averages_at(fraction, pool) for fraction in {curve.fraction for curve in judged}}
    found = (_stop_of(curve, averages[curve.fraction]) for curve in judged)
    return tuple(stop for stop in found if stop is not None)


def _is_judged(rule: Median, curve: Curve) -> bool:
    """Whether the trial runs, past grace and warm-up; at its end it has nothing left to save, and a result to give."""
    is_under_way = rule.grace_fraction * (1 - ROUNDING) <= curve.fraction < 1
    return curve.progress is Progress.RUNNING and is_under_way and curve.steps[-1] > curve.warmup


def _averages_at(fraction: float, known: Sequence[Curve]) -> dict[str, float]:
    """Return the running averages there, by trial, of all that came as far: once for all trials that stand there."""
    return {curve.trial: curve.average_until(fraction) for curve in known if curve.has_reached(fraction)}


def _stop_of(curve: Curve, averages: Mapping[str, float]) -> Stop | None:
    step, fraction = curve.steps[-1], curve.fraction
    others = dict(islice(((t, average) for t, average in averages.items() if t != curve.trial), MOST_COMPARED))
    middle = statistics.median(others.values())
    best = curve.best_until(fraction)
    if best <= middle:
        return None
    shown_best, shown_middle = curve.shown(best), curve.shown(middle)
    return Stop(
        curve.trial,
        RULE,
        step,
        "WorseThanMedian",
        f"At {fraction:.0%} of its schedule (step {step}) its best objective is {shown_best:.6g}, and the median of "
        f"the running averages of {len(others)} other trials there is {shown_middle:.6g}.",
        numbers(fraction=fraction, best=shown_best, median=shown_middle),
        tuple(others),
    )
