"""A probe's throughput is that of steady windows, and the trial trains as if it had not been probed."""

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.needs_torch import torch  # noqa: F401 - skips this module where there is none
from tests.unit.trainer.processes import a_trial, record_of
from tuning_contract.diagnostics import Throughput
from tuning_contract.environment import ParameterValue, TrialEnvironment
from tuning_contract.record import FinalRecord
from tuning_trainer.parameters import Parameters
from tuning_trainer.probes import throughput
from tuning_trainer.probes.throughput import measure, steady
from tuning_trainer.reporting import RecordFile, Reporter
from tuning_trainer.run import Run
from tuning_trainer.training import train
from tuning_trainer.workloads.tabular import make_workload

SHORT: dict[str, ParameterValue] = {"workload": "tabular", "max_steps": 4, "evaluate_every_steps": 2}


class CountingRun:
    """A run whose steps take the time that a list says, the last one for ever."""

    def __init__(self, *seconds: float) -> None:
        self.parameters = Parameters(batch_size=10)
        self.steps = 0
        self.now = 0.0
        self._seconds = seconds

    def take_step(self) -> None:
        self.now += self._seconds[min(self.steps, len(self._seconds) - 1)]
        self.steps += 1

    def wait_for_device(self) -> None:
        """There is none."""


HUNDRED: Any = pytest.approx(100.0)


def measured(run: CountingRun, stop: threading.Event | None = None) -> Throughput:
    return measure(run, stop or threading.Event(), lambda: run.now)  # type: ignore[arg-type]


def test_a_steady_run_is_measured_in_three_windows() -> None:
    run = CountingRun(0.1)
    assert measured(run) == Throughput(10, HUNDRED)
    assert run.steps == 3 + 1 + 3 * 5


def test_the_first_steps_do_not_count() -> None:
    assert measured(CountingRun(9.0, 5.0, 2.0, 0.1)) == Throughput(10, HUNDRED)


def test_windows_that_differ_are_followed_by_others() -> None:
    run = CountingRun(*[0.1] * 4, *[0.2] * 5, *[0.15] * 5, 0.1)
    assert measured(run) == Throughput(10, HUNDRED)
    assert run.steps == 4 + 5 * 5


def test_windows_that_never_agree_end_all_the_same() -> None:
    run = CountingRun(*[0.1] * 4, *([0.1] * 5 + [0.2] * 5) * 100)
    assert measured(run).examples_per_second in (pytest.approx(50), pytest.approx(100))
    assert run.steps == 4 + throughput.MOST_WINDOWS * 5


def test_a_signal_ends_it() -> None:
    stop = threading.Event()
    stop.set()
    assert measured(CountingRun(0.1), stop) == Throughput(10, None)


@pytest.mark.parametrize(
    ("rates", "enough"),
    [
        ([], False),
        ([1.0, 1.0], False),
        ([1.0, 1.0, 1.0], True),
        ([9.0, 1.0, 1.02, 0.98], True),
        ([1.0, 1.0, 1.06], False),
    ],
)
def test_what_is_steady(rates: list[float], enough: bool) -> None:
    assert steady(rates) is enough


def attempt(trial: TrialEnvironment) -> FinalRecord:
    Path(trial.termination_log).write_bytes(b"")
    reporter = Reporter(trial, record_file=RecordFile(trial.termination_log))
    train(Parameters.from_mapping(trial.parameters), trial, reporter, threading.Event(), lambda _: None)
    reporter.complete()
    return record_of(trial)


def test_a_batch_size_probe_tells_its_throughput_and_trains_like_any_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput, "WINDOW_SECONDS", 0.01)
    monkeypatch.setattr(throughput, "MOST_WINDOWS", 3)
    plain, probed = (
        attempt(a_trial(tmp_path, parameters=SHORT, checkpoints=False, purpose=purpose))
        for purpose in ("Search", "BatchSizeProbe")
    )
    assert plain.diagnostics.throughput is None
    assert probed.diagnostics.throughput is not None
    assert probed.diagnostics.throughput.batch_size == 64
    assert (probed.diagnostics.throughput.examples_per_second or 0) > 0
    assert probed.curve.points == plain.curve.points


@pytest.mark.parametrize("purpose", ["InstabilityProbe", "HiddenInstabilityProbe"])
def test_an_instability_probe_tells_the_loss_of_every_step(tmp_path: Path, purpose: str) -> None:
    record = attempt(a_trial(tmp_path, parameters=SHORT, checkpoints=False, purpose=purpose))
    assert len(record.diagnostics.dense_loss) == 4


def test_steps_after_the_end_of_the_schedule_do_no_harm() -> None:
    parameters = Parameters.from_mapping(SHORT | {"schedule": "linear"})
    run = Run.fresh(parameters, 1, make_workload(parameters))
    for _ in range(50):
        run.take_step()
    assert run.weights.values.isfinite().all()
