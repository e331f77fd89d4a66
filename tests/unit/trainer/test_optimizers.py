"""Every update rule, step by step, against the Playbook's formulas in NumPy; and how far it is torch.optim's."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.unit.trainer.needs_torch import torch
from tuning_contract.environment import ParameterValue
from tuning_trainer.optimizers import RULES, Optimizer
from tuning_trainer.parameters import OPTIMIZERS, Parameters
from tuning_trainer.weights import FlatWeights, WeightAverage, clipped, replaced

Vector = Any
"""Of float64, shape (2,)."""

GRADIENTS = np.array([[0.5, -1.0], [-2.0, 0.25], [1.0, 3.0], [0.0, -0.125]])
START = np.array([3.0, -1.5])
RATES = (0.1, 0.05, 0.2, 0.1)
"""Another one at each step, as under a schedule."""


def sgd(theta: Vector, t: int, g: Vector, eta: float, s: dict[str, Any], p: Parameters) -> Vector:
    return theta - eta * g


def momentum(theta: Vector, t: int, g: Vector, eta: float, s: dict[str, Any], p: Parameters) -> Vector:
    s["v"] = p.momentum * s.get("v", 0) + g
    return theta - eta * s["v"]


def nesterov(theta: Vector, t: int, g: Vector, eta: float, s: dict[str, Any], p: Parameters) -> Vector:
    s["v"] = p.momentum * s.get("v", 0) + g
    return theta - eta * (p.momentum * s["v"] + g)


def rmsprop(theta: Vector, t: int, g: Vector, eta: float, s: dict[str, Any], p: Parameters) -> Vector:
    s["v"] = p.beta2 * s.get("v", 1) + (1 - p.beta2) * g**2
    s["m"] = p.momentum * s.get("m", 0) + eta / np.sqrt(s["v"] + p.epsilon) * g
    return theta - s["m"]


def adam(theta: Vector, t: int, g: Vector, eta: float, s: dict[str, Any], p: Parameters) -> Vector:
    s["m"] = p.beta1 * s.get("m", 0) + (1 - p.beta1) * g
    s["v"] = p.beta2 * s.get("v", 0) + (1 - p.beta2) * g**2
    b = np.sqrt(1 - p.beta2 ** (t + 1)) / (1 - p.beta1 ** (t + 1))
    return theta - eta * b * s["m"] / (np.sqrt(s["v"]) + p.epsilon)


def nadam(theta: Vector, t: int, g: Vector, eta: float, s: dict[str, Any], p: Parameters) -> Vector:
    s["m"] = p.beta1 * s.get("m", 0) + (1 - p.beta1) * g
    s["v"] = p.beta2 * s.get("v", 0) + (1 - p.beta2) * g**2
    b = np.sqrt(1 - p.beta2 ** (t + 1)) / (1 - p.beta1 ** (t + 1))
    return theta - eta * b * (p.beta1 * s["m"] + (1 - p.beta1) * g) / (np.sqrt(s["v"]) + p.epsilon)


Formula = Callable[[Vector, int, Vector, float, dict[str, Any], Parameters], Vector]
PLAYBOOK: dict[str, tuple[str, Formula]] = {
    "sgd": ("UPD-1", sgd),
    "momentum": ("UPD-2", momentum),
    "nesterov": ("UPD-3", nesterov),
    "rmsprop": ("UPD-4", rmsprop),
    "adam": ("UPD-5", adam),
    "nadam": ("UPD-6", nadam),
    "adamw": ("UPD-5", adam),
    "nadamw": ("UPD-6", nadam),
}


def a_layer() -> torch.nn.Linear:
    layer = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    layer.weight.data = torch.tensor(START).view(1, 2).clone()
    return layer


def taken(parameters: Parameters) -> list[Vector]:
    """Return the weights after each step of ours."""
    weights = FlatWeights(a_layer())
    optimizer = Optimizer(parameters, weights)
    steps = []
    for t, (gradient, rate) in enumerate(zip(GRADIENTS, RATES, strict=True), start=1):
        before = weights.values.clone()
        change = optimizer.update(torch.tensor(gradient), rate, t)
        assert torch.equal(before - change, weights.values), "what it returns is not what it did"
        steps.append(weights.values.numpy().copy())
    return steps


def written_out(parameters: Parameters) -> list[Vector]:
    """Return the weights after each step of the formulas, whose t counts from 0."""
    _, rule = PLAYBOOK[parameters.optimizer]
    theta, state, steps = START.copy(), dict[str, Any](), []
    for t, (gradient, rate) in enumerate(zip(GRADIENTS, RATES, strict=True)):
        if parameters.decoupled:
            decay = rate * parameters.weight_decay * theta
            theta = rule(theta, t, gradient, rate, state, parameters) - decay
        else:
            theta = rule(theta, t, gradient + parameters.weight_decay * theta, rate, state, parameters)
        steps.append(theta)
    return steps


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", ["by_optimizer", "coupled", "decoupled"])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"weight_decay": 0.1},
        {"momentum": 0.0, "beta1": 0.0, "beta2": 0.5},
        {"epsilon": 1.0, "weight_decay": 0.3, "momentum": 0.99, "beta2": 0.9},
    ],
)
def test_each_rule_is_the_playbooks_step_by_step(optimizer: str, kind: str, values: dict[str, ParameterValue]) -> None:
    parameters = Parameters(optimizer=optimizer, weight_decay_kind=kind, **values)  # type: ignore[arg-type]
    np.testing.assert_allclose(taken(parameters), written_out(parameters), rtol=1e-12)


def test_every_optimizer_has_a_rule_and_a_formula() -> None:
    assert set(RULES) == set(OPTIMIZERS) == set(PLAYBOOK)


class TestAgainstPyTorch:
    """C-15: where the Playbook's rules are PyTorch's, and by how much they differ where they are not."""

    @staticmethod
    def steps_of(make: Callable[[list[torch.nn.Parameter]], Any]) -> list[Vector]:
        layer = a_layer()
        optimizer = make(list(layer.parameters()))
        steps = []
        for gradient, rate in zip(GRADIENTS, RATES, strict=True):
            layer.weight.grad = torch.tensor(gradient).view(1, 2)
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            steps.append(layer.weight.detach().numpy().flatten().copy())
        return steps

    @pytest.mark.parametrize("nesterov", [False, True])
    @pytest.mark.parametrize("decay", [0.0, 0.1])
    def test_momentum_agrees(self, nesterov: bool, decay: float) -> None:
        ours = Parameters(optimizer="nesterov" if nesterov else "momentum", weight_decay=decay)
        theirs = self.steps_of(
            lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, nesterov=nesterov, weight_decay=decay)
        )
        np.testing.assert_allclose(taken(ours), theirs, rtol=1e-12)

    def test_adamw_with_a_tiny_epsilon_agrees_but_for_it(self) -> None:
        ours = Parameters(optimizer="adamw", weight_decay=0.1, epsilon=1e-30)
        theirs = self.steps_of(lambda w: torch.optim.AdamW(w, lr=0.1, weight_decay=0.1, eps=1e-30))
        np.testing.assert_allclose(taken(ours), theirs, rtol=1e-6)

    def test_adams_epsilon_is_pytorchs_times_the_root_of_the_correction(self) -> None:
        ours = taken(Parameters(optimizer="adam", weight_decay=0.0, epsilon=0.1 * math.sqrt(1 - 0.999)))
        theirs = self.steps_of(lambda w: torch.optim.Adam(w, lr=0.1, eps=0.1))
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12)
        assert not np.allclose(ours[1], theirs[1], rtol=1e-4), "the factor changes from step to step"


def test_biases_and_norms_do_not_decay() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GroupNorm(1, 2))
    assert FlatWeights(model).decays.tolist() == [1] * 4 + [0] * 6


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_does_not_decay_is_left_alone_by_a_zero_gradient(optimizer: str) -> None:
    weights = FlatWeights(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GroupNorm(1, 2)))
    before = weights.values.clone()
    Optimizer(Parameters(optimizer=optimizer, weight_decay=0.5), weights).update(weights.gradient, 0.1, 1)
    changed = weights.values != before
    assert torch.equal(changed, weights.decays.bool())


class TestFlatWeights:
    def test_the_model_computes_with_the_vector_and_its_gradient_arrives_there(self) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
        weights = FlatWeights(model)
        model(torch.ones(4, 3)).sum().backward()
        assert torch.equal(weights.gradient, torch.cat([w.grad.flatten() for w in model.parameters()]))
        assert weights.gradient.abs().sum() > 0
        weights.values.zero_()
        assert model(torch.ones(1, 3)).item() == 0

    def test_it_follows_a_state_that_is_loaded(self) -> None:
        model, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
        weights = FlatWeights(model)
        model.load_state_dict(other.state_dict())
        assert torch.equal(weights.values, torch.cat([w.flatten() for w in other.parameters()]))

    def test_weights_that_are_not_trained_stay_out(self) -> None:
        model = torch.nn.Linear(3, 2)
        model.bias.requires_grad_(False)
        assert len(FlatWeights(model).values) == 6

    def test_others_stand_in_for_them_and_go_again_even_after_an_error(self) -> None:
        weights = FlatWeights(torch.nn.Linear(3, 2))
        own = weights.values.clone()
        seen = []

        def fail_with_others() -> None:
            with replaced([weights.values], [torch.zeros(8)]):
                seen.append(weights.values.abs().sum().item())
                raise KeyError

        with pytest.raises(KeyError):
            fail_with_others()
        assert seen == [0.0]
        assert torch.equal(weights.values, own)


class TestClipping:
    @pytest.mark.parametrize(("limit", "length"), [(0.0, 5.0), (10.0, 5.0), (5.0, 5.0), (1.0, 1.0)])
    def test_a_longer_gradient_is_scaled_to_the_limit_and_keeps_its_direction(
        self, limit: float, length: float
    ) -> None:
        gradient = torch.tensor([3.0, 4.0])
        result = clipped(gradient, gradient.norm(), limit)
        assert result.norm().item() == pytest.approx(length)
        assert (result / result.norm()).tolist() == pytest.approx([0.6, 0.8])

    def test_nothing_of_a_zero_gradient(self) -> None:
        assert clipped(torch.zeros(2), torch.tensor(0.0), 1.0).tolist() == [0, 0]

    def test_a_gradient_that_is_not_finite_is_not_made_to_look_finite(self) -> None:
        gradient = torch.tensor([math.nan, 1.0])
        assert clipped(gradient, gradient.norm(), 1.0).isnan().all()


def test_the_average_follows_fast_at_first_and_slowly_later() -> None:
    average = WeightAverage(0.9, [torch.zeros(1)])
    expected = 0.0
    for step in range(1, 200):
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
        average.update([torch.tensor([float(step)])], step)
    assert average.values[0].item() == pytest.approx(expected, rel=1e-5)
    assert decay == 0.9
