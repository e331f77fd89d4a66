"""A callback that makes a `fit` of PyTorch Lightning a trial, whatever it trains.

    tuning = TuningCallback.from_env()
    model = MyModule(**tuning.trial.parameters)
    trainer = Trainer(callbacks=[tuning], …)
    trainer.fit(model, data, ckpt_path=tuning.checkpoint)

It needs the package `lightning` or `pytorch_lightning`, tested with 2.6, which our own trainer's image does not have.
"""

import math
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from tuning_contract.diagnostics import (
    CLIPPED_FRACTION,
    DENSE_STEPS,
    GRAD_NORM,
    LEARNING_RATE,
    TRAIN_LOSS,
    Diagnostics,
)
from tuning_contract.environment import INSTABILITY_PROBES, ContractError, TrialEnvironment
from tuning_contract.exit_codes import ExitCode
from tuning_trainer.endings import is_lack_of_memory
from tuning_trainer.reporting import Reporter
from tuning_trainer.step_log import StepLog
from tuning_trainer.stopwatch import BatchClock

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.utilities import rank_zero_only
    from lightning.pytorch.utilities.data import extract_batch_size
    from lightning.pytorch.utilities.exceptions import MisconfigurationException
except ImportError:
    from pytorch_lightning import Callback, LightningModule, Trainer
    from pytorch_lightning.utilities import rank_zero_only
    from pytorch_lightning.utilities.data import extract_batch_size
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

LAST: Final = "last.ckpt"
STATE: Final = "tuning_operator"
"""The callback's own entry of a Lightning checkpoint."""


class TuningCallback(Callback):  # type: ignore[misc]
    """Reports each validation, keeps a checkpoint of it, and ends the run as the operator expects it of a trial."""

    def __init__(self, trial: TrialEnvironment, reporter: Reporter) -> None:
        """Speak for `trial` through `reporter`, and take SIGTERM from now on.

        Call it early, in the main thread: to a container's first process the kernel gives no signal without a handler.
        """
        self.trial = trial
        """Its parameters and its seed are what to train with."""
        self._reporter = reporter
        self._stop = threading.Event()
        self._take_signal()
        self._clock = BatchClock()
        self._clip_norm: float | None = None
        self._log = StepLog(0, 0.0)
        self._losses: list[Tensor] = []
        """Of each batch since the last step, of which there are several where gradients are accumulated."""
        self._norms: list[Tensor] = []
        """Of the gradient of each optimizer since then."""
        self._loss_sum: float | Tensor = 0.0
        """Over the steps since the last validation, on the device: nothing waits for it."""
        self._loss_steps = 0
        self._learning_rate = math.nan

    @classmethod
    def from_env(cls) -> "TuningCallback":
        """Return the callback of the trial that this container is, its metrics server running.

        Raises:
            ContractError: the operator's variables are absent or malformed.
        """
        trial = TrialEnvironment.from_env(os.environ)
        # Of several processes, one for each GPU, one reports. The others know what it knows, and keep it to themselves.
        return cls(trial, Reporter.from_env() if rank_zero_only.rank == 0 else Reporter(trial))

    @property
    def checkpoint(self) -> Path | None:
        """The trial's newest checkpoint, for the `ckpt_path` of `fit`; None where there is none yet."""
        path = self._path
        return path if path is not None and path.exists() else None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin a log of the steps, before a checkpoint is read."""
        if stage == "fit":
            self._clip_norm = clip_norm(trainer, pl_module)
            dense = DENSE_STEPS if self.trial.purpose in INSTABILITY_PROBES else 0
            self._log = StepLog(dense, self._clip_norm or 0.0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take SIGTERM back from Lightning.

        Its own handler ends a validation halfway, and with several processes waits in vain for the others (2.6.6).
        """
        self._take_signal()
        self._clock.resume()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave out what happened between two epochs."""
        self._clock.resume()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Count the time that the batch took to come; end the run here if any process was asked to stop."""
        self._clock.batch_came()
        if trainer.strategy.reduce_boolean_decision(self._stop.is_set(), all=False):
            self._save(trainer)
            self._reporter.interrupted(f"stopped after step {trainer.global_step}")
            raise SystemExit(ExitCode.INTERRUPTED)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Note the gradient's norm, which Lightning has not clipped yet, and the rate of the step."""
        groups = optimizer.param_groups
        self._learning_rate = float(groups[0]["lr"])
        gradients = [p.grad.detach() for group in groups for p in group["params"] if p.grad is not None]
        if gradients:
            self._norms.append(norm_of([torch.linalg.vector_norm(gradient.float()) for gradient in gradients]))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss, and the whole step where this batch completes one."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor):
            # Lightning has divided it by the number of batches over which it accumulates.
            parts = trainer.accumulate_grad_batches if pl_module.automatic_optimization else 1
            self._losses.append(loss.detach().float() * parts)
        if self._norms and self._losses:
            step_loss = torch.stack(self._losses).mean()
            self._loss_sum = self._loss_sum + step_loss
            self._loss_steps += 1
            self._log.add(step_loss, norm_of(self._norms), torch.full_like(step_loss, math.nan))
        if self._norms:
            self._losses.clear()
            self._norms.clear()
        self._clock.batch_done(batch_size(batch) * trainer.world_size)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for the steps so far, whose time is not the validation's."""
        self._log.read()
        self._clock.device_done()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report, and keep a checkpoint; end the run where a loss is not finite."""
        if not is_fitting(trainer) or trainer.sanity_checking:
            return
        step = trainer.global_step
        metrics = logged(trainer.callback_metrics) | self._measured()
        self._reporter.diagnose(
            Diagnostics(grad_norm_histogram=self._log.histogram, dense_loss=tuple(self._log.dense_loss))
        )
        self._reporter.report(step, metrics)
        losses = {name: metrics[name] for name in (self.trial.metric, TRAIN_LOSS) if name in metrics}
        finite = all(map(math.isfinite, losses.values()))
        if trainer.strategy.reduce_boolean_decision(not finite, all=False):
            self._end_as_diverged(step, losses)
        self._save(trainer)
        self._clock.resume()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report that the run came to its planned end."""
        self._reporter.complete()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Say how the run ended, and see to its exit code.

        Raises:
            SystemExit: in place of an error that the operator tells from a crash.
        """
        if not is_fitting(trainer):
            return
        if isinstance(exception, SystemExit):
            # Ours, or Lightning's own for a SIGTERM before the first step, which would be a success to the operator.
            if exception.code is None and self._stop.is_set():
                self._reporter.interrupted(f"stopped after step {trainer.global_step}")
                exception.code = ExitCode.INTERRUPTED
        elif is_lack_of_memory(exception):
            traceback.print_exception(exception)
            self._reporter.infeasible("OutOfMemory", str(exception) or "out of memory")
            raise SystemExit(ExitCode.OUT_OF_MEMORY) from exception
        elif isinstance(exception, ContractError):
            traceback.print_exception(exception)
            self._reporter.failed("BadConfiguration", str(exception))
            raise SystemExit(ExitCode.BAD_CONFIGURATION) from exception
        else:
            self._reporter.failed("Crashed", f"{type(exception).__name__}: {exception}")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the curve so far, and what the next report will be about, into the checkpoint."""
        checkpoint[STATE] = {
            "reporter": self._reporter.state(),
            "log": self._log.state(),
            "loss_sum": float(self._loss_sum),
            "loss_steps": self._loss_steps,
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take them up again; a checkpoint from elsewhere, such as a pretrained model's, has nothing to take up."""
        if is_fitting(trainer) and STATE in checkpoint:
            state = checkpoint[STATE]
            self._reporter.restore(state["reporter"], resumed_from=checkpoint["global_step"])
            self._log.restore(state["log"])
            self._loss_sum, self._loss_steps = state["loss_sum"], state["loss_steps"]

    @property
    def _path(self) -> Path | None:
        return Path(self.trial.checkpoint_dir) / LAST if self.trial.checkpoint_dir else None

    def _measured(self) -> dict[str, float]:
        """Return what the steps since the last validation were like."""
        steps = self._log.metrics()
        measured = {}
        if steps:
            measured[GRAD_NORM] = steps[GRAD_NORM]
            measured[LEARNING_RATE] = self._learning_rate
            if self._clip_norm is not None:
                measured[CLIPPED_FRACTION] = steps[CLIPPED_FRACTION]
        if self._loss_steps:
            measured[TRAIN_LOSS] = float(self._loss_sum) / self._loss_steps
            self._loss_sum, self._loss_steps = 0.0, 0
        return measured | self._clock.metrics()

    def _take_signal(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self._stop.set())

    def _save(self, trainer: Trainer) -> None:
        if self._path is not None:
            trainer.save_checkpoint(self._path)  # whole or not at all: Lightning renames a file into place

    def _end_as_diverged(self, step: int, losses: Mapping[str, float]) -> None:
        listed = ", ".join(f"{name} is {value}" for name, value in losses.items())
        first = self._log.first_non_finite
        message = f"{listed} at step {step}" + (f"; first at step {first}" if first is not None else "")
        print(message, file=sys.stderr, flush=True)
        self._reporter.infeasible("NonFiniteObjective", message)
        raise SystemExit(ExitCode.DIVERGED)


def is_fitting(trainer: Trainer) -> bool:
    """Whether the trainer fits, rather than tests, validates or predicts: only that is the trial."""
    return bool(trainer.state.fn == "fit")


def batch_size(batch: Any) -> int:
    """Return how many examples a batch has, as Lightning guesses it: the length of a tensor in it; 0 without one."""
    try:
        return int(extract_batch_size(batch))
    except (MisconfigurationException, RecursionError):
        return 0


def logged(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return what a module has logged, under names that Prometheus takes: `val/loss` is `val_loss`."""
    return {re.sub(r"\W", "_", name, flags=re.ASCII): float(value) for name, value in metrics.items()}


def clip_norm(trainer: Trainer, pl_module: LightningModule) -> float | None:
    """Return the norm above which Lightning clips gradients, 0 where it never does; None if it cannot be known."""
    own = type(pl_module).configure_gradient_clipping is not LightningModule.configure_gradient_clipping
    if own or not pl_module.automatic_optimization or trainer.gradient_clip_algorithm not in (None, "norm"):
        return None
    return float(trainer.gradient_clip_val or 0.0)


def norm_of(norms: list[Tensor]) -> Tensor:
    """Return the L2 norm of what has these norms in its parts."""
    return torch.linalg.vector_norm(torch.stack(norms))
