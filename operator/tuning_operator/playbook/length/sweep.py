"""The trials of a sweep of constant learning rates, and what makes it no such sweep (SWP-3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tuning_contract.diagnostics import LEARNING_RATE
from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Category, Hyperparameter, Meaning
from tuning_operator.api.procedure import ScheduleFamily
from tuning_operator.playbook.meaning import category_of, meaning_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord

CONSTANT_WITHIN: Final = 0.01
"""A rate that stays within this share of itself is constant."""
NO_VALUE: Final = frozenset({"", "none", "off", "no", "false", "null", "identity", "0"})
CONSTANT_TEXTS: Final = NO_VALUE | {"constant", "const"}


@dataclass(frozen=True)
class Swept:
    """One trial of a sweep."""

    trial: TrialRecord
    rate: float
    first: float
    """Its first training loss; NaN where it has none."""


def learning_rate_of(study: StudyRecord) -> Hyperparameter | None:
    """Return the hyperparameter that is the learning rate."""
    return next((h for h in study.spec.hyperparameters if meaning_of(h) is Meaning.LEARNING_RATE), None)


def swept(study: StudyRecord, learning_rate: Hyperparameter, trials: Sequence[TrialRecord]) -> list[Swept]:
    """Return the trials that have a learning rate, by whichever hyperparameter has its name in the container."""
    found = []
    for trial in trials:
        rate = trial.parameters.get(learning_rate.parameter_name)
        if isinstance(rate, int | float) and not isinstance(rate, bool) and rate > 0:
            losses = study.train_losses(trial)
            known = losses[np.isfinite(losses)]
            found.append(Swept(trial, float(rate), float(known[0]) if len(known) else math.nan))
    return found


def faults(study: StudyRecord, trials: Sequence[TrialRecord]) -> list[str]:
    """Return what makes a sweep invalid, in words: a schedule, augmentation or regularisation."""
    found = []
    if not _is_constant(study, trials):
        found.append("the learning rate was not constant")
    values = [(h, t.assignment[h.name]) for t in trials for h in study.spec.hyperparameters if h.name in t.assignment]
    augmented = {h.parameter_name for h, v in values if meaning_of(h) is Meaning.AUGMENTATION and is_on(v)}
    regularised = {h.parameter_name for h, v in values if _regularises(h) and is_on(v)}
    found += [f"{name} was on: augmentation" for name in sorted(augmented)]
    found += [f"{name} was on: regularisation" for name in sorted(regularised)]
    return found


def is_on(value: ParameterValue) -> bool:
    """Whether a switch or a strength does something: 0, false and words such as none do not."""
    return value.lower() not in NO_VALUE if isinstance(value, str) else bool(value)


def _is_constant(study: StudyRecord, trials: Sequence[TrialRecord]) -> bool:
    """Whether the rate stayed as it was: by the curves where they tell it, else by schedule and parameters."""
    curves = [rates[np.isfinite(rates)] for t in trials if len(rates := t.curve.series(LEARNING_RATE))]
    told = [rates for rates in curves if len(rates) > 1]
    if told:
        return all(float(np.ptp(rates)) <= CONSTANT_WITHIN * float(np.max(np.abs(rates))) for rates in told)
    decays = [h for h in study.spec.hyperparameters if meaning_of(h) is Meaning.DECAY]
    values = [t.assignment[h.name] for t in trials for h in decays if h.name in t.assignment]
    texts = [v.lower() for v in values if isinstance(v, str)]
    if texts:  # What the trials received says more than what the manifest says of the study's search.
        return all(text in CONSTANT_TEXTS for text in texts)
    schedule = study.spec.training.schedule
    return schedule is None or schedule.family in (None, ScheduleFamily.CONSTANT)


def _regularises(hyperparameter: Hyperparameter) -> bool:
    return category_of(hyperparameter) in (Category.REGULARIZATION, Category.REGULARIZATION_SWITCH)
