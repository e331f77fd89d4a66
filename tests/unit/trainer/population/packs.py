"""Containers of packs for tests, started as the kubelet starts them. No PyTorch."""

from pathlib import Path

from tests.unit.trainer.processes import Process, a_trial, start_alone
from tuning_contract.environment import ParameterValue
from tuning_contract.pack import PackEnvironment
from tuning_contract.pack_record import PackRecord


def a_pack(
    directory: Path, *parameters: dict[str, ParameterValue], attempt: int = 0, checkpoints: bool = True
) -> PackEnvironment:
    """Return a pack of a trial for each of these parameters, by default of two, whose files lie in `directory`."""
    return PackEnvironment(
        tuple(
            a_trial(
                directory,
                trial=f"digits-{number}",
                attempt=attempt,
                seed=number,
                parameters=given,
                checkpoint_dir=str(directory / "checkpoints" / f"digits-{number}") if checkpoints else None,
            )
            for number, given in enumerate(parameters or ({}, {}))
        )
    )


def start(pack: PackEnvironment, *arguments: str, program: tuple[str, ...] = ("-m", "tuning_trainer")) -> Process:
    """Start the container of a pack."""
    Path(pack.members[0].termination_log).write_bytes(b"")
    return start_alone(*arguments, env=pack.to_env(), program=program)


def record_of(pack: PackEnvironment) -> PackRecord:
    """Return the record that a pack's container left."""
    return PackRecord.decode(Path(pack.members[0].termination_log).read_bytes())
