"""Is the objective, late in training, too jumpy for what is to be told apart? (playbook K13: CRV-10 to CRV-13)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.procedure import ScheduleFamily
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import arms
from tuning_operator.playbook.curves.evaluations import (
    FEWEST,
    compares_arms,
    decays,
    objective_of,
    training_of,
    with_curves,
)
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.series import Series, late_deviation, late_median
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

COMPARED: Final = Threshold(
    "stepVarianceCompared",
    0.005,
    Origin.DEFAULT,
    "Where arms are compared, noise below this fraction of the objective is not high",
)
ALONE: Final = Threshold(
    "stepVarianceAlone",
    0.02,
    Origin.DEFAULT,
    "Without a comparison, noise is high from this fraction of the objective on",
)
RESOLVED: Final = Threshold(
    "stepVarianceResolved",
    2.0,
    Origin.DEFAULT,
    "A difference within this many standard deviations of the late noise is drowned by it",
)
DECAYED: Final = Threshold(
    "learningRateDecayed",
    0.1,
    Origin.DEFAULT,
    "A learning rate that ends above this fraction of its peak may be the cause of noise",
    high=1.0,
)
BINOMIAL: Final = Threshold(
    "validationNoise",
    1.5,
    Origin.DEFAULT,
    "Noise up to this many binomial standard errors is that of a small validation set",
)


class Cause(StrEnum):
    """Why the objective jumps (CRV-12); each has its remedies (CRV-13)."""

    RATE = "the learning rate is still high at the end"
    BATCH = "the batches differ much"
    VALIDATION = "the validation set is small"
    OPEN = "not known"


REMEDIES: Final = {
    Cause.RATE: "Let the learning rate decay further, or average the weights over the last steps (Polyak).",
    Cause.BATCH: "Use a larger batch, or average the weights over the last steps (Polyak); more decay helps too.",
    Cause.VALIDATION: "Evaluate on more validation data.",
    Cause.OPEN: "Use a larger batch or more validation data, let the learning rate decay further, or average the "
    "weights over the last steps (Polyak).",
}


@dataclass(frozen=True)
class Late:
    """A trial late in training."""

    best: float
    """Its result: `y`; smaller is better."""
    median: float
    """What a step late in training usually gives."""
    noise: float
    """The standard deviation from step to step."""

    @property
    def lucky_gain(self) -> float:
        """By how much the best step is better than a usual one (CRV-11)."""
        return self.median - self.best


def late_of(values: Series, best: float) -> Late:
    """Return how a trial, whose result is `best`, is late in training; its values are finite, three at the least."""
    return Late(best, late_median(values), late_deviation(values))


def is_high(winner: Late, rival: Late | None, thresholds: Thresholds = DEFAULTS) -> bool:
    """Whether the step-to-step variance is high (CRV-10): for telling two trials apart, or for one by itself."""
    noise = max(winner.noise, rival.noise if rival else 0.0)
    if rival is None:
        return noise > 0 and noise >= thresholds[ALONE] * abs(winner.best)
    drowned = thresholds[RESOLVED] * noise
    return (
        noise > 0
        and noise >= thresholds[COMPARED] * abs(winner.best)
        and (drowned >= abs(rival.best - winner.best) or abs(rival.median - winner.median) <= drowned)
    )


def check(study: StudyRecord) -> list[Finding]:
    """Say whether the late noise of the best trials of the two best arms, or of the best trial, is high.

    The evidence's numbers: `noise`; `luckyGain` and `rivalLuckyGain`, by how much the best step of each is better than
    its late median; `lateObjective`, the median that production should expect (CRV-11); `difference` of the results and
    `lateDifference` of the medians.
    """
    metric = study.spec.objective.metric
    best = sorted((a.best for a in arms(study) if a.best is not None), key=study.loss)[:2]
    if not best:
        message = "No trial has a result yet, so there is no best one."
        return [unknown(study, Code.STEP_VARIANCE, "CRV-10", message)]
    if len(with_curves(study, best)) < len(best):
        fewest = min(len(objective_of(study, trial)) for trial in best)
        return [
            unknown(
                study,
                Code.STEP_VARIANCE,
                "CRV-10",
                f"One of the best trials has {fewest} evaluations of {metric}: too few to see noise late in training.",
                action=f"Evaluate at least {study.thresholds[FEWEST]:g} times a run, and keep the curve.",
                thresholds=(FEWEST,),
                trials=best,
            )
        ]
    return [_answer(study, best, [late_of(objective_of(study, t).values, study.loss(t)) for t in best])]


def _answer(study: StudyRecord, best: Sequence[TrialRecord], late: Sequence[Late]) -> Finding:
    winner, rival = late[0], late[1] if len(late) > 1 else None
    noise, metric = max(one.noise for one in late), study.spec.objective.metric
    numbers = {"noise": noise, "luckyGain": winner.lucky_gain, "lateObjective": study.shown(winner.median)}
    if rival is not None:
        numbers |= {
            "rivalLuckyGain": rival.lucky_gain,
            "difference": rival.best - winner.best,
            "lateDifference": rival.median - winner.median,
        }
    where: dict[str, Any] = {
        "numbers": numbers,
        "thresholds": (ALONE,) if rival is None else (COMPARED, RESOLVED),
        "trials": best,
    }
    said = f"Late in training {metric} changes by {noise:.3g} from step to step"
    if not is_high(winner, rival, study.thresholds):
        small = (
            "little beside its value"
            if rival is None
            else "little beside its value, or beside what is to be told apart"
        )
        return passed(study, Code.STEP_VARIANCE, "CRV-10", f"{said}: {small}.", **where)
    cause = _cause(study, best[0] if late[0].noise == noise else best[1], noise)
    blocks = rival is not None and compares_arms(study)
    against = "" if rival is None else f", and the two best arms differ by {rival.best - winner.best:.3g}"
    return answer(
        study,
        Code.STEP_VARIANCE,
        "High",
        Severity.BLOCK if blocks else Severity.WARN,
        "CRV-10",
        f"{said}{against}: which trial is best depends on a lucky step.",
        action=REMEDIES[cause],  # CRV-13
        notes=[
            f"Likely cause: {cause}.",
            f"A run in production should expect {study.shown(winner.median):.5g}, not {study.shown(winner.best):.5g}.",
        ],
        **where,
    )


def _cause(study: StudyRecord, trial: TrialRecord, noise: float) -> Cause:
    """Return the likely cause of a trial's noise (CRV-12)."""
    training = training_of(study, trial).values
    if len(training) < study.thresholds[FEWEST]:
        return Cause.OPEN
    if late_deviation(training) >= study.thresholds[COMPARED] * abs(late_median(training)):
        return Cause.RATE if _rate_stays_high(study, trial) else Cause.BATCH
    error = _binomial_error(study, trial)
    return Cause.VALIDATION if noise <= study.thresholds[BINOMIAL] * error else Cause.OPEN


def _rate_stays_high(study: StudyRecord, trial: TrialRecord) -> bool:
    decayed, schedule = decays(study, trial, study.thresholds[DECAYED]), study.spec.training.schedule
    if decayed is None:
        return schedule is not None and schedule.family is ScheduleFamily.CONSTANT
    return not decayed


def _binomial_error(study: StudyRecord, trial: TrialRecord) -> float:
    """Return the standard error of the objective that comes of the number of examples.

    0 where it is not known, or where the objective is no misclassified fraction, and not what that lacks to 1.
    """
    known = trial.diagnostics.sample_evaluation or trial.diagnostics.full_evaluation
    if known is None or not known.examples:
        return 0.0
    error = math.sqrt(known.error * (1 - known.error) / known.examples)
    value = study.shown(study.loss(trial))
    is_fraction = min(abs(value - known.error), abs(value - (1 - known.error))) <= 5 * error
    return error if is_fraction else 0.0
