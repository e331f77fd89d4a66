"""A trial's best is compared with the middle of the others' running averages, at its own fraction of the schedule."""

import math

import pytest

from tests.unit.search.stopping.curves import a_curve, complete, paused
from tuning_contract.curve import Point
from tuning_operator.search.stopping.curve import Curve, Progress
from tuning_operator.search.stopping.median import Median, stops

RULE = Median(min_trials=3, grace_fraction=0.25)


def flat(trial: str, loss: float) -> Curve:
    return complete(trial, [loss] * 11)


OTHERS = [flat("p", 1.0), flat("q", 2.0), flat("r", 3.0)]


def stopped(*curves: Curve, rule: Median = RULE) -> dict[str, int]:
    return {stop.trial: stop.step for stop in stops(rule, curves)}


@pytest.mark.parametrize(
    ("what", "values", "expected"),
    [
        ("worse than the median", [9, 9, 9, 2.1], {"x": 30}),
        ("equal to it: not strictly worse", [9, 9, 9, 2.0], {}),
        ("better than it", [9, 9, 9, 1.9], {}),
        ("its best counts, not its newest", [9, 1.9, 9, 9], {}),
        ("within the grace", [9, 9, 9], {}),
        ("at its newest evaluation, however long it was bad", [9, 9, 9, 9, 9, 9, 9], {"x": 60}),
        ("bad once, and good by now", [9, 9, 9, 9, 9, 1.9], {}),
        ("at the end there is nothing left to save", [9] * 11, {}),
        ("not evaluated", [], {}),
    ],
)
def test_a_trial_is_stopped_at_its_newest_evaluation(what: str, values: list[float], expected: dict[str, int]) -> None:
    assert stopped(a_curve("x", values), *OTHERS) == expected, what


def test_the_others_count_by_their_running_averages() -> None:
    falling = [complete(name, [5, 4, 3, 2, *[1] * 7]) for name in "pqr"]
    # At 30 % their average is 3.5 although each has come to 2.
    assert stopped(a_curve("x", [9, 9, 9, 3.4]), *falling) == {}
    assert stopped(a_curve("x", [9, 9, 9, 3.6]), *falling) == {"x": 30}


@pytest.mark.parametrize(
    ("what", "others", "is_stopped"),
    [
        ("enough are complete", OTHERS, True),
        ("too few are complete", OTHERS[:2], False),
        ("running ones do not make up for it", [*OTHERS[:2], a_curve("s", [1] * 9)], False),
        ("nor do stopped ones", [*OTHERS[:2], a_curve("s", [1] * 9, progress=Progress.STOPPED)], False),
        ("nor does a complete one of unknown length", [*OTHERS[:2], complete("r", [1] * 11, length=None)], False),
        ("but all who came as far count in the median", [*OTHERS, *[paused(n, [9.5] * 4) for n in "stuv"]], False),
        ("and nobody else", [*OTHERS, *[paused(n, [9.5] * 3) for n in "stuv"]], True),
        ("what diverged was worse", [*OTHERS, *[complete(n, [math.nan] * 11) for n in "stuv"]], False),
    ],
)
def test_who_counts_among_the_others(what: str, others: list[Curve], is_stopped: bool) -> None:
    assert ("x" in stopped(a_curve("x", [9, 9, 9, 9]), *others)) == is_stopped, what


def test_trials_are_compared_at_equal_fractions_of_the_schedule() -> None:
    # Ten times the steps: its step 300 is the others' step 30, and nobody has 9 there any more.
    long = a_curve("x", [9, 9, 9, 2.1], every=100, length=1000)
    assert stopped(long, *OTHERS) == {"x": 300}
    early = [complete(name, [9, 9, 9, 9, *[0.1] * 7]) for name in "pqr"]
    assert stopped(a_curve("x", [9, 9, 9, 8], every=100, length=1000), *early) == {}


def test_a_complete_trial_was_everywhere_although_its_last_evaluation_came_before_the_end() -> None:
    sparse = [Curve(n, (Point(0, 1.0), Point(90, 1.0)), 100, progress=Progress.COMPLETE) for n in "pqr"]
    assert stopped(a_curve("x", [9] * 20, every=5), *sparse) == {"x": 95}


def test_nothing_is_stopped_within_the_warm_up() -> None:
    assert stopped(a_curve("x", [9] * 4, warmup=30), *OTHERS) == {}
    assert stopped(a_curve("x", [9] * 5, warmup=30), *OTHERS) == {"x": 40}


def test_a_trial_of_unknown_length_is_compared_with_nobody() -> None:
    assert stopped(a_curve("x", [9] * 8, length=None), *OTHERS) == {}


def test_a_stop_names_its_evidence() -> None:
    curves = [complete(n, [-v] * 11, maximised=True) for n, v in zip("pqr", (0.9, 0.8, 0.7), strict=True)]
    (stop,) = stops(RULE, [*curves, a_curve("x", [-0.1, -0.2, -0.3, -0.4], maximised=True)])
    assert (stop.rule, stop.reason, stop.step) == ("Median", "WorseThanMedian", 30)
    assert stop.compared == ("p", "q", "r")
    assert stop.evidence == pytest.approx({"fraction": 0.3, "best": 0.4, "median": 0.8})
    assert stop.message == (
        "At 30% of its schedule (step 30) its best objective is 0.4, and the median of the running averages of "
        "3 other trials there is 0.8."
    )
