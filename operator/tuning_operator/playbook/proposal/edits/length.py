"""How long the next study's trials train (K09, NCB-4 and NCB-5)."""

from collections.abc import Sequence

from tuning_operator.api.findings import Code, Finding
from tuning_operator.api.hyperparameters import Meaning, Role
from tuning_operator.playbook.curves.step_budget import CONFOUNDED
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.proposal.change import Change, of, updated
from tuning_operator.playbook.records import StudyRecord

MAX_STEPS = 2**53


def of_another_length(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Train for as long as the best steps ask for: one value for all trials, and never searched (NCB-3).

    With a decay to zero the best step is late by its nature: a chain of studies would grow without end.
    """
    found = [
        finding
        for finding in of(findings, Code.STEP_BUDGET, "TooLong", "TooShort")
        if not any(note.startswith(CONFOUNDED) for note in finding.evidence.notes)
    ]
    steps = found[0].evidence.numbers.get("proposedSteps") if found else None
    if steps is None or not 1 <= steps <= MAX_STEPS:
        return change
    whole = round(steps)
    reason = f"Trials train {whole:,} steps. {found[0].message}"
    for hyperparameter in change.spec.hyperparameters:
        if meaning_of(hyperparameter) is Meaning.MAX_STEPS and hyperparameter.role is Role.FIXED:
            change = change.replaced(updated(hyperparameter, value=str(whole)), reason)
            reason = ""
    if change.spec.training.max_steps is not None:
        training = updated(change.spec.training, max_steps=whole)
        change = change.with_spec({"training": training}, *([reason] if reason else []))
    return change
