"""The model: two convolutions and a linear classifier."""

import math

from torch import nn


def make_model(hidden_width: int, dropout: float) -> nn.Sequential:
    """Return a network from images (batch, 1, 8, 8) to logits (batch, 10).

    GroupNorm and no batch norm: an example's output must not depend on the batch that it came in, else batch sizes
    could not be compared (playbook: batch norm details).
    """
    wide = 2 * hidden_width
    return nn.Sequential(
        nn.Conv2d(1, hidden_width, kernel_size=3, stride=2, padding=1),
        _norm(hidden_width),
        nn.ReLU(),
        nn.Conv2d(hidden_width, wide, kernel_size=3, padding=1),
        _norm(wide),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(wide * 4 * 4, 10),
    )


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(channels, 8), channels)
