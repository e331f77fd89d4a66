"""Warping keeps the order of losses and takes their tail."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuning_operator.search.warping import warped


@given(st.lists(st.floats(-1e308, 1e308), min_size=1, max_size=40))
@example([0.0, 2e-241])
@example([0.0, 5e-324])
def test_warping_keeps_the_order_and_is_finite(losses: list[float]) -> None:
    values = warped(sorted(losses))
    assert (abs(values) < 1e3).all()
    assert (values[:-1] <= values[1:]).all()


def test_a_loss_near_divergence_does_not_flatten_the_others() -> None:
    usual, diverged = warped([1.0, 2.0, 3.0, 4.0, 5.0]), warped([1.0, 2.0, 3.0, 4.0, 1e30])
    assert diverged == pytest.approx(usual)


def test_the_better_half_keeps_its_distances() -> None:
    values = warped([0.0, 9.0, 10.0, 11.0, 12.0])
    assert values[2] - values[0] == pytest.approx(10 * (values[2] - values[1]))


@pytest.mark.parametrize("losses", [[3.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 5.0]])
def test_ties_are_no_error(losses: list[float]) -> None:
    values = warped(losses)
    assert np.isfinite(values).all()
    assert values.mean() == pytest.approx(0, abs=1e-12)
