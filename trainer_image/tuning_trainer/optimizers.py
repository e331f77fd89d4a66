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

A rule does not ask how many trials it updates: its numbers are floats for one trial, and for k trials of a population,
whose weights are a matrix with a row each, tensors of shape (k, 1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, Self, TypeAlias

from torch import Tensor, full_like, sqrt

from tuning_trainer.parameters import Parameters

Number: TypeAlias = float | Tensor
"""One trial's number, or k trials' numbers, shape (k, 1)."""
State = dict[str, Tensor]


@dataclass(frozen=True)
class Coefficients:
    """The numbers of a rule, all that a trial gave or stays with."""

    momentum: Number
    beta1: Number
    one_minus_beta1: Number
    """Of its own: 1 - β of a β near 1 would lose its digits in single precision."""
    beta2: Number
    one_minus_beta2: Number
    epsilon: Number
    weight_decay: Number

    @classmethod
    def of(cls, p: Parameters) -> Self:
        """Return those of one trial."""
        return cls(p.momentum, p.beta1, 1.0 - p.beta1, p.beta2, 1.0 - p.beta2, p.epsilon, p.weight_decay)


Rule = Callable[[Tensor, State, Number, Number, Coefficients], Tensor]
"""From gradient, state (changed in place), rate η, Adam's b of this update and the rest: what θ is reduced by."""


def sgd(g: Tensor, state: State, rate: Number, b: Number, c: Coefficients) -> Tensor:
    """UPD-1."""
    return rate * g


def momentum(g: Tensor, state: State, rate: Number, b: Number, c: Coefficients) -> Tensor:
    """UPD-2."""
    return rate * state["v"].mul_(c.momentum).add_(g)


def nesterov(g: Tensor, state: State, rate: Number, b: Number, c: Coefficients) -> Tensor:
    """UPD-3."""
    return rate * (c.momentum * state["v"].mul_(c.momentum).add_(g) + g)


def rmsprop(g: Tensor, state: State, rate: Number, b: Number, c: Coefficients) -> Tensor:
    """UPD-4."""
    v = moved(state["v"], g * g, c.one_minus_beta2)
    return state["m"].mul_(c.momentum).add_(rate * g / sqrt(v + c.epsilon)).clone()


def adam(g: Tensor, state: State, rate: Number, b: Number, c: Coefficients) -> Tensor:
    """UPD-5."""
    m, v = moved(state["m"], g, c.one_minus_beta1), moved(state["v"], g * g, c.one_minus_beta2)
    return rate * b * m / (sqrt(v) + c.epsilon)


def nadam(g: Tensor, state: State, rate: Number, b: Number, c: Coefficients) -> Tensor:
    """UPD-6."""
    m, v = moved(state["m"], g, c.one_minus_beta1), moved(state["v"], g * g, c.one_minus_beta2)
    return rate * b * (c.beta1 * m + c.one_minus_beta1 * g) / (sqrt(v) + c.epsilon)


def moved(mean: Tensor, value: Tensor, share: Number) -> Tensor:
    """Change a moving mean to (1-share) mean + share value, in place, and return it."""
    return mean.lerp_(value, share)


def bias_correction(t: int, beta1: float, beta2: float) -> float:
    """Return Adam's b of update number `t`, which counts from 1."""
    return float((1.0 - beta2**t) ** 0.5 / (1.0 - beta1**t))


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


class Weights(Protocol):
    """What is updated: θ, a vector or a matrix of k rows, and where it decays."""

    values: Tensor
    decays: Tensor


class Optimizer:
    """One rule, its state, and weight decay."""

    def __init__(self, parameters: Parameters, weights: Weights, coefficients: Coefficients | None = None) -> None:
        """Start from the rule's initial state, with the parameters' own coefficients where no others are given."""
        self._parameters = parameters
        self._weights = weights
        self.coefficients = coefficients or Coefficients.of(parameters)
        self._rule, initial = RULES[parameters.optimizer]
        self.state: State = {name: full_like(weights.values, value) for name, value in initial.items()}

    def update(self, gradient: Tensor, rate: float, t: int) -> Tensor:
        """Do update number `t`, which counts from 1, and return what θ was reduced by."""
        return self.apply(gradient, rate, bias_correction(t, self._parameters.beta1, self._parameters.beta2))

    def apply(self, gradient: Tensor, rate: Number, b: Number) -> Tensor:
        """Do the update whose Adam's correction is `b`, and return what θ was reduced by."""
        weights, c = self._weights.values, self.coefficients
        decay = c.weight_decay * self._weights.decays
        if self._parameters.decoupled:
            change = self._rule(gradient, self.state, rate, b, c) + rate * decay * weights
        else:
            change = self._rule(gradient + decay * weights, self.state, rate, b, c)
        weights.sub_(change)
        return change
