"""The batches of a run, each on the device when its step begins."""

import torch
from torch import Tensor

from tuning_trainer.order import batch_of
from tuning_trainer.parallel import ALONE, Processes
from tuning_trainer.workloads.workload import Examples


class Batches:
    """Of each step its batch, or this process's share of it.

    Where the examples are in the host's memory and the device is a GPU, the batch of the next step is on its way, out
    of pinned memory and on a stream of its own, while the current one is learned from (INP-6). Elsewhere there is
    nothing to be fetched ahead: rows of what is there already.
    """

    def __init__(
        self, examples: Examples, batch_size: int, seed: int, device: torch.device, processes: Processes = ALONE
    ) -> None:
        """Cut `examples` into batches of `batch_size`, in the order that belongs to the seed."""
        self._examples = examples
        self._batch_size = batch_size
        self._seed = seed
        self._device = device
        self._processes = processes
        fetches = device.type == "cuda" and examples[0].device.type == "cpu"
        self._stream = torch.cuda.Stream(device) if fetches else None
        self._ahead: dict[int, Examples] = {}
        """The batch that is on its way, by its step."""

    def at(self, step: int) -> Examples:
        """Return the examples of a step that was not asked for before, on the device."""
        if self._stream is None:
            return self.share_of(step)
        batch = self._ahead.get(step) or self._send(step)
        torch.cuda.current_stream().wait_stream(self._stream)
        for tensor in batch:
            tensor.record_stream(torch.cuda.current_stream())  # its memory must not be another's before it is used
        self._ahead = {step + 1: self._send(step + 1)}
        return batch

    def share_of(self, step: int) -> Examples:
        """Return the examples of any step, where they lie."""
        inputs, targets = self._examples
        rows = self._processes.share(batch_of(step, self._batch_size, len(inputs), self._seed)).to(inputs.device)
        return inputs[rows], targets[rows]

    def _send(self, step: int) -> Examples:
        with torch.cuda.stream(self._stream):
            inputs, targets = map(self._to_device, self.share_of(step))
        return inputs, targets

    def _to_device(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory().to(self._device, non_blocking=True)
