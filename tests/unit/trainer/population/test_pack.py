"""Real processes, real signals: how a pack's container runs and ends, as the kubelet and Prometheus see it."""

import signal
import socket
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.unit.trainer.needs_torch import torch  # noqa: F401 - skips this module where there is none
from tests.unit.trainer.population.packs import a_pack, record_of, start
from tests.unit.trainer.population.runs import Given
from tests.unit.trainer.processes import finish
from tuning_contract.exit_codes import ExitCode
from tuning_contract.pack import PackEnvironment, pack_hash
from tuning_contract.record import RecordStatus

DEEP: Given = {"workload": "tabular", "depth": 6, "normalization": "none", "optimizer": "sgd"}
"""So that one step is enough to make a loss infinite."""
QUICK: Given = DEEP | {"max_steps": 6, "evaluate_every_steps": 2}
CALM: Given = QUICK | {"learning_rate": 0.01}
BOLD: Given = QUICK | {"learning_rate": 0.05, "dropout": 0.1}
DIVERGING: Given = QUICK | {"learning_rate": 1e6, "weight_decay": 1e3, "schedule": "constant"}
SLOW: Given = {"step_delay_seconds": 60.0, "evaluate_every_steps": 1, "max_steps": 3}
"""Longer between two steps than any test lasts: a signal finds the process in its pause."""


def test_a_whole_pack(tmp_path: Path) -> None:
    pack = a_pack(tmp_path, CALM, DIVERGING, BOLD)
    code, output, errors = finish(start(pack))
    record = record_of(pack)
    assert (code, errors) == (0, "")
    assert "step 2/6  2 members" in output
    assert (record.study_uid, record.pack_hash) == ("5f6b0a51", pack_hash(pack.text))
    statuses = [RecordStatus.COMPLETED, RecordStatus.INFEASIBLE, RecordStatus.COMPLETED]
    assert [result.status for result in record.results] == statuses
    assert [result.last and result.last.step for result in record.results] == [6, 2, 6]
    assert record.results[1].reason == "NonFiniteObjective"
    assert [point.step for point in record.results[0].points] == [2, 4, 6]
    assert not (tmp_path / "checkpoints" / "digits-1" / "last.pt").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_all_trials_and_their_next_attempts_go_on_from_there(
    tmp_path: Path, number: signal.Signals
) -> None:
    """One of them diverges at the first step: it has ended, and says so again."""
    parameters = [member | SLOW for member in (CALM, DIVERGING, BOLD)]
    for attempt in range(2):
        pack = a_pack(tmp_path, *parameters, attempt=attempt)
        process = start(pack)
        assert process.stdout is not None
        if attempt:
            assert process.stdout.readline() == "resumed at step 1\n"
        else:
            assert process.stdout.readline().startswith("digits-1: train_loss is nan")
        assert process.stdout.readline() == f"step {attempt + 1}/3  2 members\n"
        process.send_signal(number)
        code, _, errors = finish(process)
        results = record_of(pack).results
        assert code == ExitCode.INTERRUPTED
        assert f"stopped after step {attempt + 1} of 3" in errors
        statuses = [RecordStatus.INTERRUPTED, RecordStatus.INFEASIBLE, RecordStatus.INTERRUPTED]
        assert [result.status for result in results] == statuses
        assert [result.resumed_from for result in results] == [attempt or None] * 3
        assert [point.step for point in results[0].points] == list(range(1, attempt + 2))


def test_a_signal_without_checkpoints_is_no_success_either(tmp_path: Path) -> None:
    pack = a_pack(tmp_path, CALM | SLOW, BOLD | SLOW, checkpoints=False)
    process = start(pack)
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    code, _, _ = finish(process)
    assert code == ExitCode.INTERRUPTED
    assert {result.status for result in record_of(pack).results} == {RecordStatus.INTERRUPTED}
    assert not (tmp_path / "checkpoints").exists()


def test_a_kill_loses_at_most_one_evaluation_interval(tmp_path: Path) -> None:
    parameters = [member | {"max_steps": 100_000} for member in (CALM, BOLD)]
    process = start(a_pack(tmp_path, *parameters))
    assert process.stdout is not None
    seen = 0
    while seen < 10:
        seen = int(process.stdout.readline().split()[1].partition("/")[0])
    process.kill()
    _, rest, _ = finish(process)
    reached = max([seen, *(int(line.split()[1].partition("/")[0]) for line in rest.splitlines())])
    pack = a_pack(tmp_path, *parameters, attempt=1)
    process = start(pack)
    assert process.stdout is not None
    resumed = int(process.stdout.readline().rsplit(maxsplit=1)[1])
    process.terminate()
    finish(process)
    assert resumed >= reached - 2
    assert [result.resumed_from for result in record_of(pack).results] == [resumed] * 2


def test_the_metrics_of_all_trials_stay_up_as_long_as_was_asked_for(tmp_path: Path) -> None:
    port = free_port()
    pack = PackEnvironment(tuple(replace(m, metrics_port=port) for m in a_pack(tmp_path, CALM, BOLD).members))
    process = start(pack, "--linger-seconds", "60")
    assert process.stdout is not None
    while not process.stdout.readline().startswith("digits-1: Completed"):
        pass
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    steps = [s.labels for family in parse(text) for s in family.samples if s.name == "tuning_trial_step"]
    assert steps == [{"trial": f"digits-{n}", "attempt": "0"} for n in range(2)]
    assert {result.status for result in record_of(pack).results} == {RecordStatus.COMPLETED}
    process.terminate()
    assert finish(process)[0] == 0


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_lack_of_memory_of_all_together_is_no_trial_s_result(tmp_path: Path) -> None:
    """On the CPU, by a limit on the address space a little above what the imports took."""
    program = """if True:
        import resource, sys, torch
        from tuning_trainer.population import training
        from tuning_trainer.__main__ import main
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, used + 2**27))
        sys.exit(main([]))
    """
    large: Given = {"hidden_width": 4096}
    pack = a_pack(tmp_path, CALM | large, BOLD | large)
    code, _, errors = finish(start(pack, program=("-c", program)))
    assert code == ExitCode.OUT_OF_MEMORY, errors
    told = {(result.status, result.reason, result.best) for result in record_of(pack).results}
    assert told == {(RecordStatus.RUNNING, "OutOfMemory", None)}


def test_a_workload_that_cannot_be_a_population_s_is_a_bad_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "from tuning_trainer.workloads.workload import Regression, Workload\n"
        "def make_workload(parameters):\n"
        "    x = torch.linspace(-1, 1, 64).unsqueeze(1)\n"
        "    model = lambda: torch.nn.Sequential(torch.nn.BatchNorm1d(1), torch.nn.Linear(1, 1), torch.nn.Flatten(0))\n"
        "    return Workload((x, x.squeeze(1)), (x, x.squeeze(1)), model, Regression())\n"
    )
    mine: Given = {"workload": str(tmp_path / "mine.py"), "batch_size": 8}
    pack = a_pack(tmp_path, mine, mine)
    code, _, errors = finish(start(pack))
    assert code == ExitCode.BAD_CONFIGURATION
    assert "not 0.running_mean" in errors
    assert {result.reason for result in record_of(pack).results} == {"BadConfiguration"}


def test_a_crash_leaves_its_reason_with_every_trial(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the directory should be")
    pack = a_pack(tmp_path, CALM, BOLD)
    code, _, errors = finish(start(pack))
    assert code == ExitCode.CRASHED
    assert "NotADirectoryError" in errors
    told = {(result.status, result.reason) for result in record_of(pack).results}
    assert told == {(RecordStatus.RUNNING, "Crashed")}
