"""Measure a model on examples: loss and error, and of a whole validation set what the Playbook checks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from tuning_contract.diagnostics import ClassCount, Evaluation
from tuning_trainer.parallel import ALONE, Processes
from tuning_trainer.workloads.workload import Examples, Task

EVALUATION_BATCH: Final = 512
"""Examples at a time, or the training batch where that is larger: no activations are kept (EVS-3)."""
CPU: Final = torch.device("cpu")


@dataclass(frozen=True)
class Measured:
    """What a model does on some examples."""

    loss: float
    """Mean over the examples, without dropout and label smoothing."""
    error: float | None
    """Misclassified fraction; None where nothing is classified."""
    weight_sum: float
    """How many examples were counted; a partial batch counts by its examples, and nothing is padded (EVS-6)."""
    per_class: dict[str, ClassCount]
    """Of each class, how many examples there are and how many were classified correctly (SMPL-5)."""

    def evaluation(self) -> Evaluation | None:
        """Return the error with its number of examples, as records have it; None where nothing is classified."""
        return None if self.error is None else Evaluation(self.error, round(self.weight_sum))


def evaluate(
    model: Callable[[Tensor], Tensor],
    examples: Examples,
    task: Task,
    batch_size: int = EVALUATION_BATCH,
    device: torch.device = CPU,
    processes: Processes = ALONE,
) -> Measured:
    """Measure the model on all of the examples: each process on a share, and the sums are those of all processes."""
    sums = torch.zeros(3 + 2 * len(task.classes), dtype=torch.float64, device=device)
    inputs, targets = map(processes.share, examples)
    with torch.no_grad():
        for batch, batch_targets in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            if len(batch):  # a share is empty where there are more processes than examples
                sums += sums_of(model(batch.to(device)), batch_targets.to(device), task)
    loss, error, count, *each = processes.total(sums).tolist()
    return Measured(
        loss=loss / count,
        error=error / count if task.classification else None,
        weight_sum=count,
        per_class={
            name: ClassCount(round(of_class), round(correct))
            for name, of_class, correct in zip(
                task.classes, each[: len(task.classes)], each[len(task.classes) :], strict=True
            )
        },
    )


def sums_of(outputs: Tensor, targets: Tensor, task: Task) -> Tensor:
    """Return over the examples of a batch: sum of losses, of errors, their number; of each class examples and correct.

    In double precision, in which the order of the sums changes nothing that anyone could see.
    """
    losses, wrong = task.losses(outputs, targets).double(), task.errors(outputs, targets)
    errors = torch.zeros_like(losses) if wrong is None else wrong.double()
    sums = torch.stack([losses.sum(), errors.sum(), torch.ones_like(losses).sum()])
    if not task.classes:
        return sums
    examples = torch.bincount(targets, minlength=len(task.classes)).double()
    correct = torch.bincount(targets, weights=1.0 - errors, minlength=len(task.classes))
    return torch.cat([sums, examples, correct])


def sample(examples: Examples, count: int) -> Examples:
    """Return `count` of the examples, always the same and evenly spread over all; 0, or more than there are: all."""
    inputs, targets = examples
    if not 0 < count < len(inputs):
        return examples
    rows = torch.arange(count, device=inputs.device) * len(inputs) // count
    return inputs[rows], targets[rows]
