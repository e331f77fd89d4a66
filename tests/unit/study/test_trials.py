"""One trial's way from Pending to its end, look by look."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.views import (
    NOW,
    UID,
    a_job,
    a_pod,
    a_record,
    a_result,
    a_snapshot,
    a_study,
    a_trial,
    after,
    running,
    samples,
    seconds,
)
from tuning_contract.curve import MetricValues
from tuning_contract.pack_record import MemberResult, PackRecord
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_operator.api.trial import TrialState
from tuning_operator.study.results import written_points
from tuning_operator.study.snapshot import JobView, Member, MetricsView, PodView, TrialView
from tuning_operator.study.trials import FAILURE_TTL, RESULT_TTL, Halt, TrialStep, advance, is_settled

SUSPEND = Halt(TrialState.SUSPENDED, "StudySuspended", "spec.suspend is true.")
STOP = Halt(TrialState.STOPPED, "MaxDurationReached", "The budget is used.")
FRESH = a_trial()
JOB = a_job(FRESH)
FAILED_JOB = a_job(FRESH, failed=True)
COMPLETED = a_record(FRESH)


def step(
    trial: TrialView,
    jobs: tuple[JobView, ...] = (),
    pods: tuple[PodView, ...] = (),
    *,
    halt: Halt | None = None,
    budget: dict[str, Any] | None = None,
    **fields: Any,
) -> TrialStep:
    snapshot = a_snapshot(a_study(budget=budget or {}), [trial], jobs, pods, **fields)
    found = advance(snapshot, trial, halt)
    assert advance(snapshot, trial, halt) == found
    return found


def of(status: Any, *fields: str) -> tuple[Any, ...]:
    return tuple(getattr(status, name) for name in fields)


# --- starting --------------------------------------------------------------------------------------------------------


def test_a_fresh_trial_starts_and_needs_no_write_for_it() -> None:
    assert step(FRESH) == TrialStep(FRESH.status, start=True)


def test_a_trial_that_is_being_deleted_is_left_alone() -> None:
    leaving = replace(FRESH, deleting=True)
    assert step(leaving) == TrialStep(leaving.status)


def test_a_job_without_a_running_pod_is_pending_and_one_with_is_running() -> None:
    pending = step(FRESH, (JOB,), (a_pod(JOB),)).status
    assert of(pending, "state", "reason", "job") == (TrialState.PENDING, "PodStarting", JOB.name)
    trains = step(FRESH, (JOB,), (running(JOB),)).status
    assert of(trains, "state", "reason", "start_time") == (TrialState.RUNNING, "PodRunning", NOW)


def test_nothing_new_writes_nothing() -> None:
    trial = replace(FRESH, status=step(FRESH, (JOB,), (running(JOB),)).status)
    assert step(trial, (JOB,), (running(JOB),), now=after(500)).status == trial.status


# --- ending ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "pod", "state", "reason"),
    [
        (JOB, a_pod(JOB, exit_code=0, termination_message=COMPLETED), TrialState.SUCCEEDED, "Completed"),
        (FAILED_JOB, a_pod(JOB, exit_code=100), TrialState.INFEASIBLE, "NonFiniteObjective"),
        (FAILED_JOB, a_pod(JOB, exit_code=1), TrialState.FAILED, "Crashed"),
        (FAILED_JOB, a_pod(JOB, exit_code=78), TrialState.FAILED, "BadConfiguration"),
    ],
)
@pytest.mark.parametrize("halt", [None, SUSPEND, STOP])
def test_an_end_is_an_end_also_while_the_study_halts(
    job: JobView, pod: PodView, state: TrialState, reason: str, halt: Halt | None
) -> None:
    found = step(FRESH, (job,), (pod,), halt=halt)
    assert of(found.status, "state", "reason", "completion_time") == (state, reason, pod.finished)
    assert (found.start, found.deletion) == (False, None)
    assert len(found.status.conditions) == 1


def test_a_result_carries_value_step_and_the_step_that_it_resumed_from() -> None:
    message = a_record(FRESH, [0.9, 0.5, 0.6], resumed_from=10)
    status = step(FRESH, (JOB,), (a_pod(JOB, exit_code=0, termination_message=message),)).status
    assert status.result is not None
    assert of(status.result, "value", "step", "source") == (0.5, 20, "Record")
    assert status.resumed_from == 10


@pytest.mark.parametrize(
    ("state", "ttl"),
    [("Succeeded", RESULT_TTL), ("Infeasible", RESULT_TTL), ("Failed", FAILURE_TTL), ("Stopped", FAILURE_TTL)],
)
def test_an_end_releases_the_jobs_of_all_attempts_one_a_look(state: str, ttl: timedelta) -> None:
    trial = a_trial(state=state, attempt=1)
    first, last = a_job(trial, 0, failed=True), a_job(trial, 1, complete=True)
    assert step(trial, (first, last)) == TrialStep(trial.status, expiry=step(trial, (first,)).expiry)
    expiry = step(trial, (replace(first, has_ttl=True), last)).expiry
    assert expiry is not None
    assert (expiry.job, expiry.after) == (last, ttl)
    released = tuple(replace(job, has_ttl=True) for job in (first, last))
    assert step(trial, released) == TrialStep(trial.status)
    assert is_settled(a_snapshot(trials=[trial], jobs=released), trial)


@pytest.mark.parametrize("state", ["Stopped", "Failed", "Succeeded"])
def test_a_job_that_runs_on_beside_an_ended_trial_is_deleted(state: str) -> None:
    trial = a_trial(state=state)
    assert not is_settled(a_snapshot(trials=[trial], jobs=[JOB]), trial)
    for pods in [(), (a_pod(JOB),), (running(JOB),)]:
        assert (found := step(trial, (JOB,), pods)).deletion is not None
        assert found.status == trial.status
    assert step(trial, (replace(JOB, deleting=True),), (running(JOB),)) == TrialStep(trial.status)


def test_a_job_that_is_about_to_complete_is_not_deleted() -> None:
    found = step(a_trial(state="Succeeded"), (JOB,), (a_pod(JOB, exit_code=0),))
    assert found.deletion is None
    assert found.expiry is not None


def test_a_message_from_a_container_is_cut_to_what_the_api_takes() -> None:
    status = step(FRESH, (replace(FAILED_JOB, failure="x" * 9000),), (a_pod(JOB, phase="Failed"),)).status
    assert len(status.message or "") <= 2048


# --- lost to infrastructure ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jobs", "pods", "reason"),
    [
        ((FAILED_JOB,), (a_pod(JOB, exit_code=143, deleting=True),), "PodLost"),
        ((FAILED_JOB,), (), "PodLost"),
        ((FAILED_JOB,), (a_pod(JOB, gone=True),), "PodLost"),
        ((), (), "JobDeleted"),
    ],
)
def test_a_lost_trial_starts_again_free_of_charge(
    jobs: tuple[JobView, ...], pods: tuple[PodView, ...], reason: str
) -> None:
    trial = a_trial(state="Running", job=JOB.name, start_time=NOW)
    found = step(trial, jobs, pods)
    assert of(found.status, "state", "reason", "attempt", "job") == (TrialState.PENDING, reason, 1, None)
    assert of(found.status, "infrastructure_retries", "retry_after") == (1, after(101))
    assert found.look_again_after == seconds(1)
    assert [event.reason for event in found.events] == ["TrialLost"]


@pytest.mark.parametrize(("retries", "wait"), [(0, 1), (1, 2), (2, 4), (3, 8), (7, 128), (8, 256), (9, 300), (99, 300)])
def test_it_waits_longer_each_time(retries: int, wait: float) -> None:
    trial = a_trial(state="Running", infrastructure_retries=retries)
    found = step(trial, (FAILED_JOB,), (), budget={"maxInfrastructureRetries": 100})
    assert found.look_again_after == seconds(wait)


@pytest.mark.parametrize(("second", "start"), [(100, False), (130, True), (131, True)])
def test_it_does_not_start_before_its_wait_is_over(second: float, start: bool) -> None:
    trial = a_trial(attempt=1, retry_after=after(130))
    found = step(trial, now=after(second))
    assert found.start is start
    assert found.look_again_after == (None if start else seconds(30))


def test_the_limit_is_on_retries() -> None:
    last = step(a_trial(infrastructure_retries=4), (FAILED_JOB,), ()).status
    assert of(last, "state", "infrastructure_retries") == (TrialState.PENDING, 5)
    over = step(a_trial(infrastructure_retries=5), (FAILED_JOB,), ()).status
    assert of(over, "state", "reason") == (TrialState.FAILED, "InfrastructureRetriesExceeded")


def test_a_pod_that_its_job_replaces_counts_once_while_the_trial_goes_on() -> None:
    evicted = a_pod(JOB, exit_code=143, disrupted=True)
    trial = a_trial(state="Running", job=JOB.name)
    waits = step(trial, (JOB,), (evicted,)).status
    assert of(waits, "state", "infrastructure_retries", "attempt") == (TrialState.PENDING, 1, 0)
    assert waits.lost_pods == [evicted.uid]
    again = step(replace(trial, status=waits), (JOB,), (evicted, running(JOB, 1))).status
    assert of(again, "state", "infrastructure_retries") == (TrialState.RUNNING, 1)
    # the successor is deleted: that is the second loss, not the third
    lost = step(replace(trial, status=again), (FAILED_JOB,), (evicted, a_pod(JOB, 1, exit_code=143, deleting=True)))
    assert of(lost.status, "infrastructure_retries", "attempt") == (2, 1)


def test_a_loss_counts_once_although_the_pod_is_gone_when_its_job_has_failed() -> None:
    trial = a_trial(state="Running", job=JOB.name)
    seen = step(trial, (JOB,), (a_pod(JOB, exit_code=143, deleting=True),)).status
    assert of(seen, "reason", "infrastructure_retries") == ("PodLost", 1)
    # a new process of the operator knows no pods but those that are still there
    waiting = step(replace(trial, status=seen), (JOB,), ()).status
    assert waiting == seen
    over = step(replace(trial, status=waiting), (FAILED_JOB,), ()).status
    assert of(over, "reason", "infrastructure_retries", "attempt", "job") == ("PodLost", 1, 1, None)
    # the next attempt's pod is lost, and nobody saw it
    again = step(replace(trial, status=over), (a_job(trial, 1, failed=True),), ()).status
    assert of(again, "infrastructure_retries", "attempt") == (2, 2)


def test_a_loss_after_a_replacement_is_another_one() -> None:
    evicted = a_pod(JOB, exit_code=143, disrupted=True)
    trial = a_trial(state="Running", job=JOB.name)
    lost = replace(trial, status=step(trial, (JOB,), (evicted,)).status)
    replaced = replace(trial, status=step(lost, (JOB,), (evicted, a_pod(JOB, 1))).status)
    assert of(replaced.status, "reason", "infrastructure_retries") == ("PodStarting", 1)
    assert step(replaced, (FAILED_JOB,), ()).status.infrastructure_retries == 2


def test_losses_that_nobody_saw_happen_are_counted_afterwards() -> None:
    pods = (a_pod(JOB, 0, exit_code=143, disrupted=True), a_pod(JOB, 1, exit_code=143, deleting=True))
    status = step(a_trial(state="Running", job=JOB.name), (FAILED_JOB,), pods).status
    assert of(status, "infrastructure_retries", "lost_pods") == (2, [pod.uid for pod in pods])


def test_a_job_that_replaces_pods_for_ever_is_ended() -> None:
    pods = tuple(a_pod(JOB, i, exit_code=143, disrupted=True) for i in range(3))
    found = step(a_trial(), (JOB,), pods, budget={"maxInfrastructureRetries": 2})
    assert of(found.status, "state", "reason") == (TrialState.FAILED, "InfrastructureRetriesExceeded")
    assert found.deletion is not None


@pytest.mark.parametrize(
    ("jobs", "pods", "start"),
    [
        ((), (), True),
        ((a_job(FRESH, failed=True),), (), True),
        ((a_job(FRESH, failed=True),), (a_pod(JOB, exit_code=1),), True),
        ((a_job(FRESH),), (), False),
        ((a_job(FRESH, failed=True),), (running(JOB),), False),
        # its Job is gone, but the pod still writes its checkpoint
        ((), (running(JOB, deleting=True),), False),
        ((), (a_pod(JOB, exit_code=143, deleting=True),), True),
    ],
)
def test_an_attempt_waits_until_the_one_before_it_is_through(
    jobs: tuple[JobView, ...], pods: tuple[PodView, ...], start: bool
) -> None:
    found = step(a_trial(attempt=1), jobs, pods)
    assert found.start is start


# --- suspending and stopping -----------------------------------------------------------------------------------------


def test_suspension_is_written_before_the_job_is_deleted_and_is_never_a_loss() -> None:
    trial = a_trial(state="Running", job=JOB.name)
    found = step(trial, (JOB,), (running(JOB),), halt=SUSPEND)
    assert of(found.status, "state", "reason") == (TrialState.SUSPENDED, "StudySuspended")
    assert found.deletion is not None
    trial = replace(trial, status=found.status)
    going, ended = replace(JOB, deleting=True), a_pod(JOB, exit_code=143, deleting=True)
    for job, pod in [(going, running(JOB, deleting=True)), (going, ended), (JOB, ended)]:
        found = step(trial, (job,), (pod,), halt=SUSPEND)
        assert found.status == trial.status
    gone = step(trial, halt=SUSPEND).status
    assert of(gone, "state", "attempt", "job", "infrastructure_retries") == (TrialState.SUSPENDED, 1, None, 0)
    assert step(replace(trial, status=gone), halt=SUSPEND).status == gone


def test_a_suspended_trial_goes_on_with_its_next_attempt() -> None:
    found = step(a_trial(state="Suspended", attempt=1))
    assert found.start
    assert of(found.status, "state", "reason", "attempt") == (TrialState.PENDING, "Resumed", 1)


def test_a_study_that_goes_on_while_its_job_is_still_being_deleted_waits_for_that() -> None:
    trial = a_trial(state="Suspended", job=JOB.name)
    found = step(trial, (replace(JOB, deleting=True),), (running(JOB, deleting=True),))
    assert of(found, "start", "deletion") == (False, None)
    assert found.status.state is TrialState.SUSPENDED
    gone = step(trial)
    assert of(gone.status, "state", "reason", "attempt", "infrastructure_retries") == (
        TrialState.PENDING,
        "Resumed",
        1,
        0,
    )


def test_a_suspended_trial_whose_job_was_never_deleted_runs_on() -> None:
    # The operator was killed between the two writes, and then the study was resumed.
    trial = a_trial(state="Suspended", job=JOB.name)
    assert step(trial, (JOB,), (running(JOB),)).status.state is TrialState.RUNNING
    assert step(trial, (JOB,), (a_pod(JOB),)).status.state is TrialState.PENDING


def test_a_trial_that_waits_is_suspended_and_stopped_at_once() -> None:
    waiting = a_trial(attempt=1, retry_after=after(130))
    assert of(step(waiting, halt=SUSPEND).status, "state", "attempt") == (TrialState.SUSPENDED, 1)
    assert of(step(waiting, halt=STOP).status, "state", "completion_time") == (TrialState.STOPPED, after(100))
    assert step(a_trial(state="Suspended"), halt=STOP).status.state is TrialState.STOPPED


def test_stopping_waits_for_the_pod_whose_last_word_may_be_a_result() -> None:
    trial = a_trial(state="Running", job=JOB.name)
    found = step(trial, (JOB,), (running(JOB),), halt=STOP)
    assert found.status.state is TrialState.RUNNING
    assert found.deletion is not None
    going = replace(JOB, deleting=True)
    done = a_pod(JOB, exit_code=0, termination_message=COMPLETED, deleting=True)
    assert step(trial, (going,), (done,), halt=STOP).status.state is TrialState.SUCCEEDED
    assert step(trial, halt=STOP).status.state is TrialState.STOPPED


def test_a_container_that_takes_sigterm_for_success_has_no_result() -> None:
    trial = a_trial(state="Running", job=JOB.name)
    for status in (RecordStatus.RUNNING, RecordStatus.INTERRUPTED, None):
        message = "" if status is None else a_record(FRESH, status=status)
        pod = a_pod(JOB, exit_code=0, termination_message=message, deleting=True)
        assert step(trial, (replace(JOB, deleting=True),), (pod,), halt=STOP).status.state is TrialState.STOPPED


def test_a_job_that_somebody_deletes_counts_once() -> None:
    trial = a_trial(state="Running", job=JOB.name)
    going = step(trial, (replace(JOB, deleting=True),), (a_pod(JOB, exit_code=143, deleting=True),)).status
    assert going.infrastructure_retries == 0
    assert step(replace(trial, status=going)).status.infrastructure_retries == 1


# --- without a record ------------------------------------------------------------------------------------------------

SILENT = a_pod(JOB, exit_code=0)


def unrecorded(trial: TrialView = FRESH, pods: tuple[PodView, ...] = (SILENT,), **metrics: Any) -> TrialStep:
    job = replace(JOB, complete=True)
    return step(trial, (job,), pods, metrics=MetricsView(**metrics))


def test_prometheus_is_asked_once() -> None:
    found = unrecorded()
    assert found == TrialStep(FRESH.status, asks=True)


def test_its_last_sample_is_the_result() -> None:
    found = unrecorded(whole={FRESH.name: samples(0.9, 0.5, start=20)})
    assert found.status.state is TrialState.SUCCEEDED
    assert found.status.result is not None
    assert of(found.status.result, "value", "source", "sample_age_seconds") == (0.5, "Prometheus", 25.0)
    assert found.status.message == "0.5, scraped 25.0 s before the end"


def test_a_last_sample_that_is_not_finite_is_infeasible() -> None:
    status = unrecorded(whole={FRESH.name: samples(float("nan"))}).status
    assert of(status, "state", "reason") == (TrialState.INFEASIBLE, "NonFiniteObjective")


def test_a_lost_result_runs_again_once_and_then_fails() -> None:
    first = unrecorded(whole={FRESH.name: ()})
    assert first.start
    assert of(first.status, "state", "reason", "attempt", "results_lost") == (TrialState.PENDING, "ResultLost", 1, 1)
    second = unrecorded(a_trial(results_lost=1), whole={FRESH.name: ()})
    assert of(second.status, "state", "reason") == (TrialState.FAILED, "ResultLost")


def test_what_an_earlier_attempt_reached_is_not_the_result_of_this_one() -> None:
    trial = a_trial(attempt=1)
    job = a_job(trial, 1, complete=True)
    metrics = MetricsView(whole={trial.name: samples(0.9, 0.5, attempt=0)})
    found = step(trial, (job,), (a_pod(job, exit_code=0),), metrics=metrics)
    assert found.status.reason == "ResultLost"


@pytest.mark.parametrize("pods", [(SILENT,), ()])
def test_prometheus_is_waited_for_but_not_for_ever(pods: tuple[PodView, ...]) -> None:
    down: dict[str, Any] = {"reachable": False, "since": after(60)}
    waits = unrecorded(pods=pods, **down)
    assert of(waits.status, "reason", "attempt") == ("AwaitingMetrics", 0)
    assert waits.look_again_after == seconds(15)
    again = replace(FRESH, status=waits.status)
    assert unrecorded(again, pods, **down).status == waits.status
    job = replace(JOB, complete=True)
    late = step(again, (job,), pods, metrics=MetricsView(**down), now=after(361))
    assert late.status.reason == "ResultLost"


# --- progress --------------------------------------------------------------------------------------------------------


def test_progress_is_written_about_once_a_minute() -> None:
    trial = a_trial(state="Running", job=JOB.name)

    def look(second: float) -> Any:
        metrics = MetricsView(latest={trial.name: samples(float("nan"), start=second)[0]})
        return step(trial, (JOB,), (running(JOB),), now=after(second), metrics=metrics).status.progress

    first = look(30)
    assert of(first, "step", "value", "non_finite", "time") == (10, None, "NaN", after(30))
    trial = replace(trial, status=trial.status.model_copy(update={"progress": first}))
    assert look(89) == first
    assert look(90).time == after(90)


def test_results_are_written_once() -> None:
    done = a_trial(state="Succeeded", result=a_result())
    assert step(done, halt=STOP) == TrialStep(done.status)
    assert step(done, halt=SUSPEND) == TrialStep(done.status)


# --- constraints and a second objective ------------------------------------------------------------------------------

LIMITED: dict[str, Any] = {"objective": {"constraints": [{"metric": "latency", "max": 10.0}]}}
TRADED: dict[str, Any] = {"secondObjective": {"metric": "latency"}}


def ended_with(latency: float | None, **spec: Any) -> TrialStep:
    metrics = {"latency": MetricValues(latency, latency, latency)}
    pod = a_pod(JOB, exit_code=0, termination_message=a_record(FRESH, [0.9, 0.5], metrics=metrics))
    snapshot = a_snapshot(a_study(**spec), [FRESH], [JOB], [pod])
    return advance(snapshot, FRESH, None)


def test_a_trial_that_keeps_to_its_constraints_is_a_result_like_any_other() -> None:
    assert of(ended_with(10.0, **LIMITED).status, "state", "reason") == (TrialState.SUCCEEDED, "Completed")


def test_a_trial_that_violates_a_constraint_is_a_result_that_says_so() -> None:
    status = ended_with(12.5, **LIMITED).status
    assert of(status, "state", "reason") == (TrialState.SUCCEEDED, "ConstraintViolated")
    assert status.message == "0.5 at step 20, but latency is 12.5 and must be at most 10"
    assert status.result is not None
    assert (status.result.value, status.result.violations) == (0.5, ["latency"])


@pytest.mark.parametrize("spec", [LIMITED, TRADED], ids=["constraint", "second objective"])
def test_a_metric_that_the_study_needs_and_the_trial_did_not_measure_is_a_failure_that_says_so(
    spec: dict[str, Any],
) -> None:
    found = ended_with(None, **spec)
    assert of(found.status, "state", "reason", "result") == (TrialState.FAILED, "MetricMissing", None)
    assert "the study needs latency (at Best) too, which the container did not report" in str(found.status.message)
    assert found.events[0].reason == "TrialFailed"


def test_a_second_objective_that_is_not_finite_is_infeasible() -> None:
    status = ended_with(math.inf, **TRADED).status
    assert of(status, "state", "reason") == (TrialState.INFEASIBLE, "NonFiniteObjective")
    assert "the second objective latency is not finite" in str(status.message)


@pytest.mark.parametrize(
    ("latency", "state", "reason"),
    [
        (9.0, TrialState.SUCCEEDED, "Completed"),
        (12.5, TrialState.SUCCEEDED, "ConstraintViolated"),
        (None, TrialState.FAILED, "MetricMissing"),
    ],
)
def test_without_a_record_the_scraped_metrics_decide(latency: float | None, state: TrialState, reason: str) -> None:
    metrics = {} if latency is None else {"latency": latency}
    found = tuple(replace(sample, metrics=metrics) for sample in samples(0.9, 0.5))
    pod = a_pod(JOB, exit_code=0)
    view = MetricsView(whole={FRESH.name: found})
    status = advance(a_snapshot(a_study(**LIMITED), [FRESH], [JOB], [pod], metrics=view), FRESH, None).status
    assert of(status, "state", "reason") == (state, reason)


# --- packs -----------------------------------------------------------------------------------------------------------

NEIGHBOUR = a_trial(1)
PACK = a_job(FRESH, members=(Member(FRESH.name, 0), Member(NEIGHBOUR.name, 0)))


def as_seen(job: JobView) -> list[JobView]:
    return list(job.as_each_sees_it())


def test_a_packed_trials_status_says_how_many_share_its_process() -> None:
    pod = running(PACK, members=PACK.members)
    status = advance(a_snapshot(a_study(), [FRESH, NEIGHBOUR], as_seen(PACK), [pod]), NEIGHBOUR, None).status
    assert of(status, "state", "job", "pack_size") == (TrialState.RUNNING, PACK.name, 2)


def test_the_job_of_a_pack_stays_until_its_last_trial_has_ended() -> None:
    ended = a_trial(state="Failed", attempt=0)
    failed = replace(PACK, failed=True)
    for neighbour, expires in ((NEIGHBOUR, False), (a_trial(1, state="Succeeded"), True)):
        snapshot = a_snapshot(a_study(), [ended, neighbour], as_seen(failed))
        found = advance(snapshot, ended, None)
        assert (found.expiry is not None) is expires
        assert is_settled(snapshot, ended) is not expires


def test_a_trial_that_was_lost_too_often_fails_and_its_neighbours_go_on() -> None:
    unlucky = a_trial(infrastructure_retries=5, attempt=0)
    pods = [a_pod(PACK, 0, members=PACK.members, disrupted=True, exit_code=137), running(PACK, 1, members=PACK.members)]
    found = advance(a_snapshot(a_study(), [unlucky, NEIGHBOUR], as_seen(PACK), pods), unlucky, None)
    assert of(found.status, "state", "reason") == (TrialState.FAILED, "InfrastructureRetriesExceeded")
    assert found.deletion is None


def test_of_two_jobs_that_train_the_same_attempt_the_younger_is_deleted() -> None:
    younger = replace(a_job(NEIGHBOUR), created=after(1), members=(Member(NEIGHBOUR.name, 0), Member("another", 0)))
    jobs = [*as_seen(PACK), as_seen(younger)[0]]
    found = advance(a_snapshot(a_study(), [FRESH, NEIGHBOUR], jobs), NEIGHBOUR, None)
    assert found.deletion is not None
    assert found.deletion.job.name == younger.name
    assert "already" in found.deletion.reason


def test_a_pack_that_a_halt_ends_is_smaller_when_it_goes_on() -> None:
    failed = replace(PACK, failed=True)
    pod = a_pod(failed, members=PACK.members, exit_code=101)
    found = advance(a_snapshot(a_study(), [FRESH, NEIGHBOUR], as_seen(failed), [pod]), FRESH, STOP)
    assert of(found.status, "state", "max_packed") == (TrialState.STOPPED, 1)


@pytest.mark.parametrize(("code", "most", "company"), [(101, 2, "in a pack of at most 2"), (1, 1, "alone")])
def test_a_pack_that_fails_is_split_and_says_how(code: int, most: int, company: str) -> None:
    members = (*(Member(f"trial-{n}", 0) for n in range(3)), Member(FRESH.name, 0))
    job = replace(PACK, failed=True, members=members)
    pod = a_pod(job, members=members, exit_code=code)
    found = advance(a_snapshot(a_study(), [FRESH], [as_seen(job)[-1]], [pod]), FRESH, None)
    assert of(found.status, "state", "reason", "attempt", "max_packed") == (TrialState.PENDING, "PackSplit", 1, most)
    assert company in str(found.status.message)
    assert found.events[0].reason == "PackSplit"


def test_a_packed_result_asks_for_the_curve_and_does_not_wait_long_for_a_prometheus_that_is_away() -> None:
    result = MemberResult.of(FinalRecord.decode(a_record(FRESH)))
    message = PackRecord(UID, "hash", (result, result)).encode().decode()
    pod = a_pod(PACK, members=PACK.members, pack_hash="hash", exit_code=0, termination_message=message)

    def found(metrics: MetricsView) -> TrialStep:
        return advance(a_snapshot(a_study(), [FRESH, NEIGHBOUR], as_seen(PACK), [pod], metrics=metrics), FRESH, None)

    assert found(MetricsView()).asks
    for_a_moment = found(MetricsView(reachable=False, since=after(100 - 299)))
    assert (for_a_moment.status.reason, for_a_moment.look_again_after) == ("AwaitingMetrics", seconds(15))
    for_long = found(MetricsView(reachable=False, since=after(100 - 300))).status
    assert of(for_long, "state", "pack_size") == (TrialState.SUCCEEDED, 2)
    scraped = found(MetricsView(whole={FRESH.name: samples(0.95, first_step=5)})).status
    assert [point.step for point in written_points(scraped.result)] == [5, 10, 20, 30]
