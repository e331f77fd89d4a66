"""Which of the points that were tried should a user be told of? `python -m benchmarks.search.telling`.

The best measured loss of many is partly luck. Here the same runs of our Bayesian search, on the development instances,
are told of in several ways, and each is scored by the noise-free loss of the point that it names. A way that trains
points again has as many trials fewer for its search.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from benchmarks.search.contestants.entrants import OURS, entries
from benchmarks.search.problems.problem import Problem
from benchmarks.search.runs import scale_of
from benchmarks.search.scoring import BUDGETS, Scale
from benchmarks.search.simulation import Ending, simulate
from tuning_operator.search.encoding import Array, feature_owners, features_of, units_of
from tuning_operator.search.gaussian_process import conditioned, fitted
from tuning_operator.search.warping import warped

Rank = Callable[[Problem, Sequence[Ending], np.random.Generator], Array]
"""A number for each feasible trial: the one with the least is told of."""

AMONG = 5
"""Of the best measured ones, where the model chooses among some alone."""
RETRAINED = 3
TIMES = 2
DRAWS = 5
"""How often the retrains of a run are drawn."""


def measured(_: Problem, feasible: Sequence[Ending], __: np.random.Generator) -> Array:
    """Rank by what was measured."""
    return np.array([_loss(ending) for ending in feasible])


def predicted(problem: Problem, feasible: Sequence[Ending], _: np.random.Generator) -> Array:
    """Rank by what the search's own model expects at the points."""
    features = features_of(problem.arm, units_of(problem.arm, [ending.assignment for ending in feasible]))
    values = warped([_loss(ending) for ending in feasible])
    kernel = fitted(features, values, feature_owners(problem.arm))
    expected, _deviation = conditioned(kernel, features, values).posterior(features)
    return expected


def predicted_among_the_best(problem: Problem, feasible: Sequence[Ending], rng: np.random.Generator) -> Array:
    """Rank the best measured ones by what the model expects."""
    return _only_best(AMONG, measured(problem, feasible, rng), predicted(problem, feasible, rng))


def retrained(problem: Problem, feasible: Sequence[Ending], rng: np.random.Generator) -> Array:
    """Rank the best measured ones by the mean of their trainings, the first one among them."""
    losses = measured(problem, feasible, rng)
    means = np.full(len(losses), math.inf)
    for i in np.argsort(losses, kind="stable")[:RETRAINED]:
        again = [problem.measured(feasible[i].assignment, feasible[i].truth, rng) for _ in range(TIMES)]
        means[i] = np.mean([losses[i], *again])
    return means


def true(_: Problem, feasible: Sequence[Ending], __: np.random.Generator) -> Array:
    """Rank by the truth, which no user knows: what there is to gain."""
    return np.array([ending.truth for ending in feasible])


WAYS: Mapping[str, tuple[Rank, int]] = MappingProxyType(
    {
        "the best measured": (measured, 0),
        "the best predicted": (predicted, 0),
        f"the best predicted of the {AMONG} best measured": (predicted_among_the_best, 0),
        f"the best mean of the {RETRAINED} best, trained {TIMES} times more": (retrained, RETRAINED * TIMES),
        "the truly best": (true, 0),
    }
)
"""Each with the trials that it takes from the search's."""


def told(rank: Rank, problem: Problem, endings: Sequence[Ending], rng: np.random.Generator) -> float:
    """Return the noise-free loss of the trial that is told of; infinite where none was feasible."""
    feasible = [ending for ending in endings if ending.truth is not None]
    if not feasible:
        return math.inf
    chosen = feasible[int(np.argmin(rank(problem, feasible, rng)))]
    return math.inf if chosen.truth is None else chosen.truth


def scores(problem: Problem, scale: Scale, endings: Sequence[Ending], seed: int) -> dict[tuple[str, int], float]:
    """Return the score of each way at each budget of one run, times 100."""
    found = {}
    for name, (rank, taken) in WAYS.items():
        for budget in BUDGETS:
            draws = [np.random.default_rng([seed, draw]) for draw in range(DRAWS if taken else 1)]
            losses = [told(rank, problem, endings[: budget - taken], rng) for rng in draws]
            found[name, budget] = 100 * float(np.mean([scale.score(loss) for loss in losses]))
    return found


def table(means: Mapping[tuple[str, int], Sequence[float]]) -> str:
    """Return, as Markdown, each way's mean score and its difference from the first way with the standard error.

    Args:
        means: by way and budget, a mean for each problem.
    """
    first = next(iter(WAYS))
    lines = ["| Told | " + " | ".join(map(str, BUDGETS)) + " |", "|---" * (len(BUDGETS) + 1) + "|"]
    for name in WAYS:
        cells = []
        for budget in BUDGETS:
            difference = np.subtract(means[name, budget], means[first, budget])
            error = np.std(difference) / math.sqrt(len(difference))
            against = "" if name == first else f" ({np.mean(difference):+.1f} ± {error:.1f})"
            cells.append(f"{np.mean(means[name, budget]):.1f}{against}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the search on all problems, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.telling", description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--groups", default="ABCDE")
    parser.add_argument("--runs", type=Path, default=Path("build/search-runs"), help="where the scale is kept")
    options = parser.parse_args()
    # The problems' libraries are in the benchmark's own environment, and what is above needs none of them.
    from benchmarks.search.problems.suite import DEVELOPMENT, suite

    problems = suite(DEVELOPMENT, options.groups)
    folder = options.runs / f"instance-{DEVELOPMENT}"
    folder.mkdir(parents=True, exist_ok=True)
    medians, _ = scale_of(folder / "scale.json", problems)
    means: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for problem in problems:
        runs = [
            simulate(problem, entries({})[OURS].entrant(problem.arm, seed), BUDGETS[-1], seed).endings
            for seed in range(options.seeds)
        ]
        for way, mean in _means(problem, medians[problem.name], runs).items():
            means[way].append(mean)
        print(f"{problem.name}: done", flush=True)
    print(table(means))


def _means(problem: Problem, median: float, runs: Sequence[Sequence[Ending]]) -> dict[tuple[str, int], float]:
    truths = [ending.truth for run in runs for ending in run if ending.truth is not None]
    scale = Scale(median, min(truths) if problem.optimum is None else problem.optimum)
    each = [scores(problem, scale, run, seed) for seed, run in enumerate(runs)]
    return {way: float(np.mean([found[way] for found in each])) for way in each[0]}


def _only_best(number: int, losses: Array, others: Array) -> Array:
    """Return `others` where the loss is among the least, and infinity elsewhere."""
    ranks = np.argsort(np.argsort(losses, kind="stable"), kind="stable")
    return np.where(ranks < number, others, math.inf)


def _loss(ending: Ending) -> float:
    return math.inf if ending.measured is None else ending.measured


if __name__ == "__main__":
    main()
