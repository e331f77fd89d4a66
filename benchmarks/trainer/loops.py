"""How long our loop takes for what a plain one does."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.trainer import ours, plain
from benchmarks.trainer.cases import CASES
from benchmarks.trainer.clock import clock
from tuning_trainer.parameters import Parameters
from tuning_trainer.workloads.loading import parameters_from, workload_module
from tuning_trainer.workloads.workload import Workload

Loop = Callable[[Parameters, int, Workload], float]
LOOPS: Final[dict[str, Loop]] = {"plain": plain.train, "ours, bare": ours.train_bare, "ours": ours.train}


@dataclass(frozen=True)
class LoopTimes:
    """One workload's times and losses, by loop and repetition; the n-th of each loop ran one after the other."""

    workload: str
    steps: int
    seconds: dict[str, list[float]]
    losses: dict[str, list[float]]

    def ratio(self, loop: str) -> float:
        """Return the throughput of a loop as a share of the plain one's: the median over the repetitions."""
        pairs = zip(self.seconds["plain"], self.seconds[loop], strict=True)
        return statistics.median(alone / other for alone, other in pairs)


def loop_times(workload: str, steps: int, repetitions: int) -> LoopTimes:
    """Run the loops by turns, with the same seeds; a first turn, which warms up, does not count."""
    parameters = parameters_from(CASES[workload].parameters(steps))
    made = workload_module(parameters).make_workload(parameters)
    warm_up = parameters_from(CASES[workload].parameters(max(2, steps // 10)))
    now = clock().now
    seconds: dict[str, list[float]] = {name: [] for name in LOOPS}
    losses: dict[str, list[float]] = {name: [] for name in LOOPS}
    for loop in LOOPS.values():
        loop(warm_up, 0, made)
    for repetition in range(repetitions):
        for name, loop in LOOPS.items():
            started = now()
            losses[name].append(loop(parameters, repetition, made))
            seconds[name].append(now() - started)
    return LoopTimes(workload, steps, seconds, losses)
