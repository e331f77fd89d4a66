"""The conclusion of a study: allowed, blocked or pending, and what won (K01)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tuning_operator.api.findings import (
    AdoptionDecision,
    Code,
    Conclusion,
    ConclusionState,
    Finding,
)
from tuning_operator.api.hyperparameters import Role
from tuning_operator.playbook.arms import whole
from tuning_operator.playbook.comparison.outcome import Outcome
from tuning_operator.playbook.conclusion.caveats import caveats
from tuning_operator.playbook.conclusion.gate import blocking, lacking, state_of
from tuning_operator.playbook.records import StudyRecord

MAX_MESSAGE: Final = 2048
BEST_CONFIGURATION: Final = "BestConfiguration"
TOO_FEW_TRIALS: Final = "TooFewTrials"
DECISIONS: Final[Mapping[str, AdoptionDecision]] = {
    "Adopt": AdoptionDecision.ADOPT,
    "KeepBaseline": AdoptionDecision.KEEP_BASELINE,
    "NeedRetrains": AdoptionDecision.NEED_RETRAINS,
}


def conclude(
    study: StudyRecord, findings: Sequence[Finding], outcome: Outcome, acknowledged: Sequence[str] = ()
) -> Conclusion:
    """Return the conclusion that the checklist allows.

    Args:
        study: The study.
        findings: Of all rules, those that are acknowledged lowered already.
        outcome: Which arm is best beyond noise, from Search trials alone.
        acknowledged: A sentence for each finding that the study's author accepts.
    """
    state = state_of(study, findings)
    restrictions = caveats(study, findings, acknowledged)
    if state is ConclusionState.BLOCKED:
        return _blocked(findings, restrictions)
    if state is ConclusionState.PENDING:
        text = " ".join(["There is not enough data for a conclusion.", *lacking(study, findings)])
        return Conclusion(state=state, reason=TOO_FEW_TRIALS, message=text[:MAX_MESSAGE], caveats=restrictions)
    if has_scientific(study):
        return _compared(study, findings, outcome, restrictions)
    return _best(study, findings, restrictions)


def has_scientific(study: StudyRecord) -> bool:
    """Whether the study compares anything."""
    return any(h.role is Role.SCIENTIFIC for h in study.spec.hyperparameters)


def _blocked(findings: Sequence[Finding], restrictions: list[str]) -> Conclusion:
    blocked = blocking(findings)
    text = " ".join(["The Playbook forbids a conclusion:", *(f.message for f in blocked)])
    return Conclusion(
        state=ConclusionState.BLOCKED, reason=blocked[0].verdict, message=text[:MAX_MESSAGE], caveats=restrictions
    )


def _compared(study: StudyRecord, findings: Sequence[Finding], outcome: Outcome, restrictions: list[str]) -> Conclusion:
    return Conclusion(
        state=ConclusionState.ALLOWED,
        winner=outcome.values,
        decision=_decision(findings),
        reason=outcome.reason.value,
        message=_with_adoption(_answer(study, outcome), findings),
        difference=outcome.difference,
        uncertainty=outcome.uncertainty,
        confidence=outcome.confidence,
        caveats=restrictions,
    )


def _answer(study: StudyRecord, outcome: Outcome) -> str:
    """Return the answer in a sentence or two."""
    if outcome.winner is None:
        first = next((s for s in outcome.ranked if s.best is not None), None)
        so_far = (
            ""
            if first is None
            else f" The best so far is {_values(first.scientific)}, with {study.shown(first.loss):.6g}."
        )
        return f"Nothing wins beyond chance. {outcome.note}{so_far}"
    value = study.shown(outcome.winner.loss)
    by = ""
    if outcome.difference is not None and outcome.uncertainty is not None:
        by = f", better by {outcome.difference:.3g} ± {outcome.uncertainty:.2g} than the next best"
    return f"{_values(outcome.winner.scientific)} wins with {value:.6g}{by}. {outcome.note}"


def _values(scientific: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in scientific.items())


def _best(study: StudyRecord, findings: Sequence[Finding], restrictions: list[str]) -> Conclusion:
    """Without a scientific hyperparameter the answer is the best configuration."""
    best = whole(study).best
    if best is None:  # of a List whose trials have all failed
        return Conclusion(
            state=ConclusionState.PENDING,
            reason=TOO_FEW_TRIALS,
            message="No trial has a result.",
            caveats=restrictions,
        )
    parameters: dict[str, Any] = dict(best.parameters)
    value = study.shown(study.loss(best))
    return Conclusion(
        state=ConclusionState.ALLOWED,
        winner=parameters,
        decision=_decision(findings),
        reason=BEST_CONFIGURATION,
        message=_with_adoption(f"The best trial is {best.name}, with {value:.6g}.", findings),
        caveats=restrictions,
    )


def _adoption(findings: Sequence[Finding]) -> Finding | None:
    return next((f for f in findings if f.code is Code.ADOPTION and f.verdict in DECISIONS), None)


def _decision(findings: Sequence[Finding]) -> AdoptionDecision:
    adoption = _adoption(findings)
    return AdoptionDecision.NONE if adoption is None else DECISIONS[adoption.verdict]


def _with_adoption(text: str, findings: Sequence[Finding]) -> str:
    adoption = _adoption(findings)
    return (text if adoption is None else f"{text} {adoption.message}")[:MAX_MESSAGE]
