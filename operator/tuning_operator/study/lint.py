"""What the Playbook says of a study before it runs, for people who look at the condition Accepted (K04)."""

from collections.abc import Sequence
from typing import Final

from tuning_operator.api.findings import Finding, Severity
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.acknowledged import acknowledged
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.specification import check

MAX_TOLD: Final = 700
"""Characters: the condition's message says more than this, and ends at 1024."""


def blocking(name: str, spec: TuningStudySpec) -> list[Finding]:
    """Return why the Playbook would draw no conclusion from the study, whatever its trials say.

    What `spec.acknowledge` names is left out.
    """
    study = StudyRecord(name, spec)
    return [finding for finding in acknowledged(study, check(study)) if finding.severity is Severity.BLOCK]


def caution(name: str, spec: TuningStudySpec) -> str:
    """Return what to say of a study that runs all the same, as a sentence after others; empty where all is well."""
    found = blocking(name, spec)
    return f" The Playbook would draw no conclusion: {told(found)}" if found else ""


def told(findings: Sequence[Finding]) -> str:
    """Return findings with what to change, each with its verdict; of many the first in full, the others by verdict."""
    said: list[str] = []
    for number, finding in enumerate(findings):
        sentence = f"{finding.verdict}: {finding.message} {finding.action}"
        if said and len(" ".join([*said, sentence])) > MAX_TOLD:
            rest = dict.fromkeys(f.verdict for f in findings[number:])
            return " ".join([*said, f"Also {', '.join(rest)}."])
        said.append(sentence)
    return " ".join(said)
