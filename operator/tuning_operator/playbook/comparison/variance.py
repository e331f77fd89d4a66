"""Where the differences between results come from: training again, searching again, other data (ADP-2 to ADP-6)."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from tuning_operator.playbook.arms import Arm, arms
from tuning_operator.playbook.comparison.luck import best_of
from tuning_operator.playbook.comparison.question import retrains_by_point
from tuning_operator.playbook.records import StudyRecord, TrialRecord

FEWEST: Final = 4
"""Below so many results, what another search would find is not known."""

SAME_SHARE: Final = 5
"""In standard errors: an objective as near to the misclassified fraction is that fraction."""


@dataclass(frozen=True)
class Variance:
    """Three standard deviations of an arm's best result, in the objective's units; None: not known."""

    arm: Arm
    trial: float | None
    """Of training with the same hyperparameters and other seeds (ADP-2)."""
    study: float | None
    """Of searching again with other points: the best of half as many trials (ADP-3)."""
    data: float | None
    """Of evaluating on other data of the same number: a binomial error (ADP-4)."""


def variances(study: StudyRecord) -> list[Variance]:
    """Return the three kinds of variance for each arm, to be shown next to each other (ADP-6)."""
    return [
        Variance(
            arm,
            trial_deviation(study, arm),
            study_deviation(arm),
            None if arm.best is None else data_deviation(study, arm.best),
        )
        for arm in arms(study)
    ]


def trial_deviation(study: StudyRecord, arm: Arm) -> float | None:
    """Return the pooled standard deviation over the arm's retrains of the same configuration; else the one reused."""
    groups = [[study.loss(t) for t in group] for group in retrains_by_point(study, arm).values()]
    groups = [[loss for loss in group if math.isfinite(loss)] for group in groups]
    freedom = sum(max(len(group) - 1, 0) for group in groups)
    if freedom >= 1:
        return math.sqrt(sum(float(np.var(group)) * len(group) for group in groups if group) / freedom)
    return None if study.spec.baseline is None else study.spec.baseline.retrain_deviation


def study_deviation(arm: Arm) -> float | None:
    """Return how much the best result would vary from search to search."""
    losses = arm.losses
    return best_of(losses, len(losses) // 2)[1] if len(losses) >= FEWEST else None


def data_deviation(study: StudyRecord, trial: TrialRecord) -> float | None:
    """Return the binomial standard error of a trial's objective, where that is an error or an accuracy; else None.

    It is where the trial's evaluation of its best checkpoint shows the same number; the size of the validation set is
    that evaluation's, or the one that the trial states.
    """
    known = trial.diagnostics.full_evaluation or trial.diagnostics.sample_evaluation
    share = study.shown(study.loss(trial))
    if known is not None and known.examples:
        error = math.sqrt(known.error * (1 - known.error) / known.examples)
        is_same = min(abs(share - known.error), abs(share - (1 - known.error))) <= SAME_SHARE * error
        return error if is_same else None
    size, name = trial.diagnostics.dataset_size, study.spec.objective.metric.lower()
    if not size or not 0 <= share <= 1 or not ("error" in name or "accuracy" in name):
        return None
    return math.sqrt(share * (1 - share) / size)
