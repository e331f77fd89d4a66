"""Members, and the ordinary run of each of them, for tests that compare the two."""

from tests.unit.trainer.needs_torch import torch
from tuning_contract.environment import ParameterValue
from tuning_trainer.population.members import Member
from tuning_trainer.population.population import Population
from tuning_trainer.run import Run
from tuning_trainer.workloads.loading import workload_module

Given = dict[str, ParameterValue]
SMALL: Given = {"workload": "tabular", "hidden_width": 8, "batch_size": 16, "max_steps": 50, "evaluate_every_steps": 25}
EVERYTHING: Given = {
    "clip_norm": 0.5,
    "dropout": 0.2,
    "ema_decay": 0.9,
    "gradient_accumulation": 2,
    "label_smoothing": 0.1,
    "warmup_steps": 5,
    "weight_decay": 0.01,
}
TIMINGS = ("examples_per_second", "steps_per_second", "data_wait_fraction", "peak_memory_bytes")


def rate_for(optimizer: str) -> float:
    """Return a learning rate at which nothing diverges, so that rounding is not blown up."""
    return 0.003 if "adam" in optimizer or optimizer == "rmsprop" else 0.02


def member(number: int = 0, /, **given: ParameterValue) -> Member:
    """Return a member whose seed is its number."""
    return Member.of(f"trial-{number}", SMALL | given, number)


def differing(**given: ParameterValue) -> list[Member]:
    """Return eight members that differ in all that may differ."""
    rate = float(given.pop("learning_rate", 0.01))
    return [
        member(
            n,
            **given
            | {
                "learning_rate": rate * (1 + n / 8),
                "momentum": 0.5 + n / 20,
                "beta1": 0.8 + n / 50,
                "beta2": 0.9 + n / 100,
                "epsilon": 10.0 ** (n - 8),
                "weight_decay": n / 100,
                "dropout": (n % 4) / 10,
                "label_smoothing": (n % 3) / 10,
                "schedule": ("constant", "linear", "cosine", "step")[n % 4],
                "warmup_steps": n,
                "decay_steps": 20 * (n % 2),
                "final_learning_rate_fraction": n / 10,
                "decay_factor": 0.3,
                "decay_every_steps": n,
                "clip_norm": (n % 3) / 4,
                "ema_decay": (n % 2) * 0.9,
                "dense_loss_steps": n,
            },
        )
        for n in range(8)
    ]


def ordinary(member: Member) -> Run:
    """Return the run that the ordinary loop would make of a member."""
    return Run.fresh(
        member.parameters, member.seed, workload_module(member.parameters).make_workload(member.parameters)
    )


def steps_alone(member: Member, steps: int) -> tuple[torch.Tensor, list[dict[str, float]]]:
    """Return the weights after each step, shape (steps, size), and the metrics of all evaluations."""
    run, weights, metrics = ordinary(member), [], []
    while run.step < steps:
        run.take_step()
        weights.append(run.weights.values.clone())
        if run.evaluation_due:
            metrics.append(run.evaluate())
    return torch.stack(weights), metrics


def steps_together(members: list[Member], steps: int) -> tuple[torch.Tensor, list[list[dict[str, float]]]]:
    """Return the same of a population: weights of shape (k, steps, size), and metrics by member."""
    population, weights = Population(members), []
    metrics: list[list[dict[str, float]]] = [[] for _ in members]
    while population.step < steps:
        population.take_step()
        weights.append(population.weights.values.clone())
        if population.evaluation_due:
            for mine, told in zip(metrics, population.evaluate(), strict=True):
                mine.append(told)
    return torch.stack(weights, dim=1), metrics


def assert_same(members: list[Member], steps: int = 50, rtol: float = 1e-4) -> None:
    """Compare a population with its members' ordinary runs: weights of every step, and all that they measure."""
    weights, metrics = steps_together(members, steps)
    for number, one in enumerate(members):
        alone, told_alone = steps_alone(one, steps)
        distance = (weights[number] - alone).norm(dim=1) / alone.norm(dim=1)
        assert distance.max() < rtol, f"{one.given}: {distance}"
        moved = (alone[-1] - alone[0]).norm() / alone[0].norm()
        assert moved > 100 * rtol, "the run hardly moves: the comparison would see nothing"
        for told, expected in zip(metrics[number], told_alone, strict=True):
            assert told.keys() == expected.keys()
            for name in expected.keys() - set(TIMINGS):
                assert abs(told[name] - expected[name]) <= 5 * rtol * abs(expected[name]) + 1e-7, name
