"""Several processes train one model, each on its share of every batch; with one process nothing here does anything.

The processes are told of each other by the variables that torchrun sets (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR,
MASTER_PORT), which `python -m tuning_trainer --processes` sets as well. All gradients are one vector, so a step needs
one message: what PyTorch's DistributedDataParallel cuts into buckets, to overlap it with the backward pass of large
models, would have nothing to overlap with here.

Every process must take the same decisions at the same step, or one waits for ever for another. So what they decide by
is made common here: losses and metrics, clocks, and the wish to stop.
"""

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, distributed, nn

from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parameters import Parameters
from tuning_trainer.weights import STATISTICS

T = TypeVar("T")

DRAIN_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Processes:
    """Those that train together: how many, and which of them this is."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that logs, exports, and writes the record and the checkpoints (HST-1)."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """Return this process's part of the rows, in their order; all parts together are all rows, none twice."""
        return rows.tensor_split(self.size)[self.rank]

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in one message."""
        if self.size == 1:
            return
        message = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(message)
        message /= self.size
        for tensor, mean in zip(tensors, message.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of each value over all processes."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def as_the_first_says(self, value: T) -> T:
        """Return the first process's value, on all of them."""
        if self.size == 1:
            return value
        said = [value]
        distributed.broadcast_object_list(said, src=0)
        return said[0]

    def gathered(self, value: T) -> list[T]:
        """Return the value of each process, by rank, on all of them."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def common(self, stop: threading.Event) -> threading.Event:
        """Return an event that all must ask together, and that is set on all once it is set on one of them."""
        return stop if self.size == 1 else CommonEvent(stop, self)


ALONE = Processes()


class CommonEvent(threading.Event):
    """One process's event, as all of them see it."""

    def __init__(self, own: threading.Event, processes: Processes) -> None:
        """Ask for `own` on each of the processes."""
        super().__init__()
        self._own = own
        self._processes = processes

    def is_set(self) -> bool:
        """Return whether it is set on any process; to be called on all of them at the same step.

        The message goes between the hosts, on the CPU: no device is waited for (INP-5).
        """
        return bool(self._processes.total(torch.tensor(float(self._own.is_set()))) > 0)

    def set(self) -> None:
        """Set it, on all processes."""
        self._own.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set on this process."""
        return self._own.wait(timeout)


@contextmanager
def together(env: Mapping[str, str] = os.environ) -> Iterator[Processes]:
    """Join the processes that the environment tells of, for as long as the `with` block lasts.

    Raises:
        ConfigurationError: there are GPUs, and this process has none of its own.
    """
    size = int(env.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    gpu = torch.cuda.is_available()
    if gpu:
        take_a_gpu(int(env.get("LOCAL_RANK", "0")))
    # Both: gradients travel from GPU to GPU, and what the hosts agree on from host to host. Without libuv, since not
    # every build of PyTorch has it, and it only serves to let thousands of processes meet.
    distributed.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", init_method="env://?use_libuv=0")
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        # A thread of gloo's lets go of the last message's tensor, and needs Python's lock for it; destroying the group
        # waits for that thread and holds the lock. So it is given the time before.
        time.sleep(DRAIN_SECONDS)
        distributed.destroy_process_group()


def take_a_gpu(local_rank: int) -> None:
    """Let the process compute on the GPU of its number: NCCL refuses two processes on one.

    Raises:
        ConfigurationError: there is none of that number.
    """
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise ConfigurationError(
            f"process {local_rank} of this host, counted from 0, has no GPU of its own: there are {count}; "
            "start at most that many processes"
        )
    torch.cuda.set_device(local_rank)


def require_equal_shares(parameters: Parameters, processes: Processes) -> None:
    """Refuse a batch that cannot be shared: with unequal shares the mean of their means would not be the batch's.

    Raises:
        ConfigurationError: with the sizes.
    """
    parts = processes.size * parameters.gradient_accumulation
    if parameters.batch_size % parts:
        cut = f" in {parameters.gradient_accumulation} parts each" if parameters.gradient_accumulation > 1 else ""
        raise ConfigurationError(
            f"batch_size {parameters.batch_size} cannot be shared equally among {processes.size} processes{cut}: "
            f"it must be a multiple of {parts}"
        )


def require_common_buffers(model: nn.Module, processes: Processes) -> None:
    """Refuse a model that keeps something beside its weights which differs between the processes (BNM-6, HST-2).

    Each would evaluate another model, and only the first one's would be saved. Batch norm's statistics do not: they are
    averaged at every step.

    Raises:
        ConfigurationError: with the names of these buffers.
    """
    if processes.size == 1:
        return
    told = processes.gathered({name: hash_of([buffer]) for name, buffer in model.named_buffers()})
    apart = [name for name in told[0] if len({each[name] for each in told}) > 1]
    if apart:
        raise ConfigurationError(
            f"the model's buffers {', '.join(apart)} differ between the processes: of buffers that learn from examples "
            f"only {' and '.join(STATISTICS)} can be trained with several processes"
        )


def hash_of(tensors: Sequence[Tensor]) -> str:
    """Return a short hash of the tensors' values, eight hexadecimal digits; of none, the empty text."""
    if not tensors:
        return ""
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:8]
