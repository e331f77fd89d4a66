"""1,797 scans of handwritten digits, 8×8 pixels in 17 shades of grey, and a small convolutional network.

Source and licence of the data: see make_data.py.
"""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn

from tuning_trainer.parameters import Parameters
from tuning_trainer.workloads.layers import activation, channel_norm
from tuning_trainer.workloads.splits import split
from tuning_trainer.workloads.workload import Classification, Workload

DIGITS: Final = Path(__file__).with_name("digits.npz")


def make_workload(parameters: Parameters) -> Workload:
    """Return 1,078 images to learn from and 359 to validate: shape (1, 8, 8), brightness in [0, 1]."""
    with np.load(DIGITS) as file:
        images = torch.from_numpy(file["images"].astype(np.float32) / 16).unsqueeze(1)
        labels = torch.from_numpy(file["labels"].astype(np.int64))
    train, validation, _ = map(torch.tensor, split("digits", len(labels)))
    return Workload(
        train=(images[train], labels[train]),
        validation=(images[validation], labels[validation]),
        make_model=lambda: make_model(parameters),
        task=Classification(classes=tuple("0123456789")),
    )


def make_model(parameters: Parameters) -> nn.Sequential:
    """Return a network from images (batch, 1, 8, 8) to logits (batch, 10).

    The first convolution halves the resolution, the second doubles the channels, the others change neither.
    """
    width, wide = parameters.hidden_width, 2 * parameters.hidden_width
    sizes = [(1, width, 2), (width, wide, 1), *[(wide, wide, 1)] * parameters.depth][: parameters.depth]
    layers: list[nn.Module] = []
    for inputs, outputs, stride in sizes:
        layers += [
            nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1),
            channel_norm(outputs, parameters),
            activation(parameters),
        ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(parameters.dropout), nn.Linear(sizes[-1][1] * 4 * 4, 10))
