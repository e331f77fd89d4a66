"""The study that should follow, complete and ready to apply (K01 step 4, INC-6)."""

import re
from collections.abc import Sequence
from typing import Final

from tuning_operator.api.base import API_VERSION
from tuning_operator.api.findings import Code, Conclusion, ConclusionState, Finding
from tuning_operator.api.names import ANNOTATION_FOLLOWS, ANNOTATION_REASONS, ANNOTATION_ROUND
from tuning_operator.api.study import Goal, TuningStudySpec
from tuning_operator.api.study_status import NextStudyProposal
from tuning_operator.playbook.conclusion.gate import blocking
from tuning_operator.playbook.proposal.change import Change, Edit, of, updated
from tuning_operator.playbook.proposal.edits import effort, length, ranges, regularizers, stability
from tuning_operator.playbook.proposal.edits.confirm import confirming
from tuning_operator.playbook.proposal.edits.exploit import exploiting, study_question
from tuning_operator.playbook.records import StudyRecord

MAX_NAME: Final = 253
MAX_PREVIOUS: Final = 16
MAX_REASONS: Final = 32
MAX_REASON: Final = 512
MAX_SEED: Final = 2**31 - 1

EDITS: Final[tuple[Edit, ...]] = (
    ranges.widened,
    ranges.cut,
    ranges.boxed,
    stability.warmed_up,
    stability.clipped,
    regularizers.regularised,
    effort.with_baseline,
    effort.tuned_everywhere,
    effort.same_ranges,
    effort.balanced,
    effort.denser,
    length.of_another_length,
)
"""What findings change, in an order in which each sees what the ones before it have changed."""


def propose(study: StudyRecord, findings: Sequence[Finding], conclusion: Conclusion) -> NextStudyProposal | None:
    """Return the study that follows from what was found; None where nothing is to be done.

    A bug asks for a repair, and no study would tell anything before that (INF-4). A question that is answered by a
    tie, and tuning that has nothing left to gain (EXP-6), end the chain.
    """
    if _is_broken(findings) or of(findings, Code.EXPLOITATION, "Saturated"):
        return None
    if conclusion.state is ConclusionState.ALLOWED:
        return _after_the_answer(study, findings, conclusion)
    change = Change(study.spec)
    for edit in EDITS:
        change = edit(study, findings, change)
    return _proposal(study, change, study_question(study)) if change.reasons else None


def next_name(name: str) -> str:
    """Return the name of the study after this one: a number at its end grows.

    >>> next_name("digits"), next_name("digits-r2")
    ('digits-r2', 'digits-r3')
    """
    stem, number = name, 1
    if found := re.fullmatch(r"(.+)-r(\d{1,6})", name):
        stem, number = found[1], int(found[2])
    suffix = f"-r{number + 1}"
    return stem[: MAX_NAME - len(suffix)].rstrip("-.") + suffix


def _is_broken(findings: Sequence[Finding]) -> bool:
    blocked = blocking(findings)
    return any(
        f.code is Code.PIPELINE_BUG or (f.code is Code.INFEASIBLE and f.verdict == "PossibleBug") for f in blocked
    )


def _after_the_answer(
    study: StudyRecord, findings: Sequence[Finding], conclusion: Conclusion
) -> NextStudyProposal | None:
    """Retrain where adoption asks for it; else exploit, once, where exploration is done."""
    confirmed = confirming(study, findings, conclusion, Change(study.spec))
    if confirmed.reasons:
        return _proposal(study, confirmed, f"Should it be adopted? {study_question(study)}")
    if conclusion.winner is None or not of(findings, Code.EXPLOITATION, "Ready"):
        return None
    change = exploiting(study, conclusion.winner, Change(study.spec))
    goal = change.spec.goal
    return _proposal(study, change, goal.question if goal is not None else study_question(study))


def _proposal(study: StudyRecord, change: Change, question: str) -> NextStudyProposal:
    spec = _linked(study, change.spec, question)
    reasons = [reason[:MAX_REASON] for reason in change.reasons if reason][:MAX_REASONS]
    name = next_name(study.name)
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "TuningStudy",
        "metadata": {
            "name": name,
            "annotations": {
                ANNOTATION_FOLLOWS: study.name,
                ANNOTATION_REASONS: "\n".join(reasons),
                ANNOTATION_ROUND: str(study.round + 1),
            },
        },
        "spec": spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True),
    }
    return NextStudyProposal(name=name, goal=question[:MAX_REASON], reasons=reasons, manifest=manifest)


def _linked(study: StudyRecord, spec: TuningStudySpec, question: str) -> TuningStudySpec:
    """Name this study as evidence, ask the question, and draw other points than this study had."""
    before = [*(study.spec.previous_studies or []), study.name][-MAX_PREVIOUS:]
    kind = {"kind": spec.goal.kind} if spec.goal is not None else {}
    search = updated(spec.search, seed=(spec.search.seed + 1) % MAX_SEED)
    return updated(
        spec,
        previous_studies=before,
        search=search,
        goal=Goal(question=question[:MAX_REASON], **kind),
        suspend=None,
    )
