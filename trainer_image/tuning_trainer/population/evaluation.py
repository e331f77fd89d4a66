"""Measure all members' models on the same examples."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.func import vmap

from tuning_contract.diagnostics import ClassCount
from tuning_trainer.evaluation import EVALUATION_BATCH, Measured
from tuning_trainer.population.weights import as_function
from tuning_trainer.workloads.workload import Examples, Task

ROWS_AT_ONCE: Final = 8192
"""Members times examples: more would use more memory and not be faster."""


def evaluate(model: nn.Module, weights: dict[str, Tensor], examples: Examples, task: Task) -> list[Measured]:
    """Return what each member's model, weights of shape (k, …), does on all of the examples."""
    inputs, targets = examples
    members = len(next(iter(weights.values())))
    batch_size = max(1, min(EVALUATION_BATCH, ROWS_AT_ONCE // members))
    forward = vmap(as_function(model), in_dims=(0, None))
    losses_of, errors_of = vmap(task.losses, in_dims=(0, None)), vmap(task.errors, in_dims=(0, None))
    counted = task.classification
    losses: list[Tensor] = []
    errors: list[Tensor] = []
    model.eval()
    with torch.no_grad():
        for batch, batch_targets in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            outputs = forward(weights, batch)
            losses.append(losses_of(outputs, batch_targets))
            if counted:
                errors.append(errors_of(outputs, batch_targets))
    loss = torch.cat(losses, dim=1)
    means = loss.double().mean(dim=1).tolist()
    if not errors:
        return [Measured(mean, None, float(loss.shape[1]), {}) for mean in means]
    error = torch.cat(errors, dim=1)
    fractions = error.double().mean(dim=1).tolist()
    counts = per_class(task.classes, targets, error)
    return [
        Measured(mean, fraction, float(loss.shape[1]), of_classes)
        for mean, fraction, of_classes in zip(means, fractions, counts, strict=True)
    ]


def per_class(classes: tuple[str, ...], targets: Tensor, errors: Tensor) -> list[dict[str, ClassCount]]:
    """Count, for each member, examples and correct ones of each class (SMPL-5); errors have the shape (k, examples)."""
    if not classes:
        return [{} for _ in errors]
    examples = torch.bincount(targets, minlength=len(classes)).tolist()
    correct = torch.zeros(len(errors), len(classes), dtype=errors.dtype, device=errors.device)
    correct.index_add_(1, targets, 1.0 - errors)
    return [
        {name: ClassCount(e, round(c)) for name, e, c in zip(classes, examples, row, strict=True)}
        for row in correct.tolist()
    ]
