"""Two processes train what one trains: the same curve, exact evaluations, common decisions, one writer."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.forked import in_two_processes
from tests.unit.trainer.needs_torch import torch
from tests.unit.trainer.processes import a_trial, record_of
from tests.unit.trainer.stops import StopBeforeStep
from tuning_contract.diagnostics import Rank, Throughput
from tuning_contract.environment import ParameterValue, TrialEnvironment
from tuning_contract.record import FinalRecord
from tuning_trainer.batches import Batches
from tuning_trainer.endings import DivergenceError, InterruptionError
from tuning_trainer.evaluation import Measured, evaluate
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parallel import ALONE, Processes, take_a_gpu, together
from tuning_trainer.parameters import Parameters
from tuning_trainer.probes.throughput import measure
from tuning_trainer.reporting import RecordFile, Reporter
from tuning_trainer.run import Run
from tuning_trainer.training import train
from tuning_trainer.workloads.loading import parameters_from, workload_module
from tuning_trainer.workloads.workload import Classification, Regression, Workload

SHORT: dict[str, ParameterValue] = {"max_steps": 30, "warmup_steps": 3, "evaluate_every_steps": 10}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def a_run(processes: Processes = ALONE, /, **values: ParameterValue) -> Run:
    parameters = Parameters.from_mapping(values)
    workload = workload_module(parameters).make_workload(parameters)
    return Run.fresh(parameters, 0, workload, processes=processes)


def curve_of(run: Run, steps: int) -> list[float]:
    """Return the loss of each step, and what evaluations at its half and its end say of losses, errors and norms."""
    told = []
    for step in range(1, steps + 1):
        run.take_step()
        if step in (steps // 2, steps):
            metrics = run.evaluate()
            told += [value for name, value in metrics.items() if "second" not in name and name != "peak_memory_bytes"]
            told = [value for value in told if value != metrics["data_wait_fraction"]]
    return run.log.dense_loss + told


def attempt(trial: TrialEnvironment, rank: int = 0, stop: threading.Event | None = None) -> FinalRecord | None:
    """Train one attempt as the command does: the first process reports."""
    reporter = Reporter(trial)
    if rank == 0:
        Path(trial.termination_log).write_bytes(b"")
        reporter = Reporter(trial, record_file=RecordFile(trial.termination_log))
    train(parameters_from(trial.parameters), trial, reporter, stop or threading.Event(), lambda _: None)
    reporter.complete()
    return record_of(trial) if rank == 0 else None


def attempt_in_two(trial: TrialEnvironment) -> FinalRecord:
    """Train one attempt with two processes."""
    record, nothing = in_two_processes(_attempt, trial)
    assert nothing is None
    assert isinstance(record, FinalRecord)
    return record


def _attempt(rank: int, trial: TrialEnvironment, stop_before: int | None = None) -> FinalRecord | None:
    torch.set_num_threads(1)
    return attempt(trial, rank, None if stop_before is None or rank == 0 else StopBeforeStep(stop_before))


def _ending(
    rank: int, kind: type[Exception], trial: TrialEnvironment, stop_before: int | None = None, poison: int | None = None
) -> str:
    """Return with which words an attempt ends that is stopped, or given one NaN, on the second process alone."""
    share_of = Batches.share_of

    def poisoned(batches: Batches, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = share_of(batches, step)
        return (inputs * torch.nan if rank == 1 and step == poison else inputs), targets

    Batches.share_of = poisoned  # type: ignore[method-assign, assignment]
    with pytest.raises(kind) as caught:
        _attempt(rank, trial, stop_before)
    return str(caught.value)


def _curve(_: int, values: dict[str, ParameterValue]) -> list[float]:
    torch.set_num_threads(1)
    with together() as processes:
        return curve_of(a_run(processes, **values), 20)


class TestTheSameTraining:
    @pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adamw"])
    @pytest.mark.parametrize("workload", ["digits", "tabular"])
    def test_the_curve_is_that_of_one_process(self, workload: str, optimizer: str) -> None:
        values: dict[str, ParameterValue] = SHORT | {
            "workload": workload,
            "optimizer": optimizer,
            "learning_rate": 0.003 if optimizer == "adamw" else 0.03,
            "dense_loss_steps": 20,
            "clip_norm": 1.0,
        }
        alone = curve_of(a_run(**values), 20)
        first, second = in_two_processes(_curve, values)
        assert first == second, "the processes tell of different runs"
        assert first == pytest.approx(alone, rel=1e-5)
        assert len(alone) > 30

    def test_gradient_accumulation_and_averaged_weights_too(self) -> None:
        values = SHORT | {"gradient_accumulation": 4, "ema_decay": 0.9, "label_smoothing": 0.1, "dense_loss_steps": 20}
        first, second = in_two_processes(_curve, values)
        assert first == second
        assert first == pytest.approx(curve_of(a_run(**values), 20), rel=1e-5)

    def test_the_shares_of_a_batch_are_the_batch(self) -> None:
        rows = torch.arange(10)
        assert torch.equal(torch.cat([Processes(rank, 3).share(rows) for rank in range(3)]), rows)
        whole = a_run().batches.at(7)[0]
        parts = [a_run(Processes(rank, 2)).batches.at(7)[0] for rank in range(2)]
        assert torch.equal(torch.cat(parts), whole)

    def test_dropout_draws_other_numbers_on_each_process_and_the_initialisation_the_same(self) -> None:
        runs, states = [], []
        for rank in range(2):
            runs.append(a_run(Processes(rank, 2)))
            states.append(torch.get_rng_state())
        assert torch.equal(runs[0].weights.values, runs[1].weights.values)
        assert not torch.equal(*states)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (
                {"batch_size": 63},
                "batch_size 63 cannot be shared equally among 2 processes: it must be a multiple of 2",
            ),
            ({"batch_size": 6, "gradient_accumulation": 2}, "among 2 processes in 2 parts each: .* a multiple of 4"),
        ],
    )
    def test_a_batch_that_cannot_be_shared_is_refused(self, values: dict[str, ParameterValue], message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            a_run(Processes(0, 2), **values)


def _measured(_: int) -> Measured:
    torch.set_num_threads(1)
    with together() as processes:
        run = a_run(processes)
        return run.measure(run.workload.validation)


def _of_few(_: int, count: int) -> Measured:
    with together() as processes:
        return evaluate(not_of_nothing, few(count), Regression(), processes=processes)


def not_of_nothing(inputs: torch.Tensor) -> torch.Tensor:
    assert len(inputs), "a model was run on nothing"
    return inputs


def few(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(count).float(), torch.ones(count)


class TestEvaluation:
    def test_every_example_counts_once_though_two_do_not_divide_them(self) -> None:
        run = a_run()
        expected = run.measure(run.workload.validation)
        first, second = in_two_processes(_measured)
        assert first == second
        assert (first.weight_sum, first.error, first.per_class) == (359, expected.error, expected.per_class)
        assert first.loss == pytest.approx(expected.loss, rel=1e-6)

    @pytest.mark.parametrize("count", [1, 3])
    def test_a_process_without_any_example_adds_nothing(self, count: int) -> None:
        first, second = in_two_processes(_of_few, count)
        assert first == second == evaluate(not_of_nothing, few(count), Regression())
        assert first.weight_sum == count


class TestEndings:
    @pytest.mark.parametrize("changes", [{}, {"precision": "bfloat16", "optimizer": "adamw", "learning_rate": 0.003}])
    def test_a_signal_to_one_stops_all_and_the_run_goes_on_bit_for_bit(
        self, tmp_path: Path, changes: dict[str, ParameterValue]
    ) -> None:
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        for directory in (whole, parts):
            directory.mkdir()
        parameters = SHORT | {"dropout": 0.3, "ema_decay": 0.9} | changes
        said = in_two_processes(_ending, InterruptionError, a_trial(parts, parameters=parameters), 13)
        assert said == ["stopped after step 13 of 30"] * 2
        again = attempt_in_two(a_trial(parts, parameters=parameters, attempt=1))
        expected = attempt_in_two(a_trial(whole, parameters=parameters))
        assert again.resumed_from == 13
        assert (again.best, again.last) == (expected.best, expected.last)
        weights = [torch.load(directory / "checkpoints" / "last.pt")["model"] for directory in (whole, parts)]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    def test_a_checkpoint_of_another_number_of_processes_is_not_resumed_from(self, tmp_path: Path) -> None:
        attempt_in_two(a_trial(tmp_path, parameters=SHORT))
        record = attempt(a_trial(tmp_path, parameters=SHORT, attempt=1))
        assert record is not None
        assert record.resumed_from is None

    def test_a_loss_that_is_not_finite_on_one_ends_all(self, tmp_path: Path) -> None:
        trial = a_trial(tmp_path, parameters=SHORT)
        first, second = in_two_processes(_ending, DivergenceError, trial, None, 3)
        assert first == second
        assert "first at step 4" in first


def _evaluated(_: int) -> dict[str, float]:
    with together() as processes:
        run = a_run(processes, evaluate_every_steps=2)
        run.take_step()
        run.take_step()
        return run.evaluate()


def _throughput(_: int) -> tuple[int, Throughput]:
    with together() as processes:
        run = a_run(processes, workload="tabular", max_steps=100_000)
        stop = processes.common(threading.Event())
        throughput = measure(run, stop, lambda: processes.as_the_first_says(time.perf_counter()))
        return run.step, throughput


def _wishes_to_stop(rank: int) -> list[bool]:
    with together() as processes:
        own = threading.Event()
        stop = processes.common(own)
        before = stop.is_set()
        if rank == 1:
            own.set()
        return [before, stop.is_set(), own.is_set()]


class TestDecisions:
    def test_what_a_clock_measures_is_the_same_on_all(self) -> None:
        first, second = in_two_processes(_evaluated)
        assert first == second

    def test_the_throughput_probe_takes_the_same_steps_on_all(self) -> None:
        first, second = in_two_processes(_throughput)
        assert first == second

    def test_a_wish_to_stop_is_seen_by_all_at_the_same_time(self) -> None:
        assert in_two_processes(_wishes_to_stop) == [[False, True, False], [False, True, True]]


def with_batch_norm() -> Workload:
    generator = torch.Generator().manual_seed(0)
    examples = (torch.randn(64, 4, generator=generator), torch.randint(2, (64,), generator=generator))

    def make_model() -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 2)
        )

    return Workload(examples, examples, make_model, Classification(("a", "b")))


def _ranks(rank: int, fault: str = "") -> tuple[Rank, ...]:
    """Return what two processes tell of themselves after three steps of a model with batch norm, and with one fault."""
    average = Processes.average
    if fault == "buffers":
        Processes.average = lambda own, tensors: average(own, tensors[:2])  # type: ignore[method-assign, assignment]
    if fault == "data":
        Processes.share = lambda own, rows: rows[: len(rows) // own.size]  # type: ignore[method-assign, assignment]
    values: dict[str, Any] = {"initialization_seed": rank} if fault == "weights" else {}
    with together() as processes:
        run = Run.fresh(Parameters(batch_size=16, **values), 0, with_batch_norm(), processes=processes)
        for _ in range(3):
            run.take_step()
        return run.diagnostics().ranks


def _statistics(_: int) -> tuple[list[float], list[float]]:
    """Return a tenth of the process's own mean of the first batch, and the batch norm's mean after one step."""
    with together() as processes:
        run = Run.fresh(Parameters(batch_size=16), 0, with_batch_norm(), processes=processes)
        first, norm = run.model[0], run.model[1]
        own = 0.1 * first(run.batches.share_of(0)[0]).mean(dim=0)
        run.take_step()
        return own.tolist(), norm.running_mean.tolist()


class TestWhatTheProcessesTell:
    """The fields that the operator's checks compare: tests/unit/playbook has the verdicts on such ranks."""

    @pytest.mark.parametrize("fault", ["", "weights", "buffers", "data"])
    def test_the_same_weights_and_buffers_and_other_data_or_it_shows(self, fault: str) -> None:
        told, again = in_two_processes(_ranks, fault)
        assert told == again
        one, other = told
        assert (one.rank, other.rank) == (0, 1)
        assert all((one.initial_weights, one.buffers, one.first_batch))
        assert (one.initial_weights == other.initial_weights) is (fault != "weights")
        assert (one.buffers == other.buffers) is (fault != "buffers")
        assert (one.first_batch == other.first_batch) is (fault == "data")

    def test_only_the_first_writes_checkpoints(self, tmp_path: Path) -> None:
        record = attempt_in_two(a_trial(tmp_path, parameters=SHORT))
        assert [rank.writes_checkpoints for rank in record.diagnostics.ranks] == [True, False]
        assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
            "best.pt",
            "last.pt",
            "step-10.pt",
            "step-20.pt",
            "step-30.pt",
        ]

    def test_a_run_of_one_process_tells_of_one(self, tmp_path: Path) -> None:
        record = attempt(a_trial(tmp_path, parameters=SHORT))
        assert record is not None
        assert [(rank.rank, rank.writes_checkpoints) for rank in record.diagnostics.ranks] == [(0, True)]

    def test_the_statistics_are_the_mean_of_what_each_process_has_seen(self) -> None:
        (one, mean), (other, again) = in_two_processes(_statistics)
        assert mean == again
        assert mean == pytest.approx([(a + b) / 2 for a, b in zip(one, other, strict=True)], rel=1e-5)


def test_on_gpus_each_process_has_its_own_and_one_too_many_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    for local_rank in (0, 1):
        take_a_gpu(local_rank)
    assert taken == [0, 1]
    with pytest.raises(ConfigurationError, match=r"process 2 of this host.*there are 2; start at most that many"):
        take_a_gpu(2)
