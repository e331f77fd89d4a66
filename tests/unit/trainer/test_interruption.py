"""Real processes, real signals: how a trial's container ends, as the kubelet sees it."""

import signal
from pathlib import Path

import pytest

from tests.unit.trainer.needs_torch import torch  # noqa: F401 - skips this module where there is none
from tests.unit.trainer.processes import a_trial, finish, record_of, start, start_alone
from tuning_contract.environment import ParameterValue
from tuning_contract.exit_codes import ExitCode
from tuning_contract.record import RecordStatus

QUICK: dict[str, ParameterValue] = {"max_steps": 6, "warmup_steps": 1, "evaluate_every_steps": 2}
SLOW = QUICK | {"step_delay_seconds": 60.0}
"""Longer between two steps than any test lasts: a signal finds the process in its pause."""


def test_a_whole_run(tmp_path: Path) -> None:
    trial = a_trial(tmp_path, parameters=QUICK)
    code, output, errors = finish(start(trial))
    record = record_of(trial)
    assert (code, errors) == (0, "")
    assert [line.split()[1] for line in output.splitlines()] == ["2/6", "4/6", "6/6"]
    assert record.status is RecordStatus.COMPLETED
    assert [point.step for point in record.curve.points] == [2, 4, 6]
    assert record.resumed_from is None


def test_alone_without_any_operator(tmp_path: Path) -> None:
    code, output, errors = finish(
        start_alone("--set", "max_steps=2", "--set", "warmup_steps=0", "--checkpoint-dir", str(tmp_path))
    )
    assert (code, errors) == (0, "")
    assert output.startswith("step 2/2  train_loss ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "last.pt", "step-2.pt"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_next_attempt_goes_on_from_there(tmp_path: Path, number: signal.Signals) -> None:
    parameters = SLOW | {"evaluate_every_steps": 1, "max_steps": 3}
    for attempt in range(2):
        trial = a_trial(tmp_path, parameters=parameters, attempt=attempt)
        process = start(trial)
        assert process.stdout is not None
        if attempt:
            assert process.stdout.readline() == "resumed at step 1\n"
        assert process.stdout.readline().startswith(f"step {attempt + 1}/3")
        process.send_signal(number)
        code, rest, errors = finish(process)
        record = record_of(trial)
        assert (code, rest) == (ExitCode.INTERRUPTED, "")
        assert f"stopped after step {attempt + 1} of 3" in errors
        assert (record.status, record.resumed_from) == (RecordStatus.INTERRUPTED, attempt or None)
        assert [point.step for point in record.curve.points] == list(range(1, attempt + 2))


def test_a_signal_without_checkpoints_is_no_success_either(tmp_path: Path) -> None:
    trial = a_trial(tmp_path, checkpoints=False, parameters=SLOW | {"evaluate_every_steps": 1})
    process = start(trial)
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    code, _, _ = finish(process)
    assert (code, record_of(trial).status) == (ExitCode.INTERRUPTED, RecordStatus.INTERRUPTED)
    assert not (tmp_path / "checkpoints").exists()


def test_a_kill_loses_at_most_one_evaluation_interval(tmp_path: Path) -> None:
    parameters = QUICK | {"max_steps": 100_000}
    process = start(a_trial(tmp_path, parameters=parameters))
    assert process.stdout is not None
    seen = 0
    while seen < 10:
        seen = int(process.stdout.readline().split()[1].partition("/")[0])
    process.kill()
    _, rest, _ = finish(process)
    reached = max([seen, *(int(line.split()[1].partition("/")[0]) for line in rest.splitlines())])
    trial = a_trial(tmp_path, parameters=parameters, attempt=1)
    process = start(trial)
    assert process.stdout is not None
    resumed = int(process.stdout.readline().rsplit(maxsplit=1)[1])
    process.stdout.readline()
    process.terminate()
    finish(process)
    record = record_of(trial)
    assert record.resumed_from == resumed >= reached - 2
    steps = [point.step for point in record.curve.points]
    assert steps == sorted(set(steps))


def test_divergence(tmp_path: Path) -> None:
    trial = a_trial(tmp_path, parameters=QUICK | {"optimizer": "sgd", "learning_rate": 1e6})
    code, _, errors = finish(start(trial))
    record = record_of(trial)
    assert code == ExitCode.DIVERGED
    assert (record.status, record.reason) == (RecordStatus.INFEASIBLE, "NonFiniteObjective")
    assert "at step" in record.message
    assert record.message in errors


def test_lack_of_memory(tmp_path: Path) -> None:
    """On the CPU, by a limit on the address space a little above what the imports took."""
    program = """if True:
        import resource, sys, torch
        from tuning_trainer import training
        from tuning_trainer.__main__ import main
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, used + 2**27))
        sys.exit(main([]))
    """
    trial = a_trial(tmp_path, parameters=QUICK | {"hidden_width": 1024, "batch_size": 1024})
    code, _, errors = finish(start(trial, program=("-c", program)))
    record = record_of(trial)
    assert code == ExitCode.OUT_OF_MEMORY, errors
    assert (record.status, record.reason) == (RecordStatus.INFEASIBLE, "OutOfMemory")


def test_a_crash_leaves_its_reason_and_no_result(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the directory should be")
    trial = a_trial(tmp_path, parameters=QUICK)
    code, _, errors = finish(start(trial))
    record = record_of(trial)
    assert code == ExitCode.CRASHED
    assert "FileExistsError" in errors
    assert (record.status, record.reason) == (RecordStatus.RUNNING, "Crashed")
    assert "/checkpoints'" in record.message
