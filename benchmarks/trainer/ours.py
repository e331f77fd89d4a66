"""The trainer's own loop, as a trial runs it, and once more without what it measures for the Playbook's rules."""

import threading

import torch

from tuning_contract.environment import ParameterValue, TrialEnvironment
from tuning_trainer import training
from tuning_trainer.parameters import Parameters
from tuning_trainer.reporting import Reporter
from tuning_trainer.run import Run
from tuning_trainer.schedules import learning_rate_at
from tuning_trainer.weights import clipped
from tuning_trainer.workloads.loading import parameters_from
from tuning_trainer.workloads.workload import Workload


def train(parameters: Parameters, seed: int, workload: Workload) -> float:
    """Train to the last step with all diagnostics, as a trial does, and return the validation loss."""
    run = Run.fresh(parameters, seed, workload)
    return to_the_end(run)


def train_bare(parameters: Parameters, seed: int, workload: Workload) -> float:
    """Train to the last step without diagnostics, and return the validation loss."""
    run = BareRun.fresh(parameters, seed, workload)
    return to_the_end(run)


def to_the_end(run: Run) -> float:
    """Take all steps and evaluations, and return the last validation loss."""
    metrics: dict[str, float] = {}
    while run.step < run.parameters.max_steps:
        run.take_step()
        if run.evaluation_due:
            metrics = run.evaluate()
    return metrics["validation_loss"]


class BareRun(Run):
    """A run whose steps are not looked at: no norms, no log, no clock."""

    def take_step(self) -> None:
        """Do one update, as `Run.take_step` does."""
        self.compute_gradient()
        gradient = self.weights.gradient
        if self.parameters.clip_norm:
            gradient = clipped(gradient, torch.linalg.vector_norm(gradient), self.parameters.clip_norm)
        rate = learning_rate_at(self.step, self.parameters)
        self.step += 1
        self.optimizer.update(gradient, rate, self.step)


def trial(given: dict[str, ParameterValue], seed: int) -> float:
    """Train one trial with its reporter, start to end, as its own process would; return its best validation loss."""
    environment = TrialEnvironment("", "", f"trial-{seed}", 0, given, seed, "validation_loss")
    reporter = Reporter(environment)
    training.train(parameters_from(given), environment, reporter, threading.Event(), lambda _: None)
    reporter.complete()
    return reporter.best.value if reporter.best else float("nan")
