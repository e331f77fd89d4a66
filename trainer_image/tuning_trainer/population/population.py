"""A population in the middle of training: what changes from step to step, and how one step changes all members."""

import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from tuning_contract.diagnostics import Diagnostics
from tuning_trainer.evaluation import Measured, sample
from tuning_trainer.optimizers import Optimizer
from tuning_trainer.population.dropout import Masks, with_member_dropout
from tuning_trainer.population.evaluation import evaluate
from tuning_trainer.population.hyperparameters import Timetable, clipped, coefficients_of, column
from tuning_trainer.population.members import Member
from tuning_trainer.population.order import Orders
from tuning_trainer.population.packing import require_packable
from tuning_trainer.population.weights import StackedWeights, as_function, refusing_what_vmap_cannot_do
from tuning_trainer.run import random_state, seed_for
from tuning_trainer.schedules import learning_rate_at
from tuning_trainer.step_log import READ_AT_LEAST_EVERY, StepLog
from tuning_trainer.stopwatch import Stopwatch
from tuning_trainer.workloads.loading import workload_module


@dataclass
class Row:
    """What belongs to one member alone, beside its row of the matrices."""

    member: Member
    log: StepLog
    best_weights: Tensor | None = None
    """Those that the best evaluation so far has measured."""

    def diagnostics(self) -> Diagnostics:
        """Return what the member's steps so far say."""
        return Diagnostics(grad_norm_histogram=self.log.histogram, dense_loss=tuple(self.log.dense_loss))


class Population:
    """k members at the same step; one that has ended is taken out, and the others' numbers do not change by that."""

    def __init__(self, members: Sequence[Member]) -> None:
        """Make a population before its first step: on the GPU where there is one, else on the CPU.

        Raises:
            ConfigurationError: the members cannot be one, or their workload cannot be used so.
        """
        require_packable(members)
        self.shared = members[0].parameters
        """What all members agree in; the other values in it are one member's."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.rows = [Row(m, StepLog(m.parameters.dense_loss_steps, m.parameters.clip_norm)) for m in members]
        self.step = 0
        self._pending: list[Tensor] = []
        """Losses, norms of gradients and of updates, shape (3, k), of each step since the last evaluation."""
        self.stopwatch = Stopwatch()
        each = [m.parameters for m in members]
        # The highest dropout, so that a model that drops by other means than nn.Dropout is noticed: vmap refuses it.
        dropping = replace(self.shared, dropout=max(p.dropout for p in each))
        workload = workload_module(self.shared).make_workload(dropping)
        models = []
        for m in members:
            torch.manual_seed(seed_for("initialization", m.parameters.initialization_seed, m.seed))
            models.append(workload.make_model())
        self.weights = StackedWeights(models, self.device)
        seeds = [seed_for("dropout", m.parameters.dropout_seed, m.seed) for m in members]
        self.masks = Masks([p.dropout for p in each], seeds, self.device)
        self.model = with_member_dropout(models[0], self.masks, dropping.dropout).to(self.device)
        self.workload = workload.to(self.device)
        orders = [seed_for("data", m.parameters.order_seed, m.seed) for m in members]
        # Not where trials' own seeds happen to be equal: whoever is left of a pack must go on with the same numbers.
        one = None not in (given := {p.order_seed for p in each}) and len(given) == 1
        self.orders = Orders(orders, self.shared.batch_size, len(workload.train[0]), self.device, are_one=one)
        self.optimizer = Optimizer(self.shared, self.weights, coefficients_of(each, self.device))
        self.average = self.weights.values.clone() if any(p.ema_decay for p in each) else None
        self._learn_dropout()
        self._lay_out_numbers()

    def _learn_dropout(self) -> None:
        """See where the model drops features, on a part of a batch as each step has them."""
        if self.masks.needed:
            part = self.workload.train[0][: self.shared.batch_size // self.shared.gradient_accumulation]
            size = self.shared.batch_size // self.shared.gradient_accumulation
            part = self.workload.train[0][torch.arange(size, device=self.device) % len(part)]
            self.model.train()
            with torch.no_grad():
                self.masks.learn(lambda: self.model(part))

    def _lay_out_numbers(self) -> None:
        """Put the members' numbers into columns, anew when members have left."""
        each = [row.member.parameters for row in self.rows]
        self._clip_norms = column((p.clip_norm for p in each), self.device)
        self._clips = any(p.clip_norm for p in each)
        self._smoothing = column((p.label_smoothing for p in each), self.device)
        self._smooths = any(p.label_smoothing for p in each)
        self._ema_decays = column((p.ema_decay for p in each), self.device)
        self.optimizer.coefficients = coefficients_of(each, self.device)
        self._timetable: Timetable | None = None

    def take_step(self) -> None:
        """Do one update of each member, on the batch that belongs to this step of it."""
        with self.stopwatch.step():
            losses, gradients = self.compute_gradients()
            norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
            if self._clips:
                gradients = clipped(gradients, norms, self._clip_norms)
            rates, corrections = self.timetable.at(self.step)
            self.step += 1
            changes = self.optimizer.apply(gradients, rates, corrections)
            if self.average is not None:
                # As WeightAverage does, of which a decay of 0 is the weights themselves.
                decays = self._ema_decays.clamp(max=(1 + self.step) / (10 + self.step))
                self.average.lerp_(self.weights.values, 1.0 - decays)
            self._pending.append(torch.stack((losses, norms.squeeze(1), torch.linalg.vector_norm(changes, dim=1))))
            if len(self._pending) >= READ_AT_LEAST_EVERY:
                self.read()
            if self.evaluation_due and self.device.type == "cuda":
                torch.cuda.synchronize()

    def compute_gradients(self) -> tuple[Tensor, Tensor]:
        """Return each batch's mean loss, shape (k,), and its gradients, shape (k, size).

        What is differentiated is the sum of all members' losses: the gradient of a row is that of its own loss.
        """
        self.model.train()
        inputs, targets = self.next_batches()
        of_batches = None if self.orders.are_one else 0
        losses_of = vmap(self.loss, in_dims=(0, of_batches, of_batches, 0, 0))
        parts = self.shared.gradient_accumulation
        size = self.shared.batch_size // parts
        total = torch.zeros(len(self.rows), device=self.device)
        gradients = torch.zeros_like(self.weights.values)
        along = 0 if self.orders.are_one else 1
        for part, part_targets in zip(inputs.split(size, along), targets.split(size, along), strict=True):
            theta = self.weights.values.detach().requires_grad_()
            masks = self.masks.draw()
            with refusing_what_vmap_cannot_do():
                losses = losses_of(self.weights.named(theta), part, part_targets, self._smoothing, masks) / parts
            gradients += torch.autograd.grad(losses.sum(), theta)[0]
            total += losses.detach()
        return total, gradients

    def loss(
        self, weights: dict[str, Tensor], inputs: Tensor, targets: Tensor, smoothing: Tensor, masks: list[Tensor]
    ) -> Tensor:
        """Return one member's mean loss on its examples; inside of `vmap`, which makes it all members'."""
        self.masks.hand_out(masks)
        outputs = as_function(self.model)(weights, inputs)
        losses = self.workload.task.losses(outputs, targets)
        if self._smooths:
            # A task takes one number for smoothing, in which losses are linear: so between no and full smoothing.
            losses = (1.0 - smoothing) * losses + smoothing * self.workload.task.losses(outputs, targets, 1.0)
        return losses.mean()

    def next_batches(self) -> tuple[Tensor, Tensor]:
        """Return the examples of this step, shapes (k, batch_size, …); (batch_size, …) where the orders are one."""
        with self.stopwatch.data():
            inputs, targets = self.workload.train
            rows = self.orders.batch(self.step)
            return inputs[rows], targets[rows]

    @property
    def timetable(self) -> Timetable:
        """Rates and corrections, with those of this step among them."""
        if self._timetable is None or self.step >= self._timetable.stop:
            every = self.shared.evaluate_every_steps
            stop = min(self.shared.max_steps, (self.step // every + 1) * every)
            each = [row.member.parameters for row in self.rows]
            self._timetable = Timetable(each, self.step, stop, self.device)
        return self._timetable

    @property
    def evaluation_due(self) -> bool:
        """Whether the steps so far end an interval (EVS-4)."""
        return self.step % self.shared.evaluate_every_steps == 0 or self.step == self.shared.max_steps

    def evaluate(self) -> list[dict[str, float]]:
        """Return each member's metrics, those of `tuning_trainer.metrics`; times and memory are the population's."""
        count = self.shared.evaluation_examples
        train = self.measure(self.evaluated_weights, sample(self.workload.train, count))
        validation = self.measure(self.evaluated_weights, sample(self.workload.validation, count))
        self.read()
        common = {**self.stopwatch.metrics(self.shared.batch_size), "peak_memory_bytes": self.peak_memory()}
        metrics = []
        for row, learned, held_out in zip(self.rows, train, validation, strict=True):
            metrics.append(
                {
                    **losses_and_errors(learned, held_out),
                    "learning_rate": learning_rate_at(self.step - 1, row.member.parameters),
                    **row.log.metrics(),
                    **common,
                }
            )
        return metrics

    def read(self) -> None:
        """Take the numbers of all steps so far from the device, at once, into each member's log."""
        if self._pending:
            for row, steps in zip(self.rows, torch.stack(self._pending).permute(2, 0, 1).tolist(), strict=True):
                row.log.take(steps)
            self._pending.clear()

    @property
    def evaluated_weights(self) -> Tensor:
        """The weights that evaluations look at."""
        return self.weights.values if self.average is None else self.average

    def measure(self, weights: Tensor, examples: tuple[Tensor, Tensor]) -> list[Measured]:
        """Measure all members on some examples."""
        return evaluate(self.model, self.weights.named(weights), examples, self.workload.task)

    def peak_memory(self) -> float:
        """Return the most memory so far, in bytes, of all members together."""
        if self.device.type == "cuda":
            return float(torch.cuda.max_memory_allocated())
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0

    def keep_as_best(self, number: int) -> None:
        """Remember the weights of one member that were just evaluated."""
        self.rows[number].best_weights = self.evaluated_weights[number].clone()

    def final_diagnostics(self) -> list[Diagnostics]:
        """Return what all steps say, and the best weights measured on the whole validation set and its sample."""
        current = self.evaluated_weights
        best = [current[n] if row.best_weights is None else row.best_weights for n, row in enumerate(self.rows)]
        full = self.measure(torch.stack(best), self.workload.validation)
        some = self.measure(torch.stack(best), sample(self.workload.validation, self.shared.evaluation_examples))
        return [
            row.diagnostics()
            if row.best_weights is None
            else replace(
                row.diagnostics(),
                full_evaluation=whole.evaluation(),
                sample_evaluation=part.evaluation(),
                weight_sum=whole.weight_sum,
                dataset_size=len(self.workload.validation[0]),
                per_class=whole.per_class,
            )
            for row, whole, part in zip(self.rows, full, some, strict=True)
        ]

    def evaluated_model(self, number: int) -> dict[str, Tensor]:
        """Return one member's model that evaluations look at, for `load_state_dict`."""
        vector_to_parameters(self.evaluated_weights[number].clone(), self.model.parameters())
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def contents(self, number: int) -> dict[str, Any]:
        """Return what `Run.contents` has of the member's ordinary run: everything that its other steps depend on."""
        self.read()
        row = self.rows[number]
        average, best = None, row.best_weights
        statistics = torch.empty(0, device=self.device)  # of batch norms, which no member's model has
        if self.average is not None and row.member.parameters.ema_decay:
            average = [self.average[number].clone(), statistics]
        vector_to_parameters(self.weights.values[number].clone(), self.model.parameters())
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": {name: value[number].clone() for name, value in self.optimizer.state.items()},
            "average": average,
            "log": row.log.state(),
            "best": None if best is None else [best, statistics],
            "random_states": [{**random_state(self.device), self._place: self.masks.random_state(number)}],
        }

    def restore(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Become the population of whose members, all at the same step, `saved` are the contents."""
        self.step = saved[0]["step"]
        for number, (row, contents) in enumerate(zip(self.rows, saved, strict=True)):
            self.model.load_state_dict(contents["model"])
            self.weights.values[number] = parameters_to_vector(self.model.parameters()).detach()
            for name, value in contents["optimizer"].items():
                self.optimizer.state[name][number] = value
            if self.average is not None:
                average = contents["average"]
                self.average[number] = self.weights.values[number] if average is None else average[0]
            row.log.restore(contents["log"])
            best = contents["best"]
            row.best_weights = None if best is None else best[0].to(self.device)
            if (state := contents["random_states"][0][self._place]) is not None:
                self.masks.go_on_from(number, state)
        self._timetable = None

    @property
    def _place(self) -> str:
        """Where random numbers are drawn, as `random_state` calls it."""
        return "gpu" if self.device.type == "cuda" else "cpu"

    def keep(self, numbers: Sequence[int]) -> None:
        """Go on with these members alone."""
        self.read()
        rows = torch.tensor(list(numbers), dtype=torch.long, device=self.device)
        self.rows = [self.rows[number] for number in numbers]
        self.weights.keep(rows)
        self.optimizer.state = {name: value[rows] for name, value in self.optimizer.state.items()}
        self.average = None if self.average is None else self.average[rows]
        self.masks.keep(numbers)
        self.orders.keep(numbers)
        if self.rows:
            self._lay_out_numbers()


def losses_and_errors(train: Measured, validation: Measured) -> dict[str, float]:
    """Return what was measured, under the metrics' names."""
    losses = {"train_loss": train.loss, "validation_loss": validation.loss}
    if train.error is None or validation.error is None:
        return losses
    return losses | {"train_error": train.error, "validation_error": validation.error}
