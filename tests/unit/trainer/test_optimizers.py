"""Three steps of each update rule, against the formulas written out."""

import math

import pytest

from tests.unit.trainer.needs_torch import torch
from tuning_contract.environment import ParameterValue
from tuning_trainer.optimizers import make_optimizer, set_learning_rate
from tuning_trainer.parameters import Parameters

GRADIENTS = (0.5, -2.0, 1.0)
START = 3.0


def steps_taken(**parameters: ParameterValue) -> list[float]:
    """Return the weight after each of three steps with the given gradients."""
    layer = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    torch.nn.init.constant_(layer.weight, START)
    optimizer = make_optimizer(Parameters.from_mapping(parameters), layer)
    weights = []
    for gradient in GRADIENTS:
        layer.weight.grad = torch.full_like(layer.weight, gradient)
        optimizer.step()
        weights.append(layer.weight.item())
    return weights


def sgd(rate: float, decay: float) -> list[float]:
    weight, weights = START, []
    for gradient in GRADIENTS:
        weight -= rate * (gradient + decay * weight)
        weights.append(weight)
    return weights


def momentum(rate: float, decay: float, mu: float, nesterov: bool) -> list[float]:
    weight, velocity, weights = START, 0.0, []
    for gradient in GRADIENTS:
        decayed = gradient + decay * weight
        velocity = mu * velocity + decayed
        weight -= rate * (decayed + mu * velocity if nesterov else velocity)
        weights.append(weight)
    return weights


def adamw(rate: float, decay: float, beta1: float, beta2: float, epsilon: float) -> list[float]:
    weight, mean, square, weights = START, 0.0, 0.0, []
    for step, gradient in enumerate(GRADIENTS, start=1):
        weight -= rate * decay * weight
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        weight -= rate * mean / (1 - beta1**step) / (math.sqrt(square / (1 - beta2**step)) + epsilon)
        weights.append(weight)
    return weights


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("rate", [0.01, 0.5])
def test_update_rules(rate: float, decay: float) -> None:
    common: dict[str, ParameterValue] = {"learning_rate": rate, "weight_decay": decay}
    assert steps_taken(optimizer="sgd", **common) == pytest.approx(sgd(rate, decay))
    for mu in (0.0, 0.9):
        assert steps_taken(optimizer="momentum", momentum=mu, **common) == pytest.approx(
            momentum(rate, decay, mu, False)
        )
        assert steps_taken(optimizer="nesterov", momentum=mu, **common) == pytest.approx(
            momentum(rate, decay, mu, True)
        )
    for betas in ((0.9, 0.999), (0.0, 0.5)):
        for epsilon in (1e-8, 1.0):
            taken = steps_taken(optimizer="adamw", beta1=betas[0], beta2=betas[1], epsilon=epsilon, **common)
            assert taken == pytest.approx(adamw(rate, decay, *betas, epsilon))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adamw"])
def test_biases_and_norms_do_not_decay(optimizer: str) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GroupNorm(1, 2))
    groups = make_optimizer(Parameters(optimizer=optimizer, weight_decay=0.5), model).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.5), (3, 0.0)]


def test_the_rate_of_all_weights_is_set() -> None:
    optimizer = make_optimizer(Parameters(), torch.nn.Linear(2, 2))
    set_learning_rate(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]
