"""Statistics of curves that trends, jumps and gaps do not mislead."""

import math

import numpy as np
import pytest

from tuning_operator.playbook.series import (
    as_series,
    deviation,
    is_gone,
    late_deviation,
    late_median,
    late_part,
    running_median,
)

NAN, INF = math.nan, math.inf


def test_a_single_jump_does_not_show_in_the_running_median() -> None:
    assert running_median(as_series([5, 4, 90, 3, 2])).tolist() == [5, 5, 4, 3, 2]


def test_two_jumps_side_by_side_do_not_show_in_a_long_curve() -> None:
    values = np.arange(40.0)
    values[20:22] = 1000
    assert running_median(values).max() < 40


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 1.0]])
def test_a_curve_too_short_to_smooth_stays_as_it_is(values: list[float]) -> None:
    assert running_median(as_series(values)).tolist() == values


def test_what_was_not_measured_moves_no_median() -> None:
    smooth = running_median(as_series([5, NAN, 4, NAN, 3, NAN, NAN, NAN, 2]))
    assert smooth[:6].tolist() == [5, 4.5, 4, 3.5, 3, 3]
    assert math.isnan(smooth[6])


def test_a_trend_is_no_noise() -> None:
    assert deviation(np.linspace(10, 1, 50)) == pytest.approx(0)


def test_noise_is_measured_beneath_a_trend() -> None:
    values = np.linspace(10, 1, 2000) + np.random.default_rng(1).normal(0, 0.2, 2000)
    assert deviation(values) == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize("gap", [NAN, INF])
def test_noise_is_measured_between_gaps(gap: float) -> None:
    values = np.random.default_rng(1).normal(0, 0.2, 2000)
    holed = np.where(np.arange(2000) % 5 == 0, gap, values)
    assert deviation(holed) == pytest.approx(0.2, rel=0.1)
    assert late_deviation(holed) == pytest.approx(0.2, rel=0.2)


def test_two_points_have_no_noise() -> None:
    assert deviation(as_series([1, 2])) == 0


@pytest.mark.parametrize(("length", "late"), [(0, 0), (3, 3), (8, 8), (20, 8), (41, 9), (100, 20)])
def test_the_late_part_is_the_last_fifth_and_at_least_eight_points(length: int, late: int) -> None:
    assert len(late_part(np.arange(float(length)))) == late


def test_the_late_median_is_of_what_was_measured() -> None:
    assert late_median(as_series([9, 9, *[1, NAN] * 8])) == 1
    assert math.isnan(late_median(as_series([])))
    assert math.isnan(late_median(as_series([NAN, NAN])))


@pytest.mark.parametrize(
    ("values", "gone"),
    [
        ([], False),
        ([1, 2], False),
        ([1, NAN], True),
        ([1, INF], True),
        ([1, INF, NAN], True),
        ([1, INF, 1], False),
        ([NAN, NAN], True),
        ([NAN, 1, NAN, 1, NAN], False),
        ([NAN, 1, NAN, 1, NAN, NAN], True),
        ([1, 1, 1, NAN, 1], False),
    ],
)
def test_a_series_is_gone_where_more_is_missing_at_its_end_than_ever_before(values: list[float], gone: bool) -> None:
    assert is_gone(as_series(values)) is gone


def test_one_missing_value_at_the_end_can_be_forgiven_and_an_infinity_cannot() -> None:
    assert not is_gone(as_series([1, 1, NAN]), may_miss=1)
    assert is_gone(as_series([1, NAN, NAN, NAN]), may_miss=1)
    assert is_gone(as_series([1, 1, INF]), may_miss=1)


@pytest.mark.parametrize("points", [10, 20, 50])
def test_the_bend_of_a_short_smooth_curve_is_hardly_any_noise(points: int) -> None:
    fraction = np.arange(1, points + 1) / points
    assert late_deviation(0.2 + 0.7 * np.exp(-fraction / 0.4)) < 0.005


def test_a_single_jump_is_no_noise() -> None:
    assert deviation(as_series([1.0] * 10 + [5.0] * 10)) == 0
