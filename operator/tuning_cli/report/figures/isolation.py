"""Isolation plots: each point is the best trial of a scientific value over all nuisance parameters (ISO-1 to ISO-5)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tuning_cli.report.figures.axis import name_of
from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, Role, Scale
from tuning_operator.playbook.arms import Arm, arms, noise, position, whole
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.search.space import is_range, value_at

FEWEST_BUCKETS: Final = 4
MOST_BUCKETS: Final = 10
SOLID: Final = 3
"""A bucket with fewer trials than this gets a hollow marker: its best is one of few."""
DRAWS: Final = 1000
LEVELS: Final = (0.05, 0.95)


@dataclass(frozen=True)
class IsolationPoint:
    """One scientific value, or one part of a scientific range."""

    label: str
    low: float | None
    high: float | None
    """The ends of the part; None for a value of a list."""
    value: float | None
    """The best trial's objective; None where no trial of it is feasible."""
    trial: str | None
    nuisance: dict[str, ParameterValue]
    """What that trial had beside the scientific values."""
    trials: int
    """How many feasible ones it is the best of."""
    infeasible: int
    interval: tuple[float, float] | None
    """In which the best would lie with other luck: of the search (bootstrap) and of training (one deviation)."""

    @property
    def is_solid(self) -> bool:
        """Whether it is the best of enough trials."""
        return self.trials >= SOLID


@dataclass(frozen=True)
class IsolationPlot:
    """The best objective for each value of what the question is about."""

    title: str
    scale: Scale | None
    """None: a list of arms."""
    points: tuple[IsolationPoint, ...]


def isolation_plots(study: StudyRecord) -> tuple[IsolationPlot, ...]:
    """Return the plot over the arms, and one for each scientific range; none where nothing is scientific."""
    plots = []
    sides = arms(study)
    if any(arm.scientific for arm in sides):
        title = ", ".join(dict.fromkeys(name for arm in sides for name in arm.scientific))
        plots.append(IsolationPlot(title, None, tuple(_of_arm(study, arm) for arm in sides)))
    ranges = [h for h in study.spec.hyperparameters if h.role is Role.SCIENTIFIC and is_range(h)]
    return tuple(plots) + tuple(_of_range(study, h) for h in ranges)


def buckets(hyperparameter: Hyperparameter, trials: Sequence[TrialRecord], count: int) -> list[list[TrialRecord]]:
    """Divide trials over `count` equal parts of a range on its scale; those outside it are left out."""
    parts: list[list[TrialRecord]] = [[] for _ in range(count)]
    for trial in trials:
        u = position(hyperparameter, trial)
        if u is not None and 0 <= u <= 1:
            parts[min(int(u * count), count - 1)].append(trial)
    return parts


def bucket_count(trials: int) -> int:
    """Return into how many parts a range is cut: the square root of the number of trials, between 4 and 10."""
    return min(max(round(math.sqrt(trials)), FEWEST_BUCKETS), MOST_BUCKETS)


def _of_arm(study: StudyRecord, arm: Arm) -> IsolationPoint:
    return _point(study, name_of(arm.scientific), None, None, arm.feasible, len(arm.infeasible), set(arm.scientific))


def _of_range(study: StudyRecord, h: Hyperparameter) -> IsolationPlot:
    arm = whole(study)
    count = bucket_count(len(arm.feasible))
    points = []
    good, bad = buckets(h, arm.feasible, count), buckets(h, arm.infeasible, count)
    for i in range(count):
        low, high = (float(value_at(h, u)) for u in (i / count, min((i + 1) / count, 1 - 1e-12)))
        label = f"{low:.3g} to {high:.3g}"
        points.append(_point(study, label, low, high, good[i], len(bad[i]), {h.parameter_name}))
    return IsolationPlot(h.parameter_name, h.scale or Scale.LINEAR, tuple(points))


def _point(
    study: StudyRecord,
    label: str,
    low: float | None,
    high: float | None,
    feasible: Sequence[TrialRecord],
    infeasible: int,
    scientific: set[str],
) -> IsolationPoint:
    best = min(feasible, key=study.loss, default=None)
    return IsolationPoint(
        label=label,
        low=low,
        high=high,
        value=None if best is None else study.shown(study.loss(best)),
        trial=None if best is None else best.name,
        nuisance={} if best is None else {n: v for n, v in best.parameters.items() if n not in scientific},
        trials=len(feasible),
        infeasible=infeasible,
        interval=None if best is None else _interval(study, feasible, study.loss(best)),
    )


def _interval(study: StudyRecord, feasible: Sequence[TrialRecord], best: float) -> tuple[float, float]:
    losses = np.array([study.loss(t) for t in feasible])
    sigma = noise(study, feasible[:SOLID])
    draws = np.random.default_rng(0).choice(losses, (DRAWS, len(losses))).min(axis=1)
    low, high = np.quantile(draws, LEVELS)
    ends = sorted((study.shown(min(low, best) - sigma), study.shown(max(high, best) + sigma)))
    return ends[0], ends[1]
