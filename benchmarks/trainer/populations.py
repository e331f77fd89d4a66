"""How many trials a minute one process trains, one after the other and k at a time."""

import itertools
import math
import statistics
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.trainer import ours
from benchmarks.trainer.cases import CASES
from benchmarks.trainer.clock import clock
from tuning_contract.environment import ParameterValue
from tuning_trainer.population.members import Member
from tuning_trainer.population.reporting import Objective, PackReport, reporters_of
from tuning_trainer.population.training import train

ONE_BY_ONE = 0
"""In the place of k: trials of the ordinary loop, one after the other in the same process."""
SHARED: dict[str, ParameterValue] = {"order_seed": 0}


@dataclass(frozen=True)
class Rate:
    """What was measured for one k."""

    workload: str
    k: int
    steps: int
    trials: int
    seconds: float
    """From the members to their last record: start-up, steps and evaluations; imports left out."""
    best_losses: list[float]
    peak_memory_bytes: float
    processes: int = 1
    """Side by side on the device."""
    shared_batches: bool = False
    """Whether all members learned from the same batches."""

    @property
    def trials_a_minute(self) -> float:
        """Trials trained in a minute."""
        return 60 * self.trials / self.seconds


def rates(workload: str, steps: int, sizes: Iterable[int], one_by_one: int, *, shared: bool = False) -> Iterable[Rate]:
    """Measure `one_by_one` ordinary trials, then a population of each size; trial n is the same in all.

    With `shared` also one of each size whose members have the same batches, and so other trials.
    """
    warm_up = given(workload, 2, 0)
    ours.trial(warm_up, 0)
    together([Member.of("warm-up", warm_up, 0)])
    now = clock().now
    started = now()
    losses = [ours.trial(given(workload, steps, n), n) for n in range(one_by_one)]
    yield Rate(workload, ONE_BY_ONE, steps, one_by_one, now() - started, losses, peak_memory())
    for k, order in itertools.product(sizes, [{}, SHARED] if shared else [{}]):
        members = [Member.of(f"trial-{n}", given(workload, steps, n) | order, n) for n in range(k)]
        started = now()
        losses = together(members)
        yield Rate(workload, k, steps, k, now() - started, losses, peak_memory(), shared_batches=bool(order))


def given(workload: str, steps: int, n: int) -> dict[str, ParameterValue]:
    """Return the parameters of trial n: learning rate and decay go through half a decade, in an order without trend."""
    position = (n * 0.6180339887498949) % 1.0
    parameters = CASES[workload].parameters(steps)
    rate = float(parameters["learning_rate"])
    return {**parameters, "learning_rate": rate * 10 ** (0.5 * (position - 0.5)), "weight_decay": 10 ** (-4 + position)}


def together(members: list[Member]) -> list[float]:
    """Train a population, each member with its reporter, and return their best validation losses."""
    environment = Objective("validation_loss").environment(members)
    reporters, _ = reporters_of(environment, PackReport(environment))
    train(members, reporters, ("validation_loss",), threading.Event(), lambda _: None)
    return [r.best.value if r.best else math.nan for r in reporters.values()]


def peak_memory() -> float:
    """Return the most memory so far, in bytes: of the GPU where there is one, else of the process."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    # Not of getrusage, whose figure a process begins with that of the one which started it.
    status = Path("/proc/self/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024


def median_loss(rate: Rate, trials: int) -> float:
    """Return the median best loss of the first `trials`, or of as many as there are."""
    return statistics.median(rate.best_losses[:trials])
