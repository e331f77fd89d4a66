"""Does the validation objective get worse while the training loss goes on falling? (playbook K05: CRV-3 to CRV-9)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from tuning_contract.diagnostics import TRAIN_LOSS
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import Arm, arms
from tuning_operator.playbook.curves.evaluations import (
    FEWEST,
    learning_rate_of,
    median_of,
    objective_of,
    with_curves,
)
from tuning_operator.playbook.curves.regularization import is_weakly_regularised
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.series import Series, deviation, running_median
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

LATEST_BEST: Final = Threshold(
    "overfittingLatestBest",
    0.9,
    Origin.DEFAULT,
    "Overfitting has its best evaluation within this fraction of the run: after it there is little left to see",
    high=1.0,
)
RISE_DEVIATIONS: Final = Threshold(
    "overfittingDeviations", 3.0, Origin.DEFAULT, "It rises by more than this many standard deviations of its noise"
)
RISE_SHARE: Final = Threshold(
    "overfittingRise", 0.01, Origin.DEFAULT, "It rises by more than this fraction of the best value"
)
LASTING: Final = Threshold(
    "overfittingLasting",
    0.8,
    Origin.DEFAULT,
    "It stays: at least this share of the last fifth lies above the best value by more than half of the rise that "
    "counts",
    high=1.0,
)
ELSEWHERE: Final = Threshold(
    "overfittingElsewhere",
    0.1,
    Origin.DEFAULT,
    "Overfitting of more than this share of the trials that are not best is worth a warning",
    high=1.0,
)
SMALL_SAMPLE: Final = 12
"""The noise that n points show counts 1 + 12/n times: the luckiest of ten flat curves is hardly ever accused."""
USED: Final = (LATEST_BEST, RISE_DEVIATIONS, RISE_SHARE, LASTING)
REMEDY: Final = "Search weight decay, dropout or label smoothing as a nuisance hyperparameter"


class Course(StrEnum):
    """How a validation curve goes on after its best evaluation."""

    SOUND = "Sound"
    OVERFITS = "Overfits"
    TRAINING_ALSO_RISES = "TrainingAlsoRises"
    """Both losses rise: no overfitting, but trouble with the training itself (K08, K24)."""


@dataclass(frozen=True)
class Rise:
    """By how much a validation curve rises after its best evaluation."""

    course: Course
    best: int
    """The index of the best evaluation, of the running median and among those that are finite."""
    rise: float
    """How far the end lies above the best value."""
    limit: float
    """A rise counts when it is larger than this."""


def rise_of(validation: Series, training: Series, thresholds: Thresholds = DEFAULTS) -> Rise:
    """Return how a validation curve goes on after its best evaluation (CRV-3).

    Args:
        validation: The objective at each evaluation, at least four of them finite; smaller is better.
        training: The training loss at the same evaluations; empty where it was not measured.
        thresholds: The study's.

    Raises:
        ValueError: fewer than four values are finite.
    """
    at = np.flatnonzero(np.isfinite(validation))
    values = validation[at]
    n = len(values)
    if n < 4:
        raise ValueError("a curve needs four finite values to be judged")
    smooth = running_median(values)
    best = int(np.argmin(smooth))
    rise = _end(smooth) - float(smooth[best])
    limit = _limit(values, smooth, best, thresholds)
    late = values[-math.ceil(0.2 * n) :]
    stays = float(np.mean(late > smooth[best] + limit / 2)) >= thresholds[LASTING]
    if not ((best + 1) / n <= thresholds[LATEST_BEST] and rise > limit and stays):
        return Rise(Course.SOUND, best, rise, limit)
    risen = _training_rises(training, int(at[best]), thresholds)
    return Rise(Course.TRAINING_ALSO_RISES if risen else Course.OVERFITS, best, rise, limit)


def check(study: StudyRecord) -> list[Finding]:
    """Say of each arm whether its best trial overfits problematically, and of all others whether many do."""
    judged = arms(study)
    best = [_best_trial(study, arm) for arm in judged]
    if any(f.verdict == "BestTrial" for f in best):
        return best
    return best + _elsewhere(study, [a for a, f in zip(judged, best, strict=True) if f.verdict != "Exempt"])


def _best_trial(study: StudyRecord, arm: Arm) -> Finding:
    """Return the answer for an arm's best trial (CRV-4)."""
    trial, metric = arm.best, study.spec.objective.metric
    where: dict[str, Any] = {"scientific": arm.scientific}
    if trial is None:
        return unknown(study, Code.OVERFITTING, "CRV-4", "No trial has a result yet, so none is the best.", **where)
    steps = objective_of(study, trial).steps
    where["trials"] = [trial]
    if not with_curves(study, [trial]):
        return unknown(
            study,
            Code.OVERFITTING,
            "CRV-1",
            f"The best trial has {len(steps)} evaluations of {metric}: too few to see overfitting.",
            action=f"Evaluate at least {study.thresholds[FEWEST]:g} times a run, and keep the curve.",
            thresholds=(FEWEST,),
            **where,
        )
    found = rise_of(study.losses(trial), study.train_losses(trial), study.thresholds)
    where["thresholds"] = USED
    where["numbers"] = {"rise": found.rise, "riseLimit": found.limit, "bestStep": steps[found.best]}
    if found.course is Course.SOUND:
        message = f"{metric} of the best trial does not get worse beyond its noise."
        return passed(study, Code.OVERFITTING, "CRV-4", message, **where)
    if found.course is Course.TRAINING_ALSO_RISES:
        message = f"{metric} of the best trial gets worse, but so does its training loss: this is no overfitting."
        notes = ["Both losses get worse: see what Instability and PipelineBug say."]
        return passed(study, Code.OVERFITTING, "CRV-4", message, notes=notes, **where)
    message = (
        f"{metric} of the best trial is worse by {found.rise:.4g} at the end than at step {steps[found.best]}, "
        f"where {found.limit:.4g} would count"
    )
    if is_weakly_regularised(study, trial):  # CRV-6
        message += "; that is expected, for its regularisation is among the weaker that the study compares."
        return answer(study, Code.OVERFITTING, "Exempt", Severity.INFO, "CRV-6", message, **where)
    if not np.isfinite(study.train_losses(trial)).any():
        where["notes"] = [f"{TRAIN_LOSS} was not reported: that training itself fails is not ruled out."]
    return answer(
        study,
        Code.OVERFITTING,
        "BestTrial",
        Severity.BLOCK,  # CRV-5
        "CRV-4",
        f"{message}: it overfits, so more regularisation may make this arm better than it looks.",
        action=f"{REMEDY} in this arm, and run it again before it is compared.",  # CRV-7
        **where,
    )


def _elsewhere(study: StudyRecord, judged: Sequence[Arm]) -> list[Finding]:
    """Return the answer for the trials that are no best ones (CRV-8); none where there is nothing to look at."""
    others = with_curves(study, [t for arm in judged for t in arm.feasible[1:]])
    if not others:
        return []
    courses = [rise_of(study.losses(t), study.train_losses(t), study.thresholds).course for t in others]
    overfitting = [t for t, course in zip(others, courses, strict=True) if course is Course.OVERFITS]
    best = [arm.feasible[0] for arm in judged if arm.feasible]
    rates = [median_of(learning_rate_of(study, t) for t in trials) for trials in (overfitting, best)]
    share = len(overfitting) / len(others)
    evidence: dict[str, Any] = {
        "numbers": {
            "overfittingShare": share,
            "others": len(others),
            "medianLearningRateOverfitting": rates[0],
            "medianLearningRateBest": rates[1],
        },
        "thresholds": (ELSEWHERE, *USED),
        "trials": overfitting,
    }
    said = f"{len(overfitting)} of the {len(others)} trials that are not best overfit"
    if share <= study.thresholds[ELSEWHERE]:
        return [passed(study, Code.OVERFITTING, "CRV-8", f"{said}.", **evidence)]
    return [
        answer(
            study,
            Code.OVERFITTING,
            "Elsewhere",
            Severity.WARN,
            "CRV-8",
            f"No best trial overfits, but {said}: choosing the best favours settings that happen to regularise"
            f"{_direction(*rates)}.",
            action=f"{REMEDY}: what trains well but overfits is passed over now.",
            **evidence,
        )
    ]


def _direction(overfitting: float, best: float) -> str:
    """Say which learning rates the choice of the best favours (CRV-9)."""
    if not (math.isfinite(overfitting) and math.isfinite(best)) or overfitting == best:
        return ""
    which = "lower" if best < overfitting else "higher"
    return f", such as {which} learning rates (median {best:.3g} of the best against {overfitting:.3g})"


def _end(smooth: Series) -> float:
    return float(np.median(smooth[-max(3, len(smooth) // 10) :]))


def _limit(values: Series, smooth: Series, best: int, thresholds: Thresholds) -> float:
    """Return by how much a curve must rise after its best evaluation: more than its noise, or a share of its value.

    The noise is that of the second half, and of all since the best evaluation where that is more. What few points say
    of it may be much too little, and the trial was chosen for its lowest point: the fewer they are, the more must a
    rise exceed it.
    """
    since = values[min(best, len(values) // 2) :]
    noise = deviation(since) * (1 + SMALL_SAMPLE / len(since))
    return max(thresholds[RISE_DEVIATIONS] * noise, thresholds[RISE_SHARE] * abs(float(smooth[best])))


def _training_rises(training: Series, since: int, thresholds: Thresholds) -> bool:
    """Whether the training loss rises as well from the validation's best evaluation to the end."""
    at = np.flatnonzero(np.isfinite(training))
    if len(at) < 4:
        return False
    smooth = running_median(training[at])
    first = max(0, int(np.searchsorted(at, since, side="right")) - 1)
    start, noise = float(smooth[first]), deviation(training[at][min(first, len(at) // 2) :])
    return _end(smooth) - start > max(thresholds[RISE_DEVIATIONS] * noise, thresholds[RISE_SHARE] * abs(start))
