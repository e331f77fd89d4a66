"""DivergedOnly: stop what can no longer become a result. The default, for exploration wants complete curves.

A trial has diverged when its objective is not finite, or when it is beyond recovery: worse than the untrained model for
a fifth of the run, and not falling. It is judged by where it is now, so a spike that recovered is kept however late
somebody looks; and it is dated to the first evaluation at which it could be said, so that later ones change nothing.

Where the best evaluation counts, a trial that was ever better than at its first has a result, and is not lost. Small
data sets are overfitted until validation losses stand above the untrained model's: a quarter of the trials on one table
of `benchmarks/early_stopping`.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from tuning_contract.curve import Point
from tuning_operator.search.stopping.curve import Curve, Progress, in_order
from tuning_operator.search.stopping.verdicts import Stop, numbers

RULE = "DivergedOnly"
HOPELESS_FRACTION = 0.2
"""Of the schedule: how long a trial may be worse than at its first evaluation."""
EARLY_FRACTION = 0.25
"""Of the schedule: where the first evaluation that is known comes later, the beginning is not known."""
MIN_POINTS = 3
"""Fewer evaluations than this show no direction."""


def stops(curves: Iterable[Curve]) -> tuple[Stop, ...]:
    """Return the stops of the trials that have diverged; each follows from the trial's own curve."""
    found = (stop_of(curve) for curve in in_order(curves) if curve.progress is Progress.RUNNING)
    return tuple(stop for stop in found if stop is not None)


def stop_of(curve: Curve) -> Stop | None:
    """Return why the trial has diverged; None: it has not, or not for certain.

    Nothing is concluded from evaluations within the warm-up. Where the length of the schedule is unknown, only a value
    that is not finite counts.
    """
    found = [stop for stop in (_not_finite(curve), _beyond_recovery(curve)) if stop is not None]
    return min(found, key=lambda stop: stop.step, default=None)


def _not_finite(curve: Curve) -> Stop | None:
    stretch = _stretch(curve, lambda loss: loss == math.inf)
    if not stretch:
        return None
    step = stretch[0].step
    return Stop(curve.trial, RULE, step, "NotFinite", f"The objective is {stretch[0].value} at step {step}.")


def _beyond_recovery(curve: Curve) -> Stop | None:
    initial = next((loss for loss in curve.losses if loss < math.inf), None)
    if initial is None or curve.length is None:
        return None
    patience = HOPELESS_FRACTION * curve.length
    if curve.points[0].step > EARLY_FRACTION * curve.length:
        return None
    if curve.keeps_best and min(curve.losses) < initial:
        return None
    stretch = _stretch(curve, lambda loss: loss > initial)
    for last in range(MIN_POINTS - 1, len(stretch)):
        step = stretch[last].step
        # What is not finite was judged as that when it was the newest.
        if step - stretch[0].step < patience or not math.isfinite(stretch[last].value):
            continue
        window = [point for point in stretch[: last + 1] if point.step >= step - patience]
        if not _is_falling(window):
            return _hopeless(curve, initial, stretch[0].step, stretch[last])
    return None


def _stretch(curve: Curve, is_bad: Callable[[float], bool]) -> list[Point]:
    """Return the evaluations past the warm-up that are bad without a break up to the newest."""
    stretch: list[Point] = []
    for point, loss in zip(reversed(curve.points), reversed(curve.losses), strict=True):
        if point.step <= curve.warmup or not is_bad(loss):
            break
        stretch.append(point)
    return stretch[::-1]


def _is_falling(window: Sequence[Point]) -> bool:
    """Whether the later half is lower than the earlier, by their medians: one outlier is no direction."""
    if len(window) < MIN_POINTS:
        return True
    losses = [point.value if math.isfinite(point.value) else math.inf for point in window]
    half = len(losses) // 2
    return statistics.median(losses[-half:]) < statistics.median(losses[:half])


def _hopeless(curve: Curve, initial: float, since: int, last: Point) -> Stop:
    shown = curve.shown(initial)
    return Stop(
        curve.trial,
        RULE,
        last.step,
        "BeyondRecovery",
        f"From step {since} to step {last.step} the objective was worse than at its first evaluation ({shown:.6g}), "
        "and it does not improve.",
        numbers(initial=shown, since=since, value=curve.shown(last.value)),
    )
