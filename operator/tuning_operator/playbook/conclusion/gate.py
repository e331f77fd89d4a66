"""The gate before a conclusion: nothing is concluded from a study that could not have found it (K01)."""

from collections.abc import Sequence
from typing import Final

from tuning_operator.api.findings import UNKNOWN, Code, ConclusionState, Finding, Severity
from tuning_operator.api.search import Algorithm
from tuning_operator.playbook.arms import Arm, arm_key, arms
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.thresholds import Origin, Threshold

FEW: Final = Threshold(
    "feasibleTrials", 5, Origin.DEFAULT, "An arm with fewer feasible trials is too small for any conclusion"
)
SHORT_CURVE: Final = 8
"""Evaluations below which a curve says nothing about overfitting (K05)."""

WHATEVER_ELSE: Final = (Code.SPECIFICATION, Code.PIPELINE_BUG, Code.INFEASIBLE)
"""What blocks however few trials there are: more of the same would not help ..."""
BY_DESIGN: Final = ("NotTuned", "NoBaseline")
"""... and so do these verdicts about a fair comparison."""

ORDER: Final = (
    Code.SPECIFICATION,
    Code.PIPELINE_BUG,
    Code.INSTABILITY,
    Code.INFEASIBLE,
    Code.SEARCH_SPACE_EDGE,
    Code.OVERFITTING,
    Code.STEP_VARIANCE,
    Code.SAMPLING,
    Code.FAIR_COMPARISON,
    Code.STEP_BUDGET,
    Code.END_OF_TRAINING,
    Code.ADOPTION,
    Code.WARMUP,
    Code.CLIPPING,
    Code.ROLE,
    Code.BATCH_SIZE,
    Code.MAX_TRAIN_STEPS,
    Code.SCHEDULE_CARRY_OVER,
    Code.EXPLOITATION,
)
"""The order of presentation: what spoils most comes first."""
_SEVERITIES: Final = (Severity.BLOCK, Severity.WARN, Severity.INFO)


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, the most important first: by severity, then by what they are about."""
    return sorted(findings, key=lambda f: (_SEVERITIES.index(f.severity), ORDER.index(f.code)))


def blocking(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that forbid a conclusion, the most important first."""
    return [f for f in in_order(findings) if f.severity is Severity.BLOCK]


def lacking(study: StudyRecord, findings: Sequence[Finding]) -> list[str]:
    """Return, in a sentence each, of what there is too little for a conclusion; empty: of nothing.

    A List has no search space that could be judged: its points were chosen by hand.
    """
    if study.spec.search.algorithm is Algorithm.LIST:
        return []
    few = too_few(study)
    if few:
        return few
    unsampled = [f.message for f in findings if f.verdict == UNKNOWN and f.code in _NEED_TRIALS]
    censored = [f.message for f in findings if f.code is Code.FAIR_COMPARISON and f.verdict == "Censored"]
    return unsampled + censored + _short_curves(study, findings)


def too_few(study: StudyRecord) -> list[str]:
    """Return the arms with fewer than five feasible trials, in a sentence each."""
    least = int(study.thresholds[FEW])
    return [
        f"{described(arm)} {_trials(len(arm.feasible))}; at least {least} are needed"
        for arm in arms(study)
        if len(arm.feasible) < least
    ]


def state_of(study: StudyRecord, findings: Sequence[Finding]) -> ConclusionState:
    """Return whether the checklist lets the study be concluded.

    A finding that more trials would not cure blocks at once; then too few trials make it pending; then any other
    finding blocks; then a check that could not be made for lack of data makes it pending.
    """
    blocked = blocking(findings)
    if any(f.code in WHATEVER_ELSE or f.verdict in BY_DESIGN for f in blocked):
        return ConclusionState.BLOCKED
    if study.spec.search.algorithm is not Algorithm.LIST and too_few(study):
        return ConclusionState.PENDING
    if blocked:
        return ConclusionState.BLOCKED
    return ConclusionState.PENDING if lacking(study, findings) else ConclusionState.ALLOWED


def described(arm: Arm) -> str:
    """Return the arm as the subject of a sentence: `The arm optimizer=adamw has`."""
    values = ", ".join(f"{name}={value}" for name, value in arm.scientific.items())
    return f"The arm {values} has" if values else "The study has"


def _trials(count: int) -> str:
    return "no feasible trial" if count == 0 else f"{count} feasible trial{'s' if count > 1 else ''}"


_NEED_TRIALS: Final = (Code.SAMPLING, Code.FAIR_COMPARISON)


def _short_curves(study: StudyRecord, findings: Sequence[Finding]) -> list[str]:
    """Return what was asked of curves that exist, and are too short to answer; a study without curves is a caveat."""
    short = {
        arm_key(arm.scientific) for arm in arms(study) if arm.best is not None and 1 < len(arm.best.curve) < SHORT_CURVE
    }
    unanswered = [f for f in findings if f.verdict == UNKNOWN and f.code in (Code.OVERFITTING, Code.STEP_VARIANCE)]
    return [f.message for f in unanswered if arm_key(f.scientific) in short or (short and not f.scientific)]
