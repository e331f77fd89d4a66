"""`-o json`: the whole checklist, the conclusion and the next study, for programs."""

import json
from collections.abc import Mapping
from typing import Any

from tuning_contract.numbers import encode_number
from tuning_operator.playbook.analysis import Analysis


def json_form(analysis: Analysis) -> dict[str, Any]:
    """Return what `-o json` prints: every field is there, null where it says nothing; numbers stay numbers."""
    proposal = analysis.next_study
    return {
        "findings": [_plain(f.model_dump(mode="json", by_alias=True)) for f in analysis.findings],
        "conclusion": _plain(analysis.conclusion.model_dump(mode="json", by_alias=True)),
        "nextStudy": None if proposal is None else _plain(proposal.manifest),
        "nextStudyReasons": [] if proposal is None else list(proposal.reasons),
    }


def json_text(analysis: Analysis) -> str:
    """Return `json_form` as text that every JSON reader takes."""
    return json.dumps(json_form(analysis), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """Return the value with numbers that are not finite by their names."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return encode_number(value) if isinstance(value, float) else value
