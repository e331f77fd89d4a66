"""A training loop in plain PyTorch, and what makes it a trial of a study: environment, reporter and exit codes."""

import math
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tuning_contract.environment import TrialEnvironment
from tuning_contract.exit_codes import ExitCode
from tuning_trainer.reporting import Reporter

EXAMPLES = 4096
FEATURES = 10
NOISE = 0.2
EVALUATE_EVERY = 50


def examples(seed: int) -> tuple[Tensor, Tensor]:
    """Return rows of Friedman's function of uniformly distributed features, half of which say nothing."""
    numbers = torch.Generator().manual_seed(seed)
    x = torch.rand(EXAMPLES, FEATURES, generator=numbers)
    y = torch.sin(torch.pi * x[:, 0] * x[:, 1]) + 2 * (x[:, 2] - 0.5) ** 2 + x[:, 3] + 0.5 * x[:, 4]
    return x, y + NOISE * torch.randn(EXAMPLES, generator=numbers)


def train(trial: TrialEnvironment, reporter: Reporter, stop: threading.Event) -> ExitCode:
    """Train with the trial's parameters, from its checkpoint where there is one; return how it ended."""
    steps = int(trial.parameters.get("steps", 1000))
    batch_size = int(trial.parameters.get("batch_size", 64))
    width = int(trial.parameters.get("hidden_width", 32))
    learning_rate = float(trial.parameters.get("learning_rate", 0.01))

    torch.manual_seed(trial.seed)
    model = nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), nn.Linear(width, 1), nn.Flatten(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    (x, y), (validation_x, validation_y) = examples(seed=0), examples(seed=1)
    checkpoint = Path(trial.checkpoint_dir) / "last.pt" if trial.checkpoint_dir else None
    done = 0
    if checkpoint and checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        done = saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
        reporter.restore(saved["reporter"], resumed_from=done)

    def save(step: int) -> None:
        if checkpoint:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}
            write(checkpoint, {"step": step, "reporter": reporter.state(), **state})

    for step in range(done + 1, steps + 1):
        batch = torch.randint(EXAMPLES, (batch_size,))
        loss = nn.functional.mse_loss(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        grad_norm = nn.utils.clip_grad_norm_(model.parameters(), math.inf)  # measures it, and clips nothing
        optimizer.step()
        if step % EVALUATE_EVERY == 0 or step == steps:
            with torch.no_grad():
                metrics = {
                    "validation_loss": nn.functional.mse_loss(model(validation_x), validation_y).item(),
                    "train_loss": nn.functional.mse_loss(model(x), y).item(),
                    "learning_rate": learning_rate,
                    "grad_norm": grad_norm.item(),
                }
            reporter.report(step, metrics)
            if not math.isfinite(metrics["validation_loss"]):
                reporter.infeasible("NonFiniteObjective", f"validation_loss is not finite at step {step}")
                return ExitCode.DIVERGED
            save(step)
        if stop.is_set():
            save(step)
            reporter.interrupted(f"stopped after step {step}")
            return ExitCode.INTERRUPTED
    reporter.complete()
    return ExitCode.COMPLETED


def write(path: Path, contents: dict[str, Any]) -> None:
    """Replace a file at once: killed at any moment, the process leaves a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    torch.save(contents, beside)
    beside.replace(path)


def main() -> int:
    """Train as the environment says, and return the exit code."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    reporter = Reporter.from_env()
    try:
        return train(TrialEnvironment.from_env(os.environ), reporter, stop)
    except torch.OutOfMemoryError as error:
        reporter.infeasible("OutOfMemory", str(error))
        return ExitCode.OUT_OF_MEMORY


if __name__ == "__main__":
    sys.exit(main())
