"""The update rules. θ: weights, g: gradient, η: learning rate, λ: weight decay.

- sgd:       θ ← θ - η g
- momentum:  v ← μ v + g;  θ ← θ - η v
- nesterov:  v ← μ v + g;  θ ← θ - η (g + μ v)
- adamw:     m ← β₁ m + (1-β₁) g;  s ← β₂ s + (1-β₂) g²;  θ ← θ - η λ θ - η m̂ / (√ŝ + ε), with m̂ = m / (1-β₁ᵗ) and
             ŝ = s / (1-β₂ᵗ)

In the first three, g includes λ θ. They are the playbook's rules. Its Adam adds ε before the correction of s and ours,
which is PyTorch's, adds it after: its ε equals ours times √(1-β₂ᵗ), so ranges of ε are not interchangeable.
"""

from typing import Any

import torch

from tuning_trainer.parameters import Parameters


def make_optimizer(parameters: Parameters, model: torch.nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer over all of the model's weights; only matrices and kernels decay."""
    weights = list(model.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [w for w in weights if w.dim() >= 2], "weight_decay": parameters.weight_decay},
        {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0},
    ]
    rate, momentum = parameters.learning_rate, parameters.momentum
    match parameters.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, lr=rate)
        case "momentum":
            return torch.optim.SGD(groups, lr=rate, momentum=momentum)
        case "nesterov":
            # PyTorch refuses Nesterov with zero momentum; there it is the same as plain SGD.
            return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0)
        case _:
            betas = (parameters.beta1, parameters.beta2)
            return torch.optim.AdamW(groups, lr=rate, betas=betas, eps=parameters.epsilon)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use `rate` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate
