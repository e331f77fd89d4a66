"""From the API server's JSON to values: what is read of Jobs and pods, and what is not there."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.builders import a_study, a_trial, merged
from tuning_operator.api import names
from tuning_operator.clients.views import job_view, members_of, moment, pod_view, study_view, trial_view

Manifest = dict[str, Any]
LABELS = {names.LABEL_TRIAL: "digits-0", names.LABEL_ATTEMPT: "2", names.LABEL_STUDY_UID: "u"}
BEFORE, LATER = "2026-03-01T12:00:00Z", "2026-03-01T12:05:00Z"


def a_job(conditions: list[Manifest] | None = None, **fields: Any) -> Manifest:
    """Return a Job as the API server sends it."""
    meta = {"name": "digits-0-2", "uid": "j", "labels": LABELS, "creationTimestamp": BEFORE}
    return merged({"metadata": meta, "spec": {}, "status": {"conditions": conditions or []}}, fields)


def a_pod(state: Manifest | None = None, status: Manifest | None = None, **metadata: Any) -> Manifest:
    """Return a pod as the API server sends it; `state` is that of the container that trains."""
    meta = {
        "name": "digits-0-2-x7k",
        "uid": "p",
        "labels": LABELS,
        "annotations": {names.ANNOTATION_CONTAINER: "trainer"},
        "creationTimestamp": BEFORE,
        "ownerReferences": [{"kind": "Job", "name": "digits-0-2", "uid": "j"}],
    }
    containers = (
        [] if state is None else [{"name": "istio", "state": {"running": {}}}, {"name": "trainer", "state": state}]
    )
    return {
        "metadata": {**meta, **metadata},
        "status": {"phase": "Running", "containerStatuses": containers, **(status or {})},
    }


def terminated(code: int, **fields: Any) -> Manifest:
    """Return the state of a container that has ended."""
    return {"terminated": {"exitCode": code, "startedAt": BEFORE, "finishedAt": LATER, **fields}}


def test_a_new_pod_says_little() -> None:
    pod = pod_view({"metadata": a_pod()["metadata"], "status": {"phase": "Pending"}})
    assert (pod.name, pod.job_uid, pod.trial, pod.attempt) == ("digits-0-2-x7k", "j", "digits-0", 2)
    assert (pod.phase, pod.over, pod.running, pod.exit_code, pod.started) == ("Pending", False, False, None, None)


def test_only_the_container_that_trains_is_read() -> None:
    pod = pod_view(a_pod(terminated(0, message="record", reason="Completed"), {"phase": "Succeeded"}))
    assert (pod.exit_code, pod.termination_message, pod.exit_reason) == (0, "record", "Completed")
    assert pod.finished == datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
    assert pod.over


WAITING = {
    "its image": ({"waiting": {"reason": "ImagePullBackOff", "message": "back-off"}}, ("ImagePullBackOff", "back-off")),
    "its turn": ({"waiting": {"reason": "PodInitializing"}}, ("", "")),
    "its sandbox": ({"waiting": {"reason": "ContainerCreating"}}, ("", "")),
    "nothing that is said": ({"waiting": {}}, ("", "")),
}


@pytest.mark.parametrize(("state", "expected"), WAITING.values(), ids=WAITING)
def test_what_a_container_waits_for(state: Manifest, expected: tuple[str, str]) -> None:
    pod = pod_view(a_pod(state, {"phase": "Pending"}))
    assert (pod.waiting_reason, pod.waiting_message) == expected


def test_an_init_container_stands_in_the_way() -> None:
    blocked = [{"name": "fetch", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}]
    pod = pod_view(a_pod({"waiting": {"reason": "PodInitializing"}}, {"initContainerStatuses": blocked}))
    assert (pod.waiting_reason, pod.waiting_message) == ("ErrImagePull", "no such image")


CONDITIONS = {
    "disrupted": ({"type": "DisruptionTarget", "status": "True"}, (True, "")),
    "no longer disrupted": ({"type": "DisruptionTarget", "status": "False"}, (False, "")),
    "unschedulable": (
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"},
        (False, "0/3 nodes"),
    ),
    "gated": ({"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "x"}, (False, "")),
}


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS.values(), ids=CONDITIONS)
def test_the_conditions_of_a_pod(condition: Manifest, expected: tuple[bool, str]) -> None:
    pod = pod_view(a_pod(status={"conditions": [condition]}))
    assert (pod.disrupted, pod.unschedulable) == expected


DELETIONS = {
    "asked for while it ran": ("2026-03-01T12:06:00Z", 120, True),
    "asked for in the second of its end": ("2026-03-01T12:07:01Z", 120, True),
    "asked for long after its end": ("2026-03-01T13:00:00Z", 30, False),
    "at once, after its end": ("2026-03-01T12:06:00Z", 0, False),
}


@pytest.mark.parametrize(("at", "grace", "expected"), DELETIONS.values(), ids=DELETIONS)
def test_a_deletion_counts_only_where_it_was_asked_for_before_the_end(at: str, grace: int, expected: bool) -> None:
    raw = a_pod(terminated(143), {"phase": "Failed"}, deletionTimestamp=at, deletionGracePeriodSeconds=grace)
    assert pod_view(raw).deleting is expected


def test_a_pod_that_is_being_deleted_and_runs_still_is_not_over() -> None:
    pod = pod_view(a_pod({"running": {"startedAt": BEFORE}}, deletionTimestamp=LATER))
    assert (pod.deleting, pod.over, pod.running) == (True, False, True)


def test_a_pod_that_vanished_is_over_and_lost() -> None:
    pod = pod_view(a_pod({"running": {"startedAt": BEFORE}}), gone=True)
    assert (pod.over, pod.running, pod.lost) == (True, False, True)


@pytest.mark.parametrize("missing", ["annotations", "ownerReferences"])
def test_a_pod_that_is_not_quite_ours_breaks_nothing(missing: str) -> None:
    raw = a_pod(terminated(0))
    del raw["metadata"][missing]
    assert pod_view(raw).trial == "digits-0"


JOBS = {
    "new": ([], (False, False, "")),
    "complete": ([{"type": "Complete", "status": "True"}], (True, False, "")),
    "about to be complete": ([{"type": "SuccessCriteriaMet", "status": "True"}], (False, False, "")),
    "failed": ([{"type": "Failed", "status": "True", "message": "backoff"}], (False, True, "backoff")),
    "about to have failed": ([{"type": "FailureTarget", "status": "True", "message": "x"}], (False, False, "")),
    "not failed after all": ([{"type": "Failed", "status": "False"}], (False, False, "")),
}


@pytest.mark.parametrize(("conditions", "expected"), JOBS.values(), ids=JOBS)
def test_the_conditions_of_a_job(conditions: list[Manifest], expected: tuple[bool, bool, str]) -> None:
    job = job_view(a_job(conditions))
    assert (job.complete, job.failed, job.failure) == expected
    assert (job.trial, job.attempt, job.has_ttl, job.deleting) == ("digits-0", 2, False, False)


def test_a_job_with_a_ttl_of_zero_has_one() -> None:
    assert job_view(a_job(spec={"ttlSecondsAfterFinished": 0})).has_ttl


def test_a_study_without_a_status_is_new() -> None:
    raw = merged(
        a_study(), {"metadata": {"uid": "u", "namespace": "n", "resourceVersion": "3", "creationTimestamp": BEFORE}}
    )
    view = study_view(raw)
    assert (view.generation, view.deleting, view.status.template_hash) == (0, False, None)
    other = study_view(merged(raw, {"spec": {"budget": {"parallelTrials": 4}}}))
    changed = study_view(merged(raw, {"spec": {"trial": {"template": {"metadata": {"labels": {"a": "b"}}}}}}))
    assert view.template_hash == other.template_hash != changed.template_hash


def test_a_finished_trials_curve_is_not_kept() -> None:
    result = {"value": 0.5, "source": "Record", "curve": "a curve", "diagnostics": "{}"}
    for state, curve, diagnostics in (("Running", "a curve", "{}"), ("Succeeded", None, None)):
        meta = {"uid": "t", "resourceVersion": "3", "creationTimestamp": BEFORE}
        raw = merged(a_trial(), {"metadata": meta, "status": {"state": state, "result": result}})
        kept = trial_view(raw).status.result
        assert kept is not None
        assert (kept.curve, kept.diagnostics) == (curve, diagnostics)


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00.000000Z", "2026-03-01T13:00:00+01:00"])
def test_moments_are_utc(text: str) -> None:
    assert moment(text) == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("labels", "annotations", "members"),
    [
        (
            {names.LABEL_PACK: "3f2a"},
            {names.ANNOTATION_MEMBERS: '[["a",0,"u"],["b",2,"v"]]'},
            (("a", 0, "u"), ("b", 2, "v")),
        ),
        ({}, {names.ANNOTATION_MEMBERS: '[["a",0,"u"],["b",2,"v"]]'}, ()),
        ({names.LABEL_PACK: "3f2a"}, {}, ()),
        ({names.LABEL_PACK: "3f2a"}, {names.ANNOTATION_MEMBERS: "["}, ()),
        ({names.LABEL_PACK: "3f2a"}, {names.ANNOTATION_MEMBERS: "[3]"}, ()),
        ({names.LABEL_PACK: "3f2a"}, {names.ANNOTATION_MEMBERS: '[["a",true,"u"]]'}, ()),
    ],
)
def test_the_trials_of_a_pack(
    labels: dict[str, str], annotations: dict[str, str], members: tuple[tuple[str, int, str], ...]
) -> None:
    assert members_of({"labels": labels, "annotations": annotations}) == members


def test_each_trial_of_a_pack_sees_its_own_attempt() -> None:
    meta = {
        "labels": {**LABELS, names.LABEL_PACK: "3f2a"},
        "annotations": {names.ANNOTATION_MEMBERS: '[["a",0,"u"],["b",2,"v"]]'},
    }
    job = job_view(merged(a_job([]), {"metadata": meta}))
    assert [(seen.trial, seen.attempt, seen.trial_uid, seen.uid, seen.size) for seen in job.as_each_sees_it()] == [
        ("a", 0, "u", job.uid, 2),
        ("b", 2, "v", job.uid, 2),
    ]
    assert job_view(a_job([])).as_each_sees_it() == (job_view(a_job([])),)
