"""Which examples a step learns from: a pure function of the step, so there is nothing to save in a checkpoint."""

import functools

import torch
from torch import Tensor

from tuning_trainer.seeds import seed_of


def batch_of(step: int, batch_size: int, examples: int, seed: int) -> Tensor:
    """Return the rows, shape (batch_size,), of a step's batch.

    The batches cut up one endless sequence of epochs, each of them a new permutation of all examples, so that every
    example is seen equally often whatever the batch size.
    """
    start = step * batch_size
    epochs = range(start // examples, (start + batch_size - 1) // examples + 1)
    rows = torch.cat([epoch_order(epoch, examples, seed) for epoch in epochs])
    return rows[start - epochs[0] * examples :][:batch_size]


@functools.lru_cache(maxsize=2)
def epoch_order(epoch: int, examples: int, seed: int) -> Tensor:
    """Return a permutation of the rows, shape (examples,)."""
    generator = torch.Generator().manual_seed(seed_of(seed, f"epoch {epoch}"))
    return torch.randperm(examples, generator=generator)
