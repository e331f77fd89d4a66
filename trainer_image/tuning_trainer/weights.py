"""All weights of a model as one vector θ, and their gradient as another, so that an update rule is a formula."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


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

    @contextmanager
    def replaced_by(self, others: Tensor) -> Iterator[None]:
        """Let the model have other weights inside the `with` block, such as an average of its own."""
        own = self.values.clone()
        self.values.copy_(others)
        try:
            yield
        finally:
            self.values.copy_(own)


def clipped(gradient: Tensor, norm: Tensor, limit: float) -> Tensor:
    """Return the gradient, scaled down to the length `limit` where its `norm` is larger (CLP-3); 0: never."""
    return gradient * torch.clamp(limit / norm, max=1.0) if limit else gradient


class WeightAverage:
    """An exponential moving average of the weights, θ̄ ← d θ̄ + (1-d) θ.

    The first steps use the smaller decay (1 + t) / (10 + t), else the initial weights would weigh on it for 1 / (1-d)
    steps (TensorFlow's ExponentialMovingAverage does so with `num_updates`).
    """

    def __init__(self, decay: float, initial: Tensor) -> None:
        """Start at the initial weights."""
        self.decay = decay
        self.values = initial.clone()

    def update(self, weights: Tensor, step: int) -> None:
        """Take in the weights after update number `step`, which counts from 1."""
        self.values.lerp_(weights, 1.0 - min(self.decay, (1 + step) / (10 + step)))
