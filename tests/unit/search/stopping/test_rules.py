"""The same curves give the same verdicts, and a stop is found again whatever came later."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.search.stopping.curves import a_curve, complete, paused
from tuning_contract.curve import Point
from tuning_operator.search.stopping.curve import Curve, Progress
from tuning_operator.search.stopping.median import Median
from tuning_operator.search.stopping.rules import (
    DivergedOnly,
    Nothing,
    Rule,
    at_the_end,
    replayed,
    verdicts,
)
from tuning_operator.search.stopping.successive_halving import SuccessiveHalving
from tuning_operator.search.stopping.verdicts import Verdicts

RULES: list[Rule] = [
    Nothing(),
    DivergedOnly(),
    Median(min_trials=1, grace_fraction=0.2),
    SuccessiveHalving(min_trials=2),
]
LOSS = st.one_of(st.floats(0, 5), st.sampled_from([math.nan, math.inf]))


@st.composite
def studies(draw: st.DrawFn) -> list[Curve]:
    """Some trials somewhere in their schedules."""

    def one(number: int) -> Curve:
        length = draw(st.sampled_from([50, 100, 130, None]))
        steps = sorted(draw(st.sets(st.integers(0, length or 100), max_size=8)))
        points = tuple(Point(step, draw(LOSS)) for step in steps)
        progress = draw(st.sampled_from(Progress))
        return Curve(f"t{number}", points, length, draw(st.sampled_from([0, 10])), progress, draw(st.integers(0, 2)))

    return [one(number) for number in range(draw(st.integers(1, 8)))]


@pytest.mark.parametrize("rule", RULES)
@given(study=studies(), order=st.randoms(use_true_random=False))
def test_the_order_in_which_curves_come_does_not_matter(rule: Rule, study: list[Curve], order: object) -> None:
    shuffled = list(study)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert verdicts(rule, shuffled) == verdicts(rule, study)
    assert at_the_end(rule, shuffled) == at_the_end(rule, study)


@pytest.mark.parametrize("rule", RULES)
@given(study=studies(), data=st.data())
def test_a_stop_is_found_again_whatever_came_later(rule: Rule, study: list[Curve], data: st.DataObject) -> None:
    later = [_gone_on(curve, data) for curve in study] + [complete("new", [0.1] * 11), paused("newer", [7, 7, 7])]
    for stop in (*verdicts(rule, study).stops, *at_the_end(rule, study)):
        assert replayed(rule, stop, study) == stop
        stopped = [replace(c, progress=Progress.STOPPED) if c.trial == stop.trial else c for c in later]
        assert replayed(rule, stop, stopped) == stop


def _gone_on(curve: Curve, data: st.DataObject) -> Curve:
    """The same trial later: more evaluations, past more rungs, perhaps at its end."""
    start = curve.steps[-1] + 1 if curve.points else 0
    more = data.draw(st.lists(LOSS, max_size=3)) if curve.is_open else []
    points = curve.points + tuple(Point(start + i, value) for i, value in enumerate(more))
    progress = data.draw(st.sampled_from(Progress)) if curve.is_open else curve.progress
    return replace(curve, points=points, progress=progress, passed=curve.passed + 1)


@pytest.mark.parametrize("rule", RULES)
@given(study=studies())
def test_each_open_trial_has_one_verdict_at_most_and_an_ended_one_has_none(rule: Rule, study: list[Curve]) -> None:
    found = verdicts(rule, study)
    ended = [stop.trial for stop in found.stops]
    running = [*ended, *(pause.trial for pause in found.pauses), *(step.trial for step in found.passes)]
    waiting = [resume.trial for resume in found.resumes]
    assert len({*running, *waiting}) == len(running) + len(waiting)
    progress = {curve.trial: curve.progress for curve in study}
    assert all(progress[trial] is Progress.RUNNING for trial in running)
    assert all(progress[trial] is Progress.PAUSED for trial in waiting)


@pytest.mark.parametrize("rule", RULES)
@given(study=studies())
def test_carrying_verdicts_out_comes_to_rest(rule: Rule, study: list[Curve]) -> None:
    for _ in range(8):
        found = verdicts(rule, study)
        if not (found.stops or found.pauses or found.passes or found.resumes):
            break
        study = [_carried_out(curve, found) for curve in study]
    else:
        pytest.fail("the same curves are judged again and again")


def _carried_out(curve: Curve, found: Verdicts) -> Curve:
    if curve.trial in {stop.trial for stop in found.stops}:
        return replace(curve, progress=Progress.STOPPED)
    if curve.trial in {pause.trial for pause in found.pauses}:
        return replace(curve, progress=Progress.PAUSED)
    passed = {step.trial: step.passed for step in found.passes} | {r.trial: r.passed for r in found.resumes}
    if curve.trial in passed:
        return replace(curve, progress=Progress.RUNNING, passed=passed[curve.trial])
    return curve


def test_nothing_is_stopped_by_nothing() -> None:
    assert verdicts(Nothing(), [a_curve("a", [2.3, math.nan])]) == Verdicts()


@pytest.mark.parametrize("rule", RULES[1:])
def test_every_other_rule_stops_what_has_diverged(rule: Rule) -> None:
    curves = [a_curve("a", [2.3, math.nan]), *[complete(n, [1.0] * 11) for n in "pqr"]]
    found = verdicts(rule, curves)
    assert [(stop.trial, stop.rule) for stop in found.stops] == [("a", "DivergedOnly")]
    assert found.pauses == ()


def test_a_trial_that_nobody_can_compare_is_said() -> None:
    curves = [a_curve("b", [2.3], length=None), a_curve("a", [2.3], length=None), a_curve("c", [2.3])]
    (note,) = verdicts(Median(), curves).notes
    assert (note.reason, note.trials) == ("LengthUnknown", ("a", "b"))
    assert note.message == (
        "The number of steps of 2 trials is unknown: they are compared with no others, and stopped only where their "
        "objective is not finite."
    )
    assert verdicts(Nothing(), curves).notes == ()


def test_only_successive_halving_pauses_promotes_and_ends_what_waits() -> None:
    waiting = [paused("a", [9, 9, 1]), *[paused(n, [9, 9, 2]) for n in "bcdefg"]]
    halving = SuccessiveHalving()
    assert [resume.trial for resume in verdicts(halving, waiting).resumes] == ["a", "b"]
    assert [stop.trial for stop in at_the_end(halving, waiting)] == ["c", "d", "e", "f", "g"]
    assert verdicts(Median(), waiting).resumes == ()
    assert at_the_end(Median(), waiting) == ()
