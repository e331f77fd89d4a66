"""Training learns, is deterministic, resumes bit for bit, and names its bad ends."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.needs_torch import torch
from tests.unit.trainer.processes import a_trial, record_of
from tests.unit.trainer.stops import StopBeforeStep
from tuning_contract.environment import ParameterValue, TrialEnvironment
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_trainer.checkpoint import BEST, LAST, CheckpointStore
from tuning_trainer.endings import DivergenceError, InterruptionError, OutOfMemoryError
from tuning_trainer.metrics import METRICS
from tuning_trainer.parameters import OPTIMIZERS, SCHEDULES, WORKLOADS, Parameters
from tuning_trainer.reporting import RecordFile, Reporter
from tuning_trainer.run import Run
from tuning_trainer.training import running_out_of_memory_is_an_ending, train
from tuning_trainer.workloads.loading import parameters_from, workload_module

SHORT: dict[str, ParameterValue] = {"max_steps": 30, "warmup_steps": 3, "evaluate_every_steps": 10, "dropout": 0.3}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class ListeningReporter(Reporter):
    """Keeps all that is reported."""

    def report(self, step: int, metrics: dict[str, float]) -> None:  # type: ignore[override]
        self.reported = [*getattr(self, "reported", []), (step, metrics)]
        super().report(step, metrics)


def attempt(trial: TrialEnvironment, stop: threading.Event | None = None, said: list[str] | None = None) -> FinalRecord:
    """Train one attempt in this process and return its record."""
    Path(trial.termination_log).write_bytes(b"")
    reporter = Reporter(trial, record_file=RecordFile(trial.termination_log))
    train(
        parameters_from(trial.parameters),
        trial,
        reporter,
        stop or threading.Event(),
        (said if said is not None else []).append,
    )
    reporter.complete()
    return record_of(trial)


def without_timings(record: FinalRecord) -> list[tuple[float | None, ...]]:
    """Return a record's curve without what a clock has measured."""
    timings = ("examples_per_second", "data_wait_fraction")
    return [record.curve.series(metric) for metric in record.curve.metrics if metric not in timings]


def weights_in(directory: Path, name: str = LAST) -> dict[str, torch.Tensor]:
    contents: dict[str, dict[str, torch.Tensor]] = torch.load(directory / "checkpoints" / name, weights_only=True)
    return contents["model"]


def same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_defaults_learn_the_digits() -> None:
    trial = a_trial(Path("/unused"), checkpoints=False)
    reporter = ListeningReporter(trial)
    train(Parameters(), trial, reporter, threading.Event(), lambda _: None)
    steps = [step for step, _ in reporter.reported]
    first, last = reporter.reported[0][1], reporter.reported[-1][1]
    assert steps == list(range(20, 601, 20))
    assert all(set(metrics) == set(METRICS) for _, metrics in reporter.reported)
    assert first["train_loss"] > 10 * last["train_loss"]
    assert last["train_error"] < 0.01
    assert last["validation_error"] < 0.05


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_optimizer_lowers_the_loss_under_every_schedule(tmp_path: Path, optimizer: str, schedule: str) -> None:
    rate = 0.005 if "adam" in optimizer else 0.002 if optimizer == "rmsprop" else 0.05
    parameters = SHORT | {"optimizer": optimizer, "schedule": schedule, "learning_rate": rate}
    curve = attempt(a_trial(tmp_path, parameters=parameters, checkpoints=False)).curve.points
    assert [point.step for point in curve] == [10, 20, 30]
    assert curve[-1].value < curve[0].value


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path: Path) -> None:
    runs = [attempt(a_trial(tmp_path, parameters=SHORT, seed=seed, checkpoints=False)) for seed in (1, 1, 2)]
    assert without_timings(runs[0]) == without_timings(runs[1])
    assert runs[0].curve.points != runs[2].curve.points


EVERYTHING: dict[str, ParameterValue] = {
    "clip_norm": 0.5,
    "ema_decay": 0.9,
    "gradient_accumulation": 2,
    "label_smoothing": 0.1,
    "dense_loss_steps": 25,
}


@pytest.mark.parametrize(
    ("stops", "changes"),
    [
        ((0,), {}),
        ((10,), EVERYTHING),
        ((29,), {}),
        ((1, 1, 1), EVERYTHING),
        *(((13,), {"optimizer": optimizer, "learning_rate": 0.003} | EVERYTHING) for optimizer in OPTIMIZERS),
        *(((7, 5, 11), {"schedule": schedule}) for schedule in SCHEDULES),
        ((13,), {"workload": "tabular"}),
        ((13,), {"workload": "regression"}),
        ((13,), {"workload": "characters", "hidden_width": 16, "evaluation_examples": 32}),
    ],
)
def test_a_run_that_was_interrupted_ends_like_one_that_was_not_bit_for_bit(
    tmp_path: Path, stops: tuple[int, ...], changes: dict[str, ParameterValue]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for directory in (whole, parts):
        directory.mkdir()
    parameters = SHORT | changes
    expected = attempt(a_trial(whole, parameters=parameters))
    for number, steps in enumerate(stops):
        with pytest.raises(InterruptionError, match=f"after step {sum(stops[: number + 1])} of 30"):
            attempt(a_trial(parts, parameters=parameters, attempt=number), StopBeforeStep(steps))
    record = attempt(a_trial(parts, parameters=parameters, attempt=len(stops)))
    assert (record.attempt, record.resumed_from) == (len(stops), sum(stops))
    assert (without_timings(record), record.best, record.last) == (
        without_timings(expected),
        expected.best,
        expected.last,
    )
    assert record.diagnostics == expected.diagnostics
    for name in (LAST, BEST):
        assert same_weights(weights_in(whole, name), weights_in(parts, name))


def test_a_kill_between_the_two_checkpoints_of_an_evaluation_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The objective is the learning rate, whose warm-up makes the evaluation at step 20 the best of the three.
    parameters = SHORT | {"warmup_steps": 19}
    trial = a_trial(tmp_path, parameters=parameters, metric="learning_rate", direction="Maximize")
    expected = attempt(replace(trial, checkpoint_dir=None))
    save, saved = CheckpointStore.save, []

    def killed_at_the_second_save_of_step_20(store: CheckpointStore, name: str, contents: dict[str, Any]) -> None:
        saved.append(contents["step"])
        if saved.count(20) == 2:
            raise KeyboardInterrupt
        save(store, name, contents)

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "save", killed_at_the_second_save_of_step_20)
        with pytest.raises(KeyboardInterrupt):
            attempt(trial)
    record = attempt(trial)
    assert (record.resumed_from, without_timings(record)) == (10, without_timings(expected))
    assert record.best is not None
    assert torch.load(tmp_path / "checkpoints" / BEST, weights_only=True)["step"] == record.best.step == 20


def test_a_finished_trial_that_is_run_again_only_repeats_its_record(tmp_path: Path) -> None:
    first = attempt(a_trial(tmp_path, parameters=SHORT))
    said: list[str] = []
    again = attempt(a_trial(tmp_path, parameters=SHORT, attempt=1), said=said)
    assert said == ["resumed at step 30"]
    assert (again.curve, again.status) == (first.curve, RecordStatus.COMPLETED)


@pytest.mark.parametrize("change", [{"parameters": SHORT | {"dropout": 0.2}}, {"seed": 99}, {"metric": "train_loss"}])
def test_another_trials_checkpoint_is_refused_and_the_run_starts_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    attempt(a_trial(tmp_path, parameters=SHORT))
    said: list[str] = []
    record = attempt(replace(a_trial(tmp_path, parameters=SHORT), **change), said=said)
    assert "starting at step 0" in said[0]
    assert record.resumed_from is None
    assert [point.step for point in record.curve.points] == [10, 20, 30]


FIVE: dict[str, ParameterValue] = SHORT | {"workload": "tabular", "max_steps": 50}
"""Five evaluations."""


def kept_in(directory: Path) -> dict[str, dict[str, Any]]:
    """Return all checkpoints that a trial has left, by name."""
    files = sorted((directory / "checkpoints").iterdir())
    return {file.name: torch.load(file, weights_only=True) for file in files}


class TestTheBestCheckpoints:
    @pytest.mark.parametrize("keep", [1, 3, 10])
    @pytest.mark.parametrize("direction", ["Minimize", "Maximize"])
    def test_as_many_as_wanted_are_kept_and_the_best_is_the_one_that_the_record_names(
        self, tmp_path: Path, direction: str, keep: int
    ) -> None:
        # The learning rate, since its warm-up has its best in the middle.
        parameters = FIVE | {"warmup_steps": 29, "keep_best_checkpoints": keep}
        record = attempt(a_trial(tmp_path, metric="learning_rate", direction=direction, parameters=parameters))
        ordered = sorted(record.curve.points, key=lambda point: point.value, reverse=direction == "Maximize")
        kept = kept_in(tmp_path)
        assert set(kept) == {LAST, BEST, *(f"step-{point.step}.pt" for point in ordered[:keep])}
        assert record.best is not None
        assert kept[BEST]["step"] == record.best.step == ordered[0].step
        for point in ordered[:keep]:
            told = kept[f"step-{point.step}.pt"]
            assert (told["step"], told["metrics"]["learning_rate"]) == (point.step, pytest.approx(point.value))

    @pytest.mark.parametrize("ema_decay", [0.0, 0.9])
    def test_each_is_the_model_that_was_evaluated(self, tmp_path: Path, ema_decay: float) -> None:
        parameters = FIVE | {"ema_decay": ema_decay}
        attempt(a_trial(tmp_path, parameters=parameters))
        kept = [contents for name, contents in kept_in(tmp_path).items() if name != LAST]
        assert len(kept) == 4
        for contents in kept:
            run = a_run(**{name: value for name, value in parameters.items() if name != "ema_decay"})
            run.model.load_state_dict(contents["model"])
            loss = run.measure(run.workload.validation).loss
            assert loss == pytest.approx(contents["metrics"]["validation_loss"], rel=1e-6)

    @pytest.mark.parametrize("direction", ["Minimize", "Maximize"])
    def test_a_kill_between_any_two_of_their_changes_leaves_what_one_that_was_not_killed_does(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direction: str
    ) -> None:
        parameters = FIVE | {"warmup_steps": 29, "keep_best_checkpoints": 2, "ema_decay": 0.9}
        changes, kill_after = 0, 0
        for name in ("save", "name_also", "keep_only"):
            change = getattr(CheckpointStore, name)

            def counted(*arguments: Any, change: Callable[..., None] = change) -> None:
                nonlocal changes
                change(*arguments)
                changes += 1
                if changes == kill_after:
                    raise KeyboardInterrupt

            monkeypatch.setattr(CheckpointStore, name, counted)

        def left_by(folder: Path) -> dict[str, dict[str, Any]]:
            folder.mkdir()
            trial = a_trial(folder, metric="learning_rate", direction=direction, parameters=parameters)
            if kill_after:
                with pytest.raises(KeyboardInterrupt):
                    attempt(trial)
            attempt(trial)
            return kept_in(folder)

        expected = left_by(tmp_path / "whole")
        assert changes >= 18
        for kill_after in range(1, changes + 1):
            changes = 0
            found = left_by(tmp_path / str(kill_after))
            assert found.keys() == expected.keys()
            for name in expected:
                assert found[name]["step"] == expected[name]["step"]
                assert same_weights(found[name]["model"], expected[name]["model"])

    def test_those_of_another_run_go_when_there_are_some_of_this_one(self, tmp_path: Path) -> None:
        attempt(a_trial(tmp_path, parameters=FIVE | {"evaluate_every_steps": 5}, seed=1))
        attempt(a_trial(tmp_path, parameters=FIVE | {"evaluate_every_steps": 12}, seed=2))
        steps = {contents["step"] for contents in kept_in(tmp_path).values()}
        assert steps <= {12, 24, 36, 48, 50}


def test_divergence_is_reported_with_its_step_before_it_ends_the_run(tmp_path: Path) -> None:
    trial = a_trial(tmp_path, parameters=SHORT | {"learning_rate": 1e6, "optimizer": "sgd"})
    with pytest.raises(DivergenceError, match=r"train_loss is nan, validation_loss is nan at step \d+"):
        attempt(trial)
    assert repr(record_of(trial).last).endswith("value=nan)")
    assert not any((tmp_path / "checkpoints").iterdir()), "a checkpoint without a future was kept"


def a_run(seed: int = 0, /, **values: ParameterValue) -> Run:
    """Return a fresh run."""
    parameters = Parameters.from_mapping(values)
    return Run.fresh(parameters, seed, workload_module(parameters).make_workload(parameters))


def weights_after(steps: int, **values: ParameterValue) -> torch.Tensor:
    run = a_run(**values)
    for _ in range(steps):
        run.take_step()
    return run.weights.values


class TestSeeds:
    def test_dropout_draws_the_same_numbers_whatever_the_initialisation_drew(self) -> None:
        states = []
        for width in (8, 16):
            a_run(1, hidden_width=width)
            states.append(torch.get_rng_state())
        assert torch.equal(*states)

    def test_the_initialisation_depends_on_the_seed(self) -> None:
        one, again, other = (a_run(seed).weights.values for seed in (1, 1, 2))
        assert torch.equal(one, again)
        assert not torch.equal(one, other)

    def test_each_source_can_have_a_seed_of_its_own_and_leaves_the_others_as_they_are(self) -> None:
        base = a_run()
        order = base.next_batch()[1]
        dropout = torch.get_rng_state()
        for source in ("initialization", "order", "dropout"):
            run = a_run(**{f"{source}_seed": 5})
            state = torch.get_rng_state()
            assert torch.equal(run.weights.values, base.weights.values) is (source != "initialization")
            assert torch.equal(run.next_batch()[1], order) is (source != "order")
            assert torch.equal(state, dropout) is (source != "dropout")

    def test_a_source_with_a_seed_of_its_own_does_not_depend_on_the_trials(self) -> None:
        assert torch.equal(*(a_run(seed, initialization_seed=5).weights.values for seed in (1, 2)))


class TestRegularisation:
    @pytest.mark.parametrize("name", ["dropout", "label_smoothing", "weight_decay"])
    def test_each_changes_what_is_learned(self, name: str) -> None:
        assert not torch.equal(weights_after(2, **{name: 0.0}), weights_after(2, **{name: 0.5}))

    def test_dropout_is_off_while_evaluating(self) -> None:
        run = a_run(dropout=0.9)
        run.take_step()
        losses = [run.evaluate()["validation_loss"] for _ in range(2)]
        assert losses[0] == losses[1]

    def test_label_smoothing_is_off_while_evaluating(self) -> None:
        losses = [a_run(label_smoothing=smoothing).measure(a_run().workload.validation).loss for smoothing in (0, 0.5)]
        assert losses[0] == losses[1]


class TestGradientAccumulation:
    @pytest.mark.parametrize("parts", [2, 8, 64])
    def test_the_update_is_that_of_the_whole_batch(self, parts: int) -> None:
        whole, cut = (weights_after(5, gradient_accumulation=n) for n in (1, parts))
        assert torch.allclose(whole, cut, atol=1e-5)

    def test_the_loss_and_the_norm_that_are_told_are_those_of_the_whole_batch(self) -> None:
        told = []
        for parts in (1, 4):
            run = a_run(gradient_accumulation=parts, dense_loss_steps=3)
            for _ in range(3):
                run.take_step()
            told.append([run.log.metrics()["grad_norm"], *run.log.dense_loss])
        assert told[0] == pytest.approx(told[1], rel=1e-3)


class TestClipping:
    @pytest.mark.parametrize(("clip_norm", "changed"), [(0.0, None), (1e6, None), (1e-3, 5e-5)])
    def test_the_unclipped_norm_is_told_and_the_update_is_of_the_clipped_gradient(
        self, clip_norm: float, changed: float | None
    ) -> None:
        run = a_run(clip_norm=clip_norm, optimizer="sgd", learning_rate=0.05, weight_decay=0)
        run.take_step()
        metrics = run.evaluate()
        assert metrics["grad_norm"] > 0.1
        assert metrics["update_norm"] == pytest.approx(changed or 0.05 * metrics["grad_norm"], rel=1e-3)
        assert metrics["clipped_fraction"] == (1.0 if changed else 0.0)


class TestAverage:
    def test_its_weights_are_what_is_evaluated_and_the_run_goes_on_with_its_own(self) -> None:
        plain, averaged = a_run(), a_run(ema_decay=0.99)
        for run in (plain, averaged):
            for _ in range(10):
                run.take_step()
        losses = [run.evaluate()["train_loss"] for run in (plain, averaged)]
        assert losses[0] != losses[1]
        assert torch.equal(plain.weights.values, averaged.weights.values)

    def test_the_best_checkpoint_is_measured_with_it(self, tmp_path: Path) -> None:
        parameters = SHORT | {"ema_decay": 0.9}
        record = attempt(a_trial(tmp_path, parameters=parameters, metric="validation_error"))
        assert record.best is not None
        assert record.diagnostics.full_evaluation is not None
        assert record.diagnostics.full_evaluation.error == pytest.approx(record.best.value)


class TestDiagnostics:
    def test_a_whole_run_leaves_them_in_its_record(self, tmp_path: Path) -> None:
        parameters = SHORT | {"dense_loss_steps": 20, "clip_norm": 1.0, "evaluation_examples": 100}
        record = attempt(a_trial(tmp_path, parameters=parameters, metric="validation_error"))
        told = record.diagnostics
        assert told.grad_norm_histogram is not None
        assert told.grad_norm_histogram.total == 30
        assert len(told.dense_loss) == 20
        assert told.dense_loss[0] == pytest.approx(2.3, abs=0.5)
        assert (told.weight_sum, told.dataset_size) == (359, 359)
        assert told.full_evaluation is not None
        assert told.sample_evaluation is not None
        assert record.best is not None
        assert (told.full_evaluation.examples, told.sample_evaluation.examples) == (359, 100)
        assert told.sample_evaluation.error == pytest.approx(record.best.value), "of the best, not of the last"
        wrong = sum(count.examples - count.correct for count in told.per_class.values())
        assert sum(count.examples for count in told.per_class.values()) == 359
        assert told.full_evaluation.error == pytest.approx(wrong / 359)
        assert record.curve.metrics[:3] == ("validation_error", "train_loss", "learning_rate")
        assert all(value is not None for row in record.curve.rows for value in row.values)

    def test_a_regression_counts_nothing_that_is_right_or_wrong(self, tmp_path: Path) -> None:
        parameters = {"workload": "regression", "max_steps": 20, "evaluate_every_steps": 10}
        told = attempt(a_trial(tmp_path, parameters=parameters)).diagnostics
        assert (told.full_evaluation, told.per_class, told.dataset_size) == (None, {}, 4000)

    def test_a_run_that_diverges_leaves_them_too(self, tmp_path: Path) -> None:
        parameters = SHORT | {"learning_rate": 1e6, "optimizer": "sgd", "dense_loss_steps": 30}
        trial = a_trial(tmp_path, parameters=parameters)
        with pytest.raises(DivergenceError, match=r"; first at step \d"):
            attempt(trial)
        assert len(record_of(trial).diagnostics.dense_loss) == 10
        assert any(value != value for value in record_of(trial).diagnostics.dense_loss)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_workload_learns_and_is_deterministic(tmp_path: Path, workload: str) -> None:
    parameters = {"workload": workload, "max_steps": 21, "evaluate_every_steps": 7, "evaluation_examples": 64}
    records = [attempt(a_trial(tmp_path, parameters=parameters, checkpoints=False)) for _ in range(2)]
    assert without_timings(records[0]) == without_timings(records[1])
    losses = records[0].curve.series("train_loss")
    assert losses[-1] < losses[0]  # type: ignore[operator]


class TestMemory:
    @pytest.mark.parametrize(
        "error",
        [
            MemoryError(),
            torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
            RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory"),
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        ],
    )
    def test_lack_of_memory_is_an_ending(self, error: Exception) -> None:
        with pytest.raises(OutOfMemoryError), running_out_of_memory_is_an_ending():
            raise error

    def test_other_errors_are_not(self) -> None:
        with pytest.raises(RuntimeError, match="shapes"), running_out_of_memory_is_an_ending():
            raise RuntimeError("shapes cannot be multiplied")
