"""Whole studies on a made-up objective, with quasi-random points: to see how often a rule is wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.playbook.records import State, StudyRecord, TrialRecord
from tuning_operator.search.arms import arms_of
from tuning_operator.search.quasi_random import quasi_random_points
from tuning_operator.search.space import parameters_of

Position = NDArray[np.float64]
"""Where a trial stands in each range, u in [0, 1)."""
Objective = Callable[[Position, int], float]
"""Of a position and the number of the arm."""

RANGES: tuple[Mapping[str, Any], ...] = (
    {"name": "learning_rate", "type": "Float", "role": "Nuisance", "low": 1e-4, "high": 1.0, "scale": "Log"},
    {"name": "one_minus_momentum", "type": "Float", "role": "Nuisance", "low": 1e-3, "high": 0.5, "scale": "Log"},
    {"name": "weight_decay", "type": "Float", "role": "Nuisance", "low": 1e-6, "high": 1e-1, "scale": "Log"},
    {"name": "temperature", "type": "Float", "role": "Nuisance", "low": 0.1, "high": 1.0},
)


def bowl(centre: Sequence[float], weights: Sequence[float] | None = None) -> Objective:
    """Return 0.3 plus a parabola in each dimension, with its optimum at `centre`, the same in every arm."""
    middle, weight = np.asarray(centre), np.asarray(weights or [1.0] * len(centre))
    return lambda u, _: 0.3 + float((weight * (u - middle) ** 2).sum())


def a_centre(seed: int, dimensions: int) -> list[float]:
    """Return an optimum well inside the space."""
    return list(np.random.default_rng(seed).uniform(0.3, 0.7, dimensions))


def a_synthetic_study(
    seed: int,
    trials: int,
    objective: Objective,
    *,
    dimensions: int,
    arms: int = 1,
    noise: float = 0.002,
    fails: Callable[[Position, np.random.Generator], bool] | None = None,
    **fields: Any,
) -> StudyRecord:
    """Return a study of `trials` trials an arm, whose results are the objective's with normal noise.

    Args:
        seed: Of the search and of the noise.
        trials: How many each arm has.
        objective: What a position gives.
        dimensions: How many ranges are searched, at most four.
        arms: How many values the scientific hyperparameter has; 1: there is none.
        noise: The standard deviation of a result, which the study knows.
        fails: Whether a trial is infeasible.
        fields: More of the spec, by the manifest's names.
    """
    hyperparameters: list[Mapping[str, Any]] = list(RANGES[:dimensions])
    known: dict[str, Any] = {"baseline": {"scientific": {}, "retrainDeviation": noise}} if noise else {}
    if arms > 1:
        values = [f"v{number}" for number in range(arms)]
        hyperparameters.insert(0, {"name": "variant", "type": "Categorical", "role": "Scientific", "values": values})
        known = {"baseline": {"scientific": {"variant": "v0"}, "retrainDeviation": noise}}
    spec = spec_of(hyperparameters, **{"search": {"seed": seed}, **known, **fields})
    rng = np.random.default_rng(seed + 10_000)
    found: list[TrialRecord] = []
    for arm in arms_of(spec):
        for point in quasi_random_points(seed, arm, 0, trials):
            u = np.array([point[h.name] for h in arm.dimensions])
            parameters = parameters_of(spec.hyperparameters, arm.assignment_at(point))
            if fails is not None and fails(u, rng):
                trial = trial_of(spec, len(found), parameters, state=State.INFEASIBLE, reason="NonFiniteObjective")
            else:
                trial = trial_of(spec, len(found), parameters, objective(u, arm.number) + rng.normal(0, noise))
            found.append(trial)
    return study_of(spec, found)
