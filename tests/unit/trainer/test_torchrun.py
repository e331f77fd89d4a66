"""torchrun starts what `--processes` starts: the same training, reported and saved as one, but for its exit code."""

import signal
from pathlib import Path

import pytest

from tests.unit.trainer.needs_torch import torch
from tests.unit.trainer.processes import Process, a_trial, finish, progress, record_of, start, start_alone
from tuning_contract.environment import ParameterValue, TrialEnvironment
from tuning_contract.exit_codes import ExitCode
from tuning_contract.record import FinalRecord, RecordStatus

PARAMETERS: dict[str, ParameterValue] = {
    "max_steps": 40,
    "evaluate_every_steps": 10,
    "dropout": 0.2,
    "ema_decay": 0.9,
    "step_delay_seconds": 0.05,
}
TIMINGS = ("examples_per_second", "data_wait_fraction")


def start_with_torchrun(trial: TrialEnvironment, folder: Path) -> Process:
    """Start an attempt as docs/trainer.md says, with PyTorch's libuv or, in builds that have none, without."""
    Path(trial.termination_log).write_bytes(b"")
    options: tuple[str, ...] = ("--standalone", "--nproc-per-node=2")
    env = dict(trial.to_env())
    if not has_libuv():
        options += ("--rdzv-conf=store_type=file",)
        env["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    return start_alone(
        env=env, program=("-m", "torch.distributed.run", *options, "-m", "tuning_trainer"), folder=folder
    )


def has_libuv() -> bool:
    """Whether the store that torchrun serves by default can be made with this build of PyTorch."""
    try:
        torch.distributed.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    except RuntimeError:  # "use_libuv was requested but PyTorch was build without libuv support"
        return False
    return True


def without_timings(record: FinalRecord) -> dict[str, tuple[float | None, ...]]:
    return {name: record.curve.series(name) for name in record.curve.metrics if name not in TIMINGS}


def same_models(one: Path, other: Path) -> bool:
    """Whether two directories have the same best and last checkpoints, bit for bit."""
    for name in ("best.pt", "last.pt"):
        a, b = (torch.load(folder / "checkpoints" / name, weights_only=True)["model"] for folder in (one, other))
        if a.keys() != b.keys() or not all(torch.equal(a[key], b[key]) for key in a):
            return False
    return True


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FinalRecord]:
    """Return what `--processes 2` leaves: its directory, and the record in it."""
    folder = tmp_path_factory.mktemp("processes")
    trial = a_trial(folder, parameters=PARAMETERS)
    code, _, errors = finish(start(trial, "--processes", "2"))
    assert code == 0, errors
    return folder, record_of(trial)


def test_its_result_is_that_of_as_many_processes(tmp_path: Path, expected: tuple[Path, FinalRecord]) -> None:
    trial = a_trial(tmp_path, parameters=PARAMETERS)
    code, output, errors = finish(start_with_torchrun(trial, tmp_path))
    assert code == 0, errors
    steps = [line.split()[1] for line in progress(output.splitlines())]
    assert steps == ["10/40", "20/40", "30/40", "40/40"], "one reports"
    record = record_of(trial)
    assert without_timings(record) == without_timings(expected[1])
    assert (record.status, record.best) == (RecordStatus.COMPLETED, expected[1].best)
    assert record.diagnostics == expected[1].diagnostics
    assert [rank.writes_checkpoints for rank in record.diagnostics.ranks] == [True, False]
    assert same_models(tmp_path, expected[0])


def test_a_signal_to_it_is_saved_and_told_and_processes_go_on_from_there(
    tmp_path: Path, expected: tuple[Path, FinalRecord]
) -> None:
    trial = a_trial(tmp_path, parameters=PARAMETERS)
    process = start_with_torchrun(trial, tmp_path)
    assert process.stdout is not None
    assert next(progress(process.stdout)).startswith("step 10/40")
    process.send_signal(signal.SIGTERM)
    code, _, errors = finish(process)
    assert code == ExitCode.CRASHED, "torchrun knows no other code: so --processes is what a study's pod needs"
    record = record_of(trial)
    assert record.status is RecordStatus.INTERRUPTED, errors
    again = a_trial(tmp_path, parameters=PARAMETERS, attempt=1)
    code, _, errors = finish(start(again, "--processes", "2"))
    assert code == 0, errors
    record = record_of(again)
    assert record.resumed_from is not None
    assert 10 <= record.resumed_from < 40
    assert without_timings(record) == without_timings(expected[1])
    assert same_models(tmp_path, expected[0])
