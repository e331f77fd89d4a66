"""A pack's container hears of each of its trials what a container of that trial's own would hear."""

import dataclasses
import json

import pytest

from hack.paths import ROOT
from tuning_contract.environment import ContractError, TrialEnvironment
from tuning_contract.pack import MAY_DIFFER, ONE_TRIALS_OWN, PACK_VARIABLE, PackEnvironment, pack_hash, shape_of

FIRST = TrialEnvironment(
    study="digits",
    study_uid="6f1c",
    trial="digits-0",
    attempt=0,
    parameters={"learning_rate": 1e-4, "batch_size": 64, "optimizer": "adamw", "nesterov": True},
    seed=7,
    metric="validation_loss",
    at="Last",
    metrics=("validation_error",),
    metrics_port=9000,
    checkpoint_dir="/checkpoints/6f1c/digits-0",
)
SECOND = dataclasses.replace(
    FIRST,
    trial="digits-1",
    attempt=2,
    parameters={**FIRST.parameters, "learning_rate": 0.5},
    seed=8,
    purpose="Retrain",
    checkpoint_dir="/checkpoints/6f1c/digits-1",
)
SEEDS = {"initialization_seed", "order_seed", "dropout_seed"}
PACK = PackEnvironment((FIRST, SECOND))


def test_what_the_operator_writes_is_what_the_container_reads() -> None:
    assert PackEnvironment.from_env(PACK.to_env()) == PACK


def test_no_variable_speaks_for_one_trial_alone() -> None:
    env = PACK.to_env()
    assert not ONE_TRIALS_OWN & env.keys()
    assert not any(name.startswith("TUNING_PARAMETER_") for name in env)
    assert env["TUNING_OBJECTIVE_METRIC"] == "validation_loss"


def test_the_hash_is_of_what_the_container_was_told() -> None:
    assert pack_hash(PACK.text) == pack_hash(PACK.to_env()[PACK_VARIABLE])


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "at least one"),
        ("[3]", "entry 0"),
        ('[{"parameters":{},"attempt":0,"seed":1}]', "trial"),
        ('[{"trial":"a","parameters":[],"attempt":0,"seed":1}]', "parameters"),
        ('[{"trial":"a","parameters":{"x":NaN},"attempt":0,"seed":1}]', "finite"),
        ('[{"trial":"a","parameters":{},"attempt":true,"seed":1}]', "attempt"),
        ('[{"trial":"a","parameters":{},"attempt":0}]', "seed"),
        ('[{"trial":"a","parameters":{},"attempt":0,"seed":1,"checkpointDir":3}]', "checkpointDir"),
    ],
)
def test_a_malformed_pack_is_refused_in_words(entries: str, complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        PackEnvironment.from_env({**PACK.to_env(), PACK_VARIABLE: entries})


def test_a_container_of_one_trial_is_no_pack() -> None:
    with pytest.raises(ContractError, match="not set"):
        PackEnvironment.from_env(FIRST.to_env())


def test_trials_differ_in_numbers_and_not_in_what_a_step_does() -> None:
    assert shape_of(FIRST.parameters) == shape_of(SECOND.parameters)
    for name in ("optimizer", "batch_size", "max_steps", "width", "something_of_the_users_own"):
        assert name not in MAY_DIFFER


def test_the_pack_stands_in_one_variable() -> None:
    assert [entry["trial"] for entry in json.loads(PACK.text)] == ["digits-0", "digits-1"]


def test_the_documents_name_every_parameter_in_which_trials_may_differ() -> None:
    text = (ROOT / "docs" / "concepts.md").read_text()
    assert [name for name in sorted(MAY_DIFFER - SEEDS) if f"`{name}`" not in text] == []
