"""What a study's status says of the Playbook's checklist: findings, the conclusion, the next study and conditions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tuning_operator.api.base import Condition
from tuning_operator.api.findings import UNKNOWN, Code, Conclusion, ConclusionState, Finding, Severity
from tuning_operator.api.procedure import NextStudyPolicy
from tuning_operator.api.study_status import Analysed, NextStudyProposal, TuningStudyStatus
from tuning_operator.playbook.analysis import Analysis
from tuning_operator.playbook.conclusion.shown import shown, size, within_limits
from tuning_operator.study.concluding import ended_trials
from tuning_operator.study.conditions import condition, find
from tuning_operator.study.decision import Event
from tuning_operator.study.snapshot import AnalysisFailed, Snapshot, TrialView

CONCLUSION_READY: Final = "ConclusionReady"
QUESTION_ANSWERED: Final = "QuestionAnswered"
SPACE_ADEQUATE: Final = "SearchSpaceAdequate"
MANIFEST_BYTES: Final = 12_288
ABOUT_THE_SPACE: Final = (Code.SEARCH_SPACE_EDGE, Code.INFEASIBLE, Code.SAMPLING)


@dataclass(frozen=True)
class Answers:
    """The part of a status that an analysis decides."""

    analysed: Analysed | None
    findings: list[Finding]
    conclusion: Conclusion | None
    next_study: NextStudyProposal | None
    conditions: list[Condition]


def answers(snapshot: Snapshot, trials: Sequence[TrialView], over: bool, applied: bool) -> Answers:
    """Return what the newest analysis says; without a new one, what the status says already.

    Args:
        snapshot: the world, with the analysis where there is a new one.
        trials: as they stand after this decision.
        over: whether the study is over.
        applied: whether the next study is being created now.
    """
    before, analysis = snapshot.study.status, snapshot.analysis
    if isinstance(analysis, Analysis):
        rests_on = Analysed(trials=ended_trials(trials), generation=snapshot.study.generation)
        conclusion = within_limits(analysis.conclusion)
        proposal = _proposal(snapshot, analysis, applied) if over else None
        return Answers(
            rests_on,
            shown(analysis.findings),
            conclusion,
            proposal,
            list(_conditions(snapshot, analysis.findings, conclusion, over)),
        )
    kept = [c for kind in (SPACE_ADEQUATE, QUESTION_ANSWERED) if (c := find(before.conditions, kind)) is not None]
    ready = _ready(snapshot, before.conclusion, over)
    return Answers(before.analysed, before.findings, before.conclusion, before.next_study, [ready, *kept])


def conclusion_events(snapshot: Snapshot, after: TuningStudyStatus) -> Iterator[Event]:
    """Yield an event where the study has come to a conclusion, and where a study is proposed to follow."""
    before = snapshot.study.status
    ready, was = find(after.conditions, CONCLUSION_READY), find(before.conditions, CONCLUSION_READY)
    is_news = ready is not None and (was is None or (was.status, was.reason) != (ready.status, ready.reason))
    if ready is not None and is_news and ready.status.value == "True":
        yield Event(f"Conclusion{ready.reason}", ready.message)
    if ready is not None and is_news and ready.reason.startswith("Analysis"):
        yield Event(ready.reason, ready.message, warning=True)
    proposal = after.next_study
    if proposal is not None and (before.next_study is None or before.next_study.name != proposal.name):
        verb = "follows" if proposal.applied else "is proposed (kubectl tuning next prints it)"
        yield Event("NextStudyProposed", f"The study {proposal.name} {verb}: {' '.join(proposal.reasons)}"[:1024])


def _proposal(snapshot: Snapshot, analysis: Analysis, applied: bool) -> NextStudyProposal | None:
    proposal = analysis.next_study
    if proposal is None or snapshot.study.spec.next_study.policy is NextStudyPolicy.OFF:
        return None
    fits = size(proposal) <= MANIFEST_BYTES
    changes: dict[str, Any] = {"applied": applied, "note": _note(snapshot)}
    if not fits:
        changes["manifest"] = None
    return proposal.model_copy(update=changes)


def _note(snapshot: Snapshot) -> str | None:
    """Why the operator does not apply the study itself although it should (nextStudy.policy Run)."""
    policy = snapshot.study.spec.next_study
    if policy.policy is not NextStudyPolicy.RUN:
        return None
    if snapshot.next_study_error is not None:
        return f"The API server refused it: {snapshot.next_study_error}"[:512]
    if snapshot.study.round >= policy.max_studies:
        return f"The chain has reached spec.nextStudy.maxStudies ({policy.max_studies})."
    return None


def _conditions(
    snapshot: Snapshot, findings: Sequence[Finding], conclusion: Conclusion, over: bool
) -> Iterator[Condition]:
    def say(kind: str, answer: bool | None, reason: str, message: str) -> Condition:
        return condition(kind, answer, reason, message, snapshot.study.generation, snapshot.now)

    yield _ready(snapshot, conclusion, over)
    yield say(SPACE_ADEQUATE, *_space(findings))
    if not over:
        yield say(QUESTION_ANSWERED, None, "InProgress", "The study is not over.")
    elif conclusion.state is ConclusionState.PENDING:
        yield say(QUESTION_ANSWERED, None, conclusion.reason, conclusion.message)
    else:
        allowed = conclusion.state is ConclusionState.ALLOWED
        yield say(QUESTION_ANSWERED, allowed, conclusion.reason, conclusion.message)


def _ready(snapshot: Snapshot, conclusion: Conclusion | None, over: bool) -> Condition:
    study, failed = snapshot.study, snapshot.analysis
    if isinstance(failed, AnalysisFailed):
        answer = (False, failed.reason, failed.message)
    elif not over:
        so_far = "" if conclusion is None else f" So far: {conclusion.message}"
        answer = (False, "InProgress", f"The study is not over.{so_far}")
    elif conclusion is None:
        return find(study.status.conditions, CONCLUSION_READY) or condition(
            CONCLUSION_READY, False, "NotAnalysed", "The study was not analysed.", study.generation, snapshot.now
        )
    else:
        answer = (True, conclusion.state.value, conclusion.message)
    return condition(CONCLUSION_READY, *answer, study.generation, snapshot.now)


def _space(findings: Sequence[Finding]) -> tuple[bool | None, str, str]:
    """Whether the ranges hold the best trials well inside, and enough points were sampled."""
    about = [f for f in findings if f.code in ABOUT_THE_SPACE]
    wrong = [f for f in about if f.severity is Severity.BLOCK or f.verdict in ("Expand", "Sparse")]
    if wrong:
        return False, wrong[0].verdict, " ".join(f.message for f in wrong)
    unknown = [f for f in about if f.verdict == UNKNOWN]
    if unknown or not about:
        return None, "TooFewTrials", " ".join(f.message for f in unknown) or "Nothing was checked yet."
    return True, "Adequate", "The best trials lie well inside all ranges, and the good region is sampled."
