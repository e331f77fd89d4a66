"""The winner rule: how often identical arms give a winner, and how often a better arm is found."""

import itertools
from collections.abc import Callable, Iterator
from typing import Final
from zlib import crc32

from benchmarks.findings.landscapes import LANDSCAPES, Landscape
from benchmarks.findings.rates import Case, Rate, Row
from benchmarks.findings.studies import OWN, SHARED, Plan, drawn
from tuning_operator.playbook.comparison.winner import outcome

RULE: Final = "Winner"
DIMENSIONS: Final = (1, 2, 4)
TRIALS: Final = (10, 20, 40)
ARMS: Final = (2, 3, 4, 8)
NOISES: Final = (0.0, 0.02, 0.1, 0.5, 2.0)
"""In units of the landscape's spread."""
EFFECTS: Final = (0.1, 0.25, 0.5)
LIMIT: Final = 0.05
UNEQUAL: Final = ((1, 2), (1, 3), (2, 3))
"""Optimizers with different numbers of hyperparameters, whose best losses are the same."""

Situation = tuple[Landscape, float]
SITUATIONS: Final[tuple[Situation, ...]] = tuple(itertools.product(LANDSCAPES, NOISES))


def rows(repetitions: int, say: Callable[[str], None]) -> Iterator[Row]:
    """Return a row for each number of dimensions, trials and arms, then summaries.

    Args:
        repetitions: How many studies a landscape and noise, each with seeds of its own.
        say: Told of progress.
    """
    by_situation: dict[Situation, Rate] = {s: Rate(0, 0) for s in SITUATIONS}
    for space, dimensions, trials, arms in itertools.product((SHARED, OWN), DIMENSIONS, TRIALS, ARMS):
        plan = Plan(arms, trials, (dimensions,), space)
        alarms = {s: winners(plan, s, 0.0, repetitions) for s in SITUATIONS}
        for situation, rate in alarms.items():
            by_situation[situation] += rate
        hits = {effect: _pooled(plan, effect, max(1, repetitions // 2)) for effect in EFFECTS}
        case: Case = {"space": space, "dimensions": dimensions, "trials": trials, "arms": arms}
        total = sum(alarms.values(), Rate(0, 0))
        say(f"{RULE} {case}: {total}")
        yield Row(RULE, case, total, hits[EFFECTS[-1]], LIMIT)
        for effect, rate in hits.items():
            yield Row("WinnerPower", case | {"effect": effect}, hits=rate)
    for (landscape, noise), rate in by_situation.items():
        yield Row("WinnerByLandscape", {"landscape": landscape.name, "noise": noise}, rate, limit=LIMIT)
    yield from unequal_rows(repetitions, say)


def unequal_rows(repetitions: int, say: Callable[[str], None]) -> Iterator[Row]:
    """Return rows for arms with the same optimum and different numbers of dimensions, on bowls."""
    bowl = LANDSCAPES[0]
    for dimensions, trials in itertools.product(UNEQUAL, TRIALS):
        plan = Plan(2, trials, dimensions, OWN)
        rates = [winners(plan, (bowl, noise), 0.0, 4 * repetitions) for noise in NOISES]
        case: Case = {"dimensions": " and ".join(map(str, dimensions)), "trials": trials}
        total = sum(rates, Rate(0, 0))
        say(f"unequal {case}: {total}")
        yield Row("WinnerUnequalDimensions", case, total)


def winners(plan: Plan, situation: Situation, better: float, repetitions: int) -> Rate:
    """Return how often there is a winner; with an effect, how often it is the better arm."""
    landscape, noise = situation
    spec = plan.spec()
    count = 0
    for i in range(repetitions):
        seed = crc32(f"{plan} {landscape.name} {noise} {better} {i}".encode()) % 2**31
        found = outcome(drawn(spec, plan.trials, landscape, noise, better, seed)).winner
        count += found is not None and (not better or found.scientific == {"variant": "a0"})
    return Rate(count, repetitions)


def _pooled(plan: Plan, effect: float, repetitions: int) -> Rate:
    quiet = [s for s in SITUATIONS if s[1] <= 0.1]
    return sum((winners(plan, s, effect, repetitions) for s in quiet), Rate(0, 0))
