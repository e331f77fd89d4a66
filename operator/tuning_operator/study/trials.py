"""One trial: what its status should be and what is to be done for it, from its Job, its pods and its curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tuning_operator.api.base import Condition
from tuning_operator.api.trial import StopRecord, TrialProgress, TrialResult, TrialState, TuningTrialStatus
from tuning_operator.study import results
from tuning_operator.study.conditions import condition, cut, merged
from tuning_operator.study.decision import Event, JobDeletion, JobExpiry
from tuning_operator.study.endings import (
    OUT_OF_MEMORY,
    STRAGGLING,
    Ending,
    EndingKind,
    ending_of,
    is_straggling,
    record_of,
)
from tuning_operator.study.snapshot import JobView, PodView, Snapshot, TrialView

SUCCEEDED = "Succeeded"
POD_LOST = "PodLost"
"""The reason of a trial whose attempt has lost its pod, while its Job has not yet drawn its conclusion."""
AWAITING_METRICS = "AwaitingMetrics"
RESULT_TTL = timedelta(hours=1)
FAILURE_TTL = timedelta(days=1)
MAX_RESULTS_LOST = 1
"""A trial whose result could not be read runs again this often."""
FIRST_BACKOFF = timedelta(seconds=1)
LONGEST_BACKOFF = timedelta(minutes=5)
NO_JOB: dict[str, Any] = {"job": None, "pack_size": None, "progress": None}
RESUMED: dict[str, Any] = {"state": TrialState.PENDING, "reason": "Resumed", "message": "The study goes on."}


@dataclass(frozen=True)
class Halt:
    """Why a trial must end now."""

    state: TrialState
    """Suspended, Paused or Stopped."""
    reason: str
    message: str
    stop: StopRecord | None = None
    """The stopping rule's decision, where it is one."""


@dataclass(frozen=True)
class TrialStep:
    """What one look at a trial came to."""

    status: TuningTrialStatus
    start: bool = False
    """The Job of `status.attempt` does not exist and may be created."""
    deletion: JobDeletion | None = None
    expiry: JobExpiry | None = None
    asks: bool = False
    """The result depends on what Prometheus has of the trial's whole curve."""
    events: tuple[Event, ...] = ()
    look_again_after: timedelta | None = None


def is_settled(snapshot: Snapshot, trial: TrialView) -> bool:
    """Whether nothing is left to do for the trial, so that there is no need to look at it."""
    if not trial.status.state.is_finished:
        return False
    if trial.name not in snapshot.jobs:
        return True  # as most of a long study's
    jobs = snapshot.jobs_of(trial)
    # The last trial of a pack to come to its end releases the Job of all.
    return all(job.deleting or (job.has_ttl and job.finished) or snapshot.still_trains_others(job) for job in jobs)


def advance(snapshot: Snapshot, trial: TrialView, halt: Halt | None) -> TrialStep:
    """Return the trial's next status and what has to be done for it."""
    if trial.deleting:
        return TrialStep(trial.status)
    if trial.status.state.is_finished:
        return _tidy(snapshot, trial)
    job = snapshot.job_of(trial)
    if job is None:
        return _without_job(snapshot, trial, halt)
    if twin := _younger_twin(snapshot, trial):
        return TrialStep(trial.status, deletion=JobDeletion(twin, f"Job {job.name} trains {trial.name} already."))
    pods = snapshot.pods_of(job)
    ending = ending_of(snapshot.study, trial, job, pods, snapshot.now)
    if ending is None:
        return _in_progress(snapshot, trial, job, pods, halt)
    return _ended(snapshot, trial, job, ending, halt)


def _tidy(snapshot: Snapshot, trial: TrialView) -> TrialStep:
    """A trial's end releases its Jobs, one a look: they may be cleaned up after a while.

    A Job that still runs is deleted: the operator was killed before it came to that, or saw the Job too late, or its
    pod has other containers that do not end. One whose container ended well completes by itself in a moment.
    """
    for job in snapshot.jobs_of(trial):
        if job.deleting or snapshot.still_trains_others(job):
            continue
        well = [pod for pod in snapshot.pods_of(job) if pod.exit_code == 0]
        if not job.finished and (not well or any(is_straggling(pod, snapshot.now) for pod in well)):
            return TrialStep(trial.status, deletion=JobDeletion(job, f"Trial {trial.name} has ended."))
        if not job.finished and any(not pod.over for pod in well):
            return TrialStep(trial.status, look_again_after=STRAGGLING)
        if not job.has_ttl:
            ttl = RESULT_TTL if trial.status.state.has_result else FAILURE_TTL
            return TrialStep(trial.status, expiry=JobExpiry(job, ttl))
    return TrialStep(trial.status)


def _without_job(snapshot: Snapshot, trial: TrialView, halt: Halt | None) -> TrialStep:
    status = trial.status
    if status.job is not None:
        ending = Ending(EndingKind.LOST, "JobDeleted", f"Job {status.job} was deleted")
        return _attempt_over(snapshot, trial, halt, ending)
    if halt is not None:
        return _halted(snapshot, trial, halt)
    if status.state.is_held:
        # First of all: from now on it takes a place, though it may have to wait.
        status = _with(snapshot, trial, **RESUMED)
    if _predecessor_lives(snapshot, trial):
        return TrialStep(status)
    if status.retry_after is not None and snapshot.now < status.retry_after:
        return TrialStep(status, look_again_after=status.retry_after - snapshot.now)
    return TrialStep(status, start=True)


def _younger_twin(snapshot: Snapshot, trial: TrialView) -> JobView | None:
    """Return a second Job of the same attempt: two operators, for the moment in which they overlap, may pack alike
    trials differently. Of an attempt alone there is none: its Job has but one name."""
    attempts = [job for job in snapshot.jobs_of(trial) if job.attempt == trial.status.attempt]
    return next((job for job in attempts[1:] if not job.deleting), None)


def _predecessor_lives(snapshot: Snapshot, trial: TrialView) -> bool:
    """Two pods must never share a GPU or a checkpoint: an earlier attempt has to be through first."""
    if snapshot.trials_with_living_pods.get(trial.name, trial.status.attempt) < trial.status.attempt:
        return True
    jobs = snapshot.jobs.get(trial.name, ())
    earlier = [job for job in jobs if job.attempt < trial.status.attempt or not job.is_of(trial)]
    return any(not job.finished or any(not pod.over for pod in snapshot.pods_of(job)) for job in earlier)


def _attempt_over(
    snapshot: Snapshot, trial: TrialView, halt: Halt | None, ending: Ending, job: JobView | None = None
) -> TrialStep:
    """The attempt ended without a verdict: because we stopped it, or because it was lost."""
    next_attempt: dict[str, Any] = {"attempt": trial.status.attempt + 1, **NO_JOB}
    if halt is not None:
        return _halted(snapshot, trial, halt, **next_attempt)
    if trial.status.state.is_held:
        return TrialStep(_with(snapshot, trial, **next_attempt, **RESUMED), look_again_after=timedelta(0))
    return _lost(snapshot, trial, ending, job)


def _halted(snapshot: Snapshot, trial: TrialView, halt: Halt, **changes: Any) -> TrialStep:
    state = trial.status.state
    if state is TrialState.PAUSED and halt.state is TrialState.SUSPENDED:
        # It is held already, and when the study goes on it still has to earn its promotion.
        return TrialStep(_with(snapshot, trial, **changes) if changes else trial.status)
    if state is halt.state and not changes:
        return TrialStep(trial.status)
    fields = {"state": halt.state, "reason": halt.reason, "message": halt.message, **changes}
    events: tuple[Event, ...] = ()
    if halt.state.is_finished:
        fields |= {"completion_time": snapshot.now, "progress": None, "stop": trial.status.stop or halt.stop}
    if fields.get("stop") is not None:
        events = (Event("TrialStopped", halt.message, trial=trial.name),)
    return TrialStep(_with(snapshot, trial, **fields), events=events)


def _in_progress(
    snapshot: Snapshot, trial: TrialView, job: JobView, pods: Sequence[PodView], halt: Halt | None
) -> TrialStep:
    ours = halt is not None or job.deleting
    status = _observed(snapshot, trial, job, pods, ours)
    if status.infrastructure_retries > snapshot.study.spec.budget.max_infrastructure_retries:
        return _retries_exceeded(snapshot, replace(trial, status=status), job)
    if halt is None:
        ended = any(pod.finished is not None and not pod.over for pod in pods)
        return TrialStep(status, look_again_after=STRAGGLING if ended else None)
    if halt.state.is_held and not status.state.is_held:
        # Written before the Job is deleted, so that its end is never taken for a loss.
        status = _with(snapshot, trial, status, state=halt.state, reason=halt.reason, message=halt.message)
    if halt.stop is not None and status.stop is None:
        # The same: other trials may come to look better or worse before the Job is gone, but this was decided.
        status = _with(snapshot, trial, status, stop=halt.stop, message=halt.message)
    if (so_far := _so_far(snapshot, trial, pods)) is not None:
        status = _with(snapshot, trial, status, result=so_far)
    deletion = None if job.deleting else JobDeletion(job, halt.message)
    return TrialStep(status, deletion=deletion)


def _so_far(snapshot: Snapshot, trial: TrialView, pods: Sequence[PodView]) -> TrialResult | None:
    """Return how far a halted trial has come: by its pod's record when that has ended, before by what was scraped.

    None: nothing is known that is newer than its status.
    """
    spec = snapshot.study.spec
    for pod in reversed(pods):
        record = record_of(snapshot.study, trial, pod) if pod.exit_code is not None else None
        if record is not None:
            return results.from_record(record, spec)
    before = trial.status.result
    samples = results.so_far(before, snapshot.metrics.curves.get(trial.name, ()))
    known = results.written_points(before)
    if not samples or (known and known[-1].step >= (samples[-1].step or 0)):
        return None
    return results.from_samples(samples, spec, snapshot.now)


def _observed(
    snapshot: Snapshot, trial: TrialView, job: JobView, pods: Sequence[PodView], ending: bool
) -> TuningTrialStatus:
    """Return the status of a trial whose Job is under way.

    Args:
        snapshot: the world.
        trial: the trial.
        job: its current Job.
        pods: the Job's pods.
        ending: whether the Job is being deleted, or will be now: then its pods end by that, and are not counted as
            lost; and a suspended trial stays suspended until the Job is gone, even where the study goes on already.
    """
    before = trial.status
    running = next((pod for pod in reversed(pods) if pod.running), None)
    lost = [] if ending else [pod.uid for pod in pods if pod.lost and pod.uid not in before.lost_pods]
    changes: dict[str, Any] = {"job": job.name, **_company(job), "retry_after": None}
    if lost:
        changes["lost_pods"] = [*before.lost_pods, *lost]
        changes["infrastructure_retries"] = before.infrastructure_retries + len(lost)
    if not before.state.is_held or not ending:
        if running is not None:
            changes |= {
                "state": TrialState.RUNNING,
                "reason": "PodRunning",
                "message": f"Pod {running.name} is training.",
            }
        elif before.state is TrialState.PENDING or before.state.is_held or lost:
            counted = _last_loss_is_counted(before) and all(pod.over for pod in pods)
            reason = POD_LOST if lost or counted else "PodStarting"
            said = "lost its pod" if reason == POD_LOST else "is starting its pod"
            changes |= {"state": TrialState.PENDING, "reason": reason, "message": f"Job {job.name} {said}."}
    if running is not None and before.start_time is None:
        changes["start_time"] = running.started
    progress = _progress(snapshot, trial)
    if progress is not None:
        changes["progress"] = progress
    return _with(snapshot, trial, **changes)


def _progress(snapshot: Snapshot, trial: TrialView) -> TrialProgress | None:
    sample = snapshot.metrics.latest.get(trial.name)
    if sample is None:
        return None
    before = trial.status.progress
    if before is not None and sample.time - before.time < snapshot.settings.progress_interval:
        return None
    return TrialProgress.model_validate({**results.measured(sample.value), "step": sample.step, "time": sample.time})


def _ended(snapshot: Snapshot, trial: TrialView, job: JobView, ending: Ending, halt: Halt | None) -> TrialStep:
    match ending.kind:
        case EndingKind.RESULT | EndingKind.INFEASIBLE:
            if job.size > 1 and (waits := _awaiting_curve(snapshot, trial, job)) is not None:
                return waits
            result = _recorded(snapshot, trial, ending)
            if ending.kind is EndingKind.RESULT and result is not None:
                return _with_result(snapshot, trial, job, ending, result)
            return _finished(snapshot, trial, job, TrialState.INFEASIBLE, ending, result)
        case EndingKind.FAILED:
            return _finished(snapshot, trial, job, TrialState.FAILED, ending, None)
        case EndingKind.LOST:
            return _attempt_over(snapshot, trial, halt, ending, job)
        case EndingKind.UNRECORDED:
            return _unrecorded(snapshot, trial, job, ending)
        case EndingKind.SPLIT:
            return _split(snapshot, trial, job, ending, halt)


def _awaiting_curve(snapshot: Snapshot, trial: TrialView, job: JobView) -> TrialStep | None:
    """Return what is done until Prometheus has told a packed trial's curve, of which the record has but a part.

    None: it has, or has been away for so long that nobody waits for it: the result is exact without it.
    """
    metrics = snapshot.metrics
    if trial.name in metrics.whole:
        return None
    if metrics.reachable:
        return TrialStep(trial.status, asks=True)
    if metrics.since is None or snapshot.now - metrics.since >= snapshot.settings.result_patience:
        return None
    message = "It has ended, and Prometheus, which has its curve, does not answer; it is asked again."
    status = _with(snapshot, trial, reason=AWAITING_METRICS, message=message, job=job.name)
    return TrialStep(status, look_again_after=snapshot.settings.scrape_interval)


def _recorded(snapshot: Snapshot, trial: TrialView, ending: Ending) -> TrialResult | None:
    if ending.record is None:
        return None
    result = results.from_record(ending.record, snapshot.study.spec)
    return results.with_scraped_curve(result, snapshot.metrics.whole.get(trial.name, ()), snapshot.study.spec)


def _split(snapshot: Snapshot, trial: TrialView, job: JobView, ending: Ending, halt: Halt | None) -> TrialStep:
    """Run the trial again, free of charge, with fewer beside it; alone where the pack did not end for its memory."""
    out_of_memory = ending.reason == OUT_OF_MEMORY
    most = job.size // 2 if out_of_memory else 1
    learned: dict[str, Any] = {"max_packed": most, **({"too_many": job.size} if out_of_memory else {})}
    if halt is not None:
        smaller = replace(trial, status=trial.status.model_copy(update=learned))
        return _attempt_over(snapshot, smaller, halt, ending, job)
    company = "alone" if most == 1 else f"in a pack of at most {most}"
    status = _with(
        snapshot,
        trial,
        state=TrialState.PENDING,
        reason="PackSplit",
        message=cut(f"{ending.message}; it runs again, {company}."),
        attempt=trial.status.attempt + 1,
        **learned,
        **NO_JOB,
    )
    event = Event("PackSplit", f"{ending.reason}: {ending.message}; it runs again, {company}", trial=trial.name)
    return TrialStep(status, events=(event,), look_again_after=timedelta(0))


def _company(job: JobView) -> dict[str, Any]:
    """Return what a trial's status says of those that share its process."""
    return {"pack_size": job.size, "packed_in": job.name} if job.size > 1 else {"pack_size": None, "packed_in": None}


def _with_result(snapshot: Snapshot, trial: TrialView, job: JobView, ending: Ending, result: TrialResult) -> TrialStep:
    """The trial has its objective: what else the study needs decides what that is worth."""
    spec = snapshot.study.spec
    missing = results.missing_measurements(spec, result)
    if missing:
        # Never a silent pass: nobody knows whether it keeps to its constraints.
        message = f"{ending.message}, but the study needs {', '.join(missing)} too, which the container did not report"
        verdict = replace(ending, reason="MetricMissing", message=message)
        return _finished(snapshot, trial, job, TrialState.FAILED, verdict, None)
    second = spec.second_objective
    if second is not None and not math.isfinite(result.measured(second.metric, spec.objective.at) or 0.0):
        message = f"{ending.message}, but the second objective {second.metric} is not finite"
        verdict = replace(ending, reason="NonFiniteObjective", message=message)
        return _finished(snapshot, trial, job, TrialState.INFEASIBLE, verdict, result)
    if result.violations:
        message = f"{ending.message}, but {'; '.join(results.violated(spec, result))}"
        ending = replace(ending, reason="ConstraintViolated", message=message)
    return _finished(snapshot, trial, job, TrialState.SUCCEEDED, ending, result)


def _finished(
    snapshot: Snapshot, trial: TrialView, job: JobView, state: TrialState, ending: Ending, result: TrialResult | None
) -> TrialStep:
    record = ending.record
    before = trial.status
    # Pods that the Job replaced while nobody looked; the one that ended the trial was not lost, whatever befell it.
    lost = [p.uid for p in snapshot.pods_of(job) if p.lost and p.uid not in (*before.lost_pods, ending.pod_uid)]
    status = _with(
        snapshot,
        trial,
        infrastructure_retries=before.infrastructure_retries + len(lost),
        lost_pods=[*before.lost_pods, *lost],
        state=state,
        reason=ending.reason,
        message=cut(ending.message),
        job=job.name,
        **_company(job),
        result=result,
        progress=None,
        # One that the rule was about to stop, and that was faster.
        stop=None,
        completion_time=ending.finished or snapshot.now,
        start_time=before.start_time or _started(snapshot, job),
        resumed_from=record.resumed_from if record is not None else None,
    )
    events: tuple[Event, ...] = ()
    if state is not TrialState.SUCCEEDED:
        events = (Event(f"Trial{state}", f"{ending.reason}: {ending.message}", state is TrialState.FAILED, trial.name),)
    return TrialStep(status, events=events)


def _lost(snapshot: Snapshot, trial: TrialView, ending: Ending, job: JobView | None = None) -> TrialStep:
    """Start the trial again, free of charge, from its checkpoint where it has one."""
    before = trial.status
    lost = [pod.uid for pod in snapshot.pods_of(job) if pod.lost] if job is not None else []
    if ending.pod_uid is not None and ending.pod_uid not in lost:
        lost.append(ending.pod_uid)
    fresh = [uid for uid in lost if uid not in before.lost_pods]
    # Without a pod to name, the loss of the attempt counts once: perhaps its pod was seen, and is gone by now.
    unnamed = 0 if _last_loss_is_counted(before) else 1
    retries = before.infrastructure_retries + (len(fresh) if lost else unnamed)
    counts = {"infrastructure_retries": retries, "lost_pods": [*before.lost_pods, *fresh]}
    counted = replace(trial, status=before.model_copy(update=counts))
    if retries > snapshot.study.spec.budget.max_infrastructure_retries:
        return _retries_exceeded(snapshot, counted, job)
    wait = min(FIRST_BACKOFF * 2 ** min(retries - 1, 16), LONGEST_BACKOFF)
    status = _with(
        snapshot,
        counted,
        state=TrialState.PENDING,
        reason=ending.reason,
        message=f"{ending.message}; it starts again.",
        attempt=before.attempt + 1,
        **NO_JOB,
        retry_after=snapshot.now + wait,
    )
    event = Event("TrialLost", f"{ending.message}; attempt {before.attempt + 1} follows", trial=trial.name)
    return TrialStep(status, events=(event,), look_again_after=wait)


def _last_loss_is_counted(status: TuningTrialStatus) -> bool:
    """Whether an earlier look saw this attempt's pod lost, and no other pod since."""
    return status.reason == POD_LOST and status.job is not None


def _retries_exceeded(snapshot: Snapshot, trial: TrialView, job: JobView | None) -> TrialStep:
    limit = snapshot.study.spec.budget.max_infrastructure_retries
    message = f"the trial was lost to infrastructure more than {limit} times (spec.budget.maxInfrastructureRetries)"
    status = _with(
        snapshot,
        trial,
        state=TrialState.FAILED,
        reason="InfrastructureRetriesExceeded",
        message=message,
        progress=None,
        completion_time=snapshot.now,
    )
    # A pack goes on without it.
    over = job is None or job.finished or job.deleting or job.size > 1
    deletion = JobDeletion(job, message) if job is not None and not over else None
    event = Event("TrialFailed", f"InfrastructureRetriesExceeded: {message}", True, trial.name)
    return TrialStep(status, deletion=deletion, events=(event,))


def _unrecorded(snapshot: Snapshot, trial: TrialView, job: JobView, ending: Ending) -> TrialStep:
    """The container ended well without a record: what Prometheus scraped last is its result."""
    ended = ending.finished or snapshot.now
    samples = snapshot.metrics.whole.get(trial.name)
    if samples is None:
        if snapshot.metrics.reachable:
            return TrialStep(trial.status, asks=True)
        # Since both are true: an operator that was away for long asks Prometheus for the first time now.
        both = [moment for moment in (ending.finished, snapshot.metrics.since) if moment is not None]
        waits_since = max(both, default=snapshot.now)
        if snapshot.now - waits_since < snapshot.settings.result_patience:
            status = _with(
                snapshot,
                trial,
                reason=AWAITING_METRICS,
                message="The container left no record, and Prometheus does not answer; it is asked again.",
                job=job.name,
            )
            return TrialStep(status, look_again_after=snapshot.settings.scrape_interval)
    if not any(sample.attempt == trial.status.attempt for sample in samples or ()):
        # What an earlier attempt had reached when it was lost is not where this one ended.
        return _result_lost(snapshot, trial, job, ending)
    result = results.from_samples(samples or (), snapshot.study.spec, ended)
    if result.value is None:
        verdict = replace(ending, reason="NonFiniteObjective", message=f"the objective was {result.non_finite}")
        return _finished(snapshot, trial, job, TrialState.INFEASIBLE, verdict, result)
    message = f"{result.value:.6g}, scraped {result.sample_age_seconds:.1f} s before the end"
    verdict = replace(ending, reason="Completed", message=message)
    return _with_result(snapshot, trial, job, verdict, result)


def _result_lost(snapshot: Snapshot, trial: TrialView, job: JobView, ending: Ending) -> TrialStep:
    message = f"{ending.message}, and Prometheus has no sample of {snapshot.study.series} for it"
    verdict = replace(ending, reason="ResultLost", message=message)
    lost = trial.status.results_lost + 1
    if lost > MAX_RESULTS_LOST:
        return _finished(snapshot, trial, job, TrialState.FAILED, verdict, None)
    status = _with(
        snapshot,
        trial,
        state=TrialState.PENDING,
        reason="ResultLost",
        message=f"{message}; it runs once more.",
        attempt=trial.status.attempt + 1,
        **NO_JOB,
        # In a pack its record may have had no room for it.
        max_packed=1 if job.size > 1 else trial.status.max_packed,
        results_lost=lost,
    )
    return TrialStep(status, start=True, events=(Event("ResultLost", message, True, trial.name),))


def _started(snapshot: Snapshot, job: JobView) -> datetime | None:
    return next((pod.started for pod in snapshot.pods_of(job) if pod.started is not None), None)


def _with(
    snapshot: Snapshot, trial: TrialView, base: TuningTrialStatus | None = None, **changes: Any
) -> TuningTrialStatus:
    """Return the trial's status with changes, its condition Succeeded in step with its state."""
    status = (base or trial.status).model_copy(update=changes)
    conditions = merged(trial.status.conditions, [_succeeded(snapshot, status)])
    return status.model_copy(update={"conditions": conditions})


def _succeeded(snapshot: Snapshot, status: TuningTrialStatus) -> Condition:
    answer = (status.state is TrialState.SUCCEEDED) if status.state.is_finished else None
    return condition(SUCCEEDED, answer, status.reason or "Pending", status.message or "", 1, snapshot.now)
