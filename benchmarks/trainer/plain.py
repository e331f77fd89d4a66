"""The same training as people write it: torch.optim, a scheduler of PyTorch, examples on the device, no diagnostics."""

import math

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from tuning_trainer.evaluation import sample
from tuning_trainer.parameters import Parameters
from tuning_trainer.workloads.workload import Examples, Workload


def train(parameters: Parameters, seed: int, workload: Workload) -> float:
    """Train to the last step, evaluating both splits as often as the trainer does, and return the validation loss."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    workload = workload.to(device)
    model = workload.make_model().to(device)
    optimizer = optimizer_of(model, parameters)
    scheduler = LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / parameters.max_steps)))
    inputs, targets = workload.train
    order = torch.empty(0, dtype=torch.long)
    loss_then = math.nan
    for step in range(1, parameters.max_steps + 1):
        while len(order) < parameters.batch_size:
            order = torch.cat([order, torch.randperm(len(inputs))])
        rows, order = order[: parameters.batch_size].to(device), order[parameters.batch_size :]
        model.train()
        optimizer.zero_grad()
        loss = workload.task.losses(model(inputs[rows]), targets[rows]).mean()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if step % parameters.evaluate_every_steps == 0 or step == parameters.max_steps:
            evaluate(model, workload, sample(workload.train, parameters.evaluation_examples))
            loss_then, _ = evaluate(model, workload, sample(workload.validation, parameters.evaluation_examples))
    return loss_then


def optimizer_of(model: nn.Module, parameters: Parameters) -> torch.optim.Optimizer:
    """Return PyTorch's optimizer nearest to ours, with decay of matrices and kernels alone."""
    groups = [
        {"params": [w for w in model.parameters() if w.dim() >= 2], "weight_decay": parameters.weight_decay},
        {"params": [w for w in model.parameters() if w.dim() < 2], "weight_decay": 0.0},
    ]
    if parameters.optimizer == "nesterov":
        return torch.optim.SGD(groups, parameters.learning_rate, parameters.momentum, nesterov=True)
    betas = (parameters.beta1, parameters.beta2)
    return torch.optim.AdamW(groups, parameters.learning_rate, betas, parameters.epsilon)


@torch.no_grad()  # type: ignore[untyped-decorator]
def evaluate(model: nn.Module, workload: Workload, examples: Examples) -> tuple[float, float]:
    """Return mean loss and error over the examples."""
    model.eval()
    losses: list[Tensor] = []
    errors: list[Tensor] = []
    for batch, targets in zip(*(part.split(512) for part in examples), strict=True):
        outputs = model(batch)
        losses.append(workload.task.losses(outputs, targets))
        if (wrong := workload.task.errors(outputs, targets)) is not None:
            errors.append(wrong)
    return torch.cat(losses).mean().item(), torch.cat(errors).mean().item() if errors else math.nan
