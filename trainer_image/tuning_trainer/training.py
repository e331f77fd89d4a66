"""The training loop: resume, then step, evaluate, report and save until the last step."""

import functools
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from tuning_contract.environment import TrialEnvironment, parameters_hash, parameters_json
from tuning_trainer.checkpoint import BEST, LAST, CheckpointStore
from tuning_trainer.data import Split, load_digits
from tuning_trainer.endings import DivergenceError, InterruptionError, OutOfMemoryError
from tuning_trainer.model import make_model
from tuning_trainer.optimizers import make_optimizer, set_learning_rate
from tuning_trainer.parameters import Parameters
from tuning_trainer.reporting import Reporter
from tuning_trainer.schedules import learning_rate_at
from tuning_trainer.seeds import seed_of

EVALUATION_BATCH = 512
"""Examples at a time; larger than training batches usually are, since no activations are kept (playbook)."""


def train(
    parameters: Parameters,
    trial: TrialEnvironment,
    reporter: Reporter,
    stop: threading.Event,
    say: Callable[[str], None] = print,
) -> None:
    """Train to the last step, from this trial's newest checkpoint where there is one.

    Raises:
        DivergenceError: a loss became non-finite.
        OutOfMemoryError: the parameters ask for more memory than there is.
        InterruptionError: `stop` was set; the current step was finished and saved first.
    """
    with running_out_of_memory_is_an_ending():
        run = Run.fresh(parameters, trial.seed)
        store = checkpoint_store(parameters, trial, say)
        if store and (saved := store.load(LAST)):
            run.restore(saved, reporter)
            say(f"resumed at step {run.step}")
        stopwatch = Stopwatch()
        while run.step < parameters.max_steps:
            if stop.is_set():
                if store:
                    store.save(LAST, run.contents(reporter))
                raise InterruptionError(f"stopped after step {run.step} of {parameters.max_steps}")
            with stopwatch:
                run.take_step()
                evaluation_due = run.step % parameters.evaluate_every_steps == 0 or run.step == parameters.max_steps
                if evaluation_due:
                    run.wait_for_device()
            if evaluation_due:
                metrics = run.evaluate() | {"examples_per_second": stopwatch.rate(parameters.batch_size)}
                say(progress_line(run.step, parameters.max_steps, metrics))
                reporter.report(run.step, metrics)
                require_finite(run.step, metrics)
                if store:
                    save(store, run, reporter)
            stop.wait(parameters.step_delay_seconds)


def save(store: CheckpointStore, run: "Run", reporter: Reporter) -> None:
    """Keep the evaluated state: as the best where it is, and as the last.

    The best first: killed in between, the next attempt repeats this interval, bit for bit, and saves both again.
    """
    contents = run.contents(reporter)
    if reporter.best is not None and reporter.best.step == run.step:
        store.save(BEST, contents)
    store.save(LAST, contents)


def require_finite(step: int, metrics: dict[str, float]) -> None:
    """End the run where a loss is not finite.

    Looking at evaluations is enough, and spares a GPU the synchronisation at every step: once a weight is NaN, every
    later loss is.

    Raises:
        DivergenceError: with the step and the losses.
    """
    losses = {name: metrics[name] for name in ("train_loss", "validation_loss")}
    if not all(map(math.isfinite, losses.values())):
        listed = ", ".join(f"{name} is {value}" for name, value in losses.items())
        raise DivergenceError(f"{listed} at step {step}, learning rate {metrics['learning_rate']:.3g}")


@dataclass
class Run:
    """What changes while training, and the data that it is trained on."""

    parameters: Parameters
    seed: int
    device: torch.device
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    train: tuple[torch.Tensor, torch.Tensor]
    validation: tuple[torch.Tensor, torch.Tensor]
    step: int = 0
    """Steps taken so far."""
    gradient_norm: float | torch.Tensor = math.nan

    @classmethod
    def fresh(cls, parameters: Parameters, seed: int) -> "Run":
        """Return a run before its first step: on the GPU where there is one, else on the CPU."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(seed_of(seed, "initialization"))
        model = make_model(parameters.hidden_width, parameters.dropout).to(device)
        torch.manual_seed(seed_of(seed, "dropout"))
        digits = load_digits()
        return cls(
            parameters,
            seed,
            device,
            model,
            make_optimizer(parameters, model),
            on_device(digits.train, device),
            on_device(digits.validation, device),
        )

    def take_step(self) -> None:
        """Do one update, on the batch that belongs to this step."""
        images, labels = self.train
        batch = batch_of(self.step, self.parameters.batch_size, len(labels), seed_of(self.seed, "data")).to(self.device)
        set_learning_rate(self.optimizer, learning_rate_at(self.step, self.parameters))
        self.model.train()
        loss = functional.cross_entropy(
            self.model(images[batch]), labels[batch], label_smoothing=self.parameters.label_smoothing
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.gradient_norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.parameters.clip_norm or math.inf
        )
        self.optimizer.step()
        self.step += 1

    def wait_for_device(self) -> None:
        """Let a GPU finish the steps that it was handed, so that they can be timed."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def evaluate(self) -> dict[str, float]:
        """Return the metrics of the current weights on both splits."""
        train_loss, train_error = evaluate(self.model, *self.train)
        validation_loss, validation_error = evaluate(self.model, *self.validation)
        return {
            "train_loss": train_loss,
            "train_error": train_error,
            "validation_loss": validation_loss,
            "validation_error": validation_error,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "gradient_norm": float(self.gradient_norm),
        }

    def contents(self, reporter: Reporter) -> dict[str, Any]:
        """Return everything that the rest of the run depends on.

        The order of the data and the learning rate are functions of the step, so the step stands for both.
        """
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "cpu_random_state": torch.get_rng_state(),
            "gpu_random_state": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
            "reporter": reporter.state(),
        }

    def restore(self, contents: dict[str, Any], reporter: Reporter) -> None:
        """Become the run that `contents` was made of, and give the reporter its curve back."""
        self.step = contents["step"]
        self.model.load_state_dict(contents["model"])
        self.optimizer.load_state_dict(contents["optimizer"])
        torch.set_rng_state(contents["cpu_random_state"])
        if self.device.type == "cuda" and contents["gpu_random_state"] is not None:
            torch.cuda.set_rng_state(contents["gpu_random_state"])
        reporter.restore(contents["reporter"], resumed_from=self.step)


def evaluate(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Return mean cross-entropy in nats and misclassified fraction over all examples, the last partial batch too."""
    model.eval()
    loss, wrong = torch.zeros((), device=images.device), torch.zeros((), device=images.device)
    with torch.no_grad():
        for image_batch, label_batch in zip(
            images.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True
        ):
            logits = model(image_batch)
            loss += functional.cross_entropy(logits, label_batch, reduction="sum")
            wrong += (logits.argmax(dim=1) != label_batch).sum()
    return float(loss) / len(labels), float(wrong) / len(labels)


def batch_of(step: int, batch_size: int, examples: int, seed: int) -> torch.Tensor:
    """Return the rows, shape (batch_size,), of a step's batch.

    The batches cut up one endless sequence of epochs, each of them a new permutation of all examples, so that every
    example is seen equally often whatever the batch size.
    """
    start = step * batch_size
    epochs = range(start // examples, (start + batch_size - 1) // examples + 1)
    rows = torch.cat([epoch_order(epoch, examples, seed) for epoch in epochs])
    return rows[start - epochs[0] * examples :][:batch_size]


@functools.lru_cache(maxsize=2)
def epoch_order(epoch: int, examples: int, seed: int) -> torch.Tensor:
    """Return a permutation of the rows, shape (examples,)."""
    generator = torch.Generator().manual_seed(seed_of(seed, f"epoch {epoch}"))
    return torch.randperm(examples, generator=generator)


def on_device(split: Split, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and labels as tensors; the data set is small enough to lie on the GPU as a whole."""
    return torch.from_numpy(split.images).to(device), torch.from_numpy(split.labels).to(device)


def checkpoint_store(
    parameters: Parameters, trial: TrialEnvironment, say: Callable[[str], None]
) -> CheckpointStore | None:
    """Return the trial's checkpoints; None where it keeps none."""
    if trial.checkpoint_dir is None:
        return None
    everything = parameters_hash(parameters_json(parameters.as_dict()))
    return CheckpointStore(Path(trial.checkpoint_dir), f"{everything}/{trial.seed}/{trial.metric}", say)


def progress_line(step: int, max_steps: int, metrics: dict[str, float]) -> str:
    """Return one line for people.

    >>> progress_line(20, 600, {"train_loss": 1.23456, "learning_rate": 0.05})
    'step 20/600  train_loss 1.235  learning_rate 0.05'
    """
    return f"step {step}/{max_steps}" + "".join(f"  {name} {value:.4g}" for name, value in metrics.items())


class Stopwatch:
    """Adds up the time inside its `with` blocks, for a throughput that leaves out evaluations and pauses."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._laps = 0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds += time.perf_counter() - self._started
        self._laps += 1

    def rate(self, each: int) -> float:
        """Return units a second since the last call, when each lap did `each` of them; 0 without a lap."""
        rate = self._laps * each / self._seconds if self._seconds else 0.0
        self._seconds, self._laps = 0.0, 0
        return rate


@contextmanager
def running_out_of_memory_is_an_ending() -> Iterator[None]:
    """Tell lack of memory, on GPU or host, from other errors.

    Raises:
        OutOfMemoryError: in place of what NumPy, Python or PyTorch raise for it.
    """
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError(str(error) or "out of memory") from error
    except RuntimeError as error:
        # torch.cuda.OutOfMemoryError is a RuntimeError; the CPU's allocator raises a plain one with only a text.
        if re.search(r"out of memory|allocate memory", str(error), re.IGNORECASE):
            raise OutOfMemoryError(str(error)) from error
        raise
