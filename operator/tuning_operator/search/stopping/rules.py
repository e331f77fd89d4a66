"""The door to the stopping rules: settings and curves in, verdicts out.

All rules are pure. The same curves give the same verdicts, in whatever order they came; nothing is said of a trial that
has ended. Each rule but Nothing also stops what has diverged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tuning_operator.search.stopping import diverged, median, successive_halving
from tuning_operator.search.stopping.curve import Curve, Progress
from tuning_operator.search.stopping.median import Median
from tuning_operator.search.stopping.successive_halving import SuccessiveHalving
from tuning_operator.search.stopping.verdicts import Note, Stop, Verdicts


@dataclass(frozen=True)
class Nothing:
    """The rule None: every trial runs to its end."""


@dataclass(frozen=True)
class DivergedOnly:
    """Only what has diverged is stopped."""


Rule = Nothing | DivergedOnly | Median | SuccessiveHalving


def verdicts(rule: Rule, curves: Iterable[Curve]) -> Verdicts:
    """Return what is to be done with the trials, of which only those that run or are paused are judged.

    Args:
        rule: the study's rule with its settings.
        curves: all Search trials that are compared with one another: those of an arm, or those of the study. Each
            trial once.
    """
    if isinstance(rule, Nothing):
        return Verdicts()
    everyone = list(curves)
    lost = diverged.stops(everyone)
    found = _compared(rule, _without(everyone, lost))
    stops = sorted((*lost, *found.stops), key=lambda stop: stop.trial)
    return replace(found, stops=tuple(stops), notes=_notes(rule, everyone))


def at_the_end(rule: Rule, curves: Iterable[Curve]) -> tuple[Stop, ...]:
    """Return the stops of the trials that are left over when nothing runs, may go on, or will start any more."""
    return successive_halving.unpromoted(rule, curves) if isinstance(rule, SuccessiveHalving) else ()


def replayed(rule: Rule, stop: Stop, curves: Iterable[Curve]) -> Stop | None:
    """Return a recorded stop as the rule finds it again in newer curves: equal to it, unless something is wrong.

    A stop depends on the trial's evaluations up to its step and on those that the compared trials had made at that
    fraction of the schedule. Neither changes when trials go on, end or join, as long as nobody thins or retrains a
    curve.
    """
    state = Progress.PAUSED if stop.reason == successive_halving.NOT_PROMOTED else Progress.RUNNING
    then: list[Curve] = []
    for curve in curves:
        if curve.trial == stop.trial:
            # The rungs below the one where it was held were behind it, whoever stood there.
            passed = int(stop.evidence.get("rung", 0))
            then.append(replace(curve.until(stop.step), progress=state, passed=passed))
        elif curve.trial in stop.compared:
            then.append(curve)
    found = (*verdicts(rule, then).stops, *at_the_end(rule, then))
    return next((again for again in found if again.trial == stop.trial), None)


def _compared(rule: Rule, curves: Sequence[Curve]) -> Verdicts:
    """Return what comparing the trials with one another says."""
    match rule:
        case Median():
            return Verdicts(stops=median.stops(rule, curves))
        case SuccessiveHalving():
            return successive_halving.judged(rule, curves)
        case _:
            return Verdicts()


def _without(curves: Sequence[Curve], lost: Sequence[Stop]) -> list[Curve]:
    """Return the curves with the lost trials as ended: they are not judged again, and the others still see them."""
    ended = {stop.trial for stop in lost}
    return [replace(curve, progress=Progress.STOPPED) if curve.trial in ended else curve for curve in curves]


def _notes(rule: Rule, curves: Sequence[Curve]) -> tuple[Note, ...]:
    unknown = tuple(sorted(curve.trial for curve in curves if curve.is_open and curve.length is None))
    if not unknown:
        return ()
    limit = (
        "they are stopped only where their objective is not finite"
        if isinstance(rule, DivergedOnly)
        else "they are compared with no others, and stopped only where their objective is not finite"
    )
    return (Note("LengthUnknown", f"The number of steps of {len(unknown)} trials is unknown: {limit}.", unknown),)
