"""Many studies of each policy on each table, and what came of them."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.early_stopping.policies import FixedFraction
from benchmarks.early_stopping.simulation import Policy, Study
from benchmarks.early_stopping.table import STEPS, Table

TRIALS = 64
"""Of the plain study: its steps are the compute that every policy gets."""
PARTS = (0.25, 0.5, 0.75, 1.0)
FRACTIONS = (1 / 9, 1 / 4, 1 / 3, 1 / 2)
KEEPS = (1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 10)


@dataclass(frozen=True)
class Outcome:
    """What a policy came to; the first axis is the table, the second the repetition."""

    name: str
    pauses: bool
    """Whether the policy pauses and promotes, which needs checkpoints."""
    regret: NDArray[np.float64]
    """By part of the compute, in units of (median - best) of the table; drawing as many configurations as it takes."""
    killed: NDArray[np.bool_]
    """Whether the eventual best of the same 64 trials was not trained to its end."""
    share: NDArray[np.float64]
    """The steps spent on these 64 trials, relative to training all to the end."""

    @property
    def kill_rate(self) -> float:
        """How often the eventual best was killed."""
        return float(self.killed.mean())


def outcome_of(name: str, policy: Policy, tables: Sequence[Table], repetitions: int) -> Outcome:
    """Run a policy on all tables; the same repetition has the same order of configurations for each policy."""
    regret = np.empty((len(tables), repetitions, len(PARTS)))
    killed = np.empty((len(tables), repetitions), dtype=bool)
    share = np.empty((len(tables), repetitions))
    budget = TRIALS * STEPS
    for t, table in enumerate(tables):
        for r in range(repetitions):
            order = [int(i) for i in np.random.default_rng((t, r)).permutation(len(table.results))]
            study = Study(table, order, policy, budget).run()
            best = [study.best_at(part * budget) for part in PARTS]
            regret[t, r] = (np.array(best) - table.results.min()) / table.scale
            same = Study(table, order[:TRIALS], policy).run()
            killed[t, r] = not same.is_complete(min(order[:TRIALS], key=lambda i: float(table.results[i])))
            share[t, r] = same.spent / budget
    return Outcome(name, policy.pauses, regret, killed, share)


def baselines(tables: Sequence[Table], repetitions: int, say: Callable[[str], None]) -> list[Outcome]:
    """Return the outcomes of all fixed fractions and shares to keep, in both forms."""
    found = []
    for fraction, keep, pauses in itertools.product(FRACTIONS, KEEPS, (False, True)):
        name = f"fixed {fraction:.0%}, {'promote' if pauses else 'keep'} {keep:.0%}"
        found.append(outcome_of(name, FixedFraction(fraction, keep, pauses), tables, repetitions))
        say(name)
    return found


def rival_of(outcome: Outcome, fixed: Sequence[Outcome]) -> Outcome | None:
    """Return the baseline of the rule's kind with the least mean regret of those that kill the best no more often.

    It is chosen in hindsight, which favours it.
    """
    allowed = [o for o in fixed if o.pauses == outcome.pauses and o.kill_rate <= outcome.kill_rate]
    return min(allowed, key=lambda other: float(other.regret.mean()), default=None)


def difference(outcome: Outcome, other: Outcome, part: int, draws: int = 2000) -> tuple[float, float, float]:
    """Return the mean of a regret minus the other's with its 95 % interval: repetitions drawn again within tables."""
    paired = outcome.regret[:, :, part] - other.regret[:, :, part]
    rng = np.random.default_rng(4)
    picks = rng.integers(0, paired.shape[1], (draws, *paired.shape))
    means = np.take_along_axis(paired[None], picks, axis=2).mean(axis=(1, 2))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(paired.mean()), float(low), float(high)
