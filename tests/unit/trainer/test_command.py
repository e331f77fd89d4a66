"""The command refuses what it cannot run, at once and with exit code 78. No PyTorch: it is not imported so early."""

from pathlib import Path

import pytest

from tests.unit.trainer.processes import a_trial, finish, record_of, start, start_alone
from tuning_contract.environment import ParameterValue
from tuning_contract.record import RecordStatus
from tuning_trainer.__main__ import parameters_of
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parameters import parameters_table

BAD_CONFIGURATION = 78


def test_help() -> None:
    code, output, _ = finish(start_alone("--help"))
    assert code == 0
    assert "--set NAME=VALUE" in output


def test_list_parameters() -> None:
    assert finish(start_alone("--list-parameters")) == (0, parameters_table() + "\n", "")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"lr": 0.1}, "unknown parameter 'lr'"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"momentum": 0.9, "one_minus_momentum": 0.1}, "say the same thing; give one of them"),
        ({"workload": "/absent.py"}, "there is no such Python file in this container"),
        ({"optimizer": "lion"}, "it must be one of sgd, momentum, nesterov, rmsprop, adam"),
    ],
)
def test_a_trial_with_impossible_parameters(
    tmp_path: Path, parameters: dict[str, ParameterValue], message: str
) -> None:
    trial = a_trial(tmp_path, parameters=parameters)
    code, _, errors = finish(start(trial))
    record = record_of(trial)
    assert code == BAD_CONFIGURATION
    assert message in errors
    assert (record.status, record.reason) == (RecordStatus.RUNNING, "BadConfiguration")
    assert message in record.message


def test_a_trial_whose_objective_is_not_measured(tmp_path: Path) -> None:
    trial = a_trial(tmp_path, metric="accuracy")
    code, _, errors = finish(start(trial))
    assert code == BAD_CONFIGURATION
    assert "'accuracy' is not measured here. Known metrics: train_loss, train_error, validation_loss" in errors
    assert record_of(trial).reason == "BadConfiguration"


def test_ones_own_workload_that_does_not_work_is_a_bad_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import a_module_that_the_image_does_not_have")
    trial = a_trial(tmp_path, parameters={"workload": str(tmp_path / "mine.py")})
    code, _, errors = finish(start(trial))
    assert code == BAD_CONFIGURATION
    assert "mine.py cannot be imported: ModuleNotFoundError" in errors
    assert record_of(trial).reason == "BadConfiguration"


def test_a_constraint_s_metric_that_is_not_measured_ends_a_trial_before_it_trains(tmp_path: Path) -> None:
    trial = a_trial(tmp_path, metrics=("validation_error", "latency"))
    code, _, errors = finish(start(trial))
    assert code == BAD_CONFIGURATION
    assert "'latency' is not measured here" in errors


def test_a_trial_does_not_take_parameters_from_arguments(tmp_path: Path) -> None:
    code, _, errors = finish(start(a_trial(tmp_path), "--set", "learning_rate=0.1"))
    assert code == BAD_CONFIGURATION
    assert "its study says what it runs" in errors


def test_another_version_of_the_contract(tmp_path: Path) -> None:
    env = a_trial(tmp_path).to_env() | {"TUNING_CONTRACT_VERSION": "2"}
    code, _, errors = finish(start_alone(env=env))
    assert code == BAD_CONFIGURATION
    assert "TUNING_CONTRACT_VERSION is 2; this image speaks 1" in errors


def test_alone_with_an_unknown_parameter() -> None:
    code, _, errors = finish(start_alone("--set", "lr=0.1"))
    assert code == BAD_CONFIGURATION
    assert "unknown parameter 'lr'" in errors


@pytest.mark.parametrize(
    ("text", "settings", "parameters"),
    [
        (None, [], {}),
        ('{"a": 1}', [], {"a": 1}),
        (
            None,
            ["a=1", "b=0.5", "c=true", "d=adamw", 'e="1"', "f="],
            {"a": 1, "b": 0.5, "c": True, "d": "adamw", "e": "1", "f": ""},
        ),
        ('{"a": 1, "b": 2}', ["a=3", "a=4"], {"a": 4, "b": 2}),
    ],
)
def test_parameters_from_arguments(
    text: str | None, settings: list[str], parameters: dict[str, ParameterValue]
) -> None:
    assert parameters_of(text, settings) == parameters


@pytest.mark.parametrize(("text", "settings"), [("{", []), ("[]", []), (None, ["learning_rate"])])
def test_arguments_that_are_no_parameters(text: str | None, settings: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        parameters_of(text, settings)
