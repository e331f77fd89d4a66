"""The examples of training code of one's own: run as in their images, they are trials as good as the trainer's."""

import os
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.needs_lightning import PACKAGES
from tests.unit.trainer.processes import Process, a_trial, finish, record_of, start_alone
from tuning_contract.environment import TrialEnvironment
from tuning_contract.exit_codes import ExitCode
from tuning_contract.record import RecordStatus

EXAMPLES = Path(__file__).parents[3] / "examples"
EACH = pytest.mark.parametrize(("example", "length", "every"), [("lightning", "epochs", 64), ("pytorch", "steps", 50)])
ENDLESS = 10**7


def begin(example: str, trial: TrialEnvironment) -> Process:
    """Start an attempt with the packages in the order of the example's image."""
    Path(trial.termination_log).write_bytes(b"")
    env = trial.to_env() | {"PYTHONPATH": os.pathsep.join((PACKAGES, *sys.path)), "OMP_NUM_THREADS": "1"}
    return start_alone(env=env, program=(str(EXAMPLES / example / "train.py"),))


def eventually(process: Process, see: Callable[[], Any]) -> Any:
    """Return what is seen as soon as it is something; the process must be running until then."""
    while process.poll() is None:
        try:
            if seen := see():
                return seen
        except (OSError, ValueError):  # no server yet, or no record
            pass
        time.sleep(0.02)
    raise AssertionError(f"it ended first: {process.communicate()}")


@EACH
def test_the_study_s_parameters_can_be_trained_with(tmp_path: Path, example: str, length: str, every: int) -> None:
    import yaml

    *_, study = yaml.safe_load_all((EXAMPLES / example / "study.yaml").read_text())
    values = {each["name"]: each.get("value", each.get("low")) for each in study["spec"]["hyperparameters"]}
    trial = a_trial(tmp_path, parameters={name: yaml.safe_load(str(value)) for name, value in values.items()})
    code, _, errors = finish(begin(example, trial))
    record = record_of(trial)
    assert (code, record.status) == (0, RecordStatus.COMPLETED), errors
    assert record.curve.rows[0].step == every
    assert record.last is not None
    assert record.last.value < 0.5 * record.curve.points[0].value
    assert {"validation_loss", "train_loss", "learning_rate", "grad_norm"} <= set(record.curve.metrics)


@EACH
def test_prometheus_sees_it_and_a_signal_saves_and_the_next_attempt_goes_on(
    tmp_path: Path, example: str, length: str, every: int
) -> None:
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]

    def scrape() -> str | None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
            text: str = response.read().decode()
        return text if "tuning_trial_validation_loss" in text else None

    first = a_trial(tmp_path, parameters={length: ENDLESS}, metrics_port=port)
    process = begin(example, first)
    seen = eventually(process, scrape)
    assert {"tuning_trial_step", "tuning_trial_objective", "tuning_trial_grad_norm"} <= set(seen.split())
    process.terminate()
    code, _, errors = finish(process)
    stopped = record_of(first)
    assert (code, stopped.status) == (ExitCode.INTERRUPTED, RecordStatus.INTERRUPTED), errors

    stop_step = int(stopped.message.removeprefix("stopped after step "))
    second = a_trial(tmp_path, parameters={length: ENDLESS}, attempt=1)
    process = begin(example, second)
    eventually(process, lambda: (last := record_of(second).last) and last.step > stop_step)
    process.terminate()
    assert finish(process)[0] == ExitCode.INTERRUPTED
    resumed = record_of(second)
    assert resumed.resumed_from == stop_step
    steps = [point.step for point in resumed.curve.points]  # of a long run not all
    assert steps == sorted(set(steps))
    assert steps[0] == every
    assert all(step % every == 0 for step in steps)


@EACH
def test_a_divergence_is_told_as_one(tmp_path: Path, example: str, length: str, every: int) -> None:
    trial = a_trial(tmp_path, parameters={"learning_rate": 1e30, length: ENDLESS})
    code, _, errors = finish(begin(example, trial))
    record = record_of(trial)
    assert code == ExitCode.DIVERGED, errors
    assert (record.status, record.reason) == (RecordStatus.INFEASIBLE, "NonFiniteObjective")
