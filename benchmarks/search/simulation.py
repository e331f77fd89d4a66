"""A cluster in simulated time: trials of different lengths, in parallel, whose results arrive out of order."""

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from benchmarks.search.problems.problem import Problem
from tuning_operator.search.arms import Arm
from tuning_operator.search.sequence import ExhaustedError
from tuning_operator.search.space import Assignment

PARALLELISM = 8
SPREAD = 0.5
"""Standard deviation of the logarithm of a trial's duration."""
INFEASIBLE_SHARE = 0.3
"""Of its duration, after which an infeasible trial ends: it diverges early."""


class Contestant(Protocol):
    """A search algorithm that is asked for points and told results."""

    def ask(self, number: int) -> Assignment:
        """Return what trial `number` shall try. Trials that were asked for and not told are running.

        Raises:
            ExhaustedError: there is no further point.
        """

    def tell(self, number: int, loss: float | None) -> None:
        """Take the result of trial `number`; None: infeasible."""


Entrant = Callable[[Arm, int], Contestant]
"""A contestant for an arm and a seed."""


@dataclass(frozen=True)
class Ending:
    """A trial that has ended."""

    number: int
    truth: float | None
    """The noise-free loss at its point; None: infeasible."""
    measured: float | None
    """What it reported."""
    assignment: Assignment = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A contestant's trials in the order in which they ended, and the seconds that each suggestion took."""

    endings: list[Ending]
    seconds: list[float]


def simulate(
    problem: Problem,
    contestant: Contestant,
    trials: int,
    seed: int,
    parallelism: int = PARALLELISM,
    watched: int | None = None,
) -> Run:
    """Run a contestant until its trials have ended, or it has no further point.

    Trial k is equally long and equally unlucky whichever contestant asked for it.

    Args:
        problem: what it searches.
        contestant: it suggests.
        trials: how many it has.
        seed: of durations and noise.
        parallelism: how many run at once.
        watched: stop when so many have ended, while others run: exactly the beginning of the whole run. A run of
            fewer trials is another thing: towards its end nothing is started any more, and slow trials are waited for.
    """
    running: list[tuple[float, int, Ending]] = []
    endings: list[Ending] = []
    seconds: list[float] = []
    now = 0.0
    started = 0
    exhausted = False
    while len(endings) < (trials if watched is None else watched):
        while len(running) < parallelism and started < trials and not exhausted:
            before = time.perf_counter()
            try:
                assignment = contestant.ask(started)
            except ExhaustedError:
                exhausted = True
                break
            seconds.append(time.perf_counter() - before)
            ending, duration = _trial(problem, assignment, started, seed)
            heapq.heappush(running, (now + duration, started, ending))
            started += 1
        if not running:
            break
        now, number, ending = heapq.heappop(running)
        endings.append(ending)
        contestant.tell(number, ending.measured)
    return Run(endings, seconds)


def _trial(problem: Problem, assignment: Assignment, number: int, seed: int) -> tuple[Ending, float]:
    rng = np.random.default_rng([seed, number])
    duration = float(np.exp(SPREAD * rng.standard_normal()))
    truth = problem.truth(assignment)
    if truth is None:
        return Ending(number, None, None, assignment), duration * INFEASIBLE_SHARE
    return Ending(number, truth, problem.measured(assignment, truth, rng), assignment), duration
