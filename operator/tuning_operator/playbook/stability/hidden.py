"""Hidden early instability: the loss blows up and recovers before the first evaluation (K16).

The run then looks normal, and is merely slow: it carries a scar. Only the loss of every early step shows it.

Source: Deep Learning Tuning Playbook, "How can optimization failures be debugged and mitigated?"; K16.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import Arm, arm_key, arms
from tuning_operator.playbook.records import Purpose, StudyRecord, TrialRecord
from tuning_operator.playbook.run_length import run_length
from tuning_operator.playbook.series import as_series, deviation, running_median
from tuning_operator.playbook.stability import instability
from tuning_operator.playbook.stability.rates import learning_rates, rate_of, trials_of, why_no_rate
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

STEPS: Final = Threshold("hiddenSteps", 500, Origin.TEXT, "A hidden instability is looked for in so many first steps")
RATIO: Final = Threshold(
    "hiddenRatio", 2.0, Origin.TEXT, "It counts at up to so many times the best learning rate", low=1.0
)
FACTOR: Final = Threshold(
    "hiddenFactor", 1.5, Origin.DEFAULT, "A loss of so many times its beginning has blown up", low=1.0
)
DEVIATIONS: Final = Threshold(
    "hiddenDeviations",
    6.0,
    Origin.DEFAULT,
    "A loss has blown up only where it is this many standard deviations above its beginning",
)
FIRST_EVALUATION: Final = Threshold(
    "hiddenFirstEvaluation", 100, Origin.DEFAULT, "Where the first evaluation comes later, early jumps go unseen"
)
ROUNDING: Final = 1.01
START_STEPS: Final = 3
PROBES: Final = (Purpose.HIDDEN_INSTABILITY_PROBE, Purpose.INSTABILITY_PROBE)


@dataclass(frozen=True)
class BlowUp:
    """Where the loss of the first steps blew up."""

    step: int
    """The first at which it had."""
    start: float
    """The loss at the beginning."""
    peak: float
    """The highest level; infinite where it was not finite."""
    recovered: bool
    """Whether it fell to its beginning again."""


def blow_up(dense_loss: Sequence[float], thresholds: Thresholds = DEFAULTS) -> BlowUp | None:
    """Return where the training loss of the first steps jumped up; None: it did not.

    Args:
        dense_loss: The training loss of each step, beginning with step 1.
        thresholds: The study's.
    """
    losses = as_series(dense_loss)[: int(thresholds[STEPS])]
    if not len(losses):
        return None
    gone = np.flatnonzero(~np.isfinite(losses))
    if len(gone):
        start = float(losses[0]) if gone[0] else float("nan")
        return BlowUp(int(gone[0]) + 1, start, float("inf"), recovered=False)
    # Where it jumps at the second step already, the mean of the first three is no beginning.
    start = float(min(losses[0], losses[:START_STEPS].mean()))
    level = running_median(losses)
    limit = start + max((thresholds[FACTOR] - 1) * abs(start), thresholds[DEVIATIONS] * _noise(losses))
    above = np.flatnonzero(level > limit)
    # A blow-up lasts for tens of steps; noise does not.
    if len(above) < max(1, len(losses) // 100):
        return None
    return BlowUp(int(above[0]) + 1, start, float(level.max()), recovered=bool(level[-1] <= start))


def check(study: StudyRecord) -> list[Finding]:
    """Return, for each arm and learning rate, whether the first steps hide an instability (K16)."""
    found: list[Finding] = study.once("hidden instability", lambda: _of_study(study))
    return list(found)


def _of_study(study: StudyRecord) -> list[Finding]:
    confirmed = [f for f in instability.check(study) if f.verdict in instability.CONFIRMED]
    seen = {(f.parameter, arm_key(f.scientific)) for f in confirmed}
    return [finding for arm in arms(study) for finding in _of_arm(study, arm, seen)]


def _of_arm(study: StudyRecord, arm: Arm, seen: set[tuple[str | None, str]]) -> list[Finding]:
    if not learning_rates(arm):
        why, action = why_no_rate(study)
        message = f"Whether the first steps hide an instability is not known: {why}."
        return [unknown(study, Code.INSTABILITY, "UNS-8", message, action=action, scientific=arm.scientific)]
    return [
        _of_rate(study, arm, h, is_seen=(h.parameter_name, arm_key(arm.scientific)) in seen)
        for h in learning_rates(arm)
    ]


def _of_rate(study: StudyRecord, arm: Arm, learning_rate: Hyperparameter, *, is_seen: bool) -> Finding:
    where: dict[str, Any] = {"parameter": learning_rate.parameter_name, "scientific": arm.scientific}
    best = next((t for t in arm.feasible if rate_of(learning_rate, t) is not None), None)
    rate = None if best is None else rate_of(learning_rate, best)
    if best is None or rate is None:
        message = "Whether the first steps hide an instability is not known: no trial has a result yet."
        return unknown(study, Code.INSTABILITY, "UNS-8", message, action="Let more trials finish.", **where)
    dense = _watched(study, arm, learning_rate, rate)
    limit = ROUNDING * study.thresholds[RATIO] * rate
    for at, trial in dense:
        found = blow_up(trial.diagnostics.dense_loss, study.thresholds)
        if found is not None and at <= limit:
            return _hidden(study, found, at, rate, trial, where)
    smooth = [
        t
        for at, t in dense
        if at * ROUNDING**2 >= limit
        and _covers(study, t)
        and blow_up(t.diagnostics.dense_loss, study.thresholds) is None
    ]
    if smooth:
        message = f"No hidden instability: in the first steps above the best rate, {rate:g}, the loss goes smoothly."
        return passed(study, Code.INSTABILITY, "UNS-9", message, thresholds=(STEPS, FACTOR), trials=smooth, **where)
    if is_seen:
        message = "Nothing is hidden: the curves show the instability already."
        return passed(study, Code.INSTABILITY, "UNS-8", message, **where)
    return _without_probe(study, arm, best, rate, where)


def _without_probe(study: StudyRecord, arm: Arm, best: TrialRecord, rate: float, where: dict[str, Any]) -> Finding:
    firsts = [t.curve.steps[0] for t in arm.feasible if t.curve.steps]
    if not firsts:
        message = "Whether the first steps hide an instability is not known: the trials have no curves."
        action = "Export the training loss with its step at every evaluation."
        return unknown(study, Code.INSTABILITY, "UNS-8", message, action=action, **where)
    first = float(np.median(firsts))
    if first <= study.thresholds[FIRST_EVALUATION]:
        message = f"Nothing is hidden: the first evaluation is at step {first:g} already."
        return passed(
            study,
            Code.INSTABILITY,
            "UNS-8",
            message,
            numbers={"firstEvaluation": first},
            thresholds=[FIRST_EVALUATION],
            **where,
        )
    ratio, steps = study.thresholds[RATIO], study.thresholds[STEPS]
    return answer(
        study,
        Code.INSTABILITY,
        "NotProbed",
        Severity.INFO,
        "UNS-9",
        f"The first evaluation is at step {first:g}: a loss that blows up before, and recovers, is not seen.",
        action=f"Train {steps:g} steps at {ratio * rate:g}, twice the best rate, and report the loss of every step.",
        numbers={"firstEvaluation": first, "best": rate, "probeRate": ratio * rate},
        thresholds=(FIRST_EVALUATION, STEPS, RATIO),
        trials=[best],
        **where,
    )


def _hidden(
    study: StudyRecord, found: BlowUp, at: float, best: float, trial: TrialRecord, where: dict[str, Any]
) -> Finding:
    what = (
        f"was not finite any more at step {found.step}"
        if np.isinf(found.peak)
        else f"jumped from {found.start:.4g} to {found.peak:.4g} (from step {found.step} on)"
        + (", and recovered" if found.recovered else "")
    )
    return answer(
        study,
        Code.INSTABILITY,
        "HiddenEarly",
        Severity.WARN,
        "UNS-8",
        f"Training is unstable in its first steps, between evaluations: at {at:g} the training loss {what}.",
        action="Add a learning-rate warm-up, then gradient clipping.",
        numbers={"baseLearningRate": at, "best": best, "step": found.step, "start": found.start, "peak": found.peak},
        thresholds=(STEPS, RATIO, FACTOR, DEVIATIONS),
        trials=[trial],
        **where,
    )


def _watched(
    study: StudyRecord, arm: Arm, learning_rate: Hyperparameter, best: float
) -> list[tuple[float, TrialRecord]]:
    """Return the trials from the best rate on whose first steps are known, by their rates: UNS-9 asks for twice it."""
    trials = (t for t in [*trials_of(arm, *PROBES), *arm.feasible] if t.diagnostics.dense_loss)
    found = [(rate, t) for t in trials if (rate := rate_of(learning_rate, t)) is not None and rate >= best]
    return sorted(found, key=lambda pair: (pair[0], pair[1].index))


def _covers(study: StudyRecord, trial: TrialRecord) -> bool:
    """Whether the loss of all the first steps is known."""
    wanted = study.thresholds[STEPS]
    length = run_length(study, trial)
    return len(trial.diagnostics.dense_loss) >= min(wanted, length or wanted)


def _noise(losses: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    # The later half: what blows up in the first is judged, and would excuse itself.
    return deviation(losses[len(losses) // 2 :])
