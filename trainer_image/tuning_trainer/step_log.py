"""What every single step did, without waiting for the device: numbers stay there until the next evaluation.

An evaluation every 20 steps misses an outlier of the gradient and a loss that explodes and comes back (UNS-7, UNS-8).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tuning_contract.diagnostics import LogHistogram


class StepLog:
    """Loss, unclipped gradient norm and norm of the update of each step since the last evaluation, and sums of all."""

    def __init__(self, dense_loss_steps: int, clip_norm: float) -> None:
        """Keep each loss of the first `dense_loss_steps` steps; gradients longer than `clip_norm` count as clipped."""
        self._dense_loss_steps = dense_loss_steps
        self._clip_norm = clip_norm
        self._pending: list[Tensor] = []
        self._steps = 0
        self.histogram = LogHistogram()
        self.dense_loss: list[float] = []
        self.first_non_finite: int | None = None
        """The first step, counted from 1, whose loss or gradient was not finite."""

    def add(self, loss: Tensor, grad_norm: Tensor, update_norm: Tensor) -> None:
        """Note one step; its numbers are not read yet."""
        self._pending.append(torch.stack((loss.detach(), grad_norm, update_norm)))

    def metrics(self) -> dict[str, float]:
        """Read the steps since the last call, and return what an evaluation says of them; {} without a step."""
        if not self._pending:
            return {}
        rows = torch.stack(self._pending).tolist()
        self._pending.clear()
        return self.read(rows)

    def read(self, rows: Sequence[Sequence[float]]) -> dict[str, float]:
        """Take in steps whose loss, gradient norm and norm of the update were read elsewhere, and return the same."""
        if not rows:
            return {}
        losses, grad_norms, update_norms = zip(*rows, strict=True)
        for loss, norm in zip(losses, grad_norms, strict=True):
            self._steps += 1
            if self.first_non_finite is None and not (math.isfinite(loss) and math.isfinite(norm)):
                self.first_non_finite = self._steps
            if self._steps <= self._dense_loss_steps:
                self.dense_loss.append(loss)
        self.histogram = self.histogram.merged(LogHistogram.of(grad_norms))
        over = sum(not norm <= self._clip_norm for norm in grad_norms) if self._clip_norm else 0
        return {
            "grad_norm": grad_norms[-1],
            "clipped_fraction": over / len(rows),
            "update_norm": update_norms[-1],
        }

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold: an interruption falls between two evaluations."""
        return {
            "pending": torch.stack(self._pending).cpu() if self._pending else torch.empty(0, 3),
            "steps": self._steps,
            "histogram": dict(self.histogram.counts),
            "dense_loss": list(self.dense_loss),
            "first_non_finite": self.first_non_finite,
        }

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Become the log whose `state` this was."""
        self._pending = list(state["pending"].to(device))
        self._steps = state["steps"]
        self.histogram = LogHistogram(state["histogram"])
        self.dense_loss = list(state["dense_loss"])
        self.first_non_finite = state["first_non_finite"]
