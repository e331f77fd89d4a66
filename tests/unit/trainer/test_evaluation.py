"""An evaluation counts every example once, the same ones each time."""

import math

import pytest

from tests.unit.trainer.needs_torch import torch
from tuning_contract.diagnostics import ClassCount, Evaluation
from tuning_trainer.evaluation import evaluate, sample
from tuning_trainer.workloads.workload import Classification, Regression


class Doubling(torch.nn.Module):  # type: ignore[misc]
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return 2 * inputs


LOGITS = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
LABELS = torch.tensor([0, 0, 0, 1, 1])


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 100])
def test_the_partial_batch_counts_by_its_examples(batch_size: int) -> None:
    measured = evaluate(Doubling(), (LOGITS, LABELS), Classification(("a", "b")), batch_size)
    assert measured.loss == pytest.approx(torch.nn.functional.cross_entropy(2 * LOGITS, LABELS).item())
    assert measured.error == pytest.approx(2 / 5)
    assert measured.weight_sum == 5
    assert measured.per_class == {"a": ClassCount(3, 2), "b": ClassCount(2, 1)}
    assert measured.evaluation() == Evaluation(measured.error or 0.0, 5)


def test_a_regression_has_a_squared_error_and_nothing_right_or_wrong() -> None:
    measured = evaluate(Doubling(), (torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 3.0, 3.0])), Regression(), 2)
    assert measured.loss == pytest.approx(10 / 3)
    assert measured.error is None
    assert (measured.evaluation(), measured.per_class, measured.weight_sum) == (None, {}, 3)


def test_an_example_of_many_positions_is_one_example() -> None:
    logits, labels = LOGITS[:4].view(2, 2, 2), LABELS[:4].view(2, 2)
    measured = evaluate(Doubling(), (logits, labels), Classification(), 1)
    assert (measured.error, measured.weight_sum) == (0.5, 2)
    assert measured.loss == pytest.approx(torch.nn.functional.cross_entropy(2 * LOGITS[:4], LABELS[:4]).item())


def test_one_number_that_is_not_finite_makes_the_loss_so() -> None:
    inputs = torch.tensor([1.0, math.nan])
    assert math.isnan(evaluate(Doubling(), (inputs, inputs), Regression()).loss)


@pytest.mark.parametrize(
    ("count", "rows"),
    [(0, [0, 1, 2, 3, 4, 5, 6]), (7, [0, 1, 2, 3, 4, 5, 6]), (9, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 2, 4]), (1, [0])],
)
def test_a_sample_is_spread_over_all(count: int, rows: list[int]) -> None:
    inputs, targets = sample((torch.arange(7), torch.arange(7) * 10), count)
    assert inputs.tolist() == rows
    assert targets.tolist() == [10 * row for row in rows]


def test_label_smoothing_moves_the_loss_of_training_alone() -> None:
    task = Classification()
    plain, smoothed = task.losses(LOGITS, LABELS), task.losses(LOGITS, LABELS, 0.2)
    uniform = -torch.log_softmax(LOGITS, dim=1).mean(dim=1)
    assert torch.allclose(smoothed, 0.8 * plain + 0.2 * uniform)
