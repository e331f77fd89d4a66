"""Pieces that models of several workloads share."""

import math

from torch import nn

from tuning_trainer.parameters import Parameters

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
