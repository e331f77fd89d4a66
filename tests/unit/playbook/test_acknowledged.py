"""What a study acknowledges no longer restricts its conclusion, and is said with it."""

from typing import Any

import pytest

from tests.support.specifications import a_list, found
from tests.support.studies import spec_of, study_of
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.acknowledged import acknowledged, caveats
from tuning_operator.playbook.records import StudyRecord

REASON = "sizes are compared on purpose"
SIZES = a_list("batch_size", "32", "64", valueType="Integer")


def a_study(*acknowledge: dict[str, Any]) -> StudyRecord:
    return study_of(spec_of(acknowledge=list(acknowledge) or None))


def findings() -> list[Finding]:
    """A Block, a Warn and an Info."""
    return found(SIZES, without=["momentum"], budget={"maxTrials": 40})


def severities(study: StudyRecord) -> dict[str, Severity]:
    return {f.verdict: f.severity for f in acknowledged(study, findings())}


def test_the_finding_that_is_named_is_lowered_with_its_reason_and_no_other() -> None:
    study = a_study({"code": "Specification", "verdict": "BatchSizeSearched", "reason": REASON})
    after = acknowledged(study, findings())
    (it,) = (f for f in after if f.verdict == "BatchSizeSearched")
    assert it.severity is Severity.INFO
    assert it.message.endswith(f" (acknowledged: {REASON})")
    others = [f for f in findings() if f.verdict != "BatchSizeSearched"]
    assert [f for f in after if f is not it] == others
    assert {f.severity for f in others} == {Severity.WARN, Severity.INFO}


def test_a_code_without_a_verdict_is_all_of_it_and_a_verdict_s_own_reason_comes_first() -> None:
    study = a_study(
        {"code": "Specification", "reason": "a demonstration"},
        {"code": "Specification", "verdict": "BatchSizeSearched", "reason": REASON},
    )
    assert set(severities(study).values()) == {Severity.INFO}
    assert caveats(study, findings()) == [
        f"Specification BatchSizeSearched of batch_size was acknowledged: {REASON}",
        "Specification SeveralScientific was acknowledged: a demonstration",
    ]


@pytest.mark.parametrize(
    "acknowledgement",
    [
        {"code": "Specification", "verdict": "MissingGoal"},
        {"code": "Overfitting"},
        {"code": "Specification", "verdict": "UnattendedOptimizer"},
    ],
)
def test_an_acknowledgement_of_what_is_not_there_or_restricts_nothing_gives_nothing(acknowledgement: Any) -> None:
    study = a_study({**acknowledgement, "reason": REASON})
    assert acknowledged(study, findings()) == findings()
    assert caveats(study, findings()) == []


def test_without_acknowledgements_nothing_changes() -> None:
    assert acknowledged(a_study(), findings()) == findings()
    assert caveats(a_study(), findings()) == []


def test_the_longest_message_keeps_the_reason_and_a_caveat_fits_the_conclusion() -> None:
    study = a_study({"code": "Specification", "reason": "r" * 512})
    long = Finding(
        code=Code.SPECIFICATION,
        verdict="MissingGoal",
        severity=Severity.BLOCK,
        rule="GOL-1",
        message="m" * 1024,
        scientific={"optimizer": "adam"},
    )
    (it,) = acknowledged(study, [long])
    assert len(it.message) == 1024
    assert it.message.endswith(f"(acknowledged: {'r' * 512})")
    (caveat,) = caveats(study, [long, long])
    assert len(caveat) == 512
    assert "with optimizer adam" in caveat
