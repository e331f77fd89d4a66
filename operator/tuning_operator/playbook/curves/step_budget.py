"""Do the trials train for the right number of steps? (playbook K09: NCB-2, NCB-4, NCB-5)."""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import numpy as np

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.procedure import ScheduleFamily
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import whole
from tuning_operator.playbook.curves.end_of_training import Ending, ending_of_study
from tuning_operator.playbook.curves.evaluations import Measured, decays, interval_of, objective_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.run_length import run_length
from tuning_operator.playbook.series import late_deviation, running_median
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

TOP_SHARE: Final = Threshold(
    "stepBudgetShare", 0.25, Origin.DEFAULT, "The share of the feasible trials whose best steps count", high=1.0
)
TOP_LEAST: Final = Threshold("stepBudgetLeast", 5, Origin.DEFAULT, "The smallest number of those trials")
EVALUATIONS: Final = Threshold(
    "stepBudgetEvaluations", 20, Origin.DEFAULT, "The smallest number of evaluations that tell the best step"
)
AS_GOOD: Final = Threshold(
    "bestStepShare",
    0.01,
    Origin.DEFAULT,
    "A trial is as good as it gets within the late noise of its best, or within this fraction of its whole fall",
)
EARLY: Final = Threshold(
    "bestStepEarly", 0.10, Origin.TEXT, "Best steps always within this fraction of the run: it is too long", high=1.0
)
LATE: Final = Threshold(
    "bestStepLate",
    0.75,
    Origin.TEXT,
    "Best steps consistently from this fraction on: it is too short",
    high=1.0,
)
CONSISTENT: Final = Threshold(
    "bestStepConsistent", 0.8, Origin.DEFAULT, "Consistently means in this share of the trials", high=1.0
)
SHORTER: Final = Threshold(
    "tooLongFactor",
    4.0,
    Origin.DEFAULT,
    "A run that is too long becomes this many times its largest best step",
    low=1.0,
)
LONGER: Final = Threshold(
    "tooShortFactor", 1.5, Origin.DEFAULT, "A run that is too short becomes this many times as long", low=1.0
)
DECAYED: Final = 0.1
"""A learning rate below this fraction of its peak has decayed: what comes late is then the best in any case (C-10)."""
USED: Final = (EARLY, LATE, CONSISTENT, AS_GOOD, TOP_SHARE, TOP_LEAST, EVALUATIONS)
ROUNDING: Final = 1e-9


class Length(StrEnum):
    """What the best steps say about the length of the runs."""

    TOO_LONG = "TooLong"
    TOO_SHORT = "TooShort"
    RIGHT = "Ok"


CONFOUNDED: Final = "Confounded by decay"
"""How the note begins that says why late steps are best whatever the length."""


def best_step_of(objective: Measured, thresholds: Thresholds = DEFAULTS) -> int:
    """Return the step from which on a trial is as good as it gets; at least one evaluation is needed.

    The first one whose running median is within the late noise of the smallest, or within a hundredth of the whole
    fall: the luckiest step of a noisy plateau, and the last digits of a smooth one, may come late and say nothing.
    """
    smooth = running_median(objective.values)
    lowest = smooth.min()
    near = max(late_deviation(objective.values), thresholds[AS_GOOD] * (smooth[0] - lowest))
    return int(objective.steps[int(np.argmax(smooth <= lowest + near))])


def length_of(fractions: Sequence[float], thresholds: Thresholds = DEFAULTS) -> Length:
    """Return what the best steps, as fractions of their runs and at least one, say about the length."""
    steps = np.asarray(fractions)
    if np.all(steps <= thresholds[EARLY] + ROUNDING):  # NCB-4
        return Length.TOO_LONG
    if np.mean(steps >= thresholds[LATE] - ROUNDING) >= thresholds[CONSISTENT] - ROUNDING:  # NCB-5
        return Length.TOO_SHORT
    return Length.RIGHT


def check(study: StudyRecord) -> list[Finding]:
    """Say whether the best trials train for the right number of steps.

    The evidence's number `proposedSteps` of `TooLong` and `TooShort` is the number of steps that the next study should
    have; `bestStepLargest` is the largest best step, `bestFractionSmallest`, `bestFractionMedian` and
    `bestFractionLargest` are fractions of the run, `evaluationsFewest` is the smallest number of evaluations.
    """
    t = study.thresholds
    feasible = whole(study).feasible
    curves = {trial.name: objective_of(study, trial) for trial in feasible}
    least = int(t[TOP_LEAST])
    if not any(len(c) for c in curves.values()) or len(feasible) < least:
        return [_too_little(study, feasible, least)]
    best = feasible[: max(least, math.ceil(t[TOP_SHARE] * len(feasible)))]
    fewest = min(len(curves[trial.name]) for trial in best)
    if fewest < max(t[EVALUATIONS], 1):
        return [
            answer(
                study,
                Code.STEP_BUDGET,
                "InsufficientEvaluations",
                Severity.INFO,
                "NCB-2",
                f"One of the best {len(best)} trials has {fewest} evaluations: too few to tell its best step.",
                action=f"Evaluate at least {t[EVALUATIONS]:g} times a run.",
                numbers={"evaluationsFewest": fewest, "trials": len(best)},
                thresholds=(EVALUATIONS, TOP_SHARE, TOP_LEAST),
                trials=sorted(best, key=lambda trial: len(curves[trial.name])),
            )
        ]
    return [_answer(study, best, {trial.name: best_step_of(curves[trial.name], t) for trial in best})]


def _too_little(study: StudyRecord, feasible: Sequence[TrialRecord], least: int) -> Finding:
    if len(feasible) < least:
        message = f"{len(feasible)} trials have a result: fewer than the {least} whose best steps are looked at."
        return unknown(study, Code.STEP_BUDGET, "NCB-1", message, thresholds=(TOP_LEAST,), trials=feasible)
    return unknown(
        study,
        Code.STEP_BUDGET,
        "NCB-1",
        f"No trial has a curve of {study.spec.objective.metric}, so its best step is not known.",
        action=f"Evaluate at least {study.thresholds[EVALUATIONS]:g} times a run, and keep the curve.",
        thresholds=(EVALUATIONS,),
    )


def _answer(study: StudyRecord, best: Sequence[TrialRecord], steps: dict[str, int]) -> Finding:
    lengths = {trial.name: run_length(study, trial) or 1 for trial in best}  # With a curve, it is known.
    fractions = [steps[trial.name] / lengths[trial.name] for trial in best]
    length, largest = length_of(fractions, study.thresholds), max(steps.values())
    run = max(lengths.values())
    numbers = {
        "trials": len(best),
        "bestFractionSmallest": min(fractions),
        "bestFractionMedian": float(np.median(fractions)),
        "bestFractionLargest": max(fractions),
        "bestStepLargest": largest,
        "runSteps": run,
    }
    where: dict[str, Any] = {
        "numbers": numbers,
        "thresholds": (*USED, TOP_SHARE, TOP_LEAST, EVALUATIONS),
        "trials": best,
    }
    said = f"the best {len(best)} trials are as good as they get between {min(fractions):.0%} and {max(fractions):.0%}"
    if length is Length.RIGHT:
        return passed(study, Code.STEP_BUDGET, "NCB-1", f"{said.capitalize()} of the run.", **where)
    interval = interval_of(study, best[0])
    if length is Length.TOO_LONG:
        proposed = min(_rounded_up(study.thresholds[SHORTER] * largest, interval), run)
        where |= {"numbers": numbers | {"proposedSteps": proposed}, "thresholds": (*where["thresholds"], SHORTER)}
        return answer(
            study,
            Code.STEP_BUDGET,
            "TooLong",
            Severity.INFO,
            "NCB-4",
            f"{said.capitalize()} of the run, always early: {run} steps are far too many.",
            action=f"Train for {proposed} steps.",
            **where,
        )
    proposed = _rounded_up(study.thresholds[LONGER] * run, interval)
    where |= {"numbers": numbers | {"proposedSteps": proposed}, "thresholds": (*where["thresholds"], LONGER)}
    confounded = _is_confounded(study, best)
    return answer(
        study,
        Code.STEP_BUDGET,
        "TooShort",
        Severity.INFO if confounded else Severity.WARN,
        "NCB-5",
        f"{said.capitalize()} of the run, consistently late: {run} steps are too few.",
        action=f"Train for {proposed} steps, and search the schedule of the learning rate again as a nuisance.",
        notes=[confounded] if confounded else [],
        **where,
    )


def _is_confounded(study: StudyRecord, best: Sequence[TrialRecord]) -> str:
    """Say why late best steps may mean nothing: a rate that decays makes the end the best anyway (C-10)."""
    if ending_of_study(study) is Ending.STILL_IMPROVING:
        return ""
    schedule = study.spec.training.schedule
    told = [decayed for trial in best if (decayed := decays(study, trial, DECAYED)) is not None]
    if told:
        decay = "decays" if sum(told) * 2 > len(told) else ""
    elif schedule is not None and schedule.family is ScheduleFamily.CONSTANT:
        decay = ""
    else:
        decay = "decays" if schedule is not None and schedule.family is not None else "may decay"
    return f"{CONFOUNDED}: the learning rate {decay} towards the end, so late steps are best." if decay else ""


def _rounded_up(steps: float, interval: int) -> int:
    """Return a number of steps that ends with an evaluation: in doubt longer (NCB-2)."""
    return math.ceil(steps / interval - ROUNDING) * interval
