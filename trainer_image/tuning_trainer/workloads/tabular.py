"""569 tumours, each described by 30 numbers, malignant or benign, and a perceptron.

A real and small data set: one of its 114 validation examples is 0.9 points of error, so tune on the loss and expect
runs to differ by their seed alone. Source and licence: see make_data.py.
"""

from pathlib import Path
from typing import Final

import numpy as np
import torch

from tuning_trainer.parameters import Parameters
from tuning_trainer.workloads.layers import perceptron
from tuning_trainer.workloads.splits import split
from tuning_trainer.workloads.workload import Classification, Workload

TABULAR: Final = Path(__file__).with_name("tabular.npz")


def make_workload(parameters: Parameters) -> Workload:
    """Return 341 rows to learn from and 114 to validate, scaled to mean 0 and deviation 1 of the training split."""
    with np.load(TABULAR) as file:
        features = torch.from_numpy(file["features"])
        labels = torch.from_numpy(file["labels"].astype(np.int64))
    train, validation, _ = map(torch.tensor, split("tabular", len(labels)))
    features = (features - features[train].mean(dim=0)) / features[train].std(dim=0)
    return Workload(
        train=(features[train], labels[train]),
        validation=(features[validation], labels[validation]),
        make_model=lambda: perceptron(features.shape[1], 2, parameters),
        task=Classification(classes=("malignant", "benign")),
    )
