"""A run in the middle of training: everything that changes from step to step, and how one step changes it."""

import resource
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from tuning_contract.diagnostics import Diagnostics, Rank, Throughput
from tuning_trainer.batches import Batches
from tuning_trainer.evaluation import EVALUATION_BATCH, Measured, evaluate, sample
from tuning_trainer.forward import Forward, in_precision, training_forward
from tuning_trainer.optimizers import Optimizer
from tuning_trainer.parallel import ALONE, Processes, hash_of, require_equal_shares
from tuning_trainer.parameters import Parameters
from tuning_trainer.schedules import learning_rate_at
from tuning_trainer.seeds import seed_of
from tuning_trainer.step_log import StepLog
from tuning_trainer.stopwatch import Stopwatch
from tuning_trainer.weights import FlatStatistics, FlatWeights, WeightAverage, clipped, replaced
from tuning_trainer.workloads.workload import Workload


@dataclass
class Run:
    """What changes while training, and what it is trained on."""

    parameters: Parameters
    processes: Processes
    device: torch.device
    workload: Workload
    batches: Batches
    model: nn.Module
    forward: Forward
    """The model as training steps run it: in its precision, and compiled where that is wanted."""
    weights: FlatWeights
    statistics: FlatStatistics
    optimizer: Optimizer
    average: WeightAverage | None
    log: StepLog
    rank: Rank
    """What this process tells of itself, for the Playbook's checks of distributed runs."""
    throughput: Throughput | None = None
    """What a probe has measured before the run."""
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    step: int = 0
    """Steps taken so far."""
    best: list[Tensor] | None = None
    """Weights and statistics that the best evaluation so far has measured."""

    @classmethod
    def fresh(
        cls,
        parameters: Parameters,
        seed: int,
        workload: Workload,
        throughput: Throughput | None = None,
        processes: Processes = ALONE,
    ) -> Self:
        """Return a run before its first step: on the GPU where there is one, else on the CPU.

        Initialisation, order and dropout have a seed each, so that one can vary while the others stay. Those of
        initialisation and order are the same on all processes (their shares of the order differ), and that of dropout
        is another one on each (HST-3).

        Raises:
            ConfigurationError: the processes cannot share a batch, or nothing can be compiled here.
        """
        require_equal_shares(parameters, processes)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(seed_for("initialization", parameters.initialization_seed, seed))
        model = workload.make_model().to(device)
        forward = training_forward(model, parameters, device)
        dropout = "dropout" if processes.leads else f"dropout of process {processes.rank}"
        torch.manual_seed(seed_for(dropout, parameters.dropout_seed, seed))
        weights, statistics = FlatWeights(model), FlatStatistics(model, device)
        if parameters.examples_on == "device":
            workload = workload.to(device)
        order_seed = seed_for("data", parameters.order_seed, seed)
        batches = Batches(workload.train, parameters.batch_size, order_seed, device, processes)
        return cls(
            parameters,
            processes,
            device,
            workload,
            batches,
            model,
            forward,
            weights,
            statistics,
            Optimizer(parameters, weights),
            WeightAverage(parameters.ema_decay, [weights.values, statistics.values]) if parameters.ema_decay else None,
            StepLog(parameters.dense_loss_steps, parameters.clip_norm),
            Rank(processes.rank, hash_of([weights.values]), hash_of(batches.share_of(0))),
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
                self.average.update(self.state, self.step)
            self.log.add(loss, norm, torch.linalg.vector_norm(change))
            if self.evaluation_due:
                self.wait_for_device()

    def compute_gradient(self) -> Tensor:
        """Leave the gradient of the batch's mean loss in the weights, and return that loss.

        With gradient accumulation, part after part: equal parts, so the mean of their means is the mean of all. With
        several processes each has an equal share of the batch, and then the mean of all their gradients.

        A batch norm takes the statistics of its own process's part of the batch: a ghost batch norm (BNM-2). Its moving
        statistics are linear in those, so their mean over the processes is what one that saw all parts has (BNM-6).
        """
        self.model.train()
        self.weights.gradient.zero_()
        inputs, targets = self.next_batch()
        parts = self.parameters.gradient_accumulation
        size = len(inputs) // parts
        total = torch.zeros((), device=self.device)
        for part, part_targets in zip(inputs.split(size), targets.split(size), strict=True):
            losses = self.workload.task.losses(self.forward(part), part_targets, self.parameters.label_smoothing)
            loss = losses.mean() / parts
            loss.backward()
            total += loss.detach()
        self.processes.average([self.weights.gradient, total, self.statistics.values])
        return total

    def next_batch(self) -> tuple[Tensor, Tensor]:
        """Return the examples of this step."""
        with self.stopwatch.data():
            return self.batches.at(self.step)

    @property
    def evaluation_due(self) -> bool:
        """Whether the steps so far end an interval: of steps, never of time (EVS-4)."""
        return self.step % self.parameters.evaluate_every_steps == 0 or self.step == self.parameters.max_steps

    def wait_for_device(self) -> None:
        """Let a GPU finish the steps that it was handed, so that they can be timed."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def evaluate(self) -> dict[str, float]:
        """Return the metrics of the current weights, or of their average, on both splits or their samples.

        The same on all processes: what a clock or the system has measured is the first one's.
        """
        count = self.parameters.evaluation_examples
        with replaced(self.state, self.evaluated_state):
            train = self.measure(sample(self.workload.train, count))
            validation = self.measure(sample(self.workload.validation, count))
        metrics = {"train_loss": train.loss, "validation_loss": validation.loss}
        if train.error is not None and validation.error is not None:
            metrics |= {"train_error": train.error, "validation_error": validation.error}
        metrics = {
            **metrics,
            "learning_rate": learning_rate_at(self.step - 1, self.parameters),
            **self.log.metrics(),
            **self.stopwatch.metrics(self.parameters.batch_size),
            "peak_memory_bytes": self.peak_memory(),
        }
        return self.processes.as_the_first_says(metrics)

    @property
    def state(self) -> list[Tensor]:
        """What the model works with: its weights and its batch norms' statistics."""
        return [self.weights.values, self.statistics.values]

    @property
    def evaluated_state(self) -> list[Tensor]:
        """What evaluations look at."""
        return self.average.values if self.average else self.state

    def evaluated_model(self) -> dict[str, Tensor]:
        """Return the model that evaluations look at, for `load_state_dict`."""
        with replaced(self.state, self.evaluated_state):
            return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def measure(self, examples: tuple[Tensor, Tensor]) -> Measured:
        """Measure the model as it is on some examples."""
        batch_size = max(EVALUATION_BATCH, self.parameters.batch_size)
        self.model.eval()
        forward = in_precision(self.model, self.parameters, self.device)
        return evaluate(forward, examples, self.workload.task, batch_size, self.device, self.processes)

    def peak_memory(self) -> float:
        """Return the most memory so far, in bytes."""
        if self.device.type == "cuda":
            return float(torch.cuda.max_memory_allocated())
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0

    def keep_as_best(self) -> None:
        """Remember what was just evaluated."""
        self.best = [vector.clone() for vector in self.evaluated_state]

    def diagnostics(self) -> Diagnostics:
        """Return what the steps so far say."""
        return Diagnostics(
            grad_norm_histogram=self.log.histogram,
            dense_loss=tuple(self.log.dense_loss),
            ranks=self.ranks(),
            throughput=self.throughput,
        )

    def ranks(self) -> tuple[Rank, ...]:
        """Return what each process tells of itself; at evaluations, when the state is about to be saved (BNM-6)."""
        own = replace(self.rank, buffers=hash_of(list(self.model.buffers())))
        return tuple(self.processes.gathered(own))

    def final_diagnostics(self) -> Diagnostics:
        """Return the same, and the best model measured on the whole validation set and on its sample (SMPL-2)."""
        if self.best is None:
            return self.diagnostics()
        with replaced(self.state, self.best):
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
            "best": self.best,
            "random_states": self.processes.gathered(random_state(self.device)),
        }

    def restore(self, contents: dict[str, Any]) -> None:
        """Become the run that `contents` was made of."""
        self.step = contents["step"]
        self.model.load_state_dict(contents["model"])
        for name, value in contents["optimizer"].items():
            self.optimizer.state[name].copy_(value)
        if self.average:
            for average, value in zip(self.average.values, contents["average"], strict=True):
                average.copy_(value)
        self.log.restore(contents["log"])
        best = contents["best"]
        self.best = None if best is None else [vector.to(self.device) for vector in best]
        state = contents["random_states"][self.processes.rank]
        torch.set_rng_state(state["cpu"])
        if self.device.type == "cuda" and state["gpu"] is not None:
            torch.cuda.set_rng_state(state["gpu"])


def random_state(device: torch.device) -> dict[str, Tensor | None]:
    """Return what PyTorch's random numbers of this process depend on, on the CPU and on the device."""
    return {"cpu": torch.get_rng_state(), "gpu": torch.cuda.get_rng_state() if device.type == "cuda" else None}


def seed_for(source: str, own: int | None, root: int) -> int:
    """Return the seed of one source of randomness: from its own number where it has one, else from the trial's."""
    return seed_of(root if own is None else own, source)


def device_name() -> str:
    """Return what the run computes on, as people call it: the GPU's name, or `cpu`."""
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "cpu"
