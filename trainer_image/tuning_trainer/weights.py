"""All weights of a model as one vector θ, and their gradient as another, so that an update rule is a formula.

Its batch norms' statistics are a third: no update rule touches them, but what is averaged, measured and kept as the
best is weights and statistics that belong together.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn

STATISTICS: Final = ("running_mean", "running_var")
"""What batch norms call the statistics that they evaluate with."""


class FlatWeights:
    """One vector of `size` numbers of which the model's own weights are views, and its gradient likewise.

    The norm of the whole gradient, clipping, an update, an average of weights: each is one operation on one tensor.
    """

    def __init__(self, model: nn.Module) -> None:
        """Move the model's trained weights into one vector; the model works on with views of it."""
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        self.values = torch.cat([weight.detach().flatten() for weight in trained])
        self.gradient = torch.zeros_like(self.values)
        self.decays = torch.zeros_like(self.values)
        """1 where weight decay acts, on matrices and kernels; 0 on biases and norms."""
        start = 0
        for weight in trained:
            part = slice(start, start + weight.numel())
            weight.data = self.values[part].view_as(weight)
            weight.grad = self.gradient[part].view_as(weight)
            self.decays[part] = float(weight.dim() >= 2)
            start = part.stop


class FlatStatistics:
    """One vector of which all batch norms' moving statistics are views; it is empty where a model has none."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        """Move the model's statistics into one vector; its batch norms work on with views of it."""
        own = [buffer for name, buffer in model.named_buffers() if name.rpartition(".")[2] in STATISTICS]
        self.values = torch.cat([torch.empty(0, device=device), *(buffer.flatten() for buffer in own)])
        for buffer, part in zip(own, self.values.split([buffer.numel() for buffer in own]), strict=True):
            buffer.data = part.view_as(buffer)


@contextmanager
def replaced(own: Sequence[Tensor], others: Sequence[Tensor]) -> Iterator[None]:
    """Let vectors that a model works with have the values of others inside the `with` block."""
    before = [vector.clone() for vector in own]
    for vector, other in zip(own, others, strict=True):
        vector.copy_(other)
    try:
        yield
    finally:
        for vector, value in zip(own, before, strict=True):
            vector.copy_(value)


def clipped(gradient: Tensor, norm: Tensor, limit: float) -> Tensor:
    """Return the gradient, scaled down to the length `limit` where its `norm` is larger (CLP-3); 0: never."""
    return gradient * torch.clamp(limit / norm, max=1.0) if limit else gradient


class WeightAverage:
    """An exponential moving average of the weights, θ̄ ← d θ̄ + (1-d) θ, and of the statistics that belong to them.

    The first steps use the smaller decay (1 + t) / (10 + t), else the initial weights would weigh on it for 1 / (1-d)
    steps (TensorFlow's ExponentialMovingAverage does so with `num_updates`).
    """

    def __init__(self, decay: float, initial: Sequence[Tensor]) -> None:
        """Start at the initial vectors."""
        self.decay = decay
        self.values = [vector.clone() for vector in initial]

    def update(self, current: Sequence[Tensor], step: int) -> None:
        """Take in the vectors after update number `step`, which counts from 1."""
        share = 1.0 - min(self.decay, (1 + step) / (10 + step))
        for average, vector in zip(self.values, current, strict=True):
            average.lerp_(vector, share)
