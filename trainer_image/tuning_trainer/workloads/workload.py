"""What a workload is: examples to learn from and to measure on, a model, and a task that says what its errors are."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

Examples = tuple[Tensor, Tensor]
"""Inputs and targets, of the same length: one row of each is an example."""


class Task(ABC):
    """What an output is worth, example by example."""

    classification: bool = True
    """Whether outputs can be right or wrong, and not only more or less wrong."""
    classes: tuple[str, ...] = ()
    """Names of the classes whose examples are counted one by one; empty: none are."""

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the loss of each example, shape (examples,)."""

    @abstractmethod
    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor | None:
        """Return the misclassified fraction of each example, shape (examples,); None where nothing is classified."""


@dataclass(frozen=True)
class Workload:
    """Everything that the training loop must know about what is learned."""

    train: Examples
    validation: Examples
    make_model: Callable[[], nn.Module]
    """Make the model with new weights from PyTorch's global random generator, which is seeded before."""
    task: Task

    @property
    def classification(self) -> bool:
        """Whether errors are measured beside losses."""
        return self.task.classification

    def to(self, device: torch.device) -> "Workload":
        """Return the workload with its examples on a device, as a whole."""
        (a, b), (c, d) = self.train, self.validation
        return Workload((a.to(device), b.to(device)), (c.to(device), d.to(device)), self.make_model, self.task)


class Classification(Task):
    """One class an example, or one for each of its positions: the cross-entropy in nats and the misclassified fraction.

    Outputs have the shape (examples, …, classes), targets (examples, …).
    """

    def __init__(self, classes: tuple[str, ...] = ()) -> None:
        """Count the examples of these classes one by one."""
        self.classes = classes

    def losses(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the cross-entropy of each example, the mean over its positions."""
        each = functional.cross_entropy(
            outputs.flatten(0, -2), targets.flatten(), reduction="none", label_smoothing=label_smoothing
        )
        return each.view(len(targets), -1).mean(dim=1)

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the misclassified fraction of each example's positions."""
        return (outputs.argmax(dim=-1) != targets).view(len(targets), -1).float().mean(dim=1)


class Regression(Task):
    """One number an example: the squared error. Outputs and targets have the shape (examples,)."""

    classification = False

    def losses(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the squared error of each example; there are no labels to be smoothed."""
        return (outputs - targets) ** 2

    def errors(self, outputs: Tensor, targets: Tensor) -> None:
        """Nothing is classified."""
        return
