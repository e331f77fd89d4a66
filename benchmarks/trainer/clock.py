"""Seconds of the device: on a CPU those of this process, which other processes do not lengthen; on a GPU the wall's."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Clock:
    """How time is told."""

    name: str
    now: Callable[[], float]
    is_wall: bool


def _gpu_seconds() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def clock() -> Clock:
    """Return the clock of the device that the trainer uses here."""
    if torch.cuda.is_available():
        return Clock("seconds", _gpu_seconds, is_wall=True)
    return Clock("CPU seconds of one thread", time.process_time, is_wall=False)
