"""Several processes end as one: one exit code, signals handed on, nobody left behind."""

import signal
import sys
import threading
from pathlib import Path

import pytest

from tests.unit.trainer.processes import a_trial, finish, progress, record_of, start
from tuning_contract.exit_codes import ExitCode
from tuning_contract.record import RecordStatus
from tuning_trainer import launcher


def launch(program: str, stop: threading.Event | None = None, count: int = 2) -> int:
    command = [sys.executable, "-c", f"import os, sys, time, signal; rank = int(os.environ['RANK']); {program}"]
    return launcher.launch(count, command, {"PATH": "/usr/bin:/bin"}, stop or threading.Event())


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([0, 0], 0),
        ([1, 101], 101),
        ([100, 1], 100),
        ([1, 78], 78),
        ([143, 143], 143),
        ([0, 1], 1),
        ([1, 143], 1),
        ([-9, 1], 137),
    ],
)
def test_one_exit_code_says_what_happened(codes: list[int], code: int) -> None:
    assert launcher.code_of_all(codes) == code


def test_each_process_hears_who_it_is_and_where_they_meet() -> None:
    one, other = launcher.variables_of(2, {"A": "b"})
    assert [v["RANK"] for v in (one, other)] == [v["LOCAL_RANK"] for v in (one, other)] == ["0", "1"]
    assert one["MASTER_PORT"] == other["MASTER_PORT"]
    assert (one["WORLD_SIZE"], one["A"]) == ("2", "b")
    assert (launcher.leads(one), launcher.leads(other), launcher.leads({})) == (True, False, True)


def test_the_end_of_all_is_waited_for() -> None:
    assert launch("time.sleep(0.3 * rank)") == 0


def test_lack_of_memory_on_one_is_the_reason_though_another_ended_before() -> None:
    assert launch("time.sleep(0.3 * rank); sys.exit(101 if rank else 1)") == ExitCode.OUT_OF_MEMORY


def test_a_process_that_waits_for_a_dead_one_for_ever_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "GRACE_SECONDS", 0.3)
    assert launch("sys.exit(101) if rank else (signal.signal(signal.SIGTERM, signal.SIG_IGN), time.sleep(60))") == 101


def test_a_signal_is_handed_on_to_all() -> None:
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    assert launch("signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); time.sleep(60)", stop) == 143


class TestTheCommand:
    """With PyTorch; its processes are two of two."""

    @pytest.fixture(autouse=True)
    def needs_torch(self) -> None:
        pytest.importorskip("torch", reason="NEEDS PYTORCH, which only the trainer image has")

    def test_a_signal_saves_on_all_and_ends_with_143(self, tmp_path: Path) -> None:
        parameters = {"max_steps": 100_000, "evaluate_every_steps": 5, "step_delay_seconds": 0.05}
        trial = a_trial(tmp_path, parameters=parameters)
        process = start(trial, "--processes", "2")
        assert process.stdout is not None
        assert next(progress(process.stdout)).startswith("step 5/")
        process.send_signal(signal.SIGTERM)
        code, _, errors = finish(process)
        record = record_of(trial)
        assert (code, record.status) == (ExitCode.INTERRUPTED, RecordStatus.INTERRUPTED), errors
        assert len(record.diagnostics.ranks) == 2
        assert (tmp_path / "checkpoints" / "last.pt").exists()

    def test_a_batch_that_they_cannot_share_is_a_bad_configuration(self, tmp_path: Path) -> None:
        trial = a_trial(tmp_path, parameters={"batch_size": 63, "workload": "tabular"})
        code, _, errors = finish(start(trial, "--processes", "2"))
        assert code == ExitCode.BAD_CONFIGURATION
        assert "batch_size 63 cannot be shared equally among 2 processes" in errors
        assert record_of(trial).reason == "BadConfiguration"

    def test_divergence(self, tmp_path: Path) -> None:
        parameters = {"max_steps": 6, "evaluate_every_steps": 2, "optimizer": "sgd", "learning_rate": 1e6}
        trial = a_trial(tmp_path, parameters=parameters)
        code, _, errors = finish(start(trial, "--processes", "2"))
        assert (code, record_of(trial).status) == (ExitCode.DIVERGED, RecordStatus.INFEASIBLE), errors
