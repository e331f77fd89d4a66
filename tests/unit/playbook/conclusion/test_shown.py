"""What of the checklist stands in the status."""

from tests.support.findings import finding
from tuning_operator.api.findings import OK, UNKNOWN, Code, Conclusion, ConclusionState, Severity
from tuning_operator.playbook.conclusion.shown import CONCLUSION_BYTES, FINDINGS_BYTES, shown, size, within_limits


def test_what_passed_or_could_not_be_checked_is_left_to_the_report() -> None:
    found = [
        finding(Code.SAMPLING, OK, Severity.INFO),
        finding(Code.CLIPPING, UNKNOWN, Severity.INFO),
        finding(Code.ROLE, "CanFix", Severity.INFO),
        finding(Code.SEARCH_SPACE_EDGE, "Expand"),
    ]
    assert [f.verdict for f in shown(found)] == ["Expand", "CanFix"]


def test_however_much_is_found_the_status_keeps_its_size_and_the_most_important() -> None:
    minor = [finding(Code.ROLE, "CanFix", Severity.INFO, message="é" * 1024) for _ in range(50)]
    kept = shown([*minor, finding(Code.SEARCH_SPACE_EDGE, "Expand")])
    assert kept[0].verdict == "Expand"
    assert sum(map(size, kept)) <= FINDINGS_BYTES
    assert len(kept) > 3


def test_a_conclusion_loses_its_least_caveats_first() -> None:
    caveats = [f"{i} " + "x" * 500 for i in range(32)]
    kept = within_limits(Conclusion(state=ConclusionState.ALLOWED, reason="Tie", caveats=caveats))
    assert size(kept) <= CONCLUSION_BYTES
    assert kept.caveats == caveats[: len(kept.caveats)]
    assert len(kept.caveats) > 5
