"""Unstable training: warm-ups to try, with the rates that they may give access to; then clipping (K14, K15)."""

from collections.abc import Sequence

from tuning_operator.api.findings import Code, Finding, Side
from tuning_operator.api.hyperparameters import Hyperparameter, HyperparameterType, Meaning, Role, ValueType
from tuning_operator.api.procedure import Baseline
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.proposal.change import Change, meant, of, updated
from tuning_operator.playbook.proposal.edits.effort import ENOUGH
from tuning_operator.playbook.proposal.edits.ranges import moved
from tuning_operator.playbook.records import StudyRecord

WARMUP = "warmup_steps"
CLIPPING = "clip_norm"
NONE = "0"


def warmed_up(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Compare the planned warm-ups with none, and let the learning rate reach what they may give access to (WRM-4).

    The warm-up is scientific where nothing else is; else it is searched, so that the question stays the same.
    """
    for plan in of(findings, Code.WARMUP, "Plan"):
        numbers = plan.evidence.numbers
        lengths = sorted(int(value) for name, value in numbers.items() if name.startswith("warmupSteps"))
        if not lengths:
            continue
        change = _with_lengths(change, lengths, plan)
        for learning_rate in meant(study, plan):
            rate = numbers.get("baseLearningRate")
            change = moved(change, learning_rate, Side.HIGH, rate, plan.message, outwards=True)
    return change


def clipped(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Clip at the norm that was found, where a threshold is recommended or is to be tightened (CLP-5, CLP-6).

    Of several arms the smallest counts: a threshold is one number for all trials. Where warm-ups are to be tried, that
    comes first: with both at once nobody could tell which of them has helped (GOL-2).
    """
    if of(findings, Code.WARMUP, "Plan"):
        return change
    found = [
        (threshold, finding)
        for finding in of(findings, Code.CLIPPING, "Recommended", "Tighten")
        if (threshold := finding.evidence.numbers.get("threshold", 0.0)) > 0
    ]
    if not found:
        return change
    threshold, finding = min(found, key=lambda each: each[0])
    text = f"{threshold:.4g}"
    known = next((h for h in change.spec.hyperparameters if meaning_of(h) is Meaning.CLIP_NORM), None)
    if known is None:
        added = Hyperparameter(name=CLIPPING, type=HyperparameterType.FLOAT, role=Role.FIXED, value=text)
        return change.added(added, f"{CLIPPING}: {text}, which the container must know. {finding.message}")
    if known.role is not Role.FIXED or known.value == text:
        return change
    reason = f"{known.parameter_name}: {text} instead of {known.value}. {finding.message}"
    return change.replaced(updated(known, value=text), reason)


def _with_lengths(change: Change, lengths: Sequence[int], plan: Finding) -> Change:
    values = [NONE, *(str(steps) for steps in lengths)]
    compared = not any(h.role is Role.SCIENTIFIC for h in change.spec.hyperparameters)
    known = next((h for h in change.spec.hyperparameters if meaning_of(h) is Meaning.WARMUP_STEPS), None)
    if known is not None and known.role is not Role.FIXED:
        return change  # It is searched already.
    name = WARMUP if known is None else known.name
    warmup = Hyperparameter(
        name=name,
        parameter=None if known is None else known.parameter,
        type=HyperparameterType.ORDINAL,
        role=Role.SCIENTIFIC if compared else Role.NUISANCE,
        values=values,
        value_type=ValueType.INTEGER,
    )
    reason = (
        f"{warmup.parameter_name}: {', '.join(values)} are {'compared' if compared else 'searched'}. {plan.message}"
    )
    change = change.added(warmup, reason) if known is None else change.replaced(warmup, reason)
    if not compared:
        return change
    wanted = max(change.spec.budget.max_trials, ENOUGH * len(values))
    budget = updated(change.spec.budget, max_trials=wanted)
    return change.with_spec({"baseline": Baseline(scientific={name: NONE}), "budget": budget})
