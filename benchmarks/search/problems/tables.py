"""Group E: tables of learning curves, of real trainings of every point of a grid with two seeds.

A table answers from its own pool alone: the space is the grid, so nothing is interpolated. What a trial measures is the
best evaluation of one of the two runs; the truth is the mean over both. A point where a run diverged is infeasible.
The tables were made by `python -m benchmarks.search.problems.tables`; an instance has its own data split and
initial weights.
"""

import pydoc_data.topics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, make_friedman1

from benchmarks.search.problems.problem import Problem, arm_of, choice, levels, only
from benchmarks.search.problems.training import Array, Task, curves
from tuning_operator.search.domain import points_of
from tuning_operator.search.space import Assignment, parameters_of

FOLDER = Path(__file__).parent.parent / "tables"
SEEDS = (0, 1)
LETTERS = "abcdefghijklmnopqrstuvwxyz "
CONTEXT = 3
DIVERGED = 1e4
"""A loss from which no run comes back; NaN is not below it either."""


def rates(name: str, low: float, high: float, number: int = 12, **fields: Any) -> dict[str, Any]:
    """Return the levels of a learning rate, evenly in its logarithm."""
    values = [float(f"{v:.3g}") for v in np.geomspace(low, high, number)]
    return levels(name, values, parameter="learning_rate", **fields)


MOMENTUM = levels("momentum", [0, 0.5, 0.8, 0.9, 0.95, 0.99])
DECAY = levels("weight_decay", [0, 1e-4, 1e-3, 1e-2, 1e-1])
OPTIMIZER = choice("optimizer", "sgd", "adam")
SGD, ADAM = only("optimizer", "sgd"), only("optimizer", "adam")

SPACES: Mapping[str, list[dict[str, Any]]] = {
    "digits-sgd": [rates("learning_rate", 1e-3, 10), MOMENTUM, DECAY, levels("batch", [16, 64])],
    "digits-optimizer": [
        OPTIMIZER,
        rates("sgd_rate", 1e-3, 10, **SGD),
        rates("adam_rate", 1e-5, 1, **ADAM),
        MOMENTUM,
        levels("hidden", [16, 32, 64]),
        levels("smoothing", [0, 0.1]),
    ],
    "friedman-sgd": [rates("learning_rate", 1e-4, 1), MOMENTUM, DECAY, levels("hidden", [16, 48])],
    "breast-schedule": [
        OPTIMIZER,
        rates("sgd_rate", 1e-3, 10, **SGD),
        rates("adam_rate", 1e-5, 1, **ADAM),
        choice("schedule", "constant", "linear", "cosine"),
        levels("clip", [0, 0.3, 3]),
        levels("weight_decay", [0, 1e-2, 1e-1, 1]),
    ],
    "letters-optimizer": [
        OPTIMIZER,
        rates("sgd_rate", 1e-3, 10, **SGD),
        levels("momentum", [0, 0.5, 0.8, 0.9, 0.95, 0.99]),
        rates("adam_rate", 1e-5, 1, **ADAM),
        levels("beta2", [0.9, 0.99, 0.999], **ADAM),
        levels("batch", [16, 32, 64]),
    ],
    "teacher-adam": [
        rates("learning_rate", 1e-5, 1),
        levels("momentum", [0, 0.5, 0.8, 0.9, 0.95]),
        levels("beta2", [0.9, 0.99, 0.999]),
        levels("hidden", [8, 24, 72]),
        choice("schedule", "constant", "cosine"),
    ],
}

FIXED: Mapping[str, Assignment] = {"teacher-adam": {"optimizer": "adam"}}


def table_problems(instance: int) -> list[Problem]:
    """Return the problems whose tables of that instance are there."""
    paths = {name: FOLDER / f"{name}-{instance}.npz" for name in SPACES}
    return [_problem(name, path) for name, path in paths.items() if path.exists()]


def _problem(name: str, path: Path) -> Problem:
    arm = arm_of(*SPACES[name])
    best = np.load(path)["curves"].astype(np.float64).min(axis=2)
    row = {_key(point): number for number, point in enumerate(points_of(arm))}
    truths = best.mean(axis=1)

    def truth(assignment: Assignment) -> float | None:
        value = float(truths[row[_key(assignment)]])
        return value if np.isfinite(value) else None

    def measured(assignment: Assignment, _: float, rng: np.random.Generator) -> float:
        return float(best[row[_key(assignment)], rng.integers(len(SEEDS))])

    return Problem(f"table-{name}", "E", arm, truth, measured, float(np.nanmin(truths)))


def _key(assignment: Assignment) -> frozenset[tuple[str, object]]:
    return frozenset(assignment.items())


def _generate(name: str, instance: int) -> None:
    arm = arm_of(*SPACES[name])
    task = TASKS[name.partition("-")[0]](instance)
    pool = [parameters_of(arm.space, point) | FIXED.get(name, {}) for point in points_of(arm)]
    both = np.stack([curves(task, pool, 1000 * instance + seed) for seed in SEEDS], axis=1)
    both[~(both < DIVERGED).all(axis=2)] = np.nan
    np.savez_compressed(FOLDER / f"{name}-{instance}.npz", curves=both.astype(np.float32))


def _task(x: Array, y: Array, is_classification: bool, train: int, steps: int, instance: int) -> Task:
    order = np.random.default_rng(instance).permutation(len(x))
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-3)
    chosen, rest = order[:train], order[train : train + 400]
    return Task(x[chosen], y[chosen], x[rest], y[rest], is_classification, steps)


def _one_hot(labels: Array) -> Array:
    rows: Array = np.eye(int(labels.max()) + 1)[labels.astype(int)]
    return rows


def _digits(instance: int) -> Task:
    x, y = load_digits(return_X_y=True)
    return _task(x, _one_hot(y), True, 600, 150, instance)


def _breast(instance: int) -> Task:
    x, y = load_breast_cancer(return_X_y=True)
    return _task(x, _one_hot(y), True, 200, 120, instance)


def _friedman(instance: int) -> Task:
    x, y = make_friedman1(1000, n_features=10, noise=1.0, random_state=instance)
    return _task(x, (y[:, None] - y.mean()) / y.std(), False, 500, 200, instance)


def _letters(instance: int) -> Task:
    text = "".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics)).lower()
    letters = np.array([LETTERS.index(c) for c in " ".join(text.split()) if c in LETTERS])
    starts = np.random.default_rng(instance).integers(len(letters) - CONTEXT, size=4400)
    windows = np.eye(len(LETTERS))[letters[starts[:, None] + np.arange(CONTEXT)]]
    targets = np.eye(len(LETTERS))[letters[starts + CONTEXT]]
    return _task(windows.reshape(len(starts), -1), targets, True, 4000, 150, instance)


def _teacher(instance: int) -> Task:
    rng = np.random.default_rng(instance)
    x = rng.standard_normal((1200, 8))
    y = np.tanh(x @ rng.standard_normal((8, 12)) / 2) @ rng.standard_normal((12, 2)) / 2
    return _task(x, y + 0.1 * rng.standard_normal(y.shape), False, 800, 200, instance)


TASKS: Mapping[str, Callable[[int], Task]] = {
    "digits": _digits,
    "breast": _breast,
    "friedman": _friedman,
    "letters": _letters,
    "teacher": _teacher,
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for number in sys.argv[1:]:
        for each in SPACES:
            _generate(each, int(number))
