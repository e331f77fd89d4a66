"""What of the checklist stands in a study's status: what a person must see, within a fixed number of bytes."""

from collections.abc import Sequence
from typing import Final

from tuning_operator.api.base import Model
from tuning_operator.api.findings import OK, UNKNOWN, Conclusion, Finding
from tuning_operator.api.study_status import MAX_FINDINGS
from tuning_operator.playbook.conclusion.gate import in_order

FINDINGS_BYTES: Final = 12_288
CONCLUSION_BYTES: Final = 6_144


def shown(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings for the status, the most important first; the report has all of them.

    Checks that passed or could not be made are left out. Where the rest is too much, the least important are, too.
    """
    said = [f for f in in_order(findings) if f.verdict not in (OK, UNKNOWN)][:MAX_FINDINGS]
    room, kept = FINDINGS_BYTES, []
    for finding in said:
        room -= size(finding)
        if room < 0:
            break
        kept.append(finding)
    return kept


def within_limits(conclusion: Conclusion) -> Conclusion:
    """Return the conclusion with as many of its caveats, the weightiest first, as a status has room for."""
    caveats = list(conclusion.caveats)
    while caveats and size(conclusion.model_copy(update={"caveats": caveats})) > CONCLUSION_BYTES:
        caveats.pop()
    return conclusion.model_copy(update={"caveats": caveats})


def size(model: Model) -> int:
    """Return how many bytes a model takes as JSON."""
    return len(model.model_dump_json(by_alias=True, exclude_none=True).encode())
