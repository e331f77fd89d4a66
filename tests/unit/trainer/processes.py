"""Real trainer processes for tests, started as the kubelet starts them: with an environment and an empty log."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tuning_contract.environment import TrialEnvironment
from tuning_contract.record import FinalRecord


def a_trial(directory: Path, *, checkpoints: bool = True, **changes: object) -> TrialEnvironment:
    """Return a trial whose files lie in `directory`; its metrics port is any free one."""
    values: dict[str, object] = {
        "study": "digits",
        "study_uid": "5f6b0a51",
        "trial": "digits-0007",
        "attempt": 0,
        "parameters": {},
        "seed": 17,
        "metric": "validation_loss",
        "metrics_port": 0,
        "checkpoint_dir": str(directory / "checkpoints") if checkpoints else None,
        "termination_log": str(directory / "termination-log"),
    }
    return TrialEnvironment(**(values | changes))  # type: ignore[arg-type]


def start(trial: TrialEnvironment, *arguments: str, program: tuple[str, ...] = ("-m", "tuning_trainer")) -> "Process":
    """Start an attempt of a trial."""
    Path(trial.termination_log).write_bytes(b"")
    return start_alone(*arguments, env=trial.to_env(), program=program)


def start_alone(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    program: tuple[str, ...] = ("-m", "tuning_trainer"),
    folder: Path | None = None,
) -> "Process":
    """Start the command with nothing from the operator in its environment, or with what `env` says, in a folder."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **(env or {})}
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "Process") -> tuple[int, str, str]:
    """Wait for the end; return exit code, standard output and standard error."""
    output, errors = process.communicate()
    return process.returncode, output, errors


def progress(lines: Iterable[str]) -> Iterator[str]:
    """Return of a trainer's output the lines that it wrote of its evaluations; PyTorch writes there as well."""
    return (line for line in lines if line.startswith("step "))


def record_of(trial: TrialEnvironment) -> FinalRecord:
    """Return the final record that a trial's container left."""
    return FinalRecord.decode(Path(trial.termination_log).read_bytes())


Process = subprocess.Popen[str]
