"""What every single step did, without waiting for the device: numbers stay there until the next evaluation.

An evaluation every 20 steps misses an outlier of the gradient and a loss that explodes and comes back (UNS-7, UNS-8).
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from tuning_contract.diagnostics import LogHistogram

NUMBERS_A_STEP: Final = 3
READ_AT_LEAST_EVERY: Final = 1000
"""Steps; what waits on the device to be read must not fill the memory where evaluations are rare."""


class StepLog:
    """Loss, unclipped gradient norm and norm of the update of each step."""

    def __init__(self, dense_loss_steps: int, clip_norm: float) -> None:
        """Keep each loss of the first `dense_loss_steps` steps; gradients longer than `clip_norm` count as clipped."""
        self._dense_loss_steps = dense_loss_steps
        self._clip_norm = clip_norm
        self._pending: list[Tensor] = []
        self._steps = 0
        self._since = 0
        """Steps since the last evaluation, and how many of them were clipped."""
        self._clipped = 0
        self._latest = (math.nan, math.nan)
        """Norms of the latest step's gradient and update."""
        self.histogram = LogHistogram()
        self.dense_loss: list[float] = []
        self.first_non_finite: int | None = None
        """The first step, counted from 1, whose loss or gradient was not finite."""

    def add(self, loss: Tensor, grad_norm: Tensor, update_norm: Tensor) -> None:
        """Note one step; its numbers are not read yet."""
        self._pending += (loss.detach(), grad_norm, update_norm)  # put together when they are read: a step is short
        if len(self._pending) >= NUMBERS_A_STEP * READ_AT_LEAST_EVERY:
            self.read()

    def read(self) -> None:
        """Take the numbers of all steps so far from the device."""
        if not self._pending:
            return
        rows = torch.stack(self._pending).view(-1, NUMBERS_A_STEP).tolist()
        self._pending.clear()
        self.take(rows)

    def take(self, rows: Sequence[Sequence[float]]) -> None:
        """Note steps whose three numbers were taken from the device elsewhere."""
        for loss, grad_norm, update_norm in rows:
            self._steps += 1
            self._since += 1
            self._clipped += bool(self._clip_norm) and not grad_norm <= self._clip_norm
            self._latest = (grad_norm, update_norm)
            if self.first_non_finite is None and not (math.isfinite(loss) and math.isfinite(grad_norm)):
                self.first_non_finite = self._steps
            if self._steps <= self._dense_loss_steps:
                self.dense_loss.append(loss)
        self.histogram = self.histogram.merged(LogHistogram.of(grad_norm for _, grad_norm, _ in rows))

    def metrics(self) -> dict[str, float]:
        """Return what an evaluation says of the steps since the last one; {} without a step."""
        self.read()
        if not self._since:
            return {}
        clipped = self._clipped / self._since
        self._since = self._clipped = 0
        return {"grad_norm": self._latest[0], "clipped_fraction": clipped, "update_norm": self._latest[1]}

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold: an interruption falls between two evaluations."""
        self.read()
        return {
            "steps": self._steps,
            "since": self._since,
            "clipped": self._clipped,
            "latest": list(self._latest),
            "histogram": dict(self.histogram.counts),
            "dense_loss": list(self.dense_loss),
            "first_non_finite": self.first_non_finite,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become the log whose `state` this was."""
        self._pending = []
        self._steps, self._since, self._clipped = state["steps"], state["since"], state["clipped"]
        self._latest = tuple(state["latest"])
        self.histogram = LogHistogram(state["histogram"])
        self.dense_loss = list(state["dense_loss"])
        self.first_non_finite = state["first_non_finite"]
