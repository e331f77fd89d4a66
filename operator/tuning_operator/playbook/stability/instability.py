"""Instability: is the best learning rate held down by those above it that fail? (K08)

Every workload is unstable at a rate that is large enough; it matters where the best rate lies just below those
(UNS-1). A search range that ends too early looks different: nothing fails above the best rate, and K02 speaks.

Source: Deep Learning Tuning Playbook, "How can optimization failures be debugged and mitigated?"; K08.
"""

from collections.abc import Sequence
from typing import Any, Final

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning, Role
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import Arm, arms, is_infeasible, whole
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import Purpose, StudyRecord, TrialRecord
from tuning_operator.playbook.run_length import run_length
from tuning_operator.playbook.stability.cliff import CLIFF_STABLE, CLIFF_TRIALS, NEAR, Cliff, cliff_above, is_near
from tuning_operator.playbook.stability.rates import (
    is_out_of_memory,
    learning_rates,
    rate_of,
    trials_of,
    why_no_rate,
)
from tuning_operator.playbook.stability.rise import THRESHOLDS as RISE_THRESHOLDS
from tuning_operator.playbook.stability.trial_rise import TrialRise, rise_of, was_watched
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

PROBE_RATIO: Final = Threshold(
    "probeRatio", 10.0, Origin.TEXT, "Instability is confirmed by rates up to so many times the best one", low=1.0
)
EARLY_STEPS: Final = Threshold("earlySteps", 500, Origin.DEFAULT, "A rise up to this step is an early one")
EARLY_SHARE: Final = Threshold(
    "earlyShare", 0.01, Origin.DEFAULT, "A rise within this share of the run is an early one, too", high=1.0
)
CONFIRMED: Final = frozenset({"ConfirmedEarly", "ConfirmedMid"})
ROUNDING: Final = 1.01
"""A probe at ten times a rate is still at ten times that rate when it was written with a few digits."""

REMEDY: Final = frozenset({Meaning.WARMUP_STEPS, Meaning.WARMUP_FRACTION, Meaning.CLIP_NORM})
"""What a study may be about that cures instability."""
MOST_TRIALS: Final = 64
"""So many trials just above the best rate are looked at, the lowest rates first: one that rises confirms."""
FEWEST_STABLE: Final = 8
"""So many stable trials at the highest rates are looked past, though none has failed: those below may all rise."""

# FIX-1 to FIX-7: in this order for each kind; a lower rate is the last resort.
_REST: Final = (
    "then residual connections and normalisation inside the residual branches, then another optimizer, and only at "
    "last a lower learning rate."
)
REMEDIES: Final = {
    "ConfirmedEarly": f"Add a learning-rate warm-up, then gradient clipping, {_REST}",
    "ConfirmedMid": f"Add gradient clipping, then a learning-rate warm-up, {_REST}",
}


def kind_of(step: int, length: int | None, thresholds: Thresholds = DEFAULTS) -> str:
    """Return the verdict for a rise at a step of a run of that length: ConfirmedEarly or ConfirmedMid (UNS-2)."""
    early = max(thresholds[EARLY_STEPS], thresholds[EARLY_SHARE] * (length or 0))
    return "ConfirmedEarly" if step <= early else "ConfirmedMid"


def check(study: StudyRecord) -> list[Finding]:
    """Return, for each arm and learning rate, whether training is unstable just above the best rate (K08)."""
    found: list[Finding] = study.once("instability", lambda: [f for arm in arms(study) for f in _of_arm(study, arm)])
    return list(found)


def _of_arm(study: StudyRecord, arm: Arm) -> list[Finding]:
    if not learning_rates(arm):
        why, action = why_no_rate(study)
        message = f"Whether training is unstable is not known: {why}."
        return [unknown(study, Code.INSTABILITY, "WRM-1", message, action=action, scientific=arm.scientific)]
    return [_of_rate(study, arm, h) for h in learning_rates(arm)]


def _of_rate(study: StudyRecord, arm: Arm, learning_rate: Hyperparameter) -> Finding:
    """Look for a cliff above the best rate; where it is near, see what confirms that it is instability."""
    where: dict[str, Any] = {"parameter": learning_rate.parameter_name, "scientific": arm.scientific}
    feasible = [(rate, t) for t in arm.feasible if (rate := rate_of(learning_rate, t)) is not None]
    if not feasible:
        message = "Whether training is unstable is not known: no trial has a result yet."
        action = "Let more trials finish; if all fail, look at the infeasible trials first."
        return unknown(study, Code.INSTABILITY, "WRM-1", message, action=action, **where)
    best = feasible[0][0]
    failed = [t for t in arm.infeasible if not is_out_of_memory(t)]
    beyond = [(rate, t) for t in failed if (rate := rate_of(learning_rate, t)) is not None]
    rising = _rising_at_top(study, feasible, len(beyond))
    unstable = [*beyond, *rising]
    names = {t.name for _, t in rising}
    stable = [rate for rate, t in feasible if t.name not in names]
    if not any(rate > best for rate in [*stable, *(rate for rate, _ in unstable)]):
        message = f"Whether training is unstable above {best:g} is not known: nothing was tried there."
        action = "Widen the range upwards: see SearchSpaceEdge."
        return unknown(study, Code.INSTABILITY, "WRM-1", message, action=action, numbers={"best": best}, **where)
    cliff = cliff_above(best, stable, [rate for rate, _ in unstable], study.thresholds)
    if cliff is None:
        message = f"Nothing speaks for instability: above the best rate, {best:g}, trials do not fail from one rate on."
        return passed(
            study,
            Code.INSTABILITY,
            "UNS-1",
            message,
            numbers={"best": best},
            thresholds=(CLIFF_TRIALS, CLIFF_STABLE),
            **where,
        )
    if not is_near(cliff, study.thresholds):
        message = (
            f"Training fails from {cliff.rate:g} on, far above the best rate, {best:g}, with {cliff.between} stable "
            "trials between: it does not matter."
        )
        return passed(study, Code.INSTABILITY, "UNS-1", message, numbers=_numbers(cliff), thresholds=NEAR, **where)
    return _suspected(
        study, arm, learning_rate, cliff, feasible[0][1], [(r, t) for r, t in unstable if r >= cliff.rate]
    )


def _rising_at_top(
    study: StudyRecord, feasible: Sequence[tuple[float, TrialRecord]], failed: int
) -> list[tuple[float, TrialRecord]]:
    """Return the trials above the best rate that finished and whose loss rose (UNS-6), from the highest rate down.

    No further than to where so many were stable, beside those that failed, that a cliff is out of the question.
    """
    best, share = feasible[0][0], study.thresholds[CLIFF_STABLE]
    above = sorted((pair for pair in feasible if pair[0] > best), key=lambda pair: pair[0], reverse=True)
    rising: list[tuple[float, TrialRecord]] = []
    stable = 0
    for rate, trial in above:
        if rise_of(study, trial) is not None:
            rising.append((rate, trial))
            continue
        stable += 1
        if stable > max(FEWEST_STABLE, share * (failed + len(rising) + stable)):
            break
    return rising


def _suspected(
    study: StudyRecord,
    arm: Arm,
    learning_rate: Hyperparameter,
    cliff: Cliff,
    best: TrialRecord,
    beyond: Sequence[tuple[float, TrialRecord]],
) -> Finding:
    """Return what the probes, and the trials beyond the cliff, say of a best rate that lies near it."""
    where: dict[str, Any] = {"parameter": learning_rate.parameter_name, "scientific": arm.scientific}
    launched = trials_of(arm, Purpose.INSTABILITY_PROBE)
    probes = [(rate, t) for t in launched if (rate := rate_of(learning_rate, t)) is not None]
    highest = ROUNDING * study.thresholds[PROBE_RATIO] * cliff.best
    ordinary = sorted(beyond, key=lambda pair: pair[0])[:MOST_TRIALS]
    just_above = [(rate, t) for rate, t in [*probes, *ordinary] if cliff.best < rate <= highest]
    rises = sorted(
        ((rate, t, rise) for rate, t in just_above if (rise := rise_of(study, t)) is not None),
        key=lambda found: (found[0], found[1].index),
    )
    if rises:
        return _confirmed(study, arm, cliff, rises, where)
    told = [t for rate, t in just_above if t.purpose is Purpose.INSTABILITY_PROBE and was_watched(study, t)]
    near = f"the best rate, {cliff.best:g}, lies just below {cliff.rate:g}, from where on trials fail"
    if told and not any(is_infeasible(study, t) for t in told):
        message = f"No instability: although {near}, training at up to ten times that rate goes smoothly."
        action = "Look at the other hyperparameters of the trials that fail: see Infeasible."
        return answer(
            study,
            Code.INSTABILITY,
            "NotConfirmed",
            Severity.INFO,
            "WRM-2",
            message,
            action=action,
            numbers=_numbers(cliff),
            thresholds=(*NEAR, *RISE_THRESHOLDS),
            trials=told,
            **where,
        )
    notes = ["The probes failed before their loss was seen to fall: log the loss of every early step."] if told else []
    if launched and not told:
        notes = ["The probes say nothing: they were lost, or measured no train_loss at up to ten times the best rate."]
    severity = _severity(study, arm, Severity.WARN if cliff.between else Severity.BLOCK)
    return answer(
        study,
        Code.INSTABILITY,
        "Suspected",
        severity,
        "WRM-1",
        f"Training may be unstable: {near}, with {cliff.between} stable trials between.",
        action=f"Train at {5 * cliff.best:g} and {10 * cliff.best:g}, with the training loss of every early step: a "
        "sudden rise after a decline means instability.",
        numbers=_numbers(cliff) | {"baseLearningRate": cliff.rate},
        thresholds=NEAR,
        trials=[best, *(t for _, t in beyond)],
        notes=notes,
        **where,
    )


def _severity(study: StudyRecord, arm: Arm, severity: Severity) -> Severity:
    """Return what instability does to the conclusion.

    Where the question is a remedy for it, an unstable arm is what the others are compared with, and no obstacle
    (WRM-8); only in the best arm it still matters.
    """
    if not any(h.role is Role.SCIENTIFIC and meaning_of(h) in REMEDY for h in study.spec.hyperparameters):
        return severity
    best = whole(study).best
    return Severity.WARN if best is not None and best in arm.trials else Severity.INFO


def _confirmed(
    study: StudyRecord,
    arm: Arm,
    cliff: Cliff,
    rises: Sequence[tuple[float, TrialRecord, TrialRise]],
    where: dict[str, Any],
) -> Finding:
    """Return that the loss rose just above the best rate; the lowest such rate says of which kind it is."""
    rate, trial, rise = rises[0]
    verdict = kind_of(rise.step, run_length(study, trial), study.thresholds)
    return answer(
        study,
        Code.INSTABILITY,
        verdict,
        _severity(study, arm, Severity.BLOCK),
        "UNS-2",
        f"Training is unstable above the best rate, {cliff.best:g}: at {rate:g} the training loss {rise.told}.",
        action=REMEDIES[verdict],
        numbers=_numbers(cliff)
        | {"baseLearningRate": min(cliff.rate, rate), "riseStep": rise.step, "rises": len(rises)},  # WRM-3
        thresholds=(*NEAR, PROBE_RATIO, EARLY_STEPS, EARLY_SHARE, *RISE_THRESHOLDS),
        trials=[t for _, t, _ in rises],
        **where,
    )


def _numbers(cliff: Cliff) -> dict[str, float]:
    return {"best": cliff.best, "cliff": cliff.rate, "between": cliff.between}
