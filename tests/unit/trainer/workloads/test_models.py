"""Each workload's model has the shapes that its task needs, and treats examples one by one."""

import pytest

from tests.unit.trainer.needs_torch import torch
from tuning_contract.environment import ParameterValue
from tuning_trainer.parameters import ACTIVATIONS, WORKLOADS, Parameters
from tuning_trainer.workloads.loading import workload_module
from tuning_trainer.workloads.workload import Workload


def workload(name: str, **values: ParameterValue) -> Workload:
    parameters = Parameters.from_mapping({"workload": name, **values})
    made: Workload = workload_module(parameters).make_workload(parameters)
    return made


def few(made: Workload, count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, targets = made.train
    return inputs[:count], targets[:count]


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"hidden_width": 1, "depth": 1},
        {"hidden_width": 12, "depth": 5},
        {"normalization": "none"},
        {"dropout": 0.5},
        *({"activation": activation} for activation in ACTIVATIONS),
    ],
)
def test_outputs_fit_the_task_and_every_weight_learns(name: str, values: dict[str, ParameterValue]) -> None:
    torch.manual_seed(0)
    made = workload(name, **values)
    model = made.make_model()
    inputs, targets = few(made)
    outputs = model(inputs)
    losses = made.task.losses(outputs, targets)
    assert losses.shape == (4,)
    losses.mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
    errors = made.task.errors(outputs, targets)
    assert (errors is not None) is made.classification
    assert errors is None or (errors.shape == (4,) and errors.min() >= 0 and errors.max() <= 1)


@pytest.mark.parametrize("name", WORKLOADS)
def test_an_examples_output_does_not_depend_on_its_batch(name: str) -> None:
    made = workload(name)
    model = made.make_model()
    inputs, _ = few(made, 64)
    assert torch.allclose(model(inputs)[:1], model(inputs[:1]), atol=1e-5)


@pytest.mark.parametrize("name", WORKLOADS)
def test_dropout_acts_while_training_and_not_while_evaluating(name: str) -> None:
    made = workload(name, dropout=0.5)
    model = made.make_model()
    inputs, _ = few(made)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


@pytest.mark.parametrize("name", WORKLOADS)
def test_without_normalization_there_are_no_norms(name: str) -> None:
    norms = (torch.nn.GroupNorm, torch.nn.LayerNorm)
    for normalization, some in (("standard", True), ("none", False)):
        model = workload(name, normalization=normalization).make_model()
        assert any(isinstance(module, norms) for module in model.modules()) is some


@pytest.mark.parametrize("normalization", ["standard", "post", "none"])
def test_a_transformer_does_not_see_what_it_must_predict(normalization: str) -> None:
    made = workload("characters", normalization=normalization)
    model = made.make_model()
    inputs, _ = few(made, 1)
    changed = inputs.clone()
    changed[:, 40:] = (changed[:, 40:] + 1) % 90
    one, other = model(inputs), model(changed)
    assert torch.allclose(one[:, :40], other[:, :40], atol=1e-5)
    assert not torch.allclose(one[:, 40:], other[:, 40:], atol=1e-3)


def test_a_transformers_norm_stands_where_the_parameter_says() -> None:
    made = workload("characters", normalization="post")
    features = made.make_model().blocks(torch.randn(2, 64, 64) * 100)
    assert features.std(dim=-1).mean().item() == pytest.approx(1, abs=0.1), "normalised after the sum"
    assert workload("characters").make_model().blocks(torch.randn(2, 64, 64) * 100).std().item() > 50
