"""A trial's evaluations as arrays: only those where something was measured."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuning_contract.diagnostics import LEARNING_RATE
from tuning_operator.api.hyperparameters import Meaning, Role
from tuning_operator.api.study import GoalKind
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.series import Series, as_series, late_part
from tuning_operator.playbook.thresholds import Origin, Threshold

FEWEST: Final = Threshold(
    "curveEvaluations", 8, Origin.DEFAULT, "A curve with fewer evaluations than this is too short to judge", low=4
)

Steps = NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """One metric of a trial where it was measured: steps that ascend, and finite values of the same length."""

    steps: Steps
    values: Series

    def __len__(self) -> int:
        return len(self.steps)


def measured(trial: TrialRecord, values: Series) -> Measured:
    """Return the finite ones of a metric's values, one for each evaluation of the trial, with their steps."""
    steps = np.asarray(trial.curve.steps[: len(values)], dtype=np.int64)
    known = np.isfinite(values[: len(steps)])
    return Measured(steps[known], values[: len(steps)][known])


def objective_of(study: StudyRecord, trial: TrialRecord) -> Measured:
    """Return the objective where it was measured, turned so that smaller is better."""
    return measured(trial, study.losses(trial))


def training_of(study: StudyRecord, trial: TrialRecord) -> Measured:
    """Return the training loss where it was measured."""
    return measured(trial, study.train_losses(trial))


def with_curves(study: StudyRecord, trials: Iterable[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Return the trials whose objective was measured often enough to judge its curve."""
    return tuple(t for t in trials if len(objective_of(study, t)) >= study.thresholds[FEWEST])


def learning_rate_of(study: StudyRecord, trial: TrialRecord) -> float | None:
    """Return the value of the trial's hyperparameter that is a learning rate; None where it has none."""
    for hyperparameter in study.spec.hyperparameters:
        value = trial.assignment.get(hyperparameter.name)
        if meaning_of(hyperparameter) is not Meaning.LEARNING_RATE or value is None or isinstance(value, bool):
            continue
        try:
            return float(value)
        except ValueError:
            continue
    return None


def decays(study: StudyRecord, trial: TrialRecord, share: float) -> bool | None:
    """Whether the learning rate ends below a share of its peak; None where the trial did not report it."""
    rates = measured(trial, trial.curve.series(LEARNING_RATE)).values
    if not len(rates) or rates.max() <= 0:
        return None
    return bool(np.median(late_part(rates)[-3:]) < share * rates.max())


def compares_arms(study: StudyRecord) -> bool:
    """Whether the study's goal is to compare scientific values, so that noise can change its answer (K01).

    A study without a goal, whose arms somebody must have made for a comparison, does so too.
    """
    if study.spec.goal is not None and study.spec.goal.kind is GoalKind.MINIMISE:
        return False
    return any(h.role is Role.SCIENTIFIC for h in study.spec.hyperparameters)


def interval_of(study: StudyRecord, trial: TrialRecord) -> int:
    """Return how many steps lie between two evaluations, usually; at least 1."""
    if study.spec.training.evaluate_every_steps is not None:
        return study.spec.training.evaluate_every_steps
    steps = objective_of(study, trial).steps
    return max(1, round(float(np.median(np.diff(steps))))) if len(steps) > 1 else 1


def median_of(values: Iterable[float | None]) -> float:
    """Return the median of the known ones; NaN where there are none."""
    known = as_series([v for v in values if v is not None])
    return float(np.median(known)) if len(known) else float("nan")
