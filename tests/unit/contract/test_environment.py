"""What the operator writes into a container's environment, the container reads back; nothing else gets through."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_contract.environment import (
    ContractError,
    ParameterValue,
    TrialEnvironment,
    parameter_text,
    parameter_variable,
    parameters_hash,
    parameters_json,
)

VALUES = st.one_of(
    st.text(max_size=50),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
TRIAL = TrialEnvironment(
    study="digits",
    study_uid="5f6b0a51-0a4e-4b86-9c4e-2f8f2a4c9d11",
    trial="digits-0007",
    attempt=1,
    parameters={"learning_rate": 0.001, "optimizer": "adamw", "batch_size": 64, "augment": True},
    seed=17,
    metric="validation_loss",
    checkpoint_dir="/checkpoints/5f6b0a51/digits-0007",
)


def test_there_and_back() -> None:
    assert TrialEnvironment.from_env(TRIAL.to_env()) == TRIAL


def test_the_metrics_that_a_study_needs_stand_in_one_variable_and_only_where_there_are_some() -> None:
    trial = replace(TRIAL, metrics=("latency", "size"))
    assert trial.to_env()["TUNING_METRICS"] == "latency,size"
    assert TrialEnvironment.from_env(trial.to_env()) == trial
    assert "TUNING_METRICS" not in TRIAL.to_env()


def test_a_container_hears_why_it_runs_where_it_is_no_point_of_the_search() -> None:
    trial = replace(TRIAL, purpose="BatchSizeProbe")
    assert trial.to_env()["TUNING_PURPOSE"] == "BatchSizeProbe"
    assert TrialEnvironment.from_env(trial.to_env()) == trial
    assert "TUNING_PURPOSE" not in TRIAL.to_env()


@given(parameters=st.dictionaries(st.text(max_size=30), VALUES, max_size=8), seed=st.integers(0, 2**31 - 1))
def test_any_parameters_come_back_as_the_same_values_of_the_same_types(
    parameters: dict[str, ParameterValue], seed: int
) -> None:
    trial = TrialEnvironment("s", "u", "t", 0, parameters, seed, "loss", direction="Maximize", at="LateMedian")
    back = TrialEnvironment.from_env(trial.to_env())
    assert back == trial
    assert {name: type(value) for name, value in back.parameters.items()} == {
        name: type(value) for name, value in parameters.items()
    }
    assert parameters_hash(back.parameters_json) == parameters_hash(trial.parameters_json)


def test_each_parameter_has_a_variable_of_its_own_for_arguments() -> None:
    env = TRIAL.to_env()
    names = ("LEARNING_RATE", "OPTIMIZER", "BATCH_SIZE", "AUGMENT")
    assert [env[f"TUNING_PARAMETER_{name}"] for name in names] == ["0.001", "adamw", "64", "true"]


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("learning_rate", "TUNING_PARAMETER_LEARNING_RATE"),
        ("beta2", "TUNING_PARAMETER_BETA2"),
        ("model.depth", "TUNING_PARAMETER_MODEL_DEPTH"),
        ("größe", "TUNING_PARAMETER_GR_SSE"),
    ],
)
def test_variable_names(name: str, variable: str) -> None:
    assert parameter_variable(name) == variable


@pytest.mark.parametrize(
    ("value", "text"), [("adamw", "adamw"), (True, "true"), (64, "64"), (1e-5, "1e-05"), (0.1, "0.1"), ("", "")]
)
def test_parameter_texts(value: str | int | float | bool, text: str) -> None:
    assert parameter_text(value) == text


def test_the_json_does_not_depend_on_the_order_of_the_parameters() -> None:
    assert parameters_json({"b": 1, "a": 0.5}) == parameters_json({"a": 0.5, "b": 1}) == '{"a":0.5,"b":1}'


def test_the_json_holds_only_numbers_that_json_has() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        parameters_json({"learning_rate": float("nan")})


@pytest.mark.parametrize("name", sorted(set(TRIAL.to_env()) - {"TUNING_CHECKPOINT_DIR"}))
def test_every_variable_but_the_checkpoints_is_needed_and_named_where_it_lacks(name: str) -> None:
    env = TRIAL.to_env()
    del env[name]
    if name.startswith("TUNING_PARAMETER_"):
        assert TrialEnvironment.from_env(env) == TRIAL
    else:
        with pytest.raises(ContractError, match=name):
            TrialEnvironment.from_env(env)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TUNING_CONTRACT_VERSION", "2"),
        ("TUNING_CONTRACT_VERSION", "1.0"),
        ("TUNING_ATTEMPT", "-1"),
        ("TUNING_ATTEMPT", "1\n"),
        ("TUNING_SEED", "1.5"),
        ("TUNING_SEED", "9" * 5000),
        ("TUNING_METRICS_PORT", "http"),
        ("TUNING_OBJECTIVE_DIRECTION", "minimize"),
        ("TUNING_OBJECTIVE_AT", ""),
        ("TUNING_PARAMETERS", ""),
        ("TUNING_PARAMETERS", "[]"),
        ("TUNING_PARAMETERS", '{"a":null}'),
        ("TUNING_PARAMETERS", '{"a":{"b":1}}'),
        ("TUNING_PARAMETERS", '{"a":NaN}'),
        ("TUNING_PARAMETERS", '{"a":-Infinity}'),
        ("TUNING_PARAMETERS", '{"a":1e999}'),
        ("TUNING_PARAMETERS", "[" * 100_000),
        ("TUNING_PARAMETERS", '{"a":' + "9" * 5000 + "}"),
    ],
)
def test_malformed_variables_are_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(ContractError, match=name):
        TrialEnvironment.from_env(TRIAL.to_env() | {name: text})
