"""The update rules of the Deep Learning Tuning Playbook, as it writes them, on all weights as one vector.

θ: weights, g: gradient, η: learning rate, t: number of the update from 1 on; state starts at 0 unless said.

- sgd       (UPD-1)  θ ← θ - η g
- momentum  (UPD-2)  v ← γ v + g;  θ ← θ - η v
- nesterov  (UPD-3)  v ← γ v + g;  θ ← θ - η (γ v + g)
- rmsprop   (UPD-4)  v ← ρ v + (1-ρ) g², from v = 1;  m ← γ m + η g / √(v + ε);  θ ← θ - m
- adam      (UPD-5)  m ← β₁ m + (1-β₁) g;  v ← β₂ v + (1-β₂) g²;  b = √(1-β₂ᵗ) / (1-β₁ᵗ);  θ ← θ - η b m / (√v + ε)
- nadam     (UPD-6)  as adam with β₁ m + (1-β₁) g in the place of m
- adamw, nadamw      as adam and nadam, with decoupled weight decay

Weight decay λ acts on matrices and kernels: coupled, it adds λ θ to g after clipping (an L2 penalty of λ/2 |θ|²);
decoupled, it adds η λ θ to what is subtracted (Loshchilov and Hutter 2019).

These are not the rules of `torch.optim` (C-15). SGD, momentum and Nesterov agree with torch.optim.SGD. PyTorch's Adam
adds ε after the correction of v: its ε is ours divided by √(1-β₂ᵗ), about 32 times ours at the first step with
β₂ = 0.999. Its NAdam has a schedule of β₁ (`momentum_decay`) and other corrections. Its RMSprop starts v at 0, adds ε
outside the root and η outside the momentum. So a range of ε that was searched with one is not one for the other.
"""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from tuning_trainer.parameters import Parameters
from tuning_trainer.weights import FlatWeights

State = dict[str, Tensor]
Rule = Callable[[Tensor, State, float, int, Parameters], Tensor]
"""From gradient, state (changed in place), rate, number of the update and parameters: what θ is reduced by."""


def sgd(g: Tensor, state: State, rate: float, t: int, p: Parameters) -> Tensor:
    """UPD-1."""
    return rate * g


def momentum(g: Tensor, state: State, rate: float, t: int, p: Parameters) -> Tensor:
    """UPD-2."""
    return rate * state["v"].mul_(p.momentum).add_(g)


def nesterov(g: Tensor, state: State, rate: float, t: int, p: Parameters) -> Tensor:
    """UPD-3."""
    return rate * (p.momentum * state["v"].mul_(p.momentum).add_(g) + g)


def rmsprop(g: Tensor, state: State, rate: float, t: int, p: Parameters) -> Tensor:
    """UPD-4."""
    v = state["v"].mul_(p.beta2).addcmul_(g, g, value=1.0 - p.beta2)
    return state["m"].mul_(p.momentum).add_(rate * g / torch.sqrt(v + p.epsilon)).clone()


def adam(g: Tensor, state: State, rate: float, t: int, p: Parameters) -> Tensor:
    """UPD-5."""
    return _adam(g, state, rate, t, p, lookahead=False)


def nadam(g: Tensor, state: State, rate: float, t: int, p: Parameters) -> Tensor:
    """UPD-6."""
    return _adam(g, state, rate, t, p, lookahead=True)


def _adam(g: Tensor, state: State, rate: float, t: int, p: Parameters, *, lookahead: bool) -> Tensor:
    m = state["m"].mul_(p.beta1).add_(g, alpha=1.0 - p.beta1)
    v = state["v"].mul_(p.beta2).addcmul_(g, g, value=1.0 - p.beta2)
    correction = math.sqrt(1.0 - p.beta2**t) / (1.0 - p.beta1**t)
    direction = p.beta1 * m + (1.0 - p.beta1) * g if lookahead else m
    return rate * correction * direction / (torch.sqrt(v) + p.epsilon)


RULES: Final[dict[str, tuple[Rule, dict[str, float]]]] = {
    "sgd": (sgd, {}),
    "momentum": (momentum, {"v": 0.0}),
    "nesterov": (nesterov, {"v": 0.0}),
    "rmsprop": (rmsprop, {"m": 0.0, "v": 1.0}),
    "adam": (adam, {"m": 0.0, "v": 0.0}),
    "adamw": (adam, {"m": 0.0, "v": 0.0}),
    "nadam": (nadam, {"m": 0.0, "v": 0.0}),
    "nadamw": (nadam, {"m": 0.0, "v": 0.0}),
}
"""By optimizer: its rule, and what its state starts from."""


class Optimizer:
    """One rule, its state, and weight decay."""

    def __init__(self, parameters: Parameters, weights: FlatWeights) -> None:
        """Start from the rule's initial state."""
        self._parameters = parameters
        self._weights = weights
        self._rule, initial = RULES[parameters.optimizer]
        self.state: State = {name: torch.full_like(weights.values, value) for name, value in initial.items()}

    def update(self, gradient: Tensor, rate: float, t: int) -> Tensor:
        """Do update number `t`, which counts from 1, and return what θ was reduced by."""
        weights, decay = self._weights.values, self._parameters.weight_decay * self._weights.decays
        if self._parameters.decoupled:
            change = self._rule(gradient, self.state, rate, t, self._parameters) + rate * decay * weights
        else:
            change = self._rule(gradient + decay * weights, self.state, rate, t, self._parameters)
        weights.sub_(change)
        return change
