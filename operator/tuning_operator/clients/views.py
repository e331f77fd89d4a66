"""From the API server's JSON to the values that decisions are made of. Pure, although it lives beside the client."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tuning_operator.api import names
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.api.study_status import TuningStudyStatus
from tuning_operator.api.trial import TuningTrialSpec, TuningTrialStatus
from tuning_operator.study.snapshot import JobView, Member, PodView, StudyView, TrialView
from tuning_operator.study.starting import CANNOT_START_WORDS

Raw = Mapping[str, Any]


def study_view(raw: Raw) -> StudyView:
    """Read a TuningStudy.

    Raises:
        pydantic.ValidationError: the models do not know what the CRD let through.
    """
    meta = raw["metadata"]
    return StudyView(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        resource_version=meta["resourceVersion"],
        created=moment(meta["creationTimestamp"]),
        deleting="deletionTimestamp" in meta,
        spec=TuningStudySpec.model_validate(raw["spec"]),
        status=TuningStudyStatus.model_validate(raw.get("status") or {}),
        template_hash=_digest({name: part for name, part in raw["spec"]["trial"].items() if name != "maxPacked"}),
        round=names.round_of(meta.get("annotations") or {}),
    )


def trial_view(raw: Raw, with_curve: bool = False) -> TrialView:
    """Read a TuningTrial.

    Args:
        raw: the object.
        with_curve: whether a finished trial keeps its curve and its diagnostics, which are most of its size: only the
            stopping rules that compare trials and the Playbook's rules look at them.

    Raises:
        pydantic.ValidationError: the models do not know what the CRD let through.
    """
    meta = raw["metadata"]
    status = TuningTrialStatus.model_validate(raw.get("status") or {})
    if status.state.is_finished and status.result is not None and not with_curve:
        light = status.result.model_copy(update={"curve": None, "diagnostics": None})
        status = status.model_copy(update={"result": light})
    return TrialView(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        created=moment(meta["creationTimestamp"]),
        deleting="deletionTimestamp" in meta,
        spec=TuningTrialSpec.model_validate(raw["spec"]),
        status=status,
    )


def job_view(raw: Raw) -> JobView:
    """Read a trial's Job."""
    meta, status = raw["metadata"], raw.get("status") or {}
    true = {c["type"]: c for c in status.get("conditions") or [] if c.get("status") == "True"}
    return JobView(
        name=meta["name"],
        uid=meta["uid"],
        trial=meta["labels"][names.LABEL_TRIAL],
        attempt=int(meta["labels"][names.LABEL_ATTEMPT]),
        created=moment(meta["creationTimestamp"]),
        deleting="deletionTimestamp" in meta,
        complete="Complete" in true,
        failed="Failed" in true,
        failure=true.get("Failed", {}).get("message", ""),
        has_ttl=raw.get("spec", {}).get("ttlSecondsAfterFinished") is not None,
        members=members_of(meta),
    )


def pod_view(raw: Raw, gone: bool = False) -> PodView:
    """Read a trial's pod.

    Args:
        raw: the object, or its last state where it is no more.
        gone: whether the API server no longer has it.
    """
    meta, status = raw["metadata"], raw.get("status") or {}
    container = meta.get("annotations", {}).get(names.ANNOTATION_CONTAINER, "")
    trains = _named(status.get("containerStatuses"), container)
    state: Raw = trains.get("state") or {}
    ended: Raw = state.get("terminated") or {}
    began = (state.get("running") or {}).get("startedAt") or ended.get("startedAt")
    if ended.get("reason") in CANNOT_START_WORDS:
        began = None  # the kubelet writes 1970 there
    finished = _optional_moment(ended.get("finishedAt"))
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    scheduled = conditions.get("PodScheduled", {})
    waiting_reason, waiting_message = _waiting(status)
    owner: Raw = next((o for o in meta.get("ownerReferences") or [] if o.get("kind") == "Job"), {})
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        job_uid=owner.get("uid", ""),
        trial=meta["labels"][names.LABEL_TRIAL],
        attempt=int(meta["labels"][names.LABEL_ATTEMPT]),
        created=moment(meta["creationTimestamp"]),
        phase=status.get("phase", "Pending"),
        deleting=_deleted_before(meta, finished),
        gone=gone,
        disrupted=conditions.get("DisruptionTarget", {}).get("status") == "True",
        reason=status.get("reason", ""),
        unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
        waiting_reason=waiting_reason,
        waiting_message=waiting_message,
        started=_optional_moment(began),
        finished=finished,
        exit_code=ended.get("exitCode"),
        exit_reason=ended.get("reason", ""),
        termination_message=ended.get("message", ""),
        members=members_of(meta),
        pack_hash=meta["labels"].get(names.LABEL_PACK, ""),
    )


def members_of(meta: Raw) -> tuple[Member, ...]:
    """Read which trials a Job or a pod trains together; empty: one alone, or what stands there is not ours."""
    if names.LABEL_PACK not in meta["labels"]:
        return ()
    try:
        members = [Member(*member) for member in json.loads(meta["annotations"][names.ANNOTATION_MEMBERS])]
    except (LookupError, TypeError, ValueError):
        return ()
    ours = all(isinstance(m.trial, str) and type(m.attempt) is int and isinstance(m.uid, str) for m in members)
    return tuple(members) if ours else ()


def moment(text: str) -> datetime:
    """Read an RFC 3339 time as the API server writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def _optional_moment(text: str | None) -> datetime | None:
    return moment(text) if text else None


def _named(statuses: list[Raw] | None, container: str) -> Raw:
    return next((s for s in statuses or [] if s.get("name") == container), {})


def _waiting(status: Raw) -> tuple[str, str]:
    """Return why a container of the pod waits; an init container's reason stands before it in the way."""
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or []:
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
                return waiting["reason"], waiting.get("message", "")
    return "", ""


def _deleted_before(meta: Raw, finished: datetime | None) -> bool:
    """Whether the deletion was asked for before the container ended: deletionTimestamp lies a grace period later."""
    if "deletionTimestamp" not in meta:
        return False
    if finished is None:
        return True
    asked = moment(meta["deletionTimestamp"]) - timedelta(seconds=meta.get("deletionGracePeriodSeconds") or 0)
    # Both times have whole seconds.
    return finished >= asked - timedelta(seconds=1)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
