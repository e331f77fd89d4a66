"""An arm's points: the user's own first, none twice, and an end where there is one."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.views import a_spec
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.arms import arms_of
from tuning_operator.search.sequence import ExhaustedError, capacity, point_at, positions
from tuning_operator.search.space import Assignment

SEED = st.integers(0, 2**31 - 1)
DISCRETE = [
    a_choice("a", role="Nuisance", values=["x", "y", "z"]),
    a_range("n", type="Integer", low=1, high=4, when={"name": "a", "values": ["x"]}),
    a_choice("b", role="Nuisance", values=["0", "1"]),
]


def spec(*space: dict[str, Any], **search: Any) -> TuningStudySpec:
    return a_spec(hyperparameters=list(space), search=search)


def points(study: TuningStudySpec, number: int) -> list[Assignment]:
    (arm,) = arms_of(study)
    return [point_at(study, arm, i) for i in range(number)]


@pytest.mark.parametrize("algorithm", ["QuasiRandom", "Random", "Grid"])
@given(seed=SEED)
@settings(max_examples=20)
def test_a_discrete_space_is_tried_to_its_last_point_without_a_repetition(algorithm: str, seed: int) -> None:
    study = spec(*DISCRETE, algorithm=algorithm, seed=seed)
    (arm,) = arms_of(study)
    assert capacity(study, arm) == 12
    assert len({frozenset(point.items()) for point in points(study, 12)}) == 12
    with pytest.raises(ExhaustedError):
        point_at(study, arm, 12)


def test_a_discrete_branch_beside_an_endless_one_is_not_repeated_either() -> None:
    study = spec(a_choice("a", role="Nuisance"), a_range("x", when={"name": "a", "values": ["adamw"]}))
    (arm,) = arms_of(study)
    assert capacity(study, arm) is None
    assert sum(point["a"] == "nesterov" for point in points(study, 40)) == 1


@pytest.mark.parametrize("algorithm", ["QuasiRandom", "Random", "Grid", "List"])
def test_own_points_come_first_and_are_not_tried_again(algorithm: str) -> None:
    own = [{"a": "y", "b": "1"}, {"a": "x", "n": "3", "b": "0"}]
    study = spec(*DISCRETE, algorithm=algorithm, points=own)
    (arm,) = arms_of(study)
    number = capacity(study, arm)
    assert number == (2 if algorithm == "List" else 12)
    found = points(study, number)
    assert found[:2] == [{"a": "y", "b": "1"}, {"a": "x", "n": 3, "b": "0"}]
    assert len({frozenset(point.items()) for point in found}) == number


def test_own_points_beside_a_grid_add_to_it() -> None:
    study = spec(a_range("x"), algorithm="Grid", pointsPerRange=3, points=[{"x": "0.5"}, {"x": "0.4"}])
    (arm,) = arms_of(study)
    assert capacity(study, arm) == 4
    assert {point["x"] for point in points(study, 4)} == {0.0, 0.4, 0.5, 1.0}


def test_own_points_push_the_sequence_back_and_change_nothing_in_it() -> None:
    alone, after_one = spec(a_range("x")), spec(a_range("x"), points=[{"x": "0.25"}])
    assert points(after_one, 5)[1:] == points(alone, 4)


def test_each_point_has_as_many_positions_as_replicates() -> None:
    study = spec(*DISCRETE, replicates=3)
    (arm,) = arms_of(study)
    assert positions(study, arm) == 36
    assert positions(spec(a_range("x"), replicates=3), arms_of(spec(a_range("x")))[0]) is None


def test_a_study_without_anything_to_search_has_one_point() -> None:
    study = spec(a_fixed())
    assert points(study, 1) == [{"max_steps": 600}]
    assert capacity(study, arms_of(study)[0]) == 1


def test_a_large_space_of_integers_is_not_listed() -> None:
    study = spec(a_range("n", type="Integer", low=1, high=2**53, scale="Log"))
    assert len({point["n"] for point in points(study, 100)}) == 100
