"""Effort: how many trials the next study needs, and how evenly they are spent (K03, K11)."""

import math
from collections.abc import Sequence
from typing import Final

from tuning_operator.api.findings import Code, Finding
from tuning_operator.api.hyperparameters import Hyperparameter, Role
from tuning_operator.playbook.arms import arms
from tuning_operator.playbook.conclusion.gate import too_few
from tuning_operator.playbook.proposal.change import Change, meant, of, updated
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.search.space import is_searched

MAX_TRIALS: Final = 10_000
ENOUGH: Final = 10
"""Trials an arm with which most checks can be made (K02, K11)."""


def balanced(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Give each arm as many trials as the one that had most (BAL-4)."""
    unequal = of(findings, Code.FAIR_COMPARISON, "Budget", "UnevenSampling")
    if not unequal:
        return change
    found = arms(study)
    most = max(len(arm.launched) for arm in found)
    return _trials(change, most * len(found), unequal[0].message)


def tuned_everywhere(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Search, in the arm where it was fixed, what is tuned in another (ISO-4)."""
    for finding in of(findings, Code.FAIR_COMPARISON, "NotTuned"):
        for hyperparameter in meant(study, finding):
            current = change.hyperparameter(hyperparameter.name)
            pattern = next(
                (
                    h
                    for h in change.spec.hyperparameters
                    if h.parameter_name == finding.parameter and h.role is Role.NUISANCE
                ),
                None,
            )
            if current is None or is_searched(current) or pattern is None:
                continue
            like = updated(pattern, name=current.name, parameter=current.parameter_name, when=current.when)
            change = change.replaced(like, f"{current.parameter_name}: searched in every arm. {finding.message}")
    return change


def same_ranges(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Spread the trials anew where the arms covered different parts of a range (BAL-3): the design does it."""
    for finding in of(findings, Code.FAIR_COMPARISON, "Range"):
        change = change.with_spec({}, f"{finding.parameter}: each arm covers the whole range again. {finding.message}")
    return change


def with_baseline(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Add the baseline's value to the scientific ones (ISO-3)."""
    missing = of(findings, Code.FAIR_COMPARISON, "NoBaseline")
    baseline = study.spec.baseline
    if not missing or baseline is None:
        return change
    for name, value in (baseline.scientific or {}).items():
        current = change.hyperparameter(name)
        if current is not None and current.values is not None and value not in current.values:
            change = change.replaced(
                updated(current, values=[*current.values, value]),
                f"{current.parameter_name}: the baseline's value {value} is compared too. {missing[0].message}",
            )
    return change


def denser(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Sample more densely where too few points are good (SMP-4): fix what hardly matters, else double the trials."""
    sparse = of(findings, Code.SAMPLING, "Sparse", "Unstable")
    few = too_few(study)
    if few:
        count = max(2 * change.spec.budget.max_trials, ENOUGH * len(arms(study)))
        return _trials(change, count, " ".join(few)[:300])
    if not sparse:
        return change
    fixed = _without_insensitive(study, findings, change)
    if fixed is not change:
        return fixed
    return _trials(change, 2 * change.spec.budget.max_trials, sparse[0].message)


def _without_insensitive(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Fix the nuisance hyperparameters of which the value hardly matters, at the best trial's value (EXP-3)."""
    for finding in of(findings, Code.ROLE, "CanFix"):
        value = finding.evidence.numbers.get("bestValue")
        for hyperparameter in meant(study, finding):
            current = change.hyperparameter(hyperparameter.name)
            if value is None or current is None or current.role is not Role.NUISANCE or _searched(change) <= 1:
                continue
            change = change.replaced(
                fixed_at(current, f"{value:.6g}", "it hardly mattered in the study before"),
                f"{current.parameter_name}: fixed at {value:.6g}, to sample the others more densely. {finding.message}",
            )
    return change


def _searched(change: Change) -> int:
    return sum(h.role is Role.NUISANCE for h in change.spec.hyperparameters)


def fixed_at(hyperparameter: Hyperparameter, value: str, reason: str) -> Hyperparameter:
    """Return a searched hyperparameter fixed at a value, with the reason that becomes the conclusion's caveat."""
    if hyperparameter.type.value == "Integer":
        value = str(round(float(value)))
    return updated(
        hyperparameter,
        role=Role.FIXED,
        value=value,
        fixed_reason=reason,
        low=None,
        high=None,
        scale=None,
        values=None,
    )


def _trials(change: Change, wanted: int, why: str) -> Change:
    count = min(math.ceil(wanted), MAX_TRIALS)
    before = change.spec.budget.max_trials
    if count <= before:
        return change.with_spec({}, f"budget.maxTrials: {before}, divided evenly over the arms. {why}")
    budget = updated(change.spec.budget, max_trials=count)
    return change.with_spec({"budget": budget}, f"budget.maxTrials: {count} instead of {before}. {why}")
