"""Ways to tell a user of a point: each names one of the trials, and is scored by the truth there."""

import math

import numpy as np

from benchmarks.search.problems.problem import Problem, absolute_noise, arm_of, real
from benchmarks.search.scoring import BUDGETS, Scale
from benchmarks.search.simulation import Ending
from benchmarks.search.telling import (
    RETRAINED,
    TIMES,
    WAYS,
    measured,
    predicted,
    predicted_among_the_best,
    retrained,
    scores,
    table,
    told,
    true,
)

BOWL = Problem(
    "bowl", "A", arm_of(real("x", 0, 1)), lambda a: (float(a["x"]) - 0.5) ** 2, absolute_noise(0.001), optimum=0.0
)
LUCKY = 0.02
"""Far from the bowl's middle, with a measurement that is better than all others."""


def tried(number: int = 40) -> list[Ending]:
    """Return trials along the bowl, one of which was lucky, and one infeasible."""
    points = [(i + 0.5) / number for i in range(number)]
    endings = [Ending(i, (x - 0.5) ** 2, (x - 0.5) ** 2, {"x": x}) for i, x in enumerate(points)]
    lucky = Ending(number, (LUCKY - 0.5) ** 2, -0.01, {"x": LUCKY})
    return [*endings, lucky, Ending(number + 1, None, None, {"x": 0.5})]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_best_measured_is_the_lucky_one() -> None:
    assert told(measured, BOWL, tried(), rng()) == (LUCKY - 0.5) ** 2


def test_the_model_sees_through_luck() -> None:
    assert told(predicted, BOWL, tried(), rng()) < 0.01
    assert told(predicted_among_the_best, BOWL, tried(), rng()) < 0.01


def test_training_again_sees_through_luck() -> None:
    assert told(retrained, BOWL, tried(), rng()) < 0.01


def test_the_truly_best_is_what_there_is_to_gain() -> None:
    endings = tried()
    assert told(true, BOWL, endings, rng()) == min(e.truth for e in endings if e.truth is not None)


def test_where_nothing_is_feasible_nothing_is_told() -> None:
    assert told(measured, BOWL, [Ending(0, None, None, {"x": 0.5})], rng()) == math.inf


def test_a_way_that_trains_again_has_so_many_trials_fewer() -> None:
    taken = {name: number for name, (_, number) in WAYS.items() if number}
    assert list(taken.values()) == [RETRAINED * TIMES]
    late = [Ending(i, 1.0, 1.0, {"x": 0.0}) for i in range(BUDGETS[0] - 1)] + [Ending(15, 0.0, 0.0, {"x": 0.5})]
    found = scores(BOWL, Scale(1.0, 0.0), late * 8, seed=0)
    assert found["the best measured", BUDGETS[0]] == 100
    assert found[next(iter(taken)), BUDGETS[0]] < 100


def test_the_table_compares_with_the_best_measured() -> None:
    means = {(name, budget): [50.0, 60.0 + (name != "the best measured")] for name in WAYS for budget in BUDGETS}
    first, second = table(means).splitlines()[2:4]
    assert first.startswith("| the best measured | 55.0 |")
    assert second.startswith("| the best predicted | 55.5 (+0.5 ± 0.4) |")
