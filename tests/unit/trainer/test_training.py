"""Training learns, is deterministic, resumes bit for bit, and names its bad ends."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.needs_torch import torch
from tests.unit.trainer.processes import a_trial, record_of
from tuning_contract.environment import ParameterValue, TrialEnvironment
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_trainer.checkpoint import BEST, LAST, CheckpointStore
from tuning_trainer.endings import DivergenceError, InterruptionError, OutOfMemoryError
from tuning_trainer.metrics import METRICS
from tuning_trainer.model import make_model
from tuning_trainer.parameters import Parameters
from tuning_trainer.reporting import RecordFile, Reporter
from tuning_trainer.training import (
    Run,
    batch_of,
    epoch_order,
    evaluate,
    running_out_of_memory_is_an_ending,
    train,
)

SHORT: dict[str, ParameterValue] = {"max_steps": 30, "warmup_steps": 3, "evaluate_every_steps": 10, "dropout": 0.3}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class StopBeforeStep(threading.Event):
    """An event that is set when the loop asks for the n-th time: a SIGTERM at an exact step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._left = step

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


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
        Parameters.from_mapping(trial.parameters),
        trial,
        reporter,
        stop or threading.Event(),
        (said if said is not None else []).append,
    )
    reporter.complete()
    return record_of(trial)


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


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_every_optimizer_lowers_the_loss_under_every_schedule(tmp_path: Path, optimizer: str, schedule: str) -> None:
    rate = 0.005 if optimizer == "adamw" else 0.05
    parameters = SHORT | {"optimizer": optimizer, "schedule": schedule, "learning_rate": rate}
    curve = attempt(a_trial(tmp_path, parameters=parameters, checkpoints=False)).curve
    assert [point.step for point in curve] == [10, 20, 30]
    assert curve[-1].value < curve[0].value


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path: Path) -> None:
    runs = [attempt(a_trial(tmp_path, parameters=SHORT, seed=seed, checkpoints=False)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0].curve != runs[2].curve


@pytest.mark.parametrize("stops", [(0,), (10,), (13,), (29,), (1, 1, 1), (7, 5, 11)])
@pytest.mark.parametrize("optimizer", ["nesterov", "adamw"])
def test_a_run_that_was_interrupted_ends_like_one_that_was_not_bit_for_bit(
    tmp_path: Path, stops: tuple[int, ...], optimizer: str
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for directory in (whole, parts):
        directory.mkdir()
    parameters = SHORT | {"optimizer": optimizer}
    expected = attempt(a_trial(whole, parameters=parameters))
    for number, steps in enumerate(stops):
        with pytest.raises(InterruptionError, match=f"after step {sum(stops[: number + 1])} of 30"):
            attempt(a_trial(parts, parameters=parameters, attempt=number), StopBeforeStep(steps))
    record = attempt(a_trial(parts, parameters=parameters, attempt=len(stops)))
    assert (record.attempt, record.resumed_from) == (len(stops), sum(stops))
    assert (record.curve, record.best, record.last) == (expected.curve, expected.best, expected.last)
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
    assert (record.resumed_from, record.curve) == (10, expected.curve)
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


def test_the_best_checkpoint_is_the_one_that_the_record_names(tmp_path: Path) -> None:
    trial = a_trial(tmp_path, metric="learning_rate", parameters=SHORT)  # highest at the first evaluation, so worst
    attempt(trial)
    assert torch.load(tmp_path / "checkpoints" / BEST, weights_only=True)["step"] == 30
    trial = a_trial(tmp_path, metric="learning_rate", direction="Maximize", parameters=SHORT, seed=3)
    record = attempt(trial)
    assert record.best is not None
    assert torch.load(tmp_path / "checkpoints" / BEST, weights_only=True)["step"] == record.best.step == 10


def test_divergence_is_reported_with_its_step_before_it_ends_the_run(tmp_path: Path) -> None:
    trial = a_trial(tmp_path, parameters=SHORT | {"learning_rate": 1e6, "optimizer": "sgd"})
    with pytest.raises(DivergenceError, match=r"train_loss is nan, validation_loss is nan at step \d+"):
        attempt(trial)
    assert repr(record_of(trial).last).endswith("value=nan)")
    assert not any((tmp_path / "checkpoints").iterdir()), "a checkpoint without a future was kept"


class TestBatches:
    @pytest.mark.parametrize("batch_size", [1, 7, 64, 100, 250])
    def test_each_epoch_shows_every_example_once_whatever_the_batch_size(self, batch_size: int) -> None:
        examples, epochs = 100, 5
        rows = torch.cat(
            [batch_of(step, batch_size, examples, 3) for step in range(epochs * examples // batch_size + 1)]
        )
        for epoch in range(epochs):
            assert rows[epoch * examples :][:examples].sort().values.tolist()[:examples] == list(range(examples))

    def test_size_and_dependence_on_seed_and_step_alone(self) -> None:
        batch = batch_of(5, 64, 1078, 3)
        assert batch.shape == (64,)
        epoch_order.cache_clear()
        assert torch.equal(batch, batch_of(5, 64, 1078, 3))
        assert not torch.equal(batch, batch_of(5, 64, 1078, 4))
        assert not torch.equal(batch, batch_of(6, 64, 1078, 3))

    def test_batches_do_not_depend_on_what_else_draws_random_numbers(self) -> None:
        epoch_order.cache_clear()
        torch.manual_seed(1)
        batch = batch_of(0, 64, 1078, 3)
        epoch_order.cache_clear()
        torch.manual_seed(2)
        assert torch.equal(batch, batch_of(0, 64, 1078, 3))


class TestSeeds:
    def test_dropout_draws_the_same_numbers_whatever_the_initialisation_drew(self) -> None:
        states = []
        for width in (8, 16):
            Run.fresh(Parameters(hidden_width=width), 1)
            states.append(torch.get_rng_state())
        assert torch.equal(*states)

    def test_the_initialisation_depends_on_the_seed(self) -> None:
        one, again, other = (Run.fresh(Parameters(), seed).model.state_dict() for seed in (1, 1, 2))
        assert same_weights(one, again)
        assert not same_weights(one, other)


class TestDropout:
    def test_it_changes_what_is_learned(self) -> None:
        runs = [Run.fresh(Parameters(dropout=dropout), 0) for dropout in (0.0, 0.5)]
        for run in runs:
            run.take_step()
        assert not same_weights(*(run.model.state_dict() for run in runs))

    def test_it_is_off_while_evaluating(self) -> None:
        run = Run.fresh(Parameters(dropout=0.9), 0)
        run.take_step()
        assert run.evaluate() == run.evaluate()


class TestEvaluation:
    def test_the_partial_batch_counts_by_its_examples(self) -> None:
        torch.manual_seed(0)
        model, images, labels = make_model(8, 0.5), torch.rand(700, 1, 8, 8), torch.randint(0, 10, (700,))
        loss, error = evaluate(model, images, labels)
        model.eval()
        logits = model(images)
        assert loss == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-5)
        assert error == (logits.argmax(dim=1) != labels).sum().item() / 700

    def test_an_examples_output_does_not_depend_on_its_batch(self) -> None:
        model, images = make_model(8, 0.0), torch.rand(64, 1, 8, 8)
        assert torch.allclose(model(images)[:1], model(images[:1]), atol=1e-6)

    @pytest.mark.parametrize("width", [1, 3, 8, 12])
    def test_any_width_is_possible(self, width: int) -> None:
        assert make_model(width, 0.0)(torch.rand(2, 1, 8, 8)).shape == (2, 10)


class TestClipping:
    @pytest.mark.parametrize(("clip_norm", "clipped"), [(0.0, False), (1e6, False), (1e-3, True)])
    def test_the_unclipped_norm_is_reported_and_the_gradient_scaled(self, clip_norm: float, clipped: bool) -> None:
        run = Run.fresh(Parameters(clip_norm=clip_norm), 0)
        run.take_step()
        left = torch.cat([weights.grad.flatten() for weights in run.model.parameters()]).norm().item()
        assert run.evaluate()["gradient_norm"] > 0.1
        assert left == pytest.approx(1e-3 if clipped else run.evaluate()["gradient_norm"], rel=1e-3)


class TestMemory:
    @pytest.mark.parametrize(
        "error",
        [
            MemoryError(),
            torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
            RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory"),
        ],
    )
    def test_lack_of_memory_is_an_ending(self, error: Exception) -> None:
        with pytest.raises(OutOfMemoryError), running_out_of_memory_is_an_ending():
            raise error

    def test_other_errors_are_not(self) -> None:
        with pytest.raises(RuntimeError, match="shapes"), running_out_of_memory_is_an_ending():
            raise RuntimeError("shapes cannot be multiplied")
