"""Processor seconds per suggestion after 100 and after 1,000 trials: `python -m benchmarks.search.latency [PEER …]`.

A mixed space with a condition, a tenth of the trials infeasible, eight running. Ours is called on records, as in the
operator; a peer is asked and told all trials one after another, and the last of them are timed.
"""

import json
import sys
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.search.contestants.entrants import entries
from benchmarks.search.problems.problem import arm_of, choice, only, real, whole
from benchmarks.search.simulation import PARALLELISM, Entrant
from tuning_operator.search.bayesian import bayesian_point
from tuning_operator.search.observation import Observation
from tuning_operator.search.quasi_random import quasi_random_points
from tuning_operator.search.space import Assignment

NUMBERS = (100, 1_000)
TIMED = 20
ARM = arm_of(
    real("rate", 1e-5, 1, "Log"),
    real("momentum", 0.5, 0.999, "ReverseLog"),
    real("dropout", 0, 0.5),
    whole("width", 16, 1024, "Log"),
    choice("optimizer", "sgd", "adam"),
    real("beta2", 0.9, 0.9999, "ReverseLog", **only("optimizer", "adam")),
)


def loss(assignment: Assignment) -> float | None:
    """Return a loss with its best at a rate of 0.01; None: diverged."""
    rate = float(assignment["rate"])
    return None if rate > 0.3 else abs(np.log10(rate) + 2) + float(assignment["dropout"])


def of_ours(number: int) -> Iterator[float]:
    """Yield the seconds of Bayesian suggestions after that many trials."""
    points = [ARM.assignment_at(point) for point in quasi_random_points(0, ARM, 0, number + PARALLELISM)]
    known = [Observation(0, i, point, loss(point), loss(point) is None) for i, point in enumerate(points[:number])]
    known += [Observation(0, number + i, point) for i, point in enumerate(points[number:])]
    for seed in range(TIMED):
        before = time.process_time()
        bayesian_point(ARM, known, seed)
        yield time.process_time() - before


def of_peer(entrant: Entrant, number: int) -> Iterator[float]:
    """Yield the seconds of a contestant's last suggestions of that many."""
    contestant = entrant(ARM, 0)
    points: list[Assignment] = []
    for position in range(number):
        before = time.process_time()
        points.append(contestant.ask(position))
        if position >= number - TIMED:
            yield time.process_time() - before
        if position >= PARALLELISM:
            contestant.tell(position - PARALLELISM, loss(points[position - PARALLELISM]))


def main() -> None:
    """Print the median and the 95th percentile for ours, for quasi-random search and for the peers that are named."""
    contestants = entries({})
    for number in NUMBERS:
        seconds = {"bayesian": list(of_ours(number))}
        for name in ("quasi-random", *sys.argv[1:]):
            seconds[name] = list(of_peer(contestants[name].entrant, number))
        for name, values in seconds.items():
            median, high = np.quantile(values, [0.5, 0.95])
            print(json.dumps({"contestant": name, "trials": number, "median": round(median, 4), "p95": round(high, 4)}))


if __name__ == "__main__":
    main()
