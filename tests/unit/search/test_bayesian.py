"""Bayesian search finds good points from few results, never leaves the space, and never tries a point twice."""

from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.views import a_spec
from tuning_operator.search.arms import Arm, arms_of
from tuning_operator.search.bayesian import FEWEST_RESULTS, bayesian_point, is_ready
from tuning_operator.search.domain import number_of_points
from tuning_operator.search.observation import Observation
from tuning_operator.search.quasi_random import quasi_random_points
from tuning_operator.search.random_search import random_points
from tuning_operator.search.sequence import ExhaustedError
from tuning_operator.search.space import Assignment, exists, unit_of

Loss = Callable[[Assignment], float | None]
"""None: infeasible."""


def one_arm(*hyperparameters: dict[str, Any]) -> Arm:
    (arm,) = arms_of(a_spec(hyperparameters=list(hyperparameters)))
    return arm


def nuisance(name: str, *values: str, **fields: Any) -> dict[str, Any]:
    return a_choice(name, role="Nuisance", values=list(values), **fields)


def only(name: str, *values: str) -> dict[str, Any]:
    return {"when": {"name": name, "values": list(values)}}


def plane(dimensions: int = 2) -> Arm:
    return one_arm(*(a_range(f"x{i}") for i in range(dimensions)))


MIXED = one_arm(
    a_range("rate", low=1e-5, high=1.0, scale="Log"),
    a_range("beta", low=0.5, high=0.999, scale="ReverseLog"),
    a_range("layers", type="Integer", low=1, high=7),
    a_range("width", type="Integer", low=8, high=9_000, scale="Log"),
    nuisance("batch", "16", "32", "64", type="Ordinal", valueType="Integer"),
    nuisance("clip", "none", "norm", "value"),
    a_range("norm", low=0.1, high=10.0, scale="Log", **only("clip", "norm")),
    nuisance("per_layer", "true", "false", valueType="Boolean", **only("clip", "norm")),
    a_range("share", **only("per_layer", "true")),
    a_fixed("warmup"),
)


def tried(arm: Arm, loss: Loss, number: int, seed: int = 0) -> list[Observation]:
    """Quasi-random trials of which all have ended."""
    points = [arm.assignment_at(point) for point in quasi_random_points(seed, arm, 0, number)]
    points = [point for i, point in enumerate(points) if point not in points[:i]]
    return [ended(Observation(0, position, point), loss) for position, point in enumerate(points)]


def ended(observation: Observation, loss: Loss) -> Observation:
    value = loss(observation.assignment)
    return replace(observation, loss=value, infeasible=value is None)


def searched(arm: Arm, loss: Loss, first: int, number: int) -> list[Observation]:
    """Quasi-random trials and then Bayesian ones, one after another."""
    known = tried(arm, loss, first)
    while len(known) < number:
        point = bayesian_point(arm, known, seed=len(known))
        known.append(ended(Observation(0, len(known), point), loss))
    return known


def quadratic(assignment: Assignment) -> float:
    return sum((float(value) - 0.3) ** 2 for value in assignment.values())


def mixed_loss(assignment: Assignment) -> float:
    return float(assignment["rate"]) + float(assignment.get("norm", 3)) + float(assignment["layers"])


def test_the_same_observations_and_seed_give_the_same_point() -> None:
    known = tried(MIXED, mixed_loss, 20)
    assert bayesian_point(MIXED, known, 5) == bayesian_point(MIXED, list(known), 5)
    assert bayesian_point(MIXED, known, 5) != bayesian_point(MIXED, known, 6)


@given(st.integers(0, 2**31 - 1), st.integers(FEWEST_RESULTS, 24))
@settings(max_examples=15)
def test_a_point_has_what_exists_in_it_and_nothing_else_within_the_bounds(seed: int, number: int) -> None:
    point = bayesian_point(MIXED, tried(MIXED, mixed_loss, number, seed), seed)
    assert point.keys() == {h.name for h in MIXED.space if exists(h, point)}
    for hyperparameter in MIXED.dimensions:
        if hyperparameter.name in point:
            assert 0 <= unit_of(hyperparameter, point[hyperparameter.name]) <= 1


def test_it_beats_random_search_on_a_quadratic_by_far() -> None:
    def best_of_random(seed: int) -> float:
        return min(quadratic(plane(4).assignment_at(point)) for point in random_points(seed, plane(4), 0, 40))

    ours = min(o.loss for o in searched(plane(4), quadratic, 8, 40) if o.loss is not None)
    assert ours < 0.1 * median(best_of_random(seed) for seed in range(20))


def test_it_finds_the_branch_of_a_condition_that_is_better() -> None:
    arm = one_arm(
        nuisance("optimizer", "sgd", "adam"),
        a_range("sgd_rate", **only("optimizer", "sgd")),
        a_range("adam_rate", **only("optimizer", "adam")),
    )

    def loss(assignment: Assignment) -> float:
        if assignment["optimizer"] == "sgd":
            return 1 + (float(assignment["sgd_rate"]) - 0.5) ** 2
        return (float(assignment["adam_rate"]) - 0.8) ** 2

    chosen = [o.assignment for o in searched(arm, loss, 10, 25)[10:]]
    assert sum(point["optimizer"] == "adam" for point in chosen) > 10
    assert min(abs(float(point.get("adam_rate", 0)) - 0.8) for point in chosen) < 0.05


def test_an_infeasible_half_of_the_space_is_left_alone() -> None:
    def loss(assignment: Assignment) -> float | None:
        # The best point stands near the border.
        return None if float(assignment["x0"]) > 0.5 else abs(float(assignment["x0"]) - 0.45) + quadratic(assignment)

    known = searched(plane(), loss, 16, 40)
    assert sum(o.infeasible for o in known[16:]) <= 3
    best = min((o for o in known if o.loss is not None), key=lambda o: float(o.loss or 0))
    assert 0.4 < float(best.assignment["x0"]) < 0.5


def test_running_trials_are_not_suggested_again() -> None:
    noise = np.random.default_rng(0)
    known = tried(plane(), lambda point: quadratic(point) + 0.05 * noise.standard_normal(), 12)
    blind = [bayesian_point(plane(), known, seed) for seed in range(8)]
    running: list[Observation] = []
    for seed in range(8):
        running.append(Observation(0, 12 + seed, bayesian_point(plane(), known + running, seed)))
    assert spread([o.assignment for o in running]) > 2 * spread(blind)


def spread(points: list[Assignment]) -> float:
    """Mean distance from the middle of the points."""
    rows = np.array([list(point.values()) for point in points], dtype=float)
    return float(np.linalg.norm(rows - rows.mean(axis=0), axis=1).mean())


def test_a_small_space_is_tried_completely_and_without_repetition() -> None:
    arm = one_arm(
        a_range("layers", type="Integer", low=1, high=4),
        nuisance("clip", "off", "on"),
        nuisance("norm", "1", "2", "3", type="Ordinal", **only("clip", "on")),
    )
    known = searched(arm, lambda point: float(point["layers"]), 2 * FEWEST_RESULTS, 16)
    assert number_of_points(arm) == 16 == len({frozenset(o.assignment.items()) for o in known})
    with pytest.raises(ExhaustedError):
        bayesian_point(arm, known, 0)


def test_huge_losses_do_not_hide_the_small_ones() -> None:
    def loss(assignment: Assignment) -> float:
        return 1e30 if float(assignment["x0"]) > 0.7 else quadratic(assignment)

    assert min(o.loss for o in searched(plane(), loss, 10, 30) if o.loss is not None) < 1e-3


@pytest.mark.parametrize("loss", [0.0, 1e300, -1e300])
def test_equal_losses_are_no_error(loss: float) -> None:
    assert bayesian_point(plane(), tried(plane(), lambda _: loss, 10), 0)


def test_points_of_an_earlier_study_count_wherever_the_space_has_a_place_for_them() -> None:
    arm = one_arm(a_range("rate", low=0.1, high=1.0, scale="Log"), nuisance("clip", "on", "off"))
    wider = one_arm(a_range("rate", low=1e-3, high=10.0, scale="Log"), nuisance("clip", "on", "off"))
    known = tried(wider, lambda point: float(point["rate"]), 20)
    unknown: list[Assignment] = [{"rate": 0.5, "clip": "value"}, {"rate": -1.0, "clip": "on"}]
    strange = [Observation(0, 20 + i, point, loss=0.0) for i, point in enumerate(unknown)]
    assert 0.1 <= float(bayesian_point(arm, [*known, *strange], 0)["rate"]) <= 1.0


def test_a_thousand_observations_and_hundreds_of_running_trials_are_no_error() -> None:
    ended_trials = tried(MIXED, mixed_loss, 1_000)
    running = [replace(o, loss=None) for o in tried(MIXED, mixed_loss, 200, seed=1)]
    assert bayesian_point(MIXED, [*ended_trials, *running], 0)


@pytest.mark.parametrize("results", [0, FEWEST_RESULTS - 1])
def test_with_few_results_it_is_not_ready(results: int) -> None:
    infeasible = [Observation(0, 100 + i, {"x0": 0.5, "x1": i / 50}, infeasible=True) for i in range(50)]
    known = tried(plane(), quadratic, results) + infeasible
    assert not is_ready(plane(), known)
    with pytest.raises(ValueError, match="too few"):
        bayesian_point(plane(), known, 0)
