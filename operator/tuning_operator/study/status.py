"""The study's status: counts, the best trials, the clock and the conditions."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import fmean, stdev

from tuning_operator.api.base import Condition
from tuning_operator.api.hyperparameters import Role
from tuning_operator.api.study_status import (
    TOP_TRIALS,
    ParameterAssignment,
    PreviousEvidence,
    StudyDuration,
    TrialCounts,
    TrialSummary,
    TuningStudyStatus,
)
from tuning_operator.api.trial import ResultSource, TrialPurpose, TrialState
from tuning_operator.study import budget, lint, starting
from tuning_operator.study.answers import answers
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
MAX_PARAMETER_BYTES = 32_768
"""For names and values of all summaries together: a status stays below 64 KiB."""


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
    top = best_trials(snapshot, trials, over)
    done = sum(budget.counts(trial.spec, trial.status) for trial in trials)
    before = study.status.completion_time
    return TuningStudyStatus(
        observed_generation=study.generation,
        state=_state(snapshot, findings),
        progress=f"{done}/{study.spec.budget.max_trials}",
        trials=counts,
        best=top[0] if top else None,
        top=top,
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


def _evidence(snapshot: Snapshot, findings: Findings) -> list[PreviousEvidence]:
    if findings.refusal is not None or findings.outcome is not None:
        return snapshot.study.status.evidence
    return list(previous_evidence(snapshot).summary)


def counted(trials: Iterable[TrialView]) -> TrialCounts:
    """Count the trials by state."""
    states: Counter[TrialState] = Counter()
    purposes: Counter[TrialPurpose] = Counter()
    retries = stopped_early = 0
    for trial in trials:
        states[trial.status.state] += 1
        purposes[trial.spec.purpose] += 1
        retries += trial.status.infrastructure_retries
        stopped_early += trial.status.state is TrialState.STOPPED and trial.status.stop is not None
    return TrialCounts(
        total=states.total(),
        pending=states[TrialState.PENDING],
        running=states[TrialState.RUNNING],
        suspended=states[TrialState.SUSPENDED],
        paused=states[TrialState.PAUSED],
        succeeded=states[TrialState.SUCCEEDED],
        infeasible=states[TrialState.INFEASIBLE],
        failed=states[TrialState.FAILED],
        stopped=states[TrialState.STOPPED],
        stopped_early=stopped_early,
        infrastructure_retries=retries,
        retrains=purposes[TrialPurpose.RETRAIN],
        probes=purposes[TrialPurpose.INSTABILITY_PROBE] + purposes[TrialPurpose.HIDDEN_INSTABILITY_PROBE],
    )


def best_trials(snapshot: Snapshot, trials: Iterable[TrialView], over: bool) -> list[TrialSummary]:
    """Return the ten best points, best first, the earlier of equals before the later.

    Args:
        snapshot: the world.
        trials: as they stand after this decision.
        over: whether the study is over, so that no replicates come any more.
    """
    spec = snapshot.study.spec
    sign = spec.objective.direction.sign
    searched = {h.name for h in spec.hyperparameters if h.role is not Role.FIXED}
    replicates = spec.search.replicates
    points: defaultdict[tuple[int, int], list[TrialView]] = defaultdict(list)
    for trial in trials:
        if trial.spec.purpose.is_search:
            points[trial.spec.arm, trial.spec.position // replicates].append(trial)
    scored = [
        (sign * fmean(values), of_point[0].spec.index, of_point)
        for of_point in points.values()
        if (values := _values(of_point)) and (over or len(of_point) == replicates)
    ]
    best = heapq.nsmallest(TOP_TRIALS, scored, key=lambda entry: entry[:2])
    return list(_within_limits([_summary(of_point, searched, replicates) for _, _, of_point in best]))


def _values(of_point: Sequence[TrialView]) -> list[float]:
    """Return the objectives of a point's trials; none while one is under way, or where one had no good end.

    The mean of those that a rule let through, or that did not diverge, would be the mean of the lucky ones.
    """
    states = {trial.status.state for trial in of_point}
    cut_short = any(trial.status.stop is not None for trial in of_point)
    if TrialState.INFEASIBLE in states or cut_short or not all(state.is_finished for state in states):
        return []
    results = [trial.status.result for trial in of_point if trial.status.state is TrialState.SUCCEEDED]
    return [result.value for result in results if result is not None and result.value is not None]


def _within_limits(summaries: Sequence[TrialSummary]) -> Iterator[TrialSummary]:
    """Leave out the parameters of the last ones where all of them would make the status too large to write.

    The best trial, which stands in the status twice, always has its own.
    """
    room = MAX_PARAMETER_BYTES
    for place, summary in enumerate(summaries):
        size = sum(len(f"{a.name}{a.value}".encode()) for a in summary.parameters)
        room -= size if place else 2 * size
        yield summary if place == 0 or room >= 0 else summary.model_copy(update={"parameters": []})


def _summary(of_point: Sequence[TrialView], searched: set[str], replicates: int) -> TrialSummary:
    ordered = sorted(of_point, key=lambda trial: trial.spec.position)
    measured = [trial for trial in ordered if trial.status.state is TrialState.SUCCEEDED]
    results = [trial.status.result for trial in measured if trial.status.result is not None]
    values = _values(of_point)
    is_exact = all(result.source is ResultSource.RECORD for result in results)
    return TrialSummary(
        trial=ordered[0].name,
        value=fmean(values),
        replicates=len(values) if replicates > 1 else None,
        deviation=stdev(values) if replicates > 1 and len(values) > 1 else None,
        display=f"{fmean(values):.6g}",
        step=results[0].step if replicates == 1 else None,
        source=(ResultSource.RECORD if is_exact else ResultSource.PROMETHEUS).value,
        parameters=[
            ParameterAssignment(name=a.name, value=a.value) for a in ordered[0].spec.assignments if a.name in searched
        ],
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
