"""What a trial trains with: its point, and a seed of its own."""

from tests.support.builders import a_fixed, a_range
from tests.support.views import a_spec
from tuning_operator.search.arms import arms_of
from tuning_operator.search.suggest import suggest


def test_replicates_share_their_point_and_nothing_else() -> None:
    spec = a_spec(hyperparameters=[a_range("x"), a_fixed()], search={"replicates": 3, "seed": 7})
    (arm,) = arms_of(spec)
    drawn = [suggest(spec, arm, position) for position in range(6)]
    assert [s.assignment["x"] for s in drawn] == [drawn[0].assignment["x"]] * 3 + [drawn[3].assignment["x"]] * 3
    assert drawn[0].assignment != drawn[3].assignment
    assert len({s.seed for s in drawn}) == 6


def test_parameters_are_named_as_the_container_knows_them() -> None:
    spec = a_spec(hyperparameters=[a_range("adamw_rate", parameter="learning_rate"), a_fixed()])
    drawn = suggest(spec, arms_of(spec)[0], 0)
    assert set(drawn.parameters) == {"learning_rate", "max_steps"}
    assert drawn.parameters["learning_rate"] == drawn.assignment["adamw_rate"]
