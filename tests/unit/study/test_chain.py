"""Of a chain of studies the operator creates the next one while there is something to find out, and room for it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.views import NOTHING_SAID, a_snapshot, a_study, analysed
from tuning_operator.api.findings import AdoptionDecision, Conclusion, ConclusionState
from tuning_operator.api.study_status import NextStudyProposal, TuningStudyStatus
from tuning_operator.study.budget import Outcome, OutcomeKind
from tuning_operator.study.chain import following, is_answered, proposal_of, why_not
from tuning_operator.study.snapshot import AnalysisFailed, Snapshot

OVER = Outcome(OutcomeKind.SUCCEEDED, "MaxTrialsReached", "The budget is used.")
CRASHED = Outcome(OutcomeKind.FAILED, "MaxFailedTrialsExceeded", "4 trials failed.")
INFEASIBLE = Outcome(OutcomeKind.FAILED, "NoFeasibleTrial", "No trial has a value.")
NONE_USED = timedelta(0)
MANIFEST = {"metadata": {"name": "digits-r2"}, "spec": {"budget": {"maxTrials": 8, "maxDuration": "2h"}}}
PROPOSAL = NextStudyProposal(name="digits-r2", goal="Is it so?", reasons=["It was not."], manifest=MANIFEST)


def concluded(
    state: ConclusionState = ConclusionState.BLOCKED,
    decision: AdoptionDecision = AdoptionDecision.NONE,
    policy: str = "Run",
    proposal: NextStudyProposal | None = PROPOSAL,
    status: TuningStudyStatus | None = None,
    round_: int = 1,
    **fields: Any,
) -> Snapshot:
    conclusion = Conclusion(state=state, decision=decision, reason="Expand")
    analysis = analysed(8, replace(NOTHING_SAID, conclusion=conclusion, next_study=proposal))
    budget = fields.pop("budget", {})
    study = a_study(status=status, view={"round": round_}, nextStudy={"policy": policy, "maxStudies": 3}, budget=budget)
    return a_snapshot(study, analysis=analysis, **fields)


@pytest.mark.parametrize(
    ("state", "decision", "goes_on"),
    [
        (ConclusionState.BLOCKED, AdoptionDecision.NONE, True),
        (ConclusionState.PENDING, AdoptionDecision.NONE, True),
        (ConclusionState.ALLOWED, AdoptionDecision.NEED_RETRAINS, True),
        (ConclusionState.ALLOWED, AdoptionDecision.ADOPT, False),
        (ConclusionState.ALLOWED, AdoptionDecision.NONE, False),
    ],
)
def test_a_chain_goes_on_until_its_question_is_answered(
    state: ConclusionState, decision: AdoptionDecision, goes_on: bool
) -> None:
    snapshot = concluded(state, decision)
    assert (following(snapshot, OVER, NONE_USED) is not None) is goes_on
    assert is_answered(Conclusion(state=state, decision=decision, reason="R")) is not goes_on
    assert (why_not(snapshot, OVER, NONE_USED) is None) is goes_on


@pytest.mark.parametrize("policy", ["Propose", "Off"])
def test_without_the_policy_nothing_is_created(policy: str) -> None:
    snapshot = concluded(policy=policy)
    assert following(snapshot, OVER, NONE_USED) is None
    assert (proposal_of(snapshot, NONE_USED) is None) is (policy == "Off")


def test_without_a_proposal_nothing_is_created() -> None:
    assert following(concluded(proposal=None), OVER, NONE_USED) is None
    failed = a_snapshot(a_study(nextStudy={"policy": "Run"}), analysis=analysed(8, AnalysisFailed("R", "m")))
    assert following(failed, OVER, NONE_USED) is None
    assert why_not(failed, OVER, NONE_USED) is None


@pytest.mark.parametrize(("round_", "goes_on"), [(1, True), (2, True), (3, False), (4, False)])
def test_a_chain_has_no_more_studies_than_it_may(round_: int, goes_on: bool) -> None:
    snapshot = concluded(round_=round_)
    assert (following(snapshot, OVER, NONE_USED) is not None) is goes_on
    assert goes_on or "maxStudies" in (why_not(snapshot, OVER, NONE_USED) or "")


@pytest.mark.parametrize(("minutes", "left"), [(0, "7200s"), (119, "60s"), (120, None), (500, None)])
def test_the_next_study_has_the_time_that_is_left(minutes: int, left: str | None) -> None:
    snapshot = concluded(budget={"maxDuration": "2h"})
    made = following(snapshot, OVER, timedelta(minutes=minutes))
    assert (made and made["spec"]["budget"]) == (left and {"maxTrials": 8, "maxDuration": left})
    assert MANIFEST["spec"] == {"budget": {"maxTrials": 8, "maxDuration": "2h"}}
    assert left or "time" in (why_not(snapshot, OVER, timedelta(minutes=minutes)) or "")


def test_a_study_that_a_person_applies_has_all_of_its_time() -> None:
    snapshot = concluded(policy="Propose", budget={"maxDuration": "2h"})
    assert proposal_of(snapshot, timedelta(hours=1)) == PROPOSAL


def test_what_crashes_is_not_tried_again_and_what_diverges_is_in_another_range() -> None:
    assert following(concluded(), CRASHED, NONE_USED) is None
    assert "mend" in (why_not(concluded(), CRASHED, NONE_USED) or "")
    assert following(concluded(), INFEASIBLE, NONE_USED) is not None


def test_it_is_created_once() -> None:
    applied = TuningStudyStatus(next_study=PROPOSAL.model_copy(update={"applied": True}))
    assert following(concluded(status=applied), OVER, NONE_USED) is None
    proposed = TuningStudyStatus(next_study=PROPOSAL)
    assert following(concluded(status=proposed), OVER, NONE_USED) is not None


def test_what_the_api_server_refuses_is_not_asked_for_again_and_the_study_says_why() -> None:
    snapshot = concluded(next_study_error="a study digits-r2 exists already, and does not follow this one")
    assert following(snapshot, OVER, NONE_USED) is None
    assert "exists already" in (why_not(snapshot, OVER, NONE_USED) or "")
