"""The order of the examples is a function of seed and step, and each epoch shows all of them."""

import pytest

from tests.unit.trainer.needs_torch import torch
from tuning_trainer.order import batch_of, epoch_order


@pytest.mark.parametrize("batch_size", [1, 7, 64, 100, 250])
def test_each_epoch_shows_every_example_once_whatever_the_batch_size(batch_size: int) -> None:
    examples, epochs = 100, 5
    rows = torch.cat([batch_of(step, batch_size, examples, 3) for step in range(epochs * examples // batch_size + 1)])
    for epoch in range(epochs):
        assert rows[epoch * examples :][:examples].sort().values.tolist()[:examples] == list(range(examples))


def test_size_and_dependence_on_seed_and_step_alone() -> None:
    batch = batch_of(5, 64, 1078, 3)
    assert batch.shape == (64,)
    epoch_order.cache_clear()
    assert torch.equal(batch, batch_of(5, 64, 1078, 3))
    assert not torch.equal(batch, batch_of(5, 64, 1078, 4))
    assert not torch.equal(batch, batch_of(6, 64, 1078, 3))


def test_batches_do_not_depend_on_what_else_draws_random_numbers() -> None:
    epoch_order.cache_clear()
    torch.manual_seed(1)
    batch = batch_of(0, 64, 1078, 3)
    epoch_order.cache_clear()
    torch.manual_seed(2)
    assert torch.equal(batch, batch_of(0, 64, 1078, 3))
