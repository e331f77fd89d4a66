"""Processor seconds per suggestion after 100 and after 1,000 trials: `python -m benchmarks.search.latency [PEER …]`.

A mixed space with a condition, a tenth of the trials infeasible, eight running. Ours is called on records, as in the
operator; a peer is asked and told all trials one after another, and the last of them are timed. Processor time is this
process's own: a peer with an environment of its own is timed by that environment's interpreter. A slow peer is left
when it has used the seconds that it may (`--most`); what is printed then is how far it came.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.search.contestants.entrants import OWN_ENVIRONMENT, entries
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


def of_peer(entrant: Entrant, number: int, most: float) -> list[float]:
    """Return the seconds of a contestant's suggestions: of that many, or of those until it has used `most` seconds."""
    contestant = entrant(ARM, 0)
    points: list[Assignment] = []
    seconds: list[float] = []
    start = time.process_time()
    while len(points) < number:
        before = time.process_time()
        points.append(contestant.ask(len(points)))
        seconds.append(time.process_time() - before)
        ended = len(points) - 1 - PARALLELISM
        if ended >= 0:
            contestant.tell(ended, loss(points[ended]))
        if time.process_time() - start > most:
            break
    return seconds


def line(name: str, trials: int, seconds: Sequence[float]) -> str:
    """Return the median and the 95th percentile of a contestant's suggestions at about that many trials."""
    median, high = (round(float(np.quantile(seconds, share)), 4) for share in (0.5, 0.95))
    return json.dumps({"contestant": name, "trials": trials, "median": median, "p95": high})


def main() -> None:
    """Print the seconds of ours, of quasi-random search and of the peers that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.latency", description=__doc__)
    parser.add_argument("peers", nargs="*", metavar="PEER")
    parser.add_argument("--most", type=float, default=300, help="processor seconds that a peer may use")
    options = parser.parse_args()
    for number in NUMBERS:
        print(line("bayesian", number, list(of_ours(number))), flush=True)
    contestants = entries(dict.fromkeys(OWN_ENVIRONMENT, sys.executable))
    for name in ("quasi-random", *options.peers):
        seconds = of_peer(contestants[name].entrant, NUMBERS[-1], options.most)
        reached = {n for n in NUMBERS if n <= len(seconds)} | {len(seconds)}
        for number in sorted(reached):
            print(line(name, number, seconds[max(0, number - TIMED) : number]), flush=True)


if __name__ == "__main__":
    main()
