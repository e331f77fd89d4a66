"""Findings that the study's author knows of and accepts: they restrict the conclusion no more, but are said with it."""

from collections.abc import Sequence

from tuning_operator.api.findings import Finding, Severity
from tuning_operator.api.procedure import Acknowledgement
from tuning_operator.playbook.answers import MAX_MESSAGE
from tuning_operator.playbook.records import StudyRecord

MAX_CAVEAT = 512


def acknowledged(study: StudyRecord, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings; those of Block and Warn that `spec.acknowledge` names are Info, and say why."""
    return [_lowered(finding, _reason(study, finding)) for finding in findings]


def caveats(study: StudyRecord, findings: Sequence[Finding]) -> list[str]:
    """Return a sentence for the conclusion about each finding that `acknowledged` lowers, each sentence once.

    Args:
        study: The study with its acknowledgements.
        findings: As the rules gave them: `acknowledged` has not lowered them yet.
    """
    said = {_sentence(finding, reason): None for finding in findings if (reason := _reason(study, finding)) is not None}
    return list(said)


def _reason(study: StudyRecord, finding: Finding) -> str | None:
    """Return why the study accepts a finding, its own acknowledgement before that of the whole code; None: it does not.

    What neither blocks nor warns needs no acknowledgement.
    """
    if finding.severity is Severity.INFO:
        return None
    fitting = [a for a in study.spec.acknowledge or () if _fits(a, finding)]
    return min(fitting, key=lambda a: a.verdict is None).reason if fitting else None


def _fits(acknowledgement: Acknowledgement, finding: Finding) -> bool:
    return acknowledgement.code is finding.code and acknowledgement.verdict in (None, finding.verdict)


def _lowered(finding: Finding, reason: str | None) -> Finding:
    if reason is None:
        return finding
    note = f" (acknowledged: {reason})"
    message = finding.message[: MAX_MESSAGE - len(note)] + note
    return finding.model_copy(update={"severity": Severity.INFO, "message": message})


def _sentence(finding: Finding, reason: str) -> str:
    where = f" of {finding.parameter}" if finding.parameter is not None else ""
    arm = ", ".join(f"{name} {value}" for name, value in finding.scientific.items())
    under = f" with {arm}" if arm else ""
    return f"{finding.code} {finding.verdict}{where}{under} was acknowledged: {reason}"[:MAX_CAVEAT]
