"""Whose value a container's parameter is."""

import pytest

from tests.support.studies import spec_of
from tuning_operator.playbook.assignment import resolve

OPTIMIZERS = spec_of(
    [
        {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adam", "sgd"]},
        *(
            {
                "name": f"{optimizer}_learning_rate",
                "parameter": "learning_rate",
                "type": "Float",
                "role": "Nuisance",
                "low": 1e-5,
                "high": 1.0,
                "scale": "Log",
                "when": {"name": "optimizer", "values": [optimizer]},
            }
            for optimizer in ("adam", "sgd")
        ),
        {"name": "steps", "parameter": "max_steps", "type": "Integer", "role": "Fixed", "value": "600"},
    ]
)


def test_a_shared_parameter_belongs_to_the_hyperparameter_whose_condition_holds() -> None:
    assert resolve(OPTIMIZERS, {"optimizer": "sgd", "learning_rate": 1}) == {
        "optimizer": "sgd",
        "sgd_learning_rate": 1.0,
        "steps": 600,
    }


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"parameters\.learning_rate is missing"):
        resolve(OPTIMIZERS, {"optimizer": "adam"})
