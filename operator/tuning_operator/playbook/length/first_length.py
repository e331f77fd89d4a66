"""The first number of training steps, from a sweep of constant learning rates (K20).

For training that is not limited by computing: the fastest constant rate that fits the training set perfectly, without
augmentation and regularisation, needs so many steps. "Perfectly" is informal in the text (NCB-7: a very low training
loss; with log loss, about where no training example is misclassified). What is measured everywhere is the training
loss; so a trial has fitted where the running median of it is at most a hundredth of the highest first loss of the
sweep, which is near that of an untrained model. That has no unit: for ten classes it is a log loss of 0.023.

Source: Deep Learning Tuning Playbook, "Deciding how long to train when training is not compute-bound"; K20.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tuning_operator.api.findings import Code, Finding, Severity, Side
from tuning_operator.playbook.answers import answer, unknown
from tuning_operator.playbook.arms import is_infeasible, is_lost
from tuning_operator.playbook.length.gradient_noise import recheck
from tuning_operator.playbook.length.sweep import Swept, faults, learning_rate_of, swept
from tuning_operator.playbook.records import OUT_OF_MEMORY, Purpose, State, StudyRecord, TrialRecord
from tuning_operator.playbook.run_length import run_length
from tuning_operator.playbook.series import running_median
from tuning_operator.playbook.thresholds import Origin, Threshold

FIT: Final = Threshold(
    "fitShare",
    0.01,
    Origin.DEFAULT,
    "The training set is fitted where the training loss is at most this share of the untrained model's",
    high=1.0,
)


@dataclass(frozen=True)
class FirstLength:
    """What a sweep says."""

    verdict: str
    """Measured, NotFitted or Edge."""
    steps: int | None = None
    """To train, rounded up to an evaluation; with Edge, of the fastest rate so far."""
    rate: float | None = None
    """The fastest."""
    side: Side | None = None
    """With Edge: where the sweep is to be widened."""


def first_length(
    times: Mapping[float, int | None], diverged: Collection[float] = (), interval: int | None = None
) -> FirstLength:
    """Return how long to train at first (SWP-4).

    Args:
        times: For each rate that trained, the first step at which the training set was fitted; None: it was not.
        diverged: The rates that did not train at all: a fastest rate below one of them is no edge.
        interval: How many steps lie between two evaluations.
    """
    fitted = {rate: steps for rate, steps in times.items() if steps is not None}
    if not fitted:
        return FirstLength("NotFitted")
    rates = sorted({*times, *diverged})
    shortest = min(fitted.values())
    fastest = sorted(rate for rate, steps in fitted.items() if steps == shortest)
    # Evaluations are coarse: of rates that are as fast, an inner one says that the fastest is inside.
    inner = [rate for rate in fastest if rates[0] < rate < rates[-1]]
    rate = inner[len(inner) // 2] if inner else fastest[-1]
    steps = math.ceil(shortest / interval) * interval if interval else shortest
    if inner:
        return FirstLength("Measured", steps, rate)
    return FirstLength("Edge", steps, rate, Side.HIGH if rate == rates[-1] else Side.LOW)  # SWP-6


def fitted_at(steps: Sequence[int], losses: Sequence[float], limit: float) -> int | None:
    """Return the first step at which the running median of the training loss is at most the limit; None: never."""
    values = np.asarray(losses, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    below = np.flatnonzero(running_median(values[known]) <= limit)
    return int(steps[known[below[0]]]) if len(below) else None


def check(study: StudyRecord, earlier: Sequence[StudyRecord] = ()) -> list[Finding]:
    """Return the first length of training by the study's sweep (K20), and whether it must be looked at again (STP-7).

    Args:
        study: The study; its trials of purpose StepSweep are the sweep.
        earlier: The studies before it, oldest first.
    """
    return [_of_sweep(study), *recheck(study, earlier)]


def _of_sweep(study: StudyRecord) -> Finding:
    code = Code.MAX_TRAIN_STEPS
    trials = [t for t in study.trials if t.purpose is Purpose.STEP_SWEEP and t.state is not State.RUNNING]
    if not trials:
        message = "How many steps fit the training set is not known: no sweep of constant learning rates was made."
        action = "Where training is not limited by computing, run one (StepSweep); else see ScheduleCarryOver."
        return unknown(study, code, "SWP-3", message, action=action)
    learning_rate = learning_rate_of(study)
    if learning_rate is None:
        message = "How many steps fit the training set is not known: no hyperparameter is known as the learning rate."
        action = "Set meaning: learningRate on the hyperparameter that is the learning rate."
        return unknown(study, code, "SWP-3", message, action=action)
    wrong = faults(study, trials)
    if wrong:
        return answer(
            study,
            code,
            "InvalidSweep",
            Severity.WARN,
            "SWP-3",
            f"The sweep does not tell how long to train: {'; '.join(wrong)}.",
            action="Repeat it with constant learning rates, and without augmentation and regularisation.",
            trials=trials,
            notes=wrong,
        )
    measured = swept(study, learning_rate, [t for t in trials if _tells(t)])
    start = max((s.first for s in measured if math.isfinite(s.first)), default=math.nan)
    if not start > 0:
        message = "How many steps fit the training set is not known: the sweep has no positive training loss."
        return unknown(study, code, "NCB-7", message, action="Export train_loss at every evaluation.", trials=trials)
    return _judged(study, measured, study.thresholds[FIT] * start, learning_rate.parameter_name)


def _tells(trial: TrialRecord) -> bool:
    """Whether the trial says something about its rate: one that crashed, was lost or ran out of memory does not."""
    return not is_lost(trial) and trial.state is not State.FAILED and trial.reason not in OUT_OF_MEMORY


def _judged(study: StudyRecord, measured: Sequence[Swept], limit: float, parameter: str) -> Finding:
    times: dict[float, int | None] = {}
    failed = {s.rate for s in measured if is_infeasible(study, s.trial)}
    for one in measured:
        at = fitted_at(one.trial.curve.steps, study.train_losses(one.trial).tolist(), limit)
        before = times.get(one.rate)
        # A trial that fitted and then diverged has told what it was to tell.
        if at is not None or one.rate not in failed:
            times[one.rate] = at if before is None else min(before, at or before)
    interval = study.spec.training.evaluate_every_steps
    judged = first_length(times, failed - times.keys(), interval)
    longest = max((n for s in measured if (n := run_length(study, s.trial)) is not None), default=0)
    where: dict[str, Any] = {
        "parameter": parameter,
        "numbers": {
            "fitLoss": limit,
            "longest": longest,
            "rates": len(times),
            "maxSteps": judged.steps or math.nan,
            "learningRate": judged.rate or math.nan,
        },
        "thresholds": (FIT,),
        "trials": [s.trial for s in sorted(measured, key=lambda s: times.get(s.rate) or math.inf)],
        "notes": [f"{rate:g}: {at or 'not fitted'}" for rate, at in sorted(times.items())][:8],
    }
    return _told(study, judged, limit, longest, where)


def _told(study: StudyRecord, judged: FirstLength, limit: float, longest: int, where: dict[str, Any]) -> Finding:
    code = Code.MAX_TRAIN_STEPS
    match judged.verdict:
        case "Measured":
            return answer(
                study,
                code,
                "Measured",
                Severity.INFO,
                "SWP-4",
                f"The fastest constant learning rate, {judged.rate:g}, fits the training set in {judged.steps} steps.",
                action=f"Begin with {judged.steps} training steps.",
                **where,
            )
        case "Edge":
            return answer(
                study,
                code,
                "Edge",
                Severity.WARN,
                "SWP-6",
                f"The fastest rate, {judged.rate:g} with {judged.steps} steps, is at the edge of the sweep.",
                action=f"Widen the sweep on the {judged.side} side: the number of steps would be too large.",
                side=judged.side,
                **where,
            )
        case _:
            return answer(
                study,
                code,
                "NotFitted",
                Severity.WARN,
                "SWP-1",
                f"No rate brought the training loss down to {limit:.3g} within {longest} steps.",
                action=f"Try {2 * longest} steps; where that cannot be afforded, training is compute-bound: train in "
                "rounds.",
                **where,
            )
