"""Training curves of the best trials, and of those that show what a finding is about (CRV-1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tuning_cli.report.figures.axis import name_of
from tuning_contract.diagnostics import GRAD_NORM, TRAIN_LOSS
from tuning_operator.playbook.arms import arms
from tuning_operator.playbook.records import StudyRecord, TrialRecord

BEST_OF_ARM: Final = 3
MOST_POINTS: Final = 500
MOST_OF_ARM: Final = 60


@dataclass(frozen=True)
class CurveSeries:
    """One trial's evaluations."""

    trial: str
    arm: str
    rank: int
    """1: the best of its arm; 0: it is here for another reason."""
    steps: tuple[int, ...]
    objective: tuple[float | None, ...]
    """As measured; None where it was not, or is not finite."""
    train_loss: tuple[float | None, ...]
    """Empty where it was never measured."""
    best_step: int | None


@dataclass(frozen=True)
class NormSeries:
    """The gradient norm over one trial's evaluations, before clipping."""

    trial: str
    arm: str
    steps: tuple[int, ...]
    norms: tuple[float | None, ...]


def all_curves(study: StudyRecord) -> tuple[CurveSeries, ...]:
    """Return the curves of each arm's trials, the best first, infeasible ones last; at most 60 an arm (PLT-3)."""
    found = []
    for arm in arms(study):
        ordered = [t for t in (*arm.feasible, *arm.stopped, *arm.infeasible) if len(t.curve) > 1][:MOST_OF_ARM]
        found += [_series(study, t, name_of(arm.scientific), rank) for rank, t in enumerate(ordered, start=1)]
    return tuple(found)


def norm_curves(study: StudyRecord) -> tuple[NormSeries, ...]:
    """Return the gradient norms of the best trial of each arm, where they were reported (CLP-4)."""
    found = []
    for arm in arms(study):
        norms = arm.best.curve.series(GRAD_NORM) if arm.best is not None else ()
        if arm.best is not None and len(norms) > 1:
            keep = _thinned(len(norms))
            steps = tuple(arm.best.curve.steps[i] for i in keep)
            values = tuple(_finite(float(norms[i])) for i in keep)
            found.append(NormSeries(arm.best.name, name_of(arm.scientific), steps, values))
    return tuple(found)


def best_curves(study: StudyRecord) -> tuple[CurveSeries, ...]:
    """Return the curves of the three best trials of each arm, those without a curve left out."""
    found = []
    for arm in arms(study):
        best = [t for t in arm.feasible[:BEST_OF_ARM] if len(t.curve) > 1]
        found += [_series(study, t, name_of(arm.scientific), rank) for rank, t in enumerate(best, start=1)]
    return tuple(found)


def curves_named(study: StudyRecord, names: Sequence[str]) -> tuple[CurveSeries, ...]:
    """Return the curves of these trials, those without a curve left out."""
    by_name = {t.name: t for t in study.trials}
    return tuple(_series(study, by_name[n], "", 0) for n in names if n in by_name and len(by_name[n].curve) > 1)


def best_step(study: StudyRecord, trial: TrialRecord) -> int | None:
    """Return the step of the best evaluation; None where none is finite."""
    losses = [(float(loss), step) for loss, step in zip(study.losses(trial), trial.curve.steps, strict=False)]
    finite = [each for each in losses if math.isfinite(each[0])]
    return min(finite)[1] if finite else None


def _series(study: StudyRecord, trial: TrialRecord, arm: str, rank: int) -> CurveSeries:
    keep = _thinned(len(trial.curve))
    objective = trial.curve.series(study.spec.objective.metric)
    train = trial.curve.series(TRAIN_LOSS)
    return CurveSeries(
        trial=trial.name,
        arm=arm,
        rank=rank,
        steps=tuple(trial.curve.steps[i] for i in keep),
        objective=tuple(_finite(objective[i]) for i in keep) if len(objective) else (),
        train_loss=tuple(_finite(train[i]) for i in keep) if len(train) else (),
        best_step=best_step(study, trial),
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _thinned(length: int) -> list[int]:
    """Return which of so many points are drawn: all, or 500 evenly spread."""
    if length <= MOST_POINTS:
        return list(range(length))
    return [round(i * (length - 1) / (MOST_POINTS - 1)) for i in range(MOST_POINTS)]
