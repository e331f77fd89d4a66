"""A run in the middle of training: everything that changes from step to step, and how one step changes it."""

import resource
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from tuning_contract.diagnostics import Diagnostics, Throughput
from tuning_trainer.evaluation import EVALUATION_BATCH, Measured, evaluate, sample
from tuning_trainer.optimizers import Optimizer
from tuning_trainer.order import batch_of
from tuning_trainer.parameters import Parameters
from tuning_trainer.schedules import learning_rate_at
from tuning_trainer.seeds import seed_of
from tuning_trainer.step_log import StepLog
from tuning_trainer.stopwatch import Stopwatch
from tuning_trainer.weights import FlatWeights, WeightAverage, clipped
from tuning_trainer.workloads.workload import Workload


@dataclass
class Run:
    """What changes while training, and what it is trained on."""

    parameters: Parameters
    order_seed: int
    device: torch.device
    workload: Workload
    model: nn.Module
    weights: FlatWeights
    optimizer: Optimizer
    average: WeightAverage | None
    log: StepLog
    throughput: Throughput | None = None
    """What a probe has measured before the run."""
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    step: int = 0
    """Steps taken so far."""
    best_weights: Tensor | None = None
    """Those that the best evaluation so far has measured."""

    @classmethod
    def fresh(cls, parameters: Parameters, seed: int, workload: Workload, throughput: Throughput | None = None) -> Self:
        """Return a run before its first step: on the GPU where there is one, else on the CPU.

        Initialisation, order and dropout have a seed each, so that one can vary while the others stay.
        """
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(seed_for("initialization", parameters.initialization_seed, seed))
        model = workload.make_model().to(device)
        torch.manual_seed(seed_for("dropout", parameters.dropout_seed, seed))
        weights = FlatWeights(model)
        return cls(
            parameters,
            seed_for("data", parameters.order_seed, seed),
            device,
            workload.to(device),
            model,
            weights,
            Optimizer(parameters, weights),
            WeightAverage(parameters.ema_decay, weights.values) if parameters.ema_decay else None,
            StepLog(parameters.dense_loss_steps, parameters.clip_norm),
            throughput,
        )

    def take_step(self) -> None:
        """Do one update, on the batch that belongs to this step."""
        with self.stopwatch.step():
            loss = self.compute_gradient()
            norm = torch.linalg.vector_norm(self.weights.gradient)
            gradient = clipped(self.weights.gradient, norm, self.parameters.clip_norm)
            rate = learning_rate_at(self.step, self.parameters)
            self.step += 1
            change = self.optimizer.update(gradient, rate, self.step)
            if self.average:
                self.average.update(self.weights.values, self.step)
            self.log.add(loss, norm, torch.linalg.vector_norm(change))
            if self.evaluation_due:
                self.wait_for_device()

    def compute_gradient(self) -> Tensor:
        """Leave the gradient of the batch's mean loss in the weights, and return that loss.

        With gradient accumulation, part after part: equal parts, so the mean of their means is the mean of all.
        """
        self.model.train()
        self.weights.gradient.zero_()
        inputs, targets = self.next_batch()
        parts = self.parameters.gradient_accumulation
        size = len(inputs) // parts
        total = torch.zeros((), device=self.device)
        for part, part_targets in zip(inputs.split(size), targets.split(size), strict=True):
            losses = self.workload.task.losses(self.model(part), part_targets, self.parameters.label_smoothing)
            loss = losses.mean() / parts
            loss.backward()
            total += loss.detach()
        return total

    def next_batch(self) -> tuple[Tensor, Tensor]:
        """Return the examples of this step."""
        with self.stopwatch.data():
            inputs, targets = self.workload.train
            rows = batch_of(self.step, self.parameters.batch_size, len(inputs), self.order_seed).to(self.device)
            return inputs[rows], targets[rows]

    @property
    def evaluation_due(self) -> bool:
        """Whether the steps so far end an interval: of steps, never of time (EVS-4)."""
        return self.step % self.parameters.evaluate_every_steps == 0 or self.step == self.parameters.max_steps

    def wait_for_device(self) -> None:
        """Let a GPU finish the steps that it was handed, so that they can be timed."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def evaluate(self) -> dict[str, float]:
        """Return the metrics of the current weights, or of their average, on both splits or their samples."""
        count = self.parameters.evaluation_examples
        with self.weights.replaced_by(self.evaluated_weights):
            train = self.measure(sample(self.workload.train, count))
            validation = self.measure(sample(self.workload.validation, count))
        metrics = {"train_loss": train.loss, "validation_loss": validation.loss}
        if train.error is not None and validation.error is not None:
            metrics |= {"train_error": train.error, "validation_error": validation.error}
        return {
            **metrics,
            "learning_rate": learning_rate_at(self.step - 1, self.parameters),
            **self.log.metrics(),
            **self.stopwatch.metrics(self.parameters.batch_size),
            "peak_memory_bytes": self.peak_memory(),
        }

    @property
    def evaluated_weights(self) -> Tensor:
        """The weights that evaluations look at."""
        return self.average.values if self.average else self.weights.values

    def measure(self, examples: tuple[Tensor, Tensor]) -> Measured:
        """Measure the model as it is on some examples."""
        batch_size = max(EVALUATION_BATCH, self.parameters.batch_size)
        return evaluate(self.model, examples, self.workload.task, batch_size)

    def peak_memory(self) -> float:
        """Return the most memory so far, in bytes."""
        if self.device.type == "cuda":
            return float(torch.cuda.max_memory_allocated())
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0

    def keep_as_best(self) -> None:
        """Remember the weights that were just evaluated."""
        self.best_weights = self.evaluated_weights.clone()

    def diagnostics(self) -> Diagnostics:
        """Return what the steps so far say."""
        return Diagnostics(
            grad_norm_histogram=self.log.histogram,
            dense_loss=tuple(self.log.dense_loss),
            throughput=self.throughput,
        )

    def final_diagnostics(self) -> Diagnostics:
        """Return the same, and the best weights measured on the whole validation set and on its sample (SMPL-2)."""
        if self.best_weights is None:
            return self.diagnostics()
        with self.weights.replaced_by(self.best_weights):
            full = self.measure(self.workload.validation)
            some = self.measure(sample(self.workload.validation, self.parameters.evaluation_examples))
        return replace(
            self.diagnostics(),
            full_evaluation=full.evaluation(),
            sample_evaluation=some.evaluation(),
            weight_sum=full.weight_sum,
            dataset_size=len(self.workload.validation[0]),
            per_class=full.per_class,
        )

    def contents(self) -> dict[str, Any]:
        """Return everything that the rest of the run depends on.

        The order of the data and the learning rate are functions of the step, so the step stands for both.
        """
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state,
            "average": self.average.values if self.average else None,
            "log": self.log.state(),
            "best_weights": self.best_weights,
            "cpu_random_state": torch.get_rng_state(),
            "gpu_random_state": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        }

    def restore(self, contents: dict[str, Any]) -> None:
        """Become the run that `contents` was made of."""
        self.step = contents["step"]
        self.model.load_state_dict(contents["model"])
        for name, value in contents["optimizer"].items():
            self.optimizer.state[name].copy_(value)
        if self.average:
            self.average.values.copy_(contents["average"])
        self.log.restore(contents["log"])
        best = contents["best_weights"]
        self.best_weights = None if best is None else best.to(self.device)
        torch.set_rng_state(contents["cpu_random_state"])
        if self.device.type == "cuda" and contents["gpu_random_state"] is not None:
            torch.cuda.set_rng_state(contents["gpu_random_state"])


def seed_for(source: str, own: int | None, root: int) -> int:
    """Return the seed of one source of randomness: from its own number where it has one, else from the trial's."""
    return seed_of(root if own is None else own, source)


def device_name() -> str:
    """Return what the run computes on, as people call it: the GPU's name, or `cpu`."""
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "cpu"
