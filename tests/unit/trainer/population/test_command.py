"""The image's command trains a pack where it is told of one, and refuses at once what no pack can be. No PyTorch."""

import dataclasses
from pathlib import Path

import pytest

from tests.unit.trainer.population.packs import a_pack, record_of, start
from tests.unit.trainer.processes import finish, start_alone
from tuning_contract.exit_codes import ExitCode
from tuning_contract.pack import MAX_MEMBERS, PackEnvironment
from tuning_contract.record import RecordStatus


def refused(pack: PackEnvironment, *arguments: str) -> str:
    """Run a pack that ends with 78 and whose trials all say why, and return what it says on standard error."""
    code, _, errors = finish(start(pack, *arguments))
    assert code == ExitCode.BAD_CONFIGURATION
    results = record_of(pack).results
    assert results
    assert {(result.status, result.reason) for result in results} == {(RecordStatus.RUNNING, "BadConfiguration")}
    assert all(result.message and result.message in errors for result in results)
    return errors


def test_several_processes_cannot_train_a_pack(tmp_path: Path) -> None:
    assert "a pack has one process: leave out --processes" in refused(a_pack(tmp_path), "--processes", "2")


def test_a_process_that_torchrun_started_as_one_of_several_cannot_either(tmp_path: Path) -> None:
    pack = a_pack(tmp_path)
    code, _, errors = finish(start_alone(env=pack.to_env() | {"WORLD_SIZE": "2", "RANK": "0"}))
    assert code == ExitCode.BAD_CONFIGURATION
    assert "a pack has one process" in errors


def test_a_pack_does_not_take_parameters_from_arguments(tmp_path: Path) -> None:
    code, _, errors = finish(start(a_pack(tmp_path), "--set", "learning_rate=0.1"))
    assert code == ExitCode.BAD_CONFIGURATION
    assert "its study says what it runs" in errors


def test_a_malformed_pack(tmp_path: Path) -> None:
    code, _, errors = finish(start_alone(env=a_pack(tmp_path).to_env() | {"TUNING_PACK": "{}"}))
    assert code == ExitCode.BAD_CONFIGURATION
    assert "TUNING_PACK must be a JSON list" in errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": {"batch_size": 8}}, "cannot be trained together: they differ in batch_size (64 and 8)"),
        ({"parameters": {"lr": 8}}, "digits-1: unknown parameter 'lr'"),
        ({"purpose": "BatchSizeProbe"}, "digits-1: a BatchSizeProbe is trained alone"),
        ({"trial": "digits-0"}, "twice among the members: digits-0"),
    ],
)
def test_trials_that_cannot_be_one_population(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    first, second = a_pack(tmp_path, {}, {}).members
    pack = PackEnvironment((first, dataclasses.replace(second, **changes)))  # type: ignore[arg-type]
    assert message in refused(pack)


def test_a_metric_that_is_not_measured(tmp_path: Path) -> None:
    pack = PackEnvironment(tuple(dataclasses.replace(m, metrics=("latency",)) for m in a_pack(tmp_path).members))
    assert "'latency' is not measured here" in refused(pack)


def test_more_trials_than_a_record_has_room_for(tmp_path: Path) -> None:
    pack = a_pack(tmp_path, *[{}] * (MAX_MEMBERS + 1))
    code, _, errors = finish(start(pack))
    assert code == ExitCode.BAD_CONFIGURATION
    assert f"a pack of {MAX_MEMBERS + 1}: a record has room for {MAX_MEMBERS}" in errors
