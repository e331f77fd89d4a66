"""The simulated study spends what it says, tells the best complete trial, and trains nothing twice."""

import math

import numpy as np
import pytest

from benchmarks.early_stopping.policies import AtEachEvaluation, AtRungs, FixedFraction
from benchmarks.early_stopping.simulation import Policy, Study
from benchmarks.early_stopping.table import EVALUATE_EVERY, STEPS, Table
from tuning_operator.search.stopping.curve import Progress
from tuning_operator.search.stopping.median import Median
from tuning_operator.search.stopping.rules import DivergedOnly, Nothing
from tuning_operator.search.stopping.successive_halving import SuccessiveHalving

EVALUATIONS = STEPS // EVALUATE_EVERY + 1
NUMBER = 24


def a_table(diverging: int = 0) -> Table:
    """Curves that fall for a quarter of the run and never cross, the first the best; the last ones diverge."""
    fall = np.minimum(1, np.linspace(0, 4, EVALUATIONS))
    losses = np.array([3 - 2 * (1 - i / NUMBER) * fall for i in range(NUMBER)])
    losses[NUMBER - diverging :, 5:] = math.nan
    return Table("made", losses, np.linspace(1, 2, NUMBER))


def test_without_a_rule_everything_is_trained() -> None:
    study = Study(a_table(), range(NUMBER), AtEachEvaluation(Nothing())).run()
    assert study.spent == NUMBER * STEPS
    assert all(study.is_complete(i) for i in range(NUMBER))
    assert study.best_at(study.spent) == pytest.approx(1.0)
    assert study.best_at(STEPS - 1) == math.inf


def test_a_budget_ends_the_study() -> None:
    assert Study(a_table(), range(NUMBER), AtEachEvaluation(Nothing()), budget=3000).run().spent == 3000


def test_what_diverged_is_not_trained_further() -> None:
    study = Study(a_table(diverging=4), range(NUMBER), AtEachEvaluation(DivergedOnly())).run()
    assert study.spent == (NUMBER - 4) * STEPS + 4 * 5 * EVALUATE_EVERY


@pytest.mark.parametrize(
    "policy",
    [
        AtEachEvaluation(Median()),
        AtRungs(SuccessiveHalving()),
        FixedFraction(1 / 3, 1 / 4, pauses=False),
        FixedFraction(1 / 3, 1 / 4, pauses=True),
    ],
)
def test_a_rule_saves_steps_and_keeps_the_best(policy: Policy) -> None:
    # The best comes in the middle, when there is something to compare it with.
    order = [*range(12, NUMBER), 0, *range(1, 12)]
    study = Study(a_table(), order, policy).run()
    assert study.is_complete(0)
    assert study.spent < 0.95 * NUMBER * STEPS
    trained = sum(curve.steps[-1] for curve in study.curves.values())
    assert study.spent == trained


def test_what_waits_at_a_rung_goes_on_when_it_rises() -> None:
    study = Study(a_table(), range(NUMBER), FixedFraction(1 / 3, 1 / 4, pauses=True, min_trials=1)).run()
    complete = {name for name, curve in study.curves.items() if curve.progress is Progress.COMPLETE}
    # The best quarter of all, whichever they were behind when they arrived.
    assert complete >= {f"{i:03}" for i in range(NUMBER // 4)}
