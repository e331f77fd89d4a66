"""The study's status: counts, the best trials, the clock and the conditions."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tuning_operator.api.base import Condition
from tuning_operator.api.study_status import (
    PreviousEvidence,
    StudyDuration,
    TrialCounts,
    TuningStudyStatus,
)
from tuning_operator.api.trial import TrialPurpose, TrialState
from tuning_operator.study import budget, lint, starting
from tuning_operator.study.answers import answers
from tuning_operator.study.best import best_trials, complete_points, pareto_front, violates
from tuning_operator.study.bounded import bounded
from tuning_operator.study.budget import Outcome, OutcomeKind
from tuning_operator.study.conditions import condition, find, merged
from tuning_operator.study.evidence import previous_evidence
from tuning_operator.study.metrics import metrics_available
from tuning_operator.study.snapshot import Snapshot, TrialView

ACCEPTED = "Accepted"
PROGRESSING = "Progressing"
SUSPENDED = "Suspended"
SUCCEEDED = "Succeeded"
FAILED = "Failed"


@dataclass(frozen=True)
class Findings:
    """What the decision found out about the study as a whole."""

    refusal: tuple[str, str] | None = None
    """Reason and message where the study cannot run."""
    outcome: Outcome | None = None
    obstacle: starting.Obstacle | None = None
    search: Outcome | None = None
    """How the search is over: retrains and probes may still run, and the conclusion be drawn."""
    used: timedelta = timedelta(0)
    """Of the study's time."""
    out_of_time: bool = False
    """Nothing more is started; the study is over when its last trials are."""
    clock: StudyDuration = field(default_factory=StudyDuration)
    start_time: datetime | None = None


def study_status(snapshot: Snapshot, trials: Sequence[TrialView], findings: Findings) -> TuningStudyStatus:
    """Return the status as it should be; `trials` as they stand after this decision."""
    study = snapshot.study
    counts = counted(trials)
    over = findings.outcome is not None
    said = answers(snapshot, findings.outcome, findings.used)
    points = complete_points(snapshot.study.spec, trials, over)
    top = best_trials(snapshot.study.spec, points)
    done = sum(budget.counts(trial.spec, trial.status) for trial in trials)
    before = study.status.completion_time
    status = TuningStudyStatus(
        observed_generation=study.generation,
        state=_state(snapshot, findings),
        progress=f"{done}/{study.spec.budget.max_trials}",
        trials=counts,
        best=top[0] if top else None,
        top=top,
        pareto_front=pareto_front(snapshot.study.spec, points),
        evidence=_evidence(snapshot, findings),
        start_time=findings.start_time,
        completion_time=(before or snapshot.now.replace(microsecond=0)) if over else None,
        duration=findings.clock,
        template_hash=study.status.template_hash or (study.template_hash if findings.refusal is None else None),
        analysed=said.analysed,
        findings=said.findings,
        conclusion=said.conclusion,
        next_study=said.next_study,
        conditions=merged(study.status.conditions, [*_conditions(snapshot, findings), *said.conditions]),
    )
    # Without findings it is small enough as it is, and a running study is looked at often.
    return bounded(status) if said.analysed is not None else status


def _evidence(snapshot: Snapshot, findings: Findings) -> list[PreviousEvidence]:
    if findings.refusal is not None or findings.outcome is not None:
        return snapshot.study.status.evidence
    return list(previous_evidence(snapshot).summary)


def counted(trials: Iterable[TrialView]) -> TrialCounts:
    """Count the trials by state."""
    states: Counter[TrialState] = Counter()
    purposes: Counter[TrialPurpose] = Counter()
    retries = stopped_early = violating = 0
    for trial in trials:
        states[trial.status.state] += 1
        purposes[trial.spec.purpose] += 1
        retries += trial.status.infrastructure_retries
        violating += trial.status.state is TrialState.SUCCEEDED and violates(trial)
        stopped_early += trial.status.state is TrialState.STOPPED and trial.status.stop is not None
    return TrialCounts(
        total=states.total(),
        pending=states[TrialState.PENDING],
        running=states[TrialState.RUNNING],
        suspended=states[TrialState.SUSPENDED],
        paused=states[TrialState.PAUSED],
        succeeded=states[TrialState.SUCCEEDED],
        infeasible=states[TrialState.INFEASIBLE],
        violating=violating,
        failed=states[TrialState.FAILED],
        stopped=states[TrialState.STOPPED],
        stopped_early=stopped_early,
        infrastructure_retries=retries,
        retrains=purposes[TrialPurpose.RETRAIN],
        probes=sum(number for purpose, number in purposes.items() if purpose.is_probe),
    )


def _state(snapshot: Snapshot, findings: Findings) -> str:
    if findings.refusal is not None:
        return "Rejected"
    if findings.outcome is not None:
        return "Succeeded" if findings.outcome.kind is OutcomeKind.SUCCEEDED else "Failed"
    if snapshot.study.spec.suspend:
        return "Suspended"
    if findings.obstacle is not None and findings.obstacle.blocks:
        return "Blocked"
    return "Running"


def _conditions(snapshot: Snapshot, findings: Findings) -> list[Condition]:
    study, now = snapshot.study, snapshot.now

    def say(kind: str, answer: bool | None, reason: str, message: str) -> Condition:
        return condition(kind, answer, reason, message, study.generation, now)

    refusal, outcome = findings.refusal, findings.outcome
    if refusal is not None:
        accepted = say(ACCEPTED, False, *refusal)
    else:
        accepted = say(ACCEPTED, True, "Valid", _validity(snapshot))
    return [
        accepted,
        _progressing(snapshot, findings),
        say(SUSPENDED, study.spec.suspend, *_suspension(study.spec.suspend)),
        _trials_starting(snapshot, findings),
        metrics_available(snapshot),
        _over(snapshot, SUCCEEDED, OutcomeKind.SUCCEEDED, outcome),
        _over(snapshot, FAILED, OutcomeKind.FAILED, outcome),
    ]


def _validity(snapshot: Snapshot) -> str:
    """Return what is told of a valid study; the Playbook's lint is asked once, and again after a change."""
    study = snapshot.study
    before = find(study.status.conditions, ACCEPTED)
    if before is not None and before.reason == "Valid" and before.observed_generation == study.generation:
        return before.message
    valid = "The search space, the budget and the trial's template are valid."
    return valid + lint.caution(study.name, study.spec)


def _suspension(suspended: bool) -> tuple[str, str]:
    if suspended:
        return "SuspendRequested", "spec.suspend is true: no trial runs."
    return "NotSuspended", "spec.suspend is false."


def _progressing(snapshot: Snapshot, findings: Findings) -> Condition:
    study = snapshot.study

    def say(answer: bool, reason: str, message: str) -> Condition:
        return condition(PROGRESSING, answer, reason, message, study.generation, snapshot.now)

    if findings.refusal is not None:
        return say(False, "NotAccepted", "The study cannot run: see the condition Accepted.")
    if findings.outcome is not None:
        return say(False, findings.outcome.reason, findings.outcome.message)
    if study.spec.suspend:
        return say(False, "Suspended", "spec.suspend is true: no trial runs.")
    if findings.out_of_time:
        return say(False, "MaxDurationReached", "The study's time is over: the trials that run are being stopped.")
    if findings.obstacle is not None and findings.obstacle.blocks:
        return say(False, findings.obstacle.reason, "No trial is started: see the condition TrialsStarting.")
    if findings.search is not None:
        return say(True, "Concluding", f"{findings.search.message} The conclusion is being drawn.")
    return say(True, "TrialsRunning", "Trials are being run.")


def _trials_starting(snapshot: Snapshot, findings: Findings) -> Condition:
    study, obstacle = snapshot.study, findings.obstacle
    before = find(study.status.conditions, starting.CONDITION)
    if obstacle is None:
        known = bool(snapshot.trials)
        fresh = condition(
            starting.CONDITION,
            True if known else None,
            "PodsStart" if known else "NotYetKnown",
            "Nothing keeps trial pods from starting." if known else "No trial was started yet.",
            study.generation,
            snapshot.now,
        )
    else:
        answer = False if obstacle.blocks else None
        fresh = condition(starting.CONDITION, answer, obstacle.reason, obstacle.message, study.generation, snapshot.now)
    if before is not None and (before.status, before.reason) == (fresh.status, fresh.reason):
        # The kubelet words the same obstacle anew at each retry; a status write for each would help nobody.
        return before.model_copy(update={"observed_generation": study.generation})
    return fresh


def _over(snapshot: Snapshot, kind: str, wanted: OutcomeKind, outcome: Outcome | None) -> Condition:
    generation, now = snapshot.study.generation, snapshot.now
    if outcome is None:
        return condition(kind, None, "InProgress", "The study is not over.", generation, now)
    return condition(kind, outcome.kind is wanted, outcome.reason, outcome.message, generation, now)
