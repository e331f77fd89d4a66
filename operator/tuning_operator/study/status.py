"""The study's status: counts, the best trials, the clock and the conditions."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tuning_operator.api.base import Condition
from tuning_operator.api.study import (
    TOP_TRIALS,
    Direction,
    ParameterAssignment,
    Role,
    StudyDuration,
    TrialCounts,
    TrialSummary,
    TuningStudyStatus,
)
from tuning_operator.api.trial import TrialState
from tuning_operator.study import starting
from tuning_operator.study.budget import Outcome, OutcomeKind
from tuning_operator.study.conditions import condition, find, merged
from tuning_operator.study.metrics import metrics_available
from tuning_operator.study.snapshot import Snapshot, TrialView

ACCEPTED = "Accepted"
PROGRESSING = "Progressing"
SUSPENDED = "Suspended"
SUCCEEDED = "Succeeded"
FAILED = "Failed"
MAX_PARAMETER_BYTES = 32_768
"""For names and values of all summaries together: a status stays below 64 KiB."""


@dataclass(frozen=True)
class Findings:
    """What the decision found out about the study as a whole."""

    refusal: tuple[str, str] | None = None
    """Reason and message where the study cannot run."""
    outcome: Outcome | None = None
    obstacle: starting.Obstacle | None = None
    out_of_time: bool = False
    """Nothing more is started; the study is over when its last trials are."""
    clock: StudyDuration = field(default_factory=StudyDuration)
    start_time: datetime | None = None


def study_status(snapshot: Snapshot, trials: Sequence[TrialView], findings: Findings) -> TuningStudyStatus:
    """Return the status as it should be; `trials` as they stand after this decision."""
    study = snapshot.study
    counts = counted(trials)
    top = best_trials(snapshot, trials)
    over = findings.outcome is not None
    done = counts.succeeded + counts.infeasible
    before = study.status.completion_time
    return TuningStudyStatus(
        observed_generation=study.generation,
        state=_state(snapshot, findings),
        progress=f"{done}/{study.spec.budget.max_trials}",
        trials=counts,
        best=top[0] if top else None,
        top=top,
        start_time=findings.start_time,
        completion_time=(before or snapshot.now.replace(microsecond=0)) if over else None,
        duration=findings.clock,
        template_hash=study.status.template_hash or (study.template_hash if findings.refusal is None else None),
        conditions=merged(study.status.conditions, _conditions(snapshot, findings)),
    )


def counted(trials: Iterable[TrialView]) -> TrialCounts:
    """Count the trials by state."""
    states: Counter[TrialState] = Counter()
    retries = 0
    for trial in trials:
        states[trial.status.state] += 1
        retries += trial.status.infrastructure_retries
    return TrialCounts(
        total=states.total(),
        pending=states[TrialState.PENDING],
        running=states[TrialState.RUNNING],
        suspended=states[TrialState.SUSPENDED],
        succeeded=states[TrialState.SUCCEEDED],
        infeasible=states[TrialState.INFEASIBLE],
        failed=states[TrialState.FAILED],
        stopped=states[TrialState.STOPPED],
        infrastructure_retries=retries,
    )


def best_trials(snapshot: Snapshot, trials: Iterable[TrialView]) -> list[TrialSummary]:
    """Return the ten best trials, best first, the earlier of equals before the later."""
    objective = snapshot.study.spec.objective
    sign = 1.0 if objective.direction is Direction.MINIMIZE else -1.0
    scored = [
        (sign * trial.status.result.value, trial.spec.index, trial)
        for trial in trials
        if trial.status.state is TrialState.SUCCEEDED
        and trial.status.result is not None
        and trial.status.result.value is not None
    ]
    searched = {h.name for h in snapshot.study.spec.hyperparameters if h.role is not Role.FIXED}
    best = heapq.nsmallest(TOP_TRIALS, scored, key=lambda entry: entry[:2])
    return list(_within_limits([_summary(trial, searched) for _, _, trial in best]))


def _within_limits(summaries: Sequence[TrialSummary]) -> Iterator[TrialSummary]:
    """Leave out the parameters of the last ones where all of them would make the status too large to write.

    The best trial, which stands in the status twice, always has its own.
    """
    room = MAX_PARAMETER_BYTES
    for place, summary in enumerate(summaries):
        size = sum(len(f"{a.name}{a.value}".encode()) for a in summary.parameters)
        room -= size if place else 2 * size
        yield summary if place == 0 or room >= 0 else summary.model_copy(update={"parameters": []})


def _summary(trial: TrialView, searched: set[str]) -> TrialSummary:
    result = trial.status.result
    if result is None or result.value is None:
        raise ValueError(f"{trial.name} has no value")
    parameters = [ParameterAssignment(name=a.name, value=a.value) for a in trial.spec.assignments if a.name in searched]
    return TrialSummary(
        trial=trial.name,
        value=result.value,
        display=result.display,
        step=result.step,
        source=result.source.value,
        parameters=parameters,
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
        accepted = say(ACCEPTED, True, "Valid", "The search space, the budget and the trial's template are valid.")
    return [
        accepted,
        _progressing(snapshot, findings),
        say(SUSPENDED, study.spec.suspend, *_suspension(study.spec.suspend)),
        _trials_starting(snapshot, findings),
        metrics_available(snapshot),
        _over(snapshot, SUCCEEDED, OutcomeKind.SUCCEEDED, outcome),
        _over(snapshot, FAILED, OutcomeKind.FAILED, outcome),
    ]


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
