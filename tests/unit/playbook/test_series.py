"""Noise is told from trend."""

import numpy as np
import pytest

from tuning_operator.playbook.series import as_series, deviation, late_deviation


@pytest.mark.parametrize("points", [10, 20, 50])
def test_the_bend_of_a_short_smooth_curve_is_hardly_any_noise(points: int) -> None:
    fraction = np.arange(1, points + 1) / points
    assert late_deviation(0.2 + 0.7 * np.exp(-fraction / 0.4)) < 0.005


@pytest.mark.parametrize("sigma", [0.001, 0.1])
def test_noise_around_a_trend_is_found_as_large_as_it_is(sigma: float) -> None:
    rng = np.random.default_rng(0)
    values = np.linspace(2, 1, 400) + sigma * rng.standard_normal(400)
    assert deviation(values) == pytest.approx(sigma, rel=0.15)


def test_a_single_jump_is_no_noise() -> None:
    assert deviation(as_series([1.0] * 10 + [5.0] * 10)) == 0


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_two_values_show_no_noise(values: list[float]) -> None:
    assert deviation(as_series(values)) == 0
