"""What luck does to the best of a search is known exactly, and a lead is compared with what chance makes of it."""

import itertools

import numpy as np
import pytest

from tuning_operator.playbook.comparison.luck import best_of, lead, smallest_p_value


def test_the_expected_best_of_some_is_the_mean_over_all_ways_to_draw_them() -> None:
    losses = [0.3, 0.1, 0.7, 0.2, 0.9]
    bests = [min(drawn) for drawn in itertools.combinations(losses, 2)]
    expected, spread = best_of(losses, 2)
    assert expected == pytest.approx(np.mean(bests))
    assert spread == pytest.approx(np.std(bests))


def test_the_best_of_all_is_the_best() -> None:
    assert best_of([0.3, 0.1, 0.7], 3) == pytest.approx((0.1, 0.0))


@pytest.mark.parametrize("drawn", [0, 4])
def test_no_more_can_be_drawn_than_there_are(drawn: int) -> None:
    with pytest.raises(ValueError, match="cannot draw"):
        best_of([1.0, 2.0, 3.0], drawn)


def test_a_clear_lead_is_rare_by_chance_and_the_same_each_time() -> None:
    samples = [[1.0, 1.1, 1.2, 1.3, 1.4], [2.0, 2.1, 2.2, 2.3, 2.4]]
    found = lead(samples)
    assert (found.leader, found.rival) == (0, 1)
    assert found.p_value == pytest.approx(smallest_p_value([5, 5]), abs=0.004)
    assert lead(samples) == found


def test_equal_samples_have_no_lead() -> None:
    assert lead([[1.0] * 6, [1.0] * 6, [1.0] * 6]).p_value == 1.0


def test_neighbours_are_no_rivals_where_parts_of_a_range_are_compared() -> None:
    found = lead([[1.0, 1.0], [1.1, 1.1], [3.0, 3.0], [2.0, 2.0]], apart=2)
    assert (found.leader, found.rival) == (0, 3)


def test_nothing_is_compared_with_itself() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        lead([[1.0, 2.0]])


def test_samples_of_different_size_are_judged_by_equally_many_draws() -> None:
    found = lead([[1.0, 2.0, 3.0, 4.0], [float(i) for i in range(1, 41)]])
    assert found.drawn == 2
