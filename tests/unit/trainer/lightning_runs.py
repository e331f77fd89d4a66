"""Runs of PyTorch Lightning, short enough to be computed by hand, in processes that have imported it already."""

import importlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.unit.trainer.needs_torch import torch
from tuning_contract.environment import TrialEnvironment

BATCHES: Final = 8
VALIDATED: Final = [4, 8, 12, 16]
"""Steps after which a whole run of two epochs has validated."""


@dataclass(frozen=True)
class Run:
    """What a test wants to be different."""

    learning_rate: float = 0.1
    logs: str = "validation/loss"
    fails_with: Exception | None = None
    kill: tuple[str, int] | None = None
    """A hook, and at which of its calls, counted from 1, the first process gets a SIGTERM."""
    then: str = ""
    """What the trainer does after `fit`."""
    package: str = "lightning"
    trainer: Mapping[str, Any] = field(default_factory=dict)


def fit(rank: int, trial: TrialEnvironment, run: Run) -> int:
    """Train in this process; return what its exit code would be."""
    lightning = importlib.import_module(run.package)
    from lightning.pytorch.utilities import rank_zero_only

    from tuning_trainer.lightning import TuningCallback

    os.environ.update(trial.to_env() | {"USE_LIBUV": "0"})  # Debian's PyTorch has none
    rank_zero_only.rank = rank  # Lightning reads it when it is imported, which the process here was forked with
    tuning = TuningCallback.from_env()
    killers = [killer(lightning, *run.kill)] if run.kill and rank == 0 else []
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    options = {"max_epochs": 2, "val_check_interval": VALIDATED[0], "accelerator": "cpu", "devices": 1} | quiet
    trainer = lightning.Trainer(callbacks=[*killers, tuning], **options | dict(run.trainer))
    # Of several processes each takes its share of these.
    examples = torch.utils.data.TensorDataset(torch.ones(BATCHES * 2 * trainer.world_size, 1))
    data = torch.utils.data.DataLoader(examples, batch_size=2)
    module = line(lightning, run)
    try:
        trainer.fit(module, data, data, ckpt_path=tuning.checkpoint)
        if run.then:
            getattr(trainer, run.then)(module, data, verbose=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def line(lightning: Any, run: Run) -> Any:
    """Return a module with one weight w, at first 0, and the loss (w - 3)²."""

    class Line(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def loss(self, batch: Any) -> Any:
            return ((self.weight * batch[0] - 3) ** 2).mean()

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            if run.fails_with:
                raise run.fails_with
            return self.loss(batch)

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log(run.logs, self.loss(batch), sync_dist=True)

        test_step = validation_step

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=run.learning_rate)

    return Line()


def killer(lightning: Any, hook: str, call: int) -> Any:
    """Return a callback that sends this process a SIGTERM at one call of a hook."""
    calls = iter(range(1, 10**9))

    def send(*_: Any, **__: Any) -> None:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)

    return type("Killer", (lightning.Callback,), {hook: send})()
