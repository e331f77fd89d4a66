"""A trial is a function of the seed, its arm and its position; the points fill the space evenly."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.views import a_spec
from tuning_contract.environment import parameter_text
from tuning_operator.api.hyperparameters import Role
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.arms import arms_of
from tuning_operator.search.quasi_random import quasi_random_points
from tuning_operator.search.seeds import derived_seed
from tuning_operator.search.space import typed
from tuning_operator.search.suggest import suggest

CLIPS = ["0", "0.1", "1.0"]
SEED = st.integers(0, 2**31 - 1)


def plane(seed: int = 7, arms: int = 1, dimensions: int = 2) -> TuningStudySpec:
    choices = [a_choice(values=[f"v{i}" for i in range(arms)])] if arms > 1 else []
    ranges = [a_range(f"x{i}") for i in range(dimensions)]
    return a_spec(hyperparameters=[*choices, *ranges], search={"seed": seed})


def points(spec: TuningStudySpec, number: int, arm: int = 0) -> np.ndarray[Any, Any]:
    chosen = arms_of(spec)[arm]
    return np.array([list(p.values()) for p in quasi_random_points(spec.search.seed, chosen, 0, number)])


@given(SEED, st.integers(0, 200), st.integers(1, 8))
@settings(max_examples=25)
def test_a_position_is_that_of_the_sequence_whatever_was_drawn_before(
    seed: int, position: int, dimensions: int
) -> None:
    spec = plane(seed, dimensions=dimensions)
    (arm,) = arms_of(spec)
    rng = np.random.default_rng(derived_seed(seed, arm.key, 0, "search"))
    whole = qmc.Halton(d=dimensions, scramble=True, rng=rng).random(position + 1)
    assert [list(p.values()) for p in quasi_random_points(seed, arm, position, 1)] == [list(whole[position])]


@pytest.mark.parametrize(
    ("position", "point", "training_seed"),
    [
        (0, [0.7870913072343028, 0.13203474712612467], 536777774),
        (1, [0.28709130723430276, 0.7987014137927911], 477035561),
        (9_999, [0.22501855332805276, 0.18314484213196727], 1790151446),
    ],
)
def test_the_same_seed_gives_the_same_trials_in_every_release(
    position: int, point: list[float], training_seed: int
) -> None:
    # Where a new version of a library changes these, studies that run across the upgrade would change too.
    spec = plane(seed=7)
    (arm,) = arms_of(spec)
    (drawn,) = quasi_random_points(7, arm, position, 1)
    assert list(drawn.values()) == pytest.approx(point, abs=1e-12)
    assert suggest(spec, arm, position).seed == training_seed


def test_arms_and_seeds_have_points_and_training_seeds_of_their_own() -> None:
    drawn = [
        suggest(spec, arm, position)
        for spec in (plane(seed=1, arms=3), plane(seed=2, arms=3))
        for arm in arms_of(spec)
        for position in range(20)
    ]
    assert len({(s.parameters["x0"], s.parameters["x1"]) for s in drawn}) == len(drawn)
    assert len({s.seed for s in drawn}) == len(drawn)


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_points_are_more_even_than_random_ones(dimensions: int) -> None:
    random = np.random.default_rng(0)
    for number in (8, 32, 128):
        usual = np.median([qmc.discrepancy(random.random((number, dimensions))) for _ in range(15)])
        assert qmc.discrepancy(points(plane(dimensions=dimensions), number)) < usual


def test_no_two_points_are_the_same() -> None:
    assert len({tuple(p) for p in points(plane(), 200)}) == 200


@given(SEED, st.integers(0, 10_000))
@settings(max_examples=50)
def test_conditional_hyperparameters_exist_exactly_where_they_should(seed: int, position: int) -> None:
    def only(name: str, *values: str) -> dict[str, Any]:
        return {"when": {"name": name, "values": list(values)}}

    spec = a_spec(
        hyperparameters=[
            a_range("norm", low=0.1, high=10.0, scale="Log", **only("clip", "1e-1", "1")),
            a_choice(
                "clip", role="Nuisance", values=["0", "0.1", "1.0"], valueType="Float", **only("optimizer", "adamw")
            ),
            a_choice("optimizer"),
            a_range("momentum", **only("optimizer", "nesterov")),
            a_fixed("warmup", type="Categorical", value="true", valueType="Boolean"),
            a_fixed("warmup_steps", value="100", **only("warmup", "true")),
            a_fixed("never", **only("warmup", "false")),
        ],
        search={"seed": seed},
    )
    for arm in arms_of(spec):
        drawn = suggest(spec, arm, position)
        adamw = arm.scientific["optimizer"] == "adamw"
        expected = {"optimizer", "warmup", "warmup_steps"} | ({"clip"} if adamw else {"momentum"})
        # `1` is the value 1.0, however the condition writes it.
        if adamw and drawn.assignment["clip"] != 0:
            expected.add("norm")
        assert set(drawn.assignment) == set(drawn.parameters) == expected
        assert drawn.parameters["warmup_steps"] == 100
        for parameter in spec.hyperparameters:
            if parameter.name in drawn.assignment and parameter.role is not Role.FIXED and parameter.values:
                value = drawn.assignment[parameter.name]
                assert value in [typed(t, parameter.effective_value_type) for t in parameter.values]
                assert typed(parameter_text(value), parameter.effective_value_type) == value


@given(SEED)
@settings(max_examples=20)
def test_training_seeds_fit_their_field(seed: int) -> None:
    spec = plane(seed)
    assert 0 <= suggest(spec, arms_of(spec)[0], 3).seed < 2**31
