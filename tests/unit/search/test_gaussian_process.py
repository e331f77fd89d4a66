"""The process passes near what it has seen, doubts what it has not, and finds which dimensions matter."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from tuning_operator.search import gaussian_process
from tuning_operator.search.gaussian_process import Array, conditioned, fitted

RNG = np.random.default_rng(0)
POINTS = RNG.random((40, 3))
VALUES = np.sin(6 * POINTS[:, 0]) + 0.3 * POINTS[:, 1]
VALUES = (VALUES - VALUES.mean()) / VALUES.std()


def test_it_predicts_points_that_it_has_not_seen() -> None:
    process = conditioned(fitted(POINTS[:30], VALUES[:30], (0, 1, 2)), POINTS[:30], VALUES[:30])
    mean, deviation = process.posterior(POINTS[30:])
    assert np.abs(mean - VALUES[30:]).max() < 0.3
    assert (deviation < 0.5).all()


def test_a_dimension_that_does_not_matter_is_long() -> None:
    lengths = fitted(POINTS, VALUES, (0, 1, 2)).lengths
    assert lengths[2] > 5 * lengths[0]


def test_belief_in_further_points_leaves_the_mean_and_takes_the_doubt() -> None:
    process = conditioned(fitted(POINTS, VALUES, (0, 1, 2)), POINTS, VALUES)
    far = np.array([[0.05, 0.95, 0.5], [0.95, 0.05, 0.1]])
    mean, deviation = process.believing(far).posterior(far)
    before, doubt = process.posterior(far)
    assert mean == pytest.approx(before, abs=1e-2)
    assert (deviation < doubt).all()


def test_points_seen_twice_are_no_error() -> None:
    twice = np.vstack([POINTS, POINTS])
    process = conditioned(fitted(twice, np.tile(VALUES, 2), (0, 1, 2)), twice, np.tile(VALUES, 2))
    assert np.isfinite(process.posterior(POINTS)[0]).all()


def test_the_slope_of_the_misfit_is_that_of_its_values() -> None:
    squares = gaussian_process._squares_by_dimension(POINTS, (0, 1, 2))

    def misfit(logs: Array) -> float:
        return gaussian_process._misfit(logs, squares, VALUES)[0]

    logs = np.array([-0.5, 0.3, 1.0, 0.2, -2.0])
    _, slope = gaussian_process._misfit(logs, squares, VALUES)
    assert slope == pytest.approx(approx_fprime(logs, misfit, 1e-6), rel=1e-3)
