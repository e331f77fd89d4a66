"""A trial's evaluations as arrays: only those where something was measured, and how far into the run they were."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuning_contract.diagnostics import LEARNING_RATE
from tuning_operator.api.hyperparameters import Meaning
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


def run_length(study: StudyRecord, trial: TrialRecord) -> int:
    """Return how many steps the trial was to train; 0 where nobody says and it has no curve.

    Its own `max_steps`; else its hyperparameter with that meaning; else `training.maxSteps`; else the last step of
    its curve, which is the answer too where the number is smaller, for that is then told in epochs.
    """
    last = trial.curve.steps[-1] if trial.curve.steps else 0
    told = trial.max_steps or _max_steps_parameter(study, trial) or study.spec.training.max_steps or 0
    return max(told, last)


def learning_rate_of(study: StudyRecord, trial: TrialRecord) -> float | None:
    """Return the value of the trial's hyperparameter that is a learning rate; None where it has none."""
    return _numeric(study, trial, Meaning.LEARNING_RATE)


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
    return any(h.role.value == "Scientific" for h in study.spec.hyperparameters)


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


def _max_steps_parameter(study: StudyRecord, trial: TrialRecord) -> int | None:
    value = _numeric(study, trial, Meaning.MAX_STEPS)
    return None if value is None else int(value)


def _numeric(study: StudyRecord, trial: TrialRecord, meaning: Meaning) -> float | None:
    """Return the value of the hyperparameter of that meaning that exists in the trial, as a number."""
    for hyperparameter in study.spec.hyperparameters:
        value = trial.assignment.get(hyperparameter.name)
        if meaning_of(hyperparameter) is not meaning or value is None or isinstance(value, bool):
            continue
        try:
            return float(value)
        except ValueError:
            continue
    return None
