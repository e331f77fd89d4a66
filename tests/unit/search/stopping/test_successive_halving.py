"""At a rung the best third goes on, the others wait, and rise as more arrive."""

import math
from dataclasses import replace

import pytest

from tests.unit.search.stopping.curves import a_curve, complete, paused
from tuning_operator.search.stopping.curve import Curve, Progress
from tuning_operator.search.stopping.successive_halving import SuccessiveHalving, judged, unpromoted

RULE = SuccessiveHalving(eta=3, min_fraction=0.1, min_trials=3)


def at_rung(**losses: float) -> list[Curve]:
    """Running trials at the first rung, step 10."""
    return [a_curve(name, [9.0, loss]) for name, loss in losses.items()]


@pytest.mark.parametrize(
    ("eta", "first", "rungs"),
    [
        (3, 1 / 9, [1 / 9, 1 / 3]),
        (3, 1 / 27, [1 / 27, 1 / 9, 1 / 3]),
        (2, 1 / 8, [1 / 8, 1 / 4, 1 / 2]),
        (3, 0.1, [0.1, 0.3, 0.9]),
        (4, 0.5, [0.5]),
    ],
)
def test_rungs_lie_between_the_first_and_the_end(eta: int, first: float, rungs: list[float]) -> None:
    assert SuccessiveHalving(eta, first).rungs == pytest.approx(tuple(rungs))


@pytest.mark.parametrize(
    ("what", "curves", "waiting", "going"),
    [
        ("fewer than min_trials: all go on", at_rung(a=1, b=2), [], ["a", "b"]),
        ("the best third", at_rung(a=1, b=2, c=3), ["b", "c"], ["a"]),
        ("of five still one", at_rung(a=1, b=2, c=3, d=4, e=5), ["b", "c", "d", "e"], ["a"]),
        ("of six two", at_rung(f=1, e=2, d=3, c=4, b=5, a=6), ["a", "b", "c", "d"], ["e", "f"]),
        ("equals by name", at_rung(b=1, a=1, c=1), ["b", "c"], ["a"]),
        ("nothing diverged goes on", [a_curve(name, [math.nan, -math.inf]) for name in "abc"], ["a", "b", "c"], []),
        ("not there yet", [*at_rung(a=1, b=2), a_curve("c", [9.0, 3], every=9)], [], ["a", "b"]),
        ("those that ended were there", [*at_rung(c=1.5), complete("a", [9, 1]), complete("b", [9, 2])], ["c"], []),
        (
            "of unknown length",
            [*at_rung(a=1, b=2, c=3), a_curve("d", [9.0, 0], length=None)],
            ["b", "c"],
            ["a"],
        ),
    ],
)
def test_who_goes_on_at_a_rung(what: str, curves: list[Curve], waiting: list[str], going: list[str]) -> None:
    found = judged(RULE, curves)
    assert [pause.trial for pause in found.pauses] == waiting, what
    assert [step.trial for step in found.passes] == going, what
    assert all((pause.rung, pause.step) == (0, 10) for pause in found.pauses)
    assert all(step.passed == 1 for step in found.passes)


def test_the_best_up_to_the_rung_counts_and_nothing_after_it() -> None:
    others = at_rung(b=2, c=3)
    assert [p.trial for p in judged(RULE, [a_curve("a", [1.0, 5.0]), *others]).pauses] == ["b", "c"]
    later = a_curve("a", [9.0, 4.0, 1.0])
    assert [p.trial for p in judged(RULE, [later, *others]).pauses] == ["a", "c"]


def test_rungs_are_fractions_of_each_schedule() -> None:
    long = a_curve("a", [9.0, 1.0], every=50, length=1000)
    assert [p.trial for p in judged(RULE, [long, *at_rung(b=2, c=3)]).passes] == ["b", "c"]
    there = a_curve("a", [9.0, 1.0], every=100, length=1000)
    assert [p.trial for p in judged(RULE, [there, *at_rung(b=2, c=3)]).passes] == ["a"]


def test_a_rung_within_the_warm_up_is_no_rung_for_that_trial() -> None:
    warming = a_curve("a", [9.0, 9.0], warmup=10)
    assert judged(RULE, [warming, *at_rung(b=2, c=3, d=4)]).pauses[0].compared == ("b", "c", "d")


def test_what_was_let_past_is_not_judged_there_again() -> None:
    past = a_curve("c", [9.0, 3.0, 3.0], passed=1)
    found = judged(RULE, [*at_rung(a=1, b=2), past])
    assert [pause.trial for pause in found.pauses] == ["b"]
    assert [step.trial for step in found.passes] == ["a"]


def test_a_trial_that_ran_past_two_rungs_unseen_waits_at_the_first_that_holds_it() -> None:
    far = a_curve("c", [9.0, 3.0, 3.0, 0.5])
    found = judged(RULE, [far, *at_rung(a=1, b=2)])
    assert [(p.trial, p.rung, p.step) for p in found.pauses] == [("b", 0, 10), ("c", 0, 10)]
    best = a_curve("c", [9.0, 0.5, 0.5, 0.5])
    assert [(p.trial, p.passed) for p in judged(RULE, [best, *at_rung(a=1, b=2)]).passes] == [("c", 2)]


def test_a_trial_at_its_end_is_not_paused_any_more() -> None:
    done = a_curve("c", [9.0, *[3.0] * 10])
    assert [pause.trial for pause in judged(RULE, [*at_rung(a=1, b=2), done]).pauses] == ["b"]


def test_a_paused_trial_rises_as_more_arrive() -> None:
    waiting = [paused("b", [9.0, 2]), paused("c", [9.0, 3])]
    done = complete("a", [9.0, *[1.0] * 10], passed=3)
    assert judged(RULE, [done, *waiting, *at_rung(d=4, e=5)]).resumes == ()
    (resume,) = judged(RULE, [done, *waiting, *at_rung(d=4, e=5, f=6)]).resumes
    assert (resume.trial, resume.passed) == ("b", 1)
    assert resume.message == "It goes on as number 2 of 6 trials at 10% of the schedule."


def test_the_highest_rung_is_promoted_first_and_the_best_of_it() -> None:
    low = [paused(name, [9.0, loss]) for name, loss in zip("abcdef", range(6), strict=True)]
    high = [paused(name, [9.0, 7, 7, loss], passed=1) for name, loss in zip("uvw", (6, 5, 7), strict=True)]
    found = judged(RULE, [*low, *high]).resumes
    assert [(r.trial, r.passed) for r in found] == [("v", 2), ("a", 1), ("b", 1), ("c", 1)]


def test_what_still_waits_at_the_end_is_stopped() -> None:
    curves = [replace(curve, progress=Progress.PAUSED) for curve in at_rung(a=1, b=2, c=3)]
    stops = unpromoted(RULE, curves)
    assert [(s.trial, s.rule, s.reason, s.step) for s in stops] == [
        ("b", "SuccessiveHalving", "NotPromoted", 10),
        ("c", "SuccessiveHalving", "NotPromoted", 10),
    ]
    assert stops[0].compared == ("a", "b", "c")
    assert stops[0].evidence == {"rung": 0, "fraction": 0.1, "value": 2, "rank": 2, "keep": 1}
    assert (
        stops[0].message
        == "To the end it was number 2 of 3 trials at 10% of the schedule, of which the best 1 went on."
    )
