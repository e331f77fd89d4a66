"""Real trainings, small enough for a laptop: a network with one hidden layer, many configurations at once, in numpy.

Each configuration has its own learning rate, momentum, weight decay and so on; they share the order of the data. The
learning rate falls to zero along a half cosine, or as the configuration says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuning_contract.environment import ParameterValue

Array = np.ndarray[Any, np.dtype[np.float64]]

CHUNK = 64
"""Configurations trained at once: what fits the cache."""
EVALUATIONS = 10


@dataclass(frozen=True)
class Task:
    """Data to fit: one-hot targets with cross-entropy, or numbers with half the mean squared error."""

    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array
    is_classification: bool
    steps: int


def curves(task: Task, configurations: Sequence[Mapping[str, ParameterValue]], seed: int) -> Array:
    """Return the test loss of each configuration at evenly spaced steps, the last one included; not finite: diverged.

    Known keys and defaults: optimizer (sgd or adam), learning_rate, momentum, beta2 (0.999), weight_decay (0;
    decoupled), batch (32), hidden (32), smoothing (0), schedule (cosine, linear or constant), clip (0: none).
    """
    result = np.empty((len(configurations), EVALUATIONS))
    groups: dict[tuple[int, int], list[int]] = {}
    for number, configuration in enumerate(configurations):
        shape = (int(configuration.get("hidden", 32)), int(configuration.get("batch", 32)))
        groups.setdefault(shape, []).append(number)
    for (hidden, batch), members in groups.items():
        for first in range(0, len(members), CHUNK):
            chunk = members[first : first + CHUNK]
            with np.errstate(all="ignore"):
                result[chunk] = _train(task, [configurations[i] for i in chunk], hidden, batch, seed)
    return result


def _train(task: Task, chunk: Sequence[Mapping[str, ParameterValue]], hidden: int, batch: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    inputs, outputs = task.train_x.shape[1], task.train_y.shape[1]
    sizes = [(inputs, hidden), (1, hidden), (hidden, outputs), (1, outputs)]
    first = [rng.standard_normal(size) * np.sqrt(2 / size[0]) if size[0] > 1 else np.zeros(size) for size in sizes]
    weights = [np.repeat(w[None], len(chunk), axis=0) for w in first]
    velocities, squares = ([np.zeros_like(w) for w in weights] for _ in range(2))

    def column(name: str, default: float) -> Array:
        return np.array([float(c.get(name, default)) for c in chunk])[:, None, None]

    rate, momentum, decay = column("learning_rate", 0.1), column("momentum", 0.9), column("weight_decay", 0.0)
    beta2, smoothing, clip = column("beta2", 0.999), column("smoothing", 0.0), column("clip", 0.0)
    is_adam = np.array([c.get("optimizer", "sgd") == "adam" for c in chunk])[:, None, None]
    schedules = [str(c.get("schedule", "cosine")) for c in chunk]
    curve = np.empty((len(chunk), EVALUATIONS))
    for step in range(task.steps):
        rows = rng.integers(len(task.train_x), size=batch)
        gradients = _gradients(task, weights, task.train_x[rows], task.train_y[rows], smoothing)
        norm = np.sqrt(sum(np.sum(g**2, axis=(1, 2), keepdims=True) for g in gradients))
        shrink = np.where((clip > 0) & (norm > clip), clip / norm, 1.0)
        now = rate * np.array([_fraction(s, step / task.steps) for s in schedules])[:, None, None]
        for w, v, s, g in zip(weights, velocities, squares, gradients, strict=True):
            g *= shrink
            s *= beta2
            s += (1 - beta2) * g**2
            v *= momentum
            v += np.where(is_adam, 1 - momentum, 1.0) * g
            corrected = v / (1 - momentum ** (step + 1)) / (np.sqrt(s / (1 - beta2 ** (step + 1))) + 1e-8)
            w -= now * np.where(is_adam, corrected, v) + now * decay * w
        if (step + 1) * EVALUATIONS % task.steps < EVALUATIONS:
            curve[:, (step + 1) * EVALUATIONS // task.steps - 1] = _loss(task, weights)
    return curve


def _fraction(schedule: str, progress: float) -> float:
    match schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1 - progress
        case _:
            return 0.5 * (1 + float(np.cos(np.pi * progress)))


def _outputs(weights: Sequence[Array], x: Array) -> tuple[Array, Array]:
    hidden = np.maximum(x @ weights[0] + weights[1], 0)
    return hidden, hidden @ weights[2] + weights[3]


def _gradients(task: Task, weights: Sequence[Array], x: Array, y: Array, smoothing: Array) -> list[Array]:
    hidden, output = _outputs(weights, x)
    if task.is_classification:
        target = y * (1 - smoothing) + smoothing / y.shape[1]
        wrong = (_softmax(output) - target) / len(x)
    else:
        wrong = (output - y) / len(x)
    back = (wrong @ weights[2].transpose(0, 2, 1)) * (hidden > 0)
    return [
        x.T @ back,
        back.sum(axis=1, keepdims=True),
        hidden.transpose(0, 2, 1) @ wrong,
        wrong.sum(axis=1, keepdims=True),
    ]


def _loss(task: Task, weights: Sequence[Array]) -> Array:
    _, output = _outputs(weights, task.test_x)
    if not task.is_classification:
        return np.asarray(0.5 * np.mean(np.sum((output - task.test_y) ** 2, axis=2), axis=1))
    top = output.max(axis=2, keepdims=True)
    log_total = np.log(np.sum(np.exp(output - top), axis=2)) + top[..., 0]
    return np.asarray(np.mean(log_total - np.sum(output * task.test_y, axis=2), axis=1))


def _softmax(output: Array) -> Array:
    raised = np.exp(output - output.max(axis=2, keepdims=True))
    return np.asarray(raised / raised.sum(axis=2, keepdims=True))
