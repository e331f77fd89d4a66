"""What a study's status says of the Playbook's checklist: findings, the conclusion, the next study and conditions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tuning_operator.api.base import Condition, ConditionStatus
from tuning_operator.api.findings import OK, UNKNOWN, Code, Conclusion, ConclusionState, Finding, Severity
from tuning_operator.api.procedure import NextStudyPolicy
from tuning_operator.api.study_status import Analysed, NextStudyProposal, TuningStudyStatus
from tuning_operator.api.trial import TrialPurpose
from tuning_operator.playbook.conclusion.shown import shown, size, within_limits
from tuning_operator.study import chain
from tuning_operator.study.budget import Outcome
from tuning_operator.study.conditions import condition, find
from tuning_operator.study.decision import Event, NewTrial
from tuning_operator.study.snapshot import AnalysisFailed, Snapshot

CONCLUSION_READY: Final = "ConclusionReady"
QUESTION_ANSWERED: Final = "QuestionAnswered"
SPACE_ADEQUATE: Final = "SearchSpaceAdequate"
PROPOSAL_BYTES: Final = 12_288
ABOUT_THE_SPACE: Final = (Code.SEARCH_SPACE_EDGE, Code.INFEASIBLE, Code.SAMPLING)
INADEQUATE: Final = frozenset({"Expand", "Sparse", "AdjustRange", "Reparameterise", "AdjustSpace"})
"""Verdicts that ask for another search space, or for more points in this one."""
UNSTABLE: Final = (TrialPurpose.INSTABILITY_PROBE, TrialPurpose.HIDDEN_INSTABILITY_PROBE)
_CONCLUDED: Final = {
    ConclusionState.ALLOWED: "ConclusionReached",
    ConclusionState.BLOCKED: "ConclusionBlocked",
    ConclusionState.PENDING: "ConclusionPending",
}


@dataclass(frozen=True)
class Answers:
    """The part of a status that an analysis decides."""

    analysed: Analysed | None
    findings: list[Finding]
    conclusion: Conclusion | None
    next_study: NextStudyProposal | None
    conditions: list[Condition]


def answers(snapshot: Snapshot, outcome: Outcome | None, used: timedelta) -> Answers:
    """Return what the newest analysis says; without a new one, what the status says already.

    Args:
        snapshot: the world, with the analysis where there is a new one.
        outcome: how the study is over; None while it is not.
        used: of its time.
    """
    before, analysis = snapshot.study.status, snapshot.analysis
    if analysis is None:
        known = [_known(snapshot, kind) for kind in (CONCLUSION_READY, QUESTION_ANSWERED, SPACE_ADEQUATE)]
        return Answers(before.analysed, before.findings, before.conclusion, before.next_study, known)
    rests_on = Analysed(trials=analysis.trials, generation=analysis.generation)
    if isinstance(analysis.result, AnalysisFailed):
        return Answers(rests_on, [], None, None, list(_without_answer(snapshot, analysis.result)))
    conclusion = within_limits(analysis.result.conclusion)
    return Answers(
        rests_on,
        shown(analysis.result.findings),
        conclusion,
        None if outcome is None else _proposal(snapshot, outcome, used),
        list(_conditions(snapshot, analysis.result.findings, conclusion, outcome is not None)),
    )


def answer_events(snapshot: Snapshot, after: TuningStudyStatus, follow_ups: Sequence[NewTrial]) -> Iterator[Event]:
    """Yield an event for each step to the answer: follow-ups that start, a conclusion, a study that follows."""
    before = snapshot.study.status
    yield from _starts(snapshot, follow_ups)
    ready, was = find(after.conditions, CONCLUSION_READY), find(before.conditions, CONCLUSION_READY)
    news = ready is not None and (was is None or (was.status, was.reason) != (ready.status, ready.reason))
    if ready is not None and news and ready.status is ConditionStatus.TRUE:
        state = ConclusionState(ready.reason)
        yield Event(_CONCLUDED[state], ready.message, warning=state is ConclusionState.BLOCKED)
    if ready is not None and news and ready.status is ConditionStatus.FALSE:
        yield Event(ready.reason, ready.message, warning=True)
    yield from _of_next(before.next_study, after.next_study)


def _starts(snapshot: Snapshot, follow_ups: Sequence[NewTrial]) -> Iterator[Event]:
    known = {trial.spec.purpose for trial in snapshot.trials.values()}
    retrains = {new.spec.of for new in follow_ups if new.spec.purpose is TrialPurpose.RETRAIN}
    if retrains and TrialPurpose.RETRAIN not in known:
        yield Event("RetrainsStarted", f"Trained again, with other seeds: {', '.join(sorted(map(str, retrains)))}.")
    new_purposes = {new.spec.purpose for new in follow_ups} - known
    if TrialPurpose.BATCH_SIZE_PROBE in new_purposes:
        yield Event("ProbesStarted", "The throughput is measured at the sizes of spec.training.batchSizes.")
    probes = [new for new in follow_ups if new.spec.purpose in UNSTABLE]
    if probes and not any(purpose in known for purpose in UNSTABLE):
        of = ", ".join(sorted({str(new.spec.of) for new in probes}))
        yield Event("ProbesStarted", f"Whether training is unstable at higher learning rates is probed: {of}.")


def _of_next(before: NextStudyProposal | None, after: NextStudyProposal | None) -> Iterator[Event]:
    if after is None or (before is not None and (before.name, before.applied) == (after.name, after.applied)):
        return
    why = " ".join(after.reasons)
    if after.applied:
        yield Event("NextStudyCreated", f"The study {after.name} follows: {why}"[:1024])
    else:
        note = after.note or "`kubectl tuning next` prints it."
        yield Event("NextStudyProposed", f"The study {after.name} should follow. {note} {why}"[:1024])


def _proposal(snapshot: Snapshot, outcome: Outcome, used: timedelta) -> NextStudyProposal | None:
    proposal = chain.proposal_of(snapshot, used)
    if proposal is None:
        return None
    runs = snapshot.study.spec.next_study.policy is NextStudyPolicy.RUN
    note = chain.why_not(snapshot, outcome, used) if runs else None
    applied = chain.is_applied(snapshot, proposal) or (runs and note is None)
    return bounded(proposal.model_copy(update={"applied": applied, "note": None if applied else note}))


def bounded(proposal: NextStudyProposal) -> NextStudyProposal:
    """Return a proposal that a status has room for: without its manifest, and with fewer reasons, where it must be."""
    if size(proposal) > PROPOSAL_BYTES:
        proposal = proposal.model_copy(update={"manifest": None})
    while size(proposal) > PROPOSAL_BYTES:
        proposal = proposal.model_copy(update={"reasons": proposal.reasons[:-1]})
    return proposal


def _known(snapshot: Snapshot, kind: str) -> Condition:
    found = find(snapshot.study.status.conditions, kind)
    return found or _say(snapshot, kind, None, "NotAnalysed", "The study was not analysed yet.")


def _conditions(
    snapshot: Snapshot, findings: Sequence[Finding], conclusion: Conclusion, over: bool
) -> Iterator[Condition]:
    so_far = f"The study is not over. So far: {conclusion.message}"
    if over:
        yield _say(snapshot, CONCLUSION_READY, True, conclusion.state.value, conclusion.message)
    else:
        yield _say(snapshot, CONCLUSION_READY, None, "InProgress", so_far)
    if not over:
        yield _say(snapshot, QUESTION_ANSWERED, None, "InProgress", "The study is not over.")
    elif conclusion.state is ConclusionState.BLOCKED:
        yield _say(snapshot, QUESTION_ANSWERED, False, conclusion.reason, conclusion.message)
    elif chain.is_answered(conclusion):
        yield _say(snapshot, QUESTION_ANSWERED, True, conclusion.reason, conclusion.message)
    else:
        reason = conclusion.reason if conclusion.state is ConclusionState.PENDING else conclusion.decision.value
        yield _say(snapshot, QUESTION_ANSWERED, None, reason, conclusion.message)
    yield _say(snapshot, SPACE_ADEQUATE, *_space(findings))


def _without_answer(snapshot: Snapshot, failed: AnalysisFailed) -> Iterator[Condition]:
    yield _say(snapshot, CONCLUSION_READY, False, failed.reason, failed.message)
    for kind in (QUESTION_ANSWERED, SPACE_ADEQUATE):
        yield _say(snapshot, kind, None, failed.reason, "The study could not be analysed: see ConclusionReady.")


def _say(snapshot: Snapshot, kind: str, answer: bool | None, reason: str, message: str) -> Condition:
    return condition(kind, answer, reason, message, snapshot.study.generation, snapshot.now)


def _space(findings: Sequence[Finding]) -> tuple[bool | None, str, str]:
    """Whether the ranges hold the best trials well inside, and enough points were sampled there."""
    about = [f for f in findings if f.code in ABOUT_THE_SPACE]
    wrong = [f for f in about if f.severity is Severity.BLOCK or f.verdict in INADEQUATE]
    if wrong:
        return False, wrong[0].verdict, " ".join(f.message for f in wrong)
    unknown = [f for f in about if f.verdict == UNKNOWN]
    if unknown or not about:
        return None, "TooFewTrials", " ".join(f.message for f in unknown) or "Nothing was checked yet."
    noted = [f.message for f in about if f.verdict != OK]
    return True, "Adequate", " ".join(["The search space is adequate.", *noted])
