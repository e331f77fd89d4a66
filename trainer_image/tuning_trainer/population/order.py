"""Which examples each member learns from: the rows that `tuning_trainer.order` gives, for all members at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tuning_trainer.order import epoch_order


class Orders:
    """The permutations of the epochs that are being cut into batches; all members are in the same epoch."""

    def __init__(
        self, seeds: Sequence[int], batch_size: int, examples: int, device: torch.device, *, are_one: bool = False
    ) -> None:
        """Let each member have the order of its own seed; where those `are_one`, all learn from the same batches."""
        self._seeds = list(seeds)
        self.are_one = are_one
        self._batch_size = batch_size
        self._examples = examples
        self._device = device
        self._epochs: dict[int, Tensor] = {}

    def batch(self, step: int) -> Tensor:
        """Return the rows of a step's batches: of each member those of `order.batch_of`.

        Returns:
            Shape (k, batch_size); (batch_size,) where the orders are one.
        """
        start = step * self._batch_size
        stop = start + self._batch_size
        epochs = range(start // self._examples, (stop - 1) // self._examples + 1)
        known = self._epochs
        self._epochs = {e: known[e] if e in known else self._permutations(e) for e in epochs}
        orders = list(self._epochs.values())
        rows = orders[0] if len(orders) == 1 else torch.cat(orders, dim=-1)
        first = epochs[0] * self._examples
        return rows[..., start - first : stop - first]

    def _permutations(self, epoch: int) -> Tensor:
        if self.are_one:
            return epoch_order(epoch, self._examples, self._seeds[0]).to(self._device)
        orders = [epoch_order(epoch, self._examples, seed) for seed in self._seeds]
        return torch.stack(orders).to(self._device)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these members alone."""
        self._seeds = [self._seeds[row] for row in rows]
        if not self.are_one:
            self._epochs = {epoch: order[list(rows)] for epoch, order in self._epochs.items()}
