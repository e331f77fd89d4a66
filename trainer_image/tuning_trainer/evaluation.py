"""Measure a model on examples: loss and error, and of a whole validation set what the Playbook checks."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from tuning_contract.diagnostics import ClassCount, Evaluation
from tuning_trainer.workloads.workload import Examples, Task

EVALUATION_BATCH: Final = 512
"""Examples at a time, or the training batch where that is larger: no activations are kept (EVS-3)."""


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


def evaluate(model: nn.Module, examples: Examples, task: Task, batch_size: int = EVALUATION_BATCH) -> Measured:
    """Measure the model on all of the examples."""
    inputs, targets = examples
    model.eval()
    losses: list[Tensor] = []
    errors: list[Tensor] = []
    with torch.no_grad():
        for batch, batch_targets in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            outputs = model(batch)
            losses.append(task.losses(outputs, batch_targets))
            if (wrong := task.errors(outputs, batch_targets)) is not None:
                errors.append(wrong)
    loss = torch.cat(losses)
    error = torch.cat(errors) if errors else None
    return Measured(
        loss=loss.double().mean().item(),
        error=None if error is None else error.double().mean().item(),
        weight_sum=float(len(loss)),
        per_class={} if error is None else per_class(task.classes, targets, error),
    )


def per_class(classes: tuple[str, ...], targets: Tensor, wrong: Tensor) -> dict[str, ClassCount]:
    """Count examples and correct ones of each class."""
    if not classes:
        return {}
    examples = torch.bincount(targets, minlength=len(classes)).tolist()
    correct = torch.bincount(targets, weights=1.0 - wrong, minlength=len(classes)).tolist()
    return {name: ClassCount(e, round(c)) for name, e, c in zip(classes, examples, correct, strict=True)}


def sample(examples: Examples, count: int) -> Examples:
    """Return `count` of the examples, always the same and evenly spread over all; 0, or more than there are: all."""
    inputs, targets = examples
    if not 0 < count < len(inputs):
        return examples
    rows = torch.arange(count, device=inputs.device) * len(inputs) // count
    return inputs[rows], targets[rows]
