"""How good the best of fewer trials would have been."""

import numpy as np
import pytest

from tuning_operator.playbook.space.luck import best_of, search_spread


def test_the_best_of_one_trial_is_any_of_them() -> None:
    losses = list(np.linspace(0, 1, 101))
    figure = best_of(losses)
    assert figure.median[0] == pytest.approx(0.5, abs=0.06)
    assert figure.lower_quartile[0] == pytest.approx(0.25, abs=0.06)
    assert figure.upper_quartile[0] == pytest.approx(0.75, abs=0.06)


def test_more_trials_are_better_and_vary_less() -> None:
    figure = best_of(list(np.random.default_rng(0).random(40)))
    assert figure.trials == tuple(range(1, 41))
    assert list(figure.median) == sorted(figure.median, reverse=True)
    spread = np.subtract(figure.upper_quartile, figure.lower_quartile)
    assert spread[-1] < spread[0] / 5
    assert all(a <= b <= c for a, b, c in zip(figure.lowest, figure.median, figure.highest, strict=True))


def test_the_quantiles_are_those_of_drawing_with_replacement() -> None:
    losses = list(np.random.default_rng(0).random(30))
    ordered, m = np.sort(losses), 8
    figure = best_of(losses, draws=20_000)
    # The best of m draws exceeds the k-th of n with probability (1 - k/n)^m.
    k = int(np.ceil(30 * (1 - 0.5 ** (1 / m))))
    assert figure.median[m - 1] == pytest.approx(ordered[k - 1])


def test_the_figure_is_the_same_each_time_and_another_for_another_seed() -> None:
    losses = list(np.random.default_rng(0).random(30))
    assert best_of(losses) == best_of(losses)
    assert best_of(losses, seed=1) != best_of(losses)


def test_a_large_study_has_a_figure_of_a_hundred_points() -> None:
    figure = best_of(list(np.random.default_rng(0).random(3000)), draws=50)
    assert len(figure.trials) == 100
    assert (figure.trials[0], figure.trials[-1]) == (1, 3000)


@pytest.mark.parametrize(("losses", "median"), [([], ()), ([0.3], (0.3,))])
def test_no_trial_and_one_trial_have_a_figure(losses: list[float], median: tuple[float, ...]) -> None:
    assert best_of(losses).median == median


def test_equal_results_leave_nothing_to_luck() -> None:
    assert search_spread([0.3] * 20) == 0


def test_the_spread_is_that_of_half_of_the_trials() -> None:
    assert search_spread([0.1, *[0.5] * 19]) == pytest.approx(0.4)
    assert search_spread([0.1] * 10 + [0.5] * 10) == 0
