"""Search with constraints finds the best point that is allowed, and learns where the border lies."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.builders import a_range
from tests.support.views import a_spec
from tuning_operator.search.arms import Arm, arms_of
from tuning_operator.search.bayesian import bayesian_point
from tuning_operator.search.constraints import Limits, scaled
from tuning_operator.search.observation import Observation
from tuning_operator.search.quasi_random import quasi_random_points
from tuning_operator.search.space import Assignment
from tuning_operator.search.suggest import limits_of, suggest_adaptively

SPEC = a_spec(
    hyperparameters=[a_range("x0"), a_range("x1")],
    objective={"constraints": [{"metric": "size", "min": 1.0}]},
    search={"algorithm": "Bayesian"},
)
(ARM,) = arms_of(SPEC)
BEST = 0.08
"""The lowest loss where x0 + x1 >= 1; without that it is 0, at (0.3, 0.3)."""


def loss(point: Assignment) -> float:
    return sum((float(value) - 0.3) ** 2 for value in point.values())


def size(point: Assignment) -> float:
    return sum(float(value) for value in point.values())


def observed(position: int, point: Assignment) -> Observation:
    return Observation(0, position, point, loss=loss(point), constrained=(size(point),))


def started(seed: int, number: int = 10, arm: Arm = ARM) -> list[Observation]:
    points = [arm.assignment_at(point) for point in quasi_random_points(seed, arm, 0, number)]
    return [observed(position, point) for position, point in enumerate(points)]


def found(seed: int, limits: Sequence[Limits], number: int = 22) -> float:
    """Return the lowest loss of an allowed point after a search."""
    known = started(seed)
    while len(known) < number:
        known.append(observed(len(known), bayesian_point(ARM, known, seed + len(known), limits)))
    return min((o.loss or 0.0 for o in known if size(o.assignment) >= 1.0), default=math.inf)


def test_the_constrained_optimum_is_found_and_not_by_luck() -> None:
    seeds = range(5)
    with_constraint = [found(seed, [Limits(low=1.0)]) - BEST for seed in seeds]
    without = [found(seed, []) - BEST for seed in seeds]
    assert sum(gap < 0.005 for gap in with_constraint) >= 4
    assert sum(gap < 0.005 for gap in without) <= 1
    assert np.median(with_constraint) < 0.2 * np.median(without)


def test_while_nothing_is_allowed_it_looks_for_what_is() -> None:
    known = [o for o in started(3, 40) if size(o.assignment) < 0.8][:12]
    for _ in range(4):
        known.append(observed(len(known), bayesian_point(ARM, known, len(known), [Limits(low=1.0)])))
    assert any(size(o.assignment) >= 1.0 for o in known[12:])


def test_running_trials_count_as_they_are_expected_to_keep_to_the_constraint() -> None:
    known = started(1, 16)
    running: list[Observation] = []
    for seed in range(4):
        point = bayesian_point(ARM, known + running, seed, [Limits(low=1.0)])
        running.append(Observation(0, 16 + seed, point))
    assert len({tuple(o.assignment.values()) for o in running}) == 4
    assert sum(size(o.assignment) > 0.9 for o in running) >= 3


@pytest.mark.parametrize("value", [0.0, 5.0, math.inf, math.nan])
def test_a_constraint_that_is_the_same_everywhere_is_no_error(value: float) -> None:
    same = [Observation(0, o.position, o.assignment, o.loss, constrained=(value,)) for o in started(2)]
    assert bayesian_point(ARM, same, 0, [Limits(high=1.0)])


def test_trials_that_never_measured_the_metric_teach_the_objective_alone() -> None:
    unknown = [Observation(0, o.position, o.assignment, o.loss, constrained=(None,)) for o in started(2)]
    assert bayesian_point(ARM, unknown, 0, [Limits(low=1.0)]) == bayesian_point(ARM, unknown, 0)
    assert bayesian_point(ARM, unknown[:5] + started(4), 0, [Limits(low=1.0)])


def test_without_constraints_the_search_is_what_it_was() -> None:
    plain = [Observation(0, o.position, o.assignment, o.loss) for o in started(2)]
    assert bayesian_point(ARM, plain, 0, []) == bayesian_point(ARM, plain, 0)


def test_a_study_s_constraints_reach_the_model() -> None:
    assert limits_of(SPEC) == [Limits(1.0, math.inf)]
    assert limits_of(a_spec()) == []
    with_them = suggest_adaptively(SPEC, ARM, 16, started(0, 16))
    without = a_spec(hyperparameters=[a_range("x0"), a_range("x1")], search={"algorithm": "Bayesian"})
    assert with_them.assignment != suggest_adaptively(without, ARM, 16, started(0, 16)).assignment


VALUES = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(-1e300, 1e300)


@example([0.0] * 5, 0.0, 1.0, "high")
@given(st.lists(VALUES, min_size=1, max_size=20), FINITE, FINITE, st.sampled_from(["low", "high", "both"]))
def test_scaling_keeps_order_and_which_values_are_allowed(values: list[float], a: float, b: float, kind: str) -> None:
    low, high = min(a, b), max(a, b)
    limits = Limits(low if kind != "high" else -math.inf, high if kind != "low" else math.inf)
    found = scaled(values, limits)
    if found is None:
        return
    assert np.isfinite(found.values).all()
    assert found.values.mean() == pytest.approx(0, abs=1e-5)
    assert found.values.std() == pytest.approx(1, abs=1e-5)
    for value, place in zip(values, found.values, strict=True):
        if not math.isnan(value) and limits.hold(value):
            assert found.low - 1e-5 <= place <= found.high + 1e-5


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20), st.floats(-100, 100))
def test_scaling_keeps_the_order(values: list[float], limit: float) -> None:
    found = scaled(values, Limits(high=limit))
    if found is not None:
        order = np.argsort(values, kind="stable")
        assert (np.diff(found.values[order]) >= -1e-12).all()
