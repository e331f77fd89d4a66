"""What a study's status, its conditions and its events say of the Playbook's checklist."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.findings import finding
from tests.support.views import NOTHING_SAID, a_snapshot, a_study, analysed
from tuning_operator.api.findings import AdoptionDecision, Code, Conclusion, ConclusionState, Finding, Severity
from tuning_operator.api.study_status import NextStudyProposal, TuningStudyStatus
from tuning_operator.study.answers import PROPOSAL_BYTES, Answers, answer_events, answers, bounded
from tuning_operator.study.budget import Outcome, OutcomeKind
from tuning_operator.study.snapshot import AnalysisFailed, Snapshot

OVER = Outcome(OutcomeKind.SUCCEEDED, "MaxTrialsReached", "The budget is used.")
EXPAND = finding(Code.SEARCH_SPACE_EDGE, "Expand")
OK = finding(Code.OVERFITTING, "Ok", Severity.INFO)
UNKNOWN = finding(Code.SAMPLING, "Unknown", Severity.INFO)
PROPOSAL = NextStudyProposal(
    name="digits-r2", goal="Is it so?", reasons=["Widened."], manifest={"spec": {"budget": {}}}
)


def a_conclusion(state: str = "Blocked", decision: str = "None", reason: str = "Expand") -> Conclusion:
    return Conclusion(
        state=ConclusionState(state), decision=AdoptionDecision(decision), reason=reason, message="In a sentence."
    )


def seen(
    *findings: Finding,
    conclusion: Conclusion | None = None,
    policy: str = "Propose",
    status: TuningStudyStatus | None = None,
    **fields: Any,
) -> Snapshot:
    said = replace(
        NOTHING_SAID,
        findings=findings,
        conclusion=conclusion or a_conclusion(),
        next_study=fields.pop("next", PROPOSAL),
    )
    study = a_study(status=status, nextStudy={"policy": policy})
    return a_snapshot(study, analysis=fields.pop("analysis", analysed(8, said)), **fields)


def told(found: Answers) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status.value, c.reason) for c in found.conditions}


def after(found: Answers) -> TuningStudyStatus:
    return TuningStudyStatus(
        analysed=found.analysed,
        findings=found.findings,
        conclusion=found.conclusion,
        next_study=found.next_study,
        conditions=found.conditions,
    )


def reasons(snapshot: Snapshot, status: TuningStudyStatus) -> list[str]:
    return [event.reason for event in answer_events(snapshot, status, ())]


@pytest.mark.parametrize(
    ("conclusion", "ready", "answered"),
    [
        (a_conclusion(), ("True", "Blocked"), ("False", "Expand")),
        (a_conclusion("Pending", reason="TooFewTrials"), ("True", "Pending"), ("Unknown", "TooFewTrials")),
        (a_conclusion("Allowed", reason="Winner"), ("True", "Allowed"), ("True", "Winner")),
        (a_conclusion("Allowed", "Adopt", "Winner"), ("True", "Allowed"), ("True", "Winner")),
        (a_conclusion("Allowed", "NeedRetrains", "Winner"), ("True", "Allowed"), ("Unknown", "NeedRetrains")),
    ],
)
def test_people_can_wait_for_a_conclusion_and_for_an_answer(
    conclusion: Conclusion, ready: tuple[str, str], answered: tuple[str, str]
) -> None:
    over = told(answers(seen(conclusion=conclusion), OVER, timedelta(0)))
    assert (over["ConclusionReady"], over["QuestionAnswered"]) == (ready, answered)
    running = told(answers(seen(conclusion=conclusion), None, timedelta(0)))
    assert running["ConclusionReady"] == running["QuestionAnswered"] == ("Unknown", "InProgress")


@pytest.mark.parametrize(
    ("findings", "adequate"),
    [
        ((EXPAND,), ("False", "Expand")),
        ((finding(Code.SAMPLING, "Sparse", Severity.WARN), OK), ("False", "Sparse")),
        ((finding(Code.INFEASIBLE, "AdjustRange", Severity.WARN),), ("False", "AdjustRange")),
        ((UNKNOWN, finding(Code.SEARCH_SPACE_EDGE, "Ok", Severity.INFO)), ("Unknown", "TooFewTrials")),
        ((OK,), ("Unknown", "TooFewTrials")),
        ((finding(Code.SEARCH_SPACE_EDGE, "NaturalLimit", Severity.INFO),), ("True", "Adequate")),
        ((finding(Code.SAMPLING, "Ok", Severity.INFO), finding(Code.INFEASIBLE, "Ok")), ("False", "Ok")),
    ],
)
def test_whether_the_search_space_is_adequate(findings: tuple[Finding, ...], adequate: tuple[str, str]) -> None:
    assert told(answers(seen(*findings), OVER, timedelta(0)))["SearchSpaceAdequate"] == adequate


def test_the_status_has_what_a_person_must_see_and_the_study_that_follows_once_it_is_over() -> None:
    found = answers(seen(OK, EXPAND, UNKNOWN), OVER, timedelta(0))
    assert found.findings == [EXPAND]
    assert found.conclusion == a_conclusion()
    assert found.next_study == PROPOSAL
    running = answers(seen(OK, EXPAND), None, timedelta(0))
    assert running.findings == [EXPAND]
    assert running.next_study is None


def test_without_a_new_analysis_all_stays_as_it_was() -> None:
    first = after(answers(seen(EXPAND), OVER, timedelta(0)))
    again = answers(seen(EXPAND, status=first, analysis=None), OVER, timedelta(0))
    assert after(again) == first
    nothing = told(answers(seen(analysis=None), None, timedelta(0)))
    assert set(nothing.values()) == {("Unknown", "NotAnalysed")}


def test_where_the_analysis_fails_nothing_is_said_but_that() -> None:
    before = after(answers(seen(EXPAND), None, timedelta(0)))
    failed = analysed(8, AnalysisFailed("AnalysisTimedOut", "The analysis took longer than 60 s."))
    snapshot = seen(status=before, analysis=failed)
    found = answers(snapshot, OVER, timedelta(0))
    assert (found.findings, found.conclusion, found.next_study) == ([], None, None)
    assert told(found) == {
        "ConclusionReady": ("False", "AnalysisTimedOut"),
        "QuestionAnswered": ("Unknown", "AnalysisTimedOut"),
        "SearchSpaceAdequate": ("Unknown", "AnalysisTimedOut"),
    }
    assert reasons(snapshot, after(found)) == ["AnalysisTimedOut"]


def test_each_step_is_told_once() -> None:
    running = after(answers(seen(EXPAND), None, timedelta(0)))
    assert reasons(seen(EXPAND), running) == []
    snapshot = seen(EXPAND, status=running)
    over = after(answers(snapshot, OVER, timedelta(0)))
    assert reasons(snapshot, over) == ["ConclusionBlocked", "NextStudyProposed"]
    assert reasons(seen(EXPAND, status=over), over) == []
    won = seen(conclusion=a_conclusion("Allowed", reason="Winner"), next=None)
    assert reasons(won, after(answers(won, OVER, timedelta(0)))) == ["ConclusionReached"]


def test_a_study_that_the_operator_applies_is_told_as_created() -> None:
    snapshot = seen(EXPAND, policy="Run")
    over = after(answers(snapshot, OVER, timedelta(0)))
    assert over.next_study is not None
    assert (over.next_study.applied, over.next_study.note) == (True, None)
    assert reasons(snapshot, over) == ["ConclusionBlocked", "NextStudyCreated"]
    # It stays applied, whatever is found out later.
    later = answers(seen(EXPAND, policy="Run", status=over), OVER, timedelta(0)).next_study
    assert later is not None
    assert later.applied


def test_and_where_it_could_not_be_created_the_status_says_why() -> None:
    found = answers(seen(EXPAND, policy="Run", next_study_error="no rights"), OVER, timedelta(0)).next_study
    assert found is not None
    assert not found.applied
    assert "no rights" in (found.note or "")


def test_a_proposal_that_is_too_large_leaves_out_its_manifest_and_then_reasons() -> None:
    large = PROPOSAL.model_copy(update={"manifest": {"spec": "x" * PROPOSAL_BYTES}})
    assert bounded(large).manifest is None
    assert bounded(large).reasons == PROPOSAL.reasons
    wordy = PROPOSAL.model_copy(update={"reasons": ["x" * 512] * 32})
    assert 10 < len(bounded(wordy).reasons) < 32
