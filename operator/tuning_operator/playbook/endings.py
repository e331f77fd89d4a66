"""How a trial ended: with a result, with parameters that cannot be trained with, or through the infrastructure."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from tuning_operator.playbook.records import OUT_OF_MEMORY, State, StudyRecord, TrialRecord, is_infrastructure
from tuning_operator.playbook.series import MAD_TO_DEVIATION, is_gone
from tuning_operator.playbook.thresholds import Origin, Threshold
from tuning_operator.search.stopping.diverged import RULE as DIVERGED

OUTLIER: Final = Threshold(
    "infeasibleDeviations",
    10.0,
    Origin.DEFAULT,
    "A result this many robust standard deviations worse than the median, whose training loss has not fallen either, "
    "is infeasible",
)
OUTLIER_ALONE: Final = Threshold(
    "infeasibleDeviationsAlone",
    100.0,
    Origin.DEFAULT,
    "The same for a result of whose training nothing is known: a far end of a smooth bowl is ten deviations away, too",
)
NO_PROGRESS: Final = Threshold(
    "infeasibleProgress", 0.02, Origin.DEFAULT, "A training loss that fell by less than this fraction has not fallen"
)


def is_lost(trial: TrialRecord) -> bool:
    """Whether the infrastructure, and nothing in the trial, has ended it."""
    if trial.state in (State.FAILED, State.INFEASIBLE):
        return is_infrastructure(trial.reason)
    return trial.state is State.LOST


def is_infeasible(study: StudyRecord, trial: TrialRecord) -> bool:
    """Whether the trial's parameters cannot be trained with: by its state, or by a loss that is not finite.

    A failed trial is, where it ran out of memory or ended on such a loss; all others of them say nothing about the
    space. A trial of whose objective nothing is known is neither feasible nor infeasible.
    """
    if is_lost(trial) or trial.state is State.RUNNING:
        return False
    if trial.state is State.INFEASIBLE or (trial.state is State.STOPPED and trial.stopped_by == DIVERGED):
        return True
    if trial.state is State.STOPPED:
        return False
    if trial.state is State.FAILED:
        return trial.reason in OUT_OF_MEMORY or (len(trial.curve) > 0 and _has_broken(study, trial))
    return study.is_measured(trial) and (_has_broken(study, trial) or not math.isfinite(study.loss(trial)))


def _has_broken(study: StudyRecord, trial: TrialRecord) -> bool:
    """Whether one of its losses went where it did not come back from."""
    losses, train = study.losses(trial), study.train_losses(trial)
    # A last evaluation after training may come without a training loss. Weights that are gone have neither.
    may_miss = 1 if len(losses) and math.isfinite(losses[-1]) else 0
    may_lag = 1 if len(train) and math.isfinite(train[-1]) else 0
    return is_gone(losses, may_lag) or is_gone(train, may_miss)


def outliers(study: StudyRecord, trials: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Return those far worse than the others whose training has not begun to work."""
    losses = [study.loss(t) for t in trials]
    if len(losses) < 4:
        return ()
    middle = float(np.median(losses))
    spread = MAD_TO_DEVIATION * float(np.median(np.abs(np.asarray(losses) - middle)))
    if spread == 0:
        # Most results are the same number, as accuracies on few examples can be: any other would be far from it.
        spread = study.thresholds[NO_PROGRESS] * abs(middle)
    t = study.thresholds

    def is_outlier(trial: TrialRecord, loss: float) -> bool:
        progress = _progress(study, trial)
        if progress is None:
            return loss > middle + t[OUTLIER_ALONE] * spread
        return progress < t[NO_PROGRESS] and loss > middle + t[OUTLIER] * spread

    return tuple(trial for trial, loss in zip(trials, losses, strict=True) if is_outlier(trial, loss))


def _progress(study: StudyRecord, trial: TrialRecord) -> float | None:
    """Return by which fraction the training loss has fallen at best, without one the objective; None: not known."""
    series = study.train_losses(trial)
    if not len(series):
        series = study.losses(trial)
    finite = series[np.isfinite(series)]
    if len(finite) < 2:
        return None
    fall = float(finite[0] - finite.min())
    return fall / abs(float(finite[0])) if finite[0] else math.inf
