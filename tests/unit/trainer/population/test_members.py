"""The members' file is read strictly, and a mistake in it is told with the trial. No PyTorch."""

import json

import pytest

from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.population.members import members_from

GOOD = {"trial": "a", "parameters": {"learning_rate": 0.1}, "seed": 3, "attempt": 2}


def test_a_member_is_read() -> None:
    (one,) = members_from(json.dumps([GOOD]))
    assert (one.trial, one.attempt, one.seed, one.given) == ("a", 2, 3, {"learning_rate": 0.1})
    assert one.parameters.learning_rate == 0.1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "not JSON"),
        ([], "at least one"),
        ({}, "must be a JSON list"),
        ([{"trial": "a"}], "member 0 must be"),
        ([GOOD | {"lr": 1}], "member 0 must be"),
        ([GOOD, GOOD], "twice among the members: a"),
        ([GOOD | {"trial": "../a"}], "must be a name"),
        ([GOOD | {"seed": -1}], "a: seed must be a whole number"),
        ([GOOD | {"attempt": 1.5}], "a: attempt must be a whole number"),
        ([GOOD | {"parameters": {"lr": 1}}], "a: unknown parameter 'lr'"),
        ([GOOD | {"parameters": {"depth": [1]}}], "a: parameters must be a JSON object"),
        ([GOOD | {"parameters": {"depth": -1}}], "a: depth is -1"),
    ],
)
def test_what_is_no_list_of_members(data: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        members_from(data if isinstance(data, str) else json.dumps(data))
