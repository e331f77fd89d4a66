"""What a hyperparameter is, whatever it is called."""

from typing import Any

import pytest

from tuning_operator.api.hyperparameters import Category, Hyperparameter, Meaning
from tuning_operator.playbook.meaning import ALIASES, category_of, meaning_of


def _h(name: str, **fields: Any) -> Hyperparameter:
    body = {"name": name, "type": "Float", "role": "Nuisance", "low": 0.1, "high": 0.9} | fields
    return Hyperparameter.model_validate({k: v for k, v in body.items() if v is not None})


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("lr", Meaning.LEARNING_RATE),
        ("learningRate", Meaning.LEARNING_RATE),
        ("Learning_Rate", Meaning.LEARNING_RATE),
        ("LR", Meaning.LEARNING_RATE),
        ("wd", Meaning.WEIGHT_DECAY),
        ("one_minus_momentum", Meaning.ONE_MINUS_MOMENTUM),
        ("order_seed", Meaning.SEED),
        ("temperature", Meaning.OTHER),
    ],
)
def test_usual_names_are_known(name: str, meaning: Meaning) -> None:
    assert meaning_of(_h(name)) is meaning


def test_the_name_that_the_container_receives_counts() -> None:
    assert meaning_of(_h("adam_learning_rate", parameter="learning_rate")) is Meaning.LEARNING_RATE


def test_what_the_study_says_counts_first() -> None:
    hyperparameter = _h("lr", meaning="dropout", category="data")
    assert meaning_of(hyperparameter) is Meaning.DROPOUT
    assert category_of(hyperparameter) is Category.DATA


def test_no_name_has_two_meanings() -> None:
    names = [name for group in ALIASES.values() for name in group]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "category"),
    [("lr", Category.OPTIMIZER), ("dropout", Category.REGULARIZATION), ("temperature", Category.OTHER)],
)
def test_the_category_follows_from_the_meaning(name: str, category: Category) -> None:
    assert category_of(_h(name)) is category


def test_whether_to_use_a_regulariser_is_a_switch() -> None:
    switch = _h("dropout", type="Categorical", low=None, high=None, values=["true", "false"], valueType="Boolean")
    assert category_of(switch) is Category.REGULARIZATION_SWITCH
