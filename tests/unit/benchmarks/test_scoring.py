"""Scores have one scale for a problem, and a lead counts only where chance cannot explain it."""

import math

import numpy as np
import pytest

from benchmarks.search.scoring import Scale, bootstrap, holm, mean_ranks, p_value, told_best
from benchmarks.search.simulation import Ending


def scores(level: float, seed: int = 0, problems: int = 10, seeds: int = 5) -> dict[tuple[str, int], float]:
    rng = np.random.default_rng(seed)
    return {(f"p{i}", s): level + 0.1 * float(rng.standard_normal()) for i in range(problems) for s in range(seeds)}


@pytest.mark.parametrize(
    ("loss", "score"), [(10.0, 0.0), (2.0, 1.0), (6.0, 0.5), (14.0, -0.5), (100.0, -1.0), (math.inf, -1.0)]
)
def test_the_scale_goes_from_random_to_the_best_known(loss: float, score: float) -> None:
    assert Scale(random=10.0, best=2.0).score(loss) == score


def test_the_user_is_told_the_best_measured_and_gets_its_truth() -> None:
    endings = [Ending(0, 1.0, 1.5), Ending(1, 2.0, 0.5), Ending(2, None, None)]
    assert told_best(endings) == 2.0
    assert told_best(endings[2:]) == math.inf


def test_a_clear_lead_is_ahead_and_none_is_level() -> None:
    rng = np.random.default_rng(0)
    assert p_value(bootstrap(scores(0.6), scores(0.4, seed=1), rng)) < 0.01
    assert p_value(bootstrap(scores(0.5), scores(0.5, seed=1), rng)) > 0.05


def test_a_lead_on_one_problem_alone_is_level() -> None:
    ours, theirs = scores(0.5), scores(0.5)
    lucky = {cell: score + (0.5 if cell[0] == "p0" else 0) for cell, score in ours.items()}
    assert p_value(bootstrap(lucky, theirs, np.random.default_rng(0))) > 0.05


def test_only_cells_of_both_are_compared() -> None:
    short = {cell: score for cell, score in scores(0.5).items() if cell[1] == 0}
    assert bootstrap(scores(0.5), short, np.random.default_rng(0)) == pytest.approx(0)


def test_holm_grows_with_the_number_of_comparisons_and_keeps_the_order() -> None:
    assert holm({"a": 0.01, "b": 0.02, "c": 0.9}) == pytest.approx({"a": 0.03, "b": 0.04, "c": 0.9})
    assert holm({"a": 0.03, "b": 0.031}) == pytest.approx({"a": 0.06, "b": 0.06})


def test_ranks_share_ties() -> None:
    losses = {"a": {("p", 0): 1.0}, "b": {("p", 0): 1.0}, "c": {("p", 0): 3.0, ("q", 0): 0.0}}
    assert mean_ranks(losses) == {"a": 1.5, "b": 1.5, "c": 3.0}
