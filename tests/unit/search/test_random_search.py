"""Random points: independent, and each a function of its own position."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import a_choice, a_range
from tests.support.views import a_spec
from tuning_operator.search.arms import arms_of
from tuning_operator.search.random_search import random_points

SPEC = a_spec(hyperparameters=[a_choice(), a_range("x"), a_range("y")])


@given(st.integers(0, 2**31 - 1), st.integers(0, 10_000), st.integers(1, 20))
def test_a_point_does_not_depend_on_which_were_drawn_with_it(seed: int, first: int, number: int) -> None:
    arm = arms_of(SPEC)[0]
    together = random_points(seed, arm, first, number)
    assert together == [random_points(seed, arm, first + i, 1)[0] for i in range(number)]


def test_points_of_all_arms_and_positions_differ_and_lie_in_the_unit_cube() -> None:
    drawn = [point for arm in arms_of(SPEC) for point in random_points(7, arm, 0, 100)]
    assert len({tuple(point.values()) for point in drawn}) == 200
    assert all(set(point) == {"x", "y"} and 0 <= min(point.values()) <= max(point.values()) < 1 for point in drawn)
