"""Over seeds, members end at the losses of the ordinary loop; and the tests that say so would see a difference.

Thirty seeds a side, 5 % of false alarms. Of normal losses, a shift by one standard deviation is seen in 96 of 100
cases, by 0.8 of it in 84 and by half of it in 46; a spread of 2.5 times in 94, of twice in 75 (4,000 simulated pairs
each; the last test repeats two of them). Seeds that both sides share are compared pair by pair as well, which sees far
smaller differences, but says nothing of seeds that only one side has.
"""

from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.trainer.needs_torch import torch
from tests.unit.trainer.population.runs import Given, member, steps_alone, steps_together
from tests.unit.trainer.population.two_samples import FIVE_PERCENT, rank_sum_z, spread_z

SEEDS = 30
STEPS = 40
GIVEN: Given = {"dropout": 0.3, "learning_rate": 0.02, "max_steps": STEPS, "evaluate_every_steps": STEPS}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def alone(seed: int) -> float:
    """Return the final loss of an ordinary run."""
    return steps_alone(member(seed, **GIVEN), STEPS)[1][-1]["validation_loss"]


@pytest.fixture(scope="module")
def together() -> list[float]:
    """Return the final losses of a population with the seeds 0 to 29."""
    torch.set_num_threads(1)
    _, told = steps_together([member(seed, **GIVEN) for seed in range(SEEDS)], STEPS)
    return [each[-1]["validation_loss"] for each in told]


def test_seed_by_seed_they_are_the_ordinary_loop_s(together: list[float]) -> None:
    assert together == pytest.approx([alone(seed) for seed in range(SEEDS)], rel=1e-3)
    assert np.std(together) > 0.02 * np.mean(together), "seeds make a difference, which a test could see"


def test_in_distribution_they_are_those_of_thirty_other_seeds(together: list[float]) -> None:
    others = [alone(100 + seed) for seed in range(SEEDS)]
    assert abs(rank_sum_z(together, others)) < FIVE_PERCENT
    assert abs(spread_z(together, others)) < FIVE_PERCENT


@pytest.mark.parametrize(
    ("statistic", "shift", "spread", "least", "most"),
    [
        (rank_sum_z, 0.0, 1.0, 0.03, 0.07),
        (spread_z, 0.0, 1.0, 0.03, 0.07),
        (rank_sum_z, 1.0, 1.0, 0.94, 1.0),
        (spread_z, 0.0, 2.5, 0.92, 1.0),
    ],
)
def test_the_two_tests_raise_few_false_alarms_and_see_what_is_claimed_above(
    statistic: Callable[..., float], shift: float, spread: float, least: float, most: float
) -> None:
    random = np.random.default_rng(0)
    pairs = [(random.normal(size=SEEDS), shift + spread * random.normal(size=SEEDS)) for _ in range(2000)]
    assert least < np.mean([abs(statistic(*pair)) > FIVE_PERCENT for pair in pairs]) < most
