"""The problems behave as the trainings that they stand for: they converge, they diverge, and where theory says so."""

from typing import Any

import numpy as np
import pytest

from benchmarks.search.problems.hartmann import hartmann_problems
from benchmarks.search.problems.quadratic import loss_after_training, quadratic_problems
from benchmarks.search.problems.training import Task, curves
from tuning_contract.environment import ParameterValue
from tuning_operator.search.random_search import random_points

STEEPEST = 2.0
CURVATURES = np.array([STEEPEST, 0.5])


def quadratic(rate: float, **settings: Any) -> float | None:
    return loss_after_training(CURVATURES, **{"examples": 100_000, "batch": 500, "rate": rate, **settings})


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_training_diverges_where_theory_says(momentum: float) -> None:
    limit = 2 * (1 + momentum) / STEEPEST
    assert quadratic(0.95 * limit, momentum=momentum) is not None
    assert quadratic(1.05 * limit, momentum=momentum) is None


def test_plain_descent_without_noise_contracts_as_known() -> None:
    steps = 5
    left = (1 - 0.1 * CURVATURES) ** (2 * steps)
    expected = 0.5 * float(CURVATURES @ left)
    assert quadratic(0.1, examples=5 * 10**9, batch=10**9) == pytest.approx(expected, rel=1e-6)


def test_decay_and_averaging_take_the_noise_out_of_the_end() -> None:
    noisy = quadratic(0.5, batch=50)
    assert noisy is not None
    for cure in ({"decay": 0.5}, {"average": 0.99}):
        cured = quadratic(0.5, batch=50, **cure)
        assert cured is not None
        assert cured < 0.5 * noisy


@pytest.mark.parametrize("make", [quadratic_problems, hartmann_problems])
def test_every_point_of_a_problem_has_a_truth_and_instances_differ(make: Any) -> None:
    for first, second in zip(make(1), make(2), strict=True):
        points = [first.arm.assignment_at(point) for point in random_points(0, first.arm, 0, 10)]
        truths = [first.truth(point) for point in points]
        assert any(truth is not None for truth in truths)
        assert truths != [second.truth(point) for point in points]


def test_a_network_learns_and_diverges_and_its_seed_decides_the_rest() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4))
    y = x[:, :1] - 2 * x[:, 1:2]
    task = Task(x[:150], y[:150], x[150:], y[150:], is_classification=False, steps=100)
    configurations: list[dict[str, ParameterValue]] = [
        {"optimizer": "sgd", "learning_rate": 0.02},
        {"optimizer": "adam", "learning_rate": 0.02},
        {"optimizer": "sgd", "learning_rate": 1e3},
    ]
    found = curves(task, configurations, seed=0)
    assert (found[:2, -1] < 0.2 * found[:2, 0]).all()
    assert not (found[2] < 1e4).all()
    np.testing.assert_array_equal(found, curves(task, configurations, seed=0))
    assert (found[:2] != curves(task, configurations, seed=1)[:2]).all()
