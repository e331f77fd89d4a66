"""An arm's results as they are compared with those of other arms: at the same steps, one for each point."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.api.search import Algorithm
from tuning_operator.api.study import ObjectiveAt
from tuning_operator.playbook.arms import Arm, is_lost
from tuning_operator.playbook.records import State, StudyRecord, TrialRecord

SAME_INTERVAL: Final = 1.01
"""Evaluation intervals in a smaller ratio are the same."""


@dataclass(frozen=True)
class Sample:
    """What the search of one arm has found."""

    arm: Arm
    losses: tuple[float, ...]
    """One for each point that was tried, in the trials' order; infinite where nothing came of it."""
    best: TrialRecord | None
    """The trial with the best result."""
    loss: float
    """Its result, at the steps that all arms share; infinite where there is none."""

    @property
    def feasible(self) -> int:
        """How many points have a result."""
        return sum(map(math.isfinite, self.losses))


def samples_of(study: StudyRecord, among: Sequence[Arm]) -> tuple[Sample, ...]:
    """Return the sample of each arm, all measured at the steps that the arms have in common.

    Infeasible trials, and those that a comparing rule has stopped, are tried points without a result. Failed and lost
    trials say nothing about their point and are left out. Where the study trains each point several times
    (`search.replicates`), a point's result is the mean.
    """
    steps = common_steps(study, among)
    return tuple(_sample(study, arm, steps) for arm in among)


def common_steps(study: StudyRecord, among: Sequence[Arm]) -> frozenset[int] | None:
    """Return the steps at which all arms were evaluated, where their intervals differ; None: they do not.

    The best of many evaluations is better than the best of few, whatever was trained (K03).
    """
    if study.spec.objective.at is not ObjectiveAt.BEST:
        return None
    steps = [[step for t in arm.feasible for step in t.curve.steps] for arm in among if arm.feasible]
    intervals = [interval for arm in among if (interval := _interval(arm)) is not None]
    if len(intervals) < 2 or max(intervals) < SAME_INTERVAL * min(intervals):
        return None
    shared = frozenset.intersection(*map(frozenset, steps)) if steps else frozenset()
    return shared or None


def same_space(among: Sequence[Arm]) -> bool:
    """Whether what is searched has the same names, ranges and scales in all arms."""
    return len({frozenset(map(_domain, arm.dimensions)) for arm in among}) == 1


def is_adaptive(study: StudyRecord) -> bool:
    """Whether points depend on the results of others: then results of one arm are no independent draws."""
    search = study.spec.search
    return search.algorithm is Algorithm.BAYESIAN or search.switch_to is not None


def _sample(study: StudyRecord, arm: Arm, steps: frozenset[int] | None) -> Sample:
    results = {t.name: _loss(study, t, steps) for t in arm.feasible}
    tried = [t for t in arm.trials if not is_lost(t) and (t.state is not State.FAILED or t in arm.infeasible)]
    tried.sort(key=lambda t: t.index)
    best = min(arm.feasible, key=lambda t: results[t.name], default=None)
    return Sample(
        arm=arm,
        losses=tuple(_by_point(study, tried, results)),
        best=best,
        loss=math.inf if best is None else results[best.name],
    )


def _by_point(study: StudyRecord, tried: Sequence[TrialRecord], results: dict[str, float]) -> list[float]:
    single = [results.get(t.name, math.inf) for t in tried]
    if study.spec.search.replicates == 1:
        return single
    points: dict[str, list[float]] = {}
    for trial, loss in zip(tried, single, strict=True):
        points.setdefault(json.dumps(dict(trial.parameters), sort_keys=True), []).append(loss)
    # Where an arm has only one point, its replicates are the sample.
    return single if len(points) < 2 else [float(np.mean(losses)) for losses in points.values()]


def _loss(study: StudyRecord, trial: TrialRecord, steps: frozenset[int] | None) -> float:
    if steps is None or not len(trial.curve):
        return study.loss(trial)
    losses = study.losses(trial)
    shared = [float(v) for s, v in zip(trial.curve.steps, losses, strict=True) if s in steps and math.isfinite(v)]
    return min(shared, default=study.loss(trial))


def _interval(arm: Arm) -> float | None:
    """Return how many steps usually lie between two evaluations; None without curves."""
    gaps = [b - a for t in arm.feasible for a, b in pairwise(t.curve.steps)]
    return float(np.median(gaps)) if gaps else None


def _domain(hyperparameter: Hyperparameter) -> tuple[object, ...]:
    h = hyperparameter
    return (h.parameter_name, h.type, h.low, h.high, h.scale, tuple(h.values or ()))
