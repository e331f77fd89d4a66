"""Pieces that models of several workloads share."""

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parameters import Parameters

GHOST_BATCH: Final = 64
"""Of how many examples batch norm's statistics should be, as reports say that the Playbook sums up (BNM-3)."""

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


def activation(parameters: Parameters) -> nn.Module:
    """Return the nonlinearity that the parameters ask for."""
    return ACTIVATIONS[parameters.activation]()


def channel_norm(channels: int, parameters: Parameters) -> nn.Module:
    """Return GroupNorm over up to 8 groups of channels, or nothing where no normalisation is wanted.

    No batch norm: an example's output must not depend on the batch that it came in, else batch sizes could not be
    compared, and every process would have its own statistics (BNM-1, BNM-2, BNM-4).
    """
    return nn.Identity() if parameters.normalization == "none" else nn.GroupNorm(math.gcd(channels, 8), channels)


def layer_norm(width: int, parameters: Parameters) -> nn.Module:
    """Return layer norm over the last dimension, or nothing where no normalisation is wanted."""
    return nn.Identity() if parameters.normalization == "none" else nn.LayerNorm(width)


def perceptron(inputs: int, outputs: int, parameters: Parameters) -> nn.Sequential:
    """Return a network of `depth` hidden layers from (batch, inputs) to (batch, outputs)."""
    layers: list[nn.Module] = []
    for _ in range(parameters.depth):
        layers += [
            nn.Linear(inputs, parameters.hidden_width),
            layer_norm(parameters.hidden_width, parameters),
            activation(parameters),
            nn.Dropout(parameters.dropout),
        ]
        inputs = parameters.hidden_width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class GhostBatchNorm(nn.Module):  # type: ignore[misc]
    """Batch norm whose statistics are always of `virtual_batch_size` examples, however many a step has (BNM-3, BNM-4).

    For models of your own that need batch norm: a step's examples are cut into ghost batches, each of which is
    normalised by itself, while the moving statistics go towards the mean of all of theirs. So neither the batch size
    nor the number of processes changes what a weight learns from, and two processes learn what one learns, to rounding.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, features: int, virtual_batch_size: int = GHOST_BATCH, epsilon: float = 1e-5, momentum: float = 0.1
    ) -> None:
        """Normalise each of `features`, the second dimension of the inputs; at least two examples a ghost batch.

        `epsilon` is added to the variance, and the moving statistics take in `momentum` of a step's, as in PyTorch.
        """
        super().__init__()
        self.virtual_batch_size = virtual_batch_size
        self.epsilon = epsilon
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise inputs of shape (examples, features, …): by their ghost batches in training, else as learned.

        Raises:
            ConfigurationError: in training, the examples cannot be cut into ghost batches (BNM-5). Their number is that
                of one process's share of a step, or of a part of it with gradient accumulation.
        """
        if not self.training:
            return functional.batch_norm(
                inputs, self.running_mean, self.running_var, self.weight, self.bias, eps=self.epsilon
            )
        ghosts, rest = divmod(len(inputs), self.virtual_batch_size)
        if rest:
            raise ConfigurationError(
                f"{len(inputs)} examples cannot be cut into ghost batches of {self.virtual_batch_size}: batch_size must"
                " be a multiple of that times the processes times gradient_accumulation"
            )
        # Ghost batches as channels of their own, so that one operation normalises all of them.
        channels = inputs.unflatten(0, (ghosts, -1)).transpose(0, 1).flatten(1, 2)
        mean, variance = self.running_mean.repeat(ghosts), self.running_var.repeat(ghosts)
        weight, bias = self.weight.repeat(ghosts), self.bias.repeat(ghosts)
        outputs = functional.batch_norm(channels, mean, variance, weight, bias, True, self.momentum, self.epsilon)
        self.running_mean.copy_(mean.view(ghosts, -1).mean(dim=0))
        self.running_var.copy_(variance.view(ghosts, -1).mean(dim=0))
        return outputs.unflatten(1, (ghosts, -1)).transpose(0, 1).flatten(0, 1)
