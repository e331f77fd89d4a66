"""What has diverged is stopped once and for certain; what recovers, warms up or falls is kept."""

import math

import pytest

from tests.unit.search.stopping.curves import a_curve, complete, paused
from tuning_operator.search.stopping.diverged import stop_of, stops

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([2.3, 1.9, 1.5], None),
        ([2.3, 1.9, NAN], 20),
        ([2.3, 1.9, INF], 20),
        ([2.3, 1.9, -INF], 20),
        ([2.3, NAN, NAN, NAN], 10),  # seen late, dated to the first
        ([2.3, NAN, 1.9], None),  # it recovered
        ([NAN, NAN], 10),
        ([NAN], None),  # step 0 is not past the warm-up
        ([], None),
    ],
)
def test_a_value_that_is_not_finite(values: list[float], step: int | None) -> None:
    stop = stop_of(a_curve("a", values))
    assert (stop.step if stop else None) == step
    assert stop is None or (stop.rule, stop.reason) == ("DivergedOnly", "NotFinite")


@pytest.mark.parametrize(
    ("what", "values", "step"),
    [
        ("worse for 10 % of the run", [2.3, 5, 5], None),
        ("worse for 20 % and flat", [2.3, 5, 5, 5], 30),
        ("worse for 20 % and rising", [2.3, 5, 6, 7], 30),
        ("worse for 20 % but falling", [2.3, 9, 8, 7], None),
        ("fell, and then no more", [2.3, 9, 8, 7, 7, 7], 50),
        ("late in the run", [2.3, 1, 1, 1, 5, 5, 5], 60),
        ("a spike that recovers", [2.3, 1, 50, 1, 1, 1], None),
        ("a long spike that recovers", [2.3, 50, 50, 50, 50, 2], None),
        ("hopeless at once, and still worse though falling by now", [2.3, 5, 5, 5, 4, 3], 30),
        ("never worse than it began", [2.3] * 11, None),
        ("a spike while it is bad hides no trend", [2.3, 5, 5, 90], 30),
        ("infinite, and back to what is bad", [2.3, 5, INF, 5], 30),
        ("hopeless before it was not finite", [2.3, 5, 5, 5, NAN, NAN], 30),
        ("the first evaluation failed: the second is the measure", [NAN, 2.3, 5, 5, 5], 40),
    ],
)
def test_beyond_recovery(what: str, values: list[float], step: int | None) -> None:
    stop = stop_of(a_curve("a", values))
    assert (stop.step if stop else None) == step, what
    assert stop is None or stop.reason == "BeyondRecovery"


@pytest.mark.parametrize(
    ("warmup", "values", "step"),
    [
        (30, [2.3, 5, 5, 5], None),
        (30, [2.3, 5, 5, 5, 5], None),  # the bad stretch counts from the end of the warm-up
        (30, [2.3, 5, 5, 5, 5, 5, 5], 60),
        (30, [2.3, NAN, NAN, NAN], None),
        (30, [2.3, NAN, NAN, NAN, NAN], 40),
    ],
)
def test_nothing_is_stopped_within_the_warm_up(warmup: int, values: list[float], step: int | None) -> None:
    stop = stop_of(a_curve("a", values, warmup=warmup))
    assert (stop.step if stop else None) == step


def test_where_the_best_counts_an_overfitted_trial_has_a_result() -> None:
    overfitted = [2.3, 1.2, 1.5, 3, 4, 5, 6]
    assert stop_of(a_curve("a", overfitted)) is not None
    assert stop_of(a_curve("a", overfitted, keeps_best=True)) is None
    assert stop_of(a_curve("a", [*overfitted, NAN], keeps_best=True)) is not None
    assert stop_of(a_curve("a", [2.3, 5, 5, 5], keeps_best=True)) is not None


def test_without_a_known_length_only_what_is_not_finite_counts() -> None:
    assert stop_of(a_curve("a", [2.3, *[99.0] * 50], length=None)) is None
    assert stop_of(a_curve("a", [2.3, NAN], length=None)) is not None


def test_two_evaluations_show_no_direction() -> None:
    assert stop_of(a_curve("a", [2.3, 5, 5], every=20)) is None
    assert stop_of(a_curve("a", [2.3, 5, 5, 5], every=20)) is None  # the last fifth holds two of them
    assert stop_of(a_curve("a", [2.3, 5, 5, 5], every=10)) is not None


def test_a_maximised_objective_is_shown_as_people_know_it() -> None:
    stop = stop_of(a_curve("a", [-0.1, -0.05, -0.05, -0.05], maximised=True))
    assert stop is not None
    assert stop.evidence == {"initial": 0.1, "since": 10, "value": 0.05}
    assert "From step 10 to step 30" in stop.message
    assert "(0.1)" in stop.message


def test_only_what_runs_is_stopped_and_in_the_order_of_names() -> None:
    bad = [2.3, NAN]
    curves = [a_curve("b", bad), complete("c", bad), paused("d", bad), a_curve("a", bad), a_curve("e", [2.3, 2])]
    assert [stop.trial for stop in stops(curves)] == ["a", "b"]
