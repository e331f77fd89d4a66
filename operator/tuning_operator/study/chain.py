"""The study that follows this one, where the operator is to apply it itself (nextStudy.policy Run)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from tuning_operator.api.findings import AdoptionDecision, Conclusion, ConclusionState
from tuning_operator.api.procedure import NextStudyPolicy
from tuning_operator.api.study_status import NextStudyProposal
from tuning_operator.study.budget import Outcome, OutcomeKind
from tuning_operator.study.durations import parse_duration
from tuning_operator.study.snapshot import Snapshot, StudyView

LEAST_TIME: Final = timedelta(minutes=1)
"""A study with less time left is not worth its first trial."""
Manifest = dict[str, Any]


def proposal_of(snapshot: Snapshot, used: timedelta) -> NextStudyProposal | None:
    """Return the study that should follow, with the time that this one has left; None: none, or nobody wants it."""
    study, analysis = snapshot.study, snapshot.analysis
    proposal = analysis.said.next_study if analysis is not None and analysis.said is not None else None
    if proposal is None or study.spec.next_study.policy is NextStudyPolicy.OFF:
        return None
    left = time_left(study, used)
    if study.spec.next_study.policy is not NextStudyPolicy.RUN or left is None or proposal.manifest is None:
        return proposal
    return proposal.model_copy(update={"manifest": _with_time(proposal.manifest, left)})


def following(snapshot: Snapshot, outcome: Outcome, used: timedelta) -> Manifest | None:
    """Return the manifest of the study to create now; None: there is none to create."""
    proposal = proposal_of(snapshot, used)
    if proposal is None or snapshot.study.spec.next_study.policy is not NextStudyPolicy.RUN:
        return None
    if is_applied(snapshot, proposal) or why_not(snapshot, outcome, used) is not None:
        return None
    return proposal.manifest


def is_applied(snapshot: Snapshot, proposal: NextStudyProposal) -> bool:
    """Whether the operator has created the proposed study already."""
    before = snapshot.study.status.next_study
    return before is not None and before.applied and before.name == proposal.name


def why_not(snapshot: Snapshot, outcome: Outcome, used: timedelta) -> str | None:
    """Return why the operator does not apply the proposed study itself although the policy is Run; None: it does."""
    study, analysis = snapshot.study, snapshot.analysis
    if analysis is None or analysis.said is None:
        return None
    if snapshot.next_study_error is not None:
        return f"It could not be created: {snapshot.next_study_error}"[:512]
    if outcome.kind is OutcomeKind.FAILED and outcome.reason == "MaxFailedTrialsExceeded":
        return "Too many trials failed, and those of another study would, too: mend their cause first."
    if is_answered(analysis.said.conclusion):
        return "The question is answered: whether to go on is for you to say."
    if study.round >= study.spec.next_study.max_studies:
        return f"The chain has all of its {study.round} studies (spec.nextStudy.maxStudies)."
    left = time_left(study, used)
    if left is not None and left < LEAST_TIME:
        return "The chain's time is used up (spec.budget.maxDuration)."
    return None


def is_answered(conclusion: Conclusion) -> bool:
    """Whether nothing is left to be found out about the study's question."""
    return conclusion.state is ConclusionState.ALLOWED and conclusion.decision is not AdoptionDecision.NEED_RETRAINS


def time_left(study: StudyView, used: timedelta) -> timedelta | None:
    """Return what is left of maxDuration; None: there is no limit."""
    limit = study.spec.budget.max_duration
    return None if limit is None else max(parse_duration(limit) - used, timedelta(0))


def _with_time(manifest: Mapping[str, Any], left: timedelta) -> Manifest:
    spec = manifest["spec"]
    budget = {**spec["budget"], "maxDuration": f"{int(left.total_seconds())}s"}
    return {**manifest, "spec": {**spec, "budget": budget}}
