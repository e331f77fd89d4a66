"""Runs, kept in a folder as lines of JSON: what was computed once is not computed again."""

import json
import math
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.search.contestants.entrants import RANDOM, Entry, entries
from benchmarks.search.problems.problem import Problem
from benchmarks.search.scoring import BUDGETS, SCALE_BUDGET, told_best
from benchmarks.search.simulation import Run, simulate

AROUND_HUNDRED = slice(90, 110)
"""The suggestions whose seconds stand for those at 100 trials."""
SCALE_SEEDS = range(10_000, 10_101)
"""Of the random runs that make the scale: none of them competes."""


@dataclass(frozen=True)
class Record:
    """What the report needs of a run."""

    contestant: str
    problem: str
    seed: int
    losses: dict[str, float]
    """By budget that the run has reached: the noise-free loss of the point told to be best; infinite where none was
    feasible."""
    least: float
    """The least noise-free loss of all its points."""
    infeasible: float
    """The share of infeasible trials."""
    seconds: float | None
    """The median time of a suggestion at about 100 trials; None in a shorter run."""


def completed(path: Path) -> dict[tuple[str, int], Record]:
    """Return the records in a file, by problem and seed."""
    lines = path.read_text().splitlines() if path.exists() else []
    records = [Record(**json.loads(line)) for line in lines]
    return {(record.problem, record.seed): record for record in records}


def run_missing(
    folder: Path, name: str, entry: Entry, problems: list[Problem], seeds: range, trials: int
) -> Iterator[Record]:
    """Run a contestant wherever it has not run yet; each record is in the folder before it is returned.

    With fewer trials than the largest budget it is the beginning of the run of that budget, and compares with it.
    """
    path = folder / f"{name.replace('/', '-').replace(' ', '-')}.jsonl"
    known = completed(path)
    for seed in seeds:
        for problem in problems:
            if (problem.name, seed) in known:
                continue
            length = max(trials, BUDGETS[-1]) * entry.budget
            contestant = entry.entrant(problem.arm, seed)
            run = simulate(problem, contestant, length, seed, watched=trials * entry.budget)
            record = record_of(name, problem.name, seed, run, trials, entry.budget)
            with path.open("a") as file:
                file.write(json.dumps(asdict(record)) + "\n")
            yield record


def record_of(contestant: str, problem: str, seed: int, run: Run, trials: int, budget: int) -> Record:
    """Return what the report needs of a run of `trials` times `budget` trials."""
    truths = [e.truth for e in run.endings if e.truth is not None]
    around = run.seconds[AROUND_HUNDRED]
    return Record(
        contestant,
        problem,
        seed,
        {str(b): told_best(run.endings[: b * budget]) for b in BUDGETS if b <= trials},
        min(truths, default=math.inf),
        1 - len(truths) / len(run.endings),
        statistics.median(around) if around else None,
    )


def scale_of(path: Path, problems: list[Problem]) -> tuple[dict[str, float], set[str]]:
    """Return random search's median loss at 16 trials by problem, and the problems that have infeasible points.

    They are kept in the file, and computed where it does not have them.
    """
    known = json.loads(path.read_text()) if path.exists() else {}
    contestant = entries({})[RANDOM]
    for problem in problems:
        if problem.name in known:
            continue
        runs = [
            simulate(problem, contestant.entrant(problem.arm, seed), SCALE_BUDGET, seed).endings for seed in SCALE_SEEDS
        ]
        losses = sorted(told_best(endings) for endings in runs)
        fails = any(ending.truth is None for endings in runs for ending in endings)
        known[problem.name] = {"median": losses[len(losses) // 2], "fails": fails}
    path.write_text(json.dumps(known, indent=1))
    names = {p.name for p in problems}
    return {n: known[n]["median"] for n in names}, {n for n in names if known[n]["fails"]}
