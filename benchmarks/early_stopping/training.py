"""Real trainings, many at once: small networks by SGD with momentum, linear warm-up and cosine decay to zero.

All configurations of one batch size are trained as one batch of matrix products. Everything is a function of the
problem: the same numbers come out on the same machine.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, make_classification, make_friedman1

from benchmarks.early_stopping.table import EVALUATE_EVERY, STEPS, WARMUP

Array = NDArray[np.float32]

CONFIGURATIONS = 256
BATCH_SIZES = (16, 32, 64, 128)


@dataclass(frozen=True)
class Problem:
    """A data set, a network and the noise in its labels."""

    name: str
    data: Callable[[], tuple[NDArray[np.float64], NDArray[np.float64]]]
    hidden: int
    """Hidden units; 0: a linear model."""
    training: int
    """Examples to train on; 500 others are for validation."""
    classes: int
    """0: regression."""
    wrong_labels: float = 0.0
    """The fraction of training labels that are replaced by random ones."""


@dataclass(frozen=True)
class Configurations:
    """What is tuned, one entry a configuration."""

    learning_rate: NDArray[np.float64]
    momentum: NDArray[np.float64]
    weight_decay: NDArray[np.float64]
    batch_size: NDArray[np.int64]


def _digits() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    inputs, labels = load_digits(return_X_y=True)
    return inputs / 16.0, labels


def _clusters(**options: float) -> Callable[[], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    return lambda: make_classification(
        3000, 20, n_informative=10, n_classes=4, n_clusters_per_class=3, random_state=1, **options
    )


PROBLEMS = (
    Problem("digits-linear", _digits, hidden=0, training=1200, classes=10),
    Problem("digits-mlp", _digits, hidden=32, training=1200, classes=10),
    Problem("digits-mlp-wrong-labels", _digits, hidden=32, training=1200, classes=10, wrong_labels=0.3),
    Problem("clusters-mlp", _clusters(class_sep=1.0), hidden=32, training=2400, classes=4),
    Problem("clusters-mlp-few", _clusters(class_sep=0.7, flip_y=0.1), hidden=64, training=300, classes=4),
    Problem("friedman-mlp", lambda: make_friedman1(2000, 10, noise=1.0, random_state=1), 32, 1000, classes=0),
)


def drawn(number: int = CONFIGURATIONS, seed: int = 0) -> Configurations:
    """Draw configurations at random; a third or so of the learning rates are too large for some problem."""
    rng = np.random.default_rng(seed)
    return Configurations(
        learning_rate=10 ** rng.uniform(-3, 1, number),
        momentum=1 - 10 ** rng.uniform(-2, 0, number),
        weight_decay=10 ** rng.uniform(-6, -1, number),
        batch_size=rng.choice(BATCH_SIZES, number),
    )


def rate(step: int) -> float:
    """Return the learning rate at a step, relative to its peak: up linearly, then down on a cosine to zero."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return float(0.5 * (1 + np.cos(np.pi * (step - WARMUP) / (STEPS - WARMUP))))


def curves_of(problem: Problem, configurations: Configurations) -> NDArray[np.float64]:
    """Train all configurations; return their validation losses, by configuration and evaluation."""
    data = _prepared(problem)
    curves = np.empty((len(configurations.batch_size), STEPS // EVALUATE_EVERY + 1))
    for batch_size in BATCH_SIZES:
        chosen = np.flatnonzero(configurations.batch_size == batch_size)
        with np.errstate(over="ignore", invalid="ignore"):
            curves[chosen] = _train(problem, data, configurations, chosen, batch_size)
    return curves


@dataclass(frozen=True)
class _Data:
    inputs: Array
    targets: Array
    """One-hot for classes."""
    validation_inputs: Array
    validation_targets: Array


def _prepared(problem: Problem) -> _Data:
    rng = np.random.default_rng(2)
    inputs, labels = problem.data()
    order = rng.permutation(len(inputs))
    train, validation = order[: problem.training], order[-500:]
    mean, deviation = inputs[train].mean(axis=0), inputs[train].std(axis=0) + 0.1
    standard = ((inputs - mean) / deviation).astype(np.float32)
    if problem.classes:
        wrong = train[rng.random(len(train)) < problem.wrong_labels]
        labels = labels.copy()
        labels[wrong] = rng.integers(0, problem.classes, len(wrong))
        targets = np.eye(problem.classes, dtype=np.float32)[labels.astype(int)]
    else:
        targets = ((labels - labels[train].mean()) / labels[train].std()).astype(np.float32)[:, None]
    return _Data(standard[train], targets[train], standard[validation], targets[validation])


def _train(
    problem: Problem, data: _Data, all_of: Configurations, chosen: NDArray[np.intp], batch_size: int
) -> NDArray[np.float64]:
    rng = np.random.default_rng(batch_size)
    count = len(chosen)

    def column(values: NDArray[np.float64]) -> Array:
        return values[chosen].astype(np.float32)[:, None, None]

    peak, momentum, decay = (column(v) for v in (all_of.learning_rate, all_of.momentum, all_of.weight_decay))
    weights = _initial(problem, data, count, rng)
    speeds = [np.zeros_like(weight) for weight in weights]
    losses = [_loss(problem, weights, data)]
    for step in range(STEPS):
        batch = rng.integers(0, len(data.inputs), (count, batch_size))
        gradients = _gradients(problem, weights, data.inputs[batch], data.targets[batch])
        for weight, speed, gradient in zip(weights, speeds, gradients, strict=True):
            speed *= momentum
            speed += gradient + decay * weight
            weight -= rate(step) * peak * speed
        if (step + 1) % EVALUATE_EVERY == 0:
            losses.append(_loss(problem, weights, data))
    return np.stack(losses, axis=1)


def _initial(problem: Problem, data: _Data, count: int, rng: np.random.Generator) -> list[Array]:
    """Return the weights, layer by layer, the bias as the last row; each configuration has its own."""
    sizes = [data.inputs.shape[1], *([problem.hidden] if problem.hidden else []), data.targets.shape[1]]
    weights = []
    for before, after in itertools.pairwise(sizes):
        weight = rng.normal(0, (2 / before) ** 0.5, (count, before + 1, after)).astype(np.float32)
        weight[:, -1] = 0
        weights.append(weight)
    weights[-1] *= 0.3
    return weights


def _outputs(weights: list[Array], inputs: Array) -> tuple[Array, list[Array]]:
    """Return the outputs, and what went into each layer."""
    seen = [inputs]
    for weight in weights[:-1]:
        seen.append(np.maximum(seen[-1] @ weight[:, :-1] + weight[:, -1:], 0))
    return seen[-1] @ weights[-1][:, :-1] + weights[-1][:, -1:], seen


def _gradients(problem: Problem, weights: list[Array], inputs: Array, targets: Array) -> list[Array]:
    outputs, seen = _outputs(weights, inputs)
    error = (_softmax(outputs) if problem.classes else outputs) - targets
    error /= inputs.shape[1]
    gradients: list[Array] = []
    for layer in reversed(range(len(weights))):
        into = seen[layer].swapaxes(1, 2) @ error
        gradients.insert(0, np.concatenate([into, error.sum(axis=1, keepdims=True)], axis=1))
        if layer:
            error = (error @ weights[layer][:, :-1].swapaxes(1, 2)) * (seen[layer] > 0)
    return gradients


def _softmax(outputs: Array) -> Array:
    powers = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def _loss(problem: Problem, weights: list[Array], data: _Data) -> NDArray[np.float64]:
    outputs, _ = _outputs(
        weights, np.broadcast_to(data.validation_inputs, (len(weights[0]), *data.validation_inputs.shape))
    )
    outputs = outputs.astype(np.float64)
    if not problem.classes:
        return ((outputs - data.validation_targets) ** 2).mean(axis=(1, 2))  # type: ignore[no-any-return]
    largest = outputs.max(axis=-1, keepdims=True)
    logs = outputs - largest - np.log(np.exp(outputs - largest).sum(axis=-1, keepdims=True))
    return -(logs * data.validation_targets).sum(axis=-1).mean(axis=1)  # type: ignore[no-any-return]
