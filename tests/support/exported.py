"""Studies and trials as people have them in files: realistic numbers of trials, and whole curves."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import qmc

from tests.support.builders import Manifest, a_range, a_study

METRIC = "validation_loss"
Landscape = Callable[[float], float]
"""Of a position u in [0, 1] in the learning rate's range: the best value of the objective."""
LEARNING_RATE = a_range(category="optimizer", low=1e-4, high=1.0, scale="Log")
WEIGHT_DECAY = a_range("weight_decay", category="regularization", low=1e-6, high=0.1, scale="Log")
MODELS = {
    "name": "model",
    "type": "Categorical",
    "role": "Scientific",
    "values": ["a", "b"],
    "category": "architecture",
}


def a_file(hyperparameters: Sequence[Manifest] = (LEARNING_RATE,), **spec: Any) -> Manifest:
    """Return a study.yaml of runs of 2,000 steps that are evaluated 40 times; keywords are merged into its spec."""
    usual: Manifest = {
        "goal": {"question": "Which setting is best?", "kind": "Understand"},
        "hyperparameters": [dict(h) for h in hyperparameters],
        "budget": {"maxTrials": 40, "parallelTrials": 4},
        "training": {"maxSteps": 2000, "evaluateEverySteps": 50},
    }
    study = a_study(**usual)
    return a_study(**{**usual, **{k: _merged(study["spec"].get(k), v) for k, v in spec.items()}})


def _merged(usual: Any, change: Any) -> Any:
    return {**usual, **change} if isinstance(usual, dict) and isinstance(change, dict) else change


def points(value: Iterable[float], train: Iterable[float] | None = None, every: int = 50, metric: str = METRIC) -> Any:
    """Return a curve of the objective and, where it is given, of the training loss."""
    columns = {metric: list(value)} | ({} if train is None else {"train_loss": list(train)})
    length = len(columns[metric])
    return [{"step": every * (i + 1)} | {name: _number(v[i]) for name, v in columns.items()} for i in range(length)]


def settled(best: float, seed: int, evaluations: int = 40, noise: float = 0.001, **more: Any) -> Any:
    """Return a curve that has long come to rest, and whose best value is exactly `best`."""
    random, f = np.random.default_rng(seed), np.arange(1, evaluations + 1) / evaluations
    value = 0.7 * np.exp(-f / 0.08) + noise * np.abs(random.normal(size=evaluations))
    train = 0.2 + 0.8 * np.exp(-f / 0.1) + noise * np.abs(random.normal(size=evaluations))
    value = value - value.min()
    maximised = more.get("metric", METRIC) != METRIC
    return points(best - value if maximised else best + value, train, **more)


def overfitting(best: float, seed: int) -> Any:
    """Return a curve that is best at 40 % of the run and worse and worse from there, while the training loss falls."""
    f = np.arange(1, 41) / 40
    value = np.where(f < 0.4, (0.4 - f) * 1.5, (f - 0.4) / 4)
    value = value + 0.001 * np.abs(np.random.default_rng(seed).normal(size=40))
    return points(best + value - value.min(), 0.7 * np.exp(-f / 0.3))


def a_trial_line(number: int, parameters: Mapping[str, Any], curve: Any = None, **fields: Any) -> Manifest:
    """Return a line of trials.jsonl."""
    usual = {"name": f"t-{number}", "parameters": dict(parameters), "state": "Succeeded", "maxSteps": 2000}
    return usual | ({} if curve is None else {"curve": curve}) | fields


def diverged(number: int, parameters: Mapping[str, Any]) -> Manifest:
    """Return a line of a trial whose loss was not finite any more at its sixth evaluation."""
    values = [*(1 + 0.1 * np.random.default_rng(number).normal(size=5)), math.nan]
    return a_trial_line(number, parameters, points(values, values), state="Infeasible", reason="NonFiniteObjective")


def rate_at(u: float, low: float = 1e-4, high: float = 1.0) -> float:
    """Return the learning rate at a position of its range."""
    return float(low * (high / low) ** u)


def one_rate(
    landscape: Landscape, trials: int = 20, curve: Callable[..., Any] = settled, **more: Any
) -> list[Manifest]:
    """Return trials at even learning rates."""
    at = [(i + 0.5) / trials for i in range(trials)]
    return [a_trial_line(i, {"learning_rate": rate_at(u)}, curve(landscape(u), i, **more)) for i, u in enumerate(at)]


def two_dimensions(
    name: str,
    values: Mapping[Any, float],
    trials: int = 20,
    curvature: float = 0.3,
    centres: Sequence[float] = (0.5, 0.5),
) -> list[Manifest]:
    """Return for each scientific value trials over learning rate and weight decay, a bowl above its best value.

    Args:
        name: The scientific parameter.
        values: Its values, and the best objective of each.
        trials: How many each value has.
        curvature: Of the bowl.
        centres: Where the best learning rate of each is.
    """
    lines: list[Manifest] = []
    for arm, (value, best) in enumerate(values.items()):
        for i, (u, v) in enumerate(qmc.Halton(2, seed=arm).random(trials)):
            parameters = {name: value, "learning_rate": rate_at(u), "weight_decay": rate_at(v, 1e-6, 0.1)}
            height = best + curvature * (u - centres[arm]) ** 2 + 0.1 * (v - 0.5) ** 2
            lines.append(a_trial_line(len(values) * i + arm, parameters, settled(height, len(lines))))
    return lines


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
