"""The winner rule: how often identical arms give a winner, and how often a better arm is found."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from benchmarks.findings.landscapes import LANDSCAPES, Landscape
from benchmarks.findings.rates import Rate, Row
from benchmarks.findings.studies import OWN, SHARED, Plan, drawn
from tuning_operator.playbook.comparison.winner import outcome

DIMENSIONS: Final = (1, 2, 4)
TRIALS: Final = (10, 20, 40)
ARMS: Final = (2, 4, 8)
NOISES: Final = (0.0, 0.02, 0.1, 0.5, 2.0)
"""In units of the landscape's spread."""
EFFECTS: Final = (0.25, 0.5, 1.0)
QUIET: Final = 0.1
"""Power is measured up to this noise."""
LIMIT: Final = 0.05
UNEQUAL: Final = ((1, 2), (1, 3), (2, 3))
"""Optimizers with different numbers of hyperparameters, whose best losses are the same."""

Situation = tuple[Landscape, float]
SITUATIONS: Final[tuple[Situation, ...]] = tuple(itertools.product(LANDSCAPES, NOISES))


@dataclass(frozen=True)
class Identical:
    """Arms with equal spaces and landscapes; in other runs the first one is better."""

    plan: Plan
    situations: Sequence[Situation] = SITUATIONS

    def rows(self, repetitions: int) -> list[Row]:
        """Return false alarms by landscape and noise, and the power by the size of the effect."""
        plan = self.plan
        case = {
            "space": plan.space,
            "dimensions": str(plan.dimensions[0]),
            "trials": str(plan.trials),
            "arms": str(plan.arms),
        }
        found = []
        for landscape, noise in self.situations:
            rate = winners(plan, (landscape, noise), 0.0, repetitions)
            found.append(Row("Winner", case | {"landscape": landscape.name, "noise": f"{noise:g}"}, rate, limit=LIMIT))
        quiet = [s for s in self.situations if s[1] <= QUIET]
        for effect in EFFECTS:
            hits = sum((winners(plan, s, effect, max(1, repetitions // 2)) for s in quiet), Rate(0, 0))
            found.append(Row("Winner", case | {"effect": f"{effect:g}"}, hits=hits))
        return found


@dataclass(frozen=True)
class UnequalDimensions:
    """Two arms on bowls whose optima are equally good, with different numbers of hyperparameters."""

    dimensions: tuple[int, int]
    trials: int

    def rows(self, repetitions: int) -> list[Row]:
        """Return false alarms, over all noises."""
        plan = Plan(2, self.trials, self.dimensions, OWN)
        rates = (winners(plan, (LANDSCAPES[0], noise), 0.0, 8 * repetitions) for noise in NOISES)
        case = {"dimensions": " and ".join(map(str, self.dimensions)), "trials": str(self.trials)}
        return [Row("WinnerUnequalDimensions", case, sum(rates, Rate(0, 0)))]


def measures(quick: bool) -> list[Identical | UnequalDimensions]:
    """Return what is measured; a few corners of it where it must be quick."""
    if quick:
        corners = [(SHARED, 1, 10, 2), (SHARED, 2, 20, 4), (OWN, 1, 10, 2), (OWN, 2, 20, 4)]
        return [Identical(Plan(arms, trials, (d,), space)) for space, d, trials, arms in corners]
    grid = itertools.product((SHARED, OWN), DIMENSIONS, TRIALS, ARMS)
    return [
        *(Identical(Plan(arms, trials, (d,), space)) for space, d, trials, arms in grid),
        *(UnequalDimensions(d, trials) for d, trials in itertools.product(UNEQUAL, TRIALS)),
    ]


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
