"""A member's run is the ordinary run of its trial, step by step, whatever it does and whoever is beside it."""

import pytest

from tests.unit.trainer.needs_torch import torch
from tests.unit.trainer.population.runs import EVERYTHING, Given, assert_same, differing, member, ordinary, rate_for
from tuning_trainer.parameters import OPTIMIZERS, SCHEDULES
from tuning_trainer.population.population import Population

SHARED: Given = {"order_seed": 4}
"""With it all members learn from the same batches."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("others", [{}, EVERYTHING])
def test_alone_with_every_optimizer(optimizer: str, others: Given) -> None:
    assert_same([member(optimizer=optimizer, learning_rate=rate_for(optimizer), **others)])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_alone_with_every_schedule(schedule: str) -> None:
    assert_same([member(schedule=schedule, warmup_steps=5, decay_steps=30, final_learning_rate_fraction=0.1)])


@pytest.mark.parametrize(
    "given",
    [
        {"clip_norm": 0.1},
        {"dropout": 0.5},
        {"dropout": 0.3, "gradient_accumulation": 4},
        {"label_smoothing": 0.3},
        {"ema_decay": 0.95},
        {"weight_decay": 0.1, "weight_decay_kind": "decoupled"},
        {"initialization_seed": 3, "order_seed": 4, "dropout_seed": 5, "dropout": 0.2},
    ],
)
def test_alone_with_each_other_thing(given: Given) -> None:
    assert_same([member(**given)])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("order", [{}, SHARED], ids=["own batches", "shared batches"])
def test_eight_that_differ_in_everything_that_may_differ(optimizer: str, order: Given) -> None:
    assert_same(differing(optimizer=optimizer, learning_rate=rate_for(optimizer), **order))


@pytest.mark.parametrize(
    "given",
    [
        {"workload": "digits", "dropout": 0.2, "hidden_width": 4},
        {"workload": "regression", "dropout": 0.2, "evaluation_examples": 200},
        {"workload": "characters", "dropout": 0.1, "batch_size": 2, "hidden_width": 16, "evaluation_examples": 8},
        {
            "workload": "characters",
            "normalization": "post",
            "batch_size": 2,
            "hidden_width": 8,
            "evaluation_examples": 8,
        },
    ],
)
@pytest.mark.parametrize("order", [{}, SHARED], ids=["own batches", "shared batches"])
def test_every_workload(given: Given, order: Given) -> None:
    rate = 0.003 if given["workload"] == "characters" else 0.01
    members = [member(n, **given | order | {"learning_rate": rate * (n + 1), "max_steps": 20}) for n in range(2)]
    assert_same(members, steps=20)


def test_the_same_batches_are_fetched_once_for_all() -> None:
    population = Population(differing(gradient_accumulation=2, **SHARED))
    inputs, targets = population.next_batches()
    assert len(inputs) == len(targets) == population.shared.batch_size
    assert torch.equal(inputs, ordinary(member(7, **SHARED)).batches.at(0)[0])
