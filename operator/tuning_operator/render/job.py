"""The Job of one attempt of a trial, or of several trials that share a process: a pack.

One pod that is never restarted in place. The Job itself replaces a pod that was evicted or preempted
(podFailurePolicy); every other failure ends it, and a retry is a new Job.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tuning_contract.environment import TERMINATION_LOG, TrialEnvironment
from tuning_contract.pack import PackEnvironment, pack_hash
from tuning_operator.api import names
from tuning_operator.api.base import GROUP
from tuning_operator.api.study import PodTemplate, TuningStudySpec
from tuning_operator.render.security import with_restricted_defaults
from tuning_operator.render.trial import Manifest, owner_reference
from tuning_operator.study.snapshot import StudyView, TrialView

CHECKPOINT_VOLUME = "tuning-checkpoints"
GRACE_SECONDS = 120
"""Time for a checkpoint after SIGTERM; Kubernetes' own default of 30 s is short for a large model."""


def job(study: StudyView, trials: Sequence[TrialView], default_image: str) -> Manifest:
    """Return the Job of the attempts that the trials' statuses name; the trials own it: it goes when all are gone.

    Args:
        study: the study.
        trials: one, or the trials of a pack.
        default_image: the image of a trial's container that names none.
    """
    first = trials[0]
    labels = {
        names.LABEL_STUDY: names.study_label(study.name),
        names.LABEL_STUDY_UID: study.uid,
        names.LABEL_TRIAL: first.name,
        names.LABEL_ATTEMPT: str(first.status.attempt),
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
    }
    annotations = {names.ANNOTATION_STUDY: study.name}
    name = names.job_name(first.name, first.status.attempt)
    if len(trials) > 1:
        labels[names.LABEL_PACK] = pack_hash(_pack(study, trials, TERMINATION_LOG).text)
        members = json.dumps([[t.name, t.status.attempt, t.uid] for t in trials], separators=(",", ":"))
        annotations[names.ANNOTATION_MEMBERS] = members
        name = names.pack_name(first.name, members)
    owners = [owner_reference("TuningTrial", trial.name, trial.uid) for trial in trials]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": study.namespace,
            "labels": labels,
            "annotations": annotations,
            # An object has one controller at most.
            "ownerReferences": [owners[0], *({**owner, "controller": False} for owner in owners[1:])],
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "template": _pod_template(study, trials, labels, annotations, default_image),
        },
    }


def container_name(spec: TuningStudySpec) -> str:
    """Return the name of the container that trains."""
    return spec.trial.container or str(spec.trial.template.spec["containers"][0].get("name", ""))


def environment(study: StudyView, trial: TrialView, termination_log: str) -> TrialEnvironment:
    """Return what the trial's container is told; the one of a pack, of this trial."""
    spec = study.spec
    checkpoint = spec.trial.checkpoint
    return TrialEnvironment(
        study=study.name,
        study_uid=study.uid,
        trial=trial.name,
        attempt=trial.status.attempt,
        parameters=TrialEnvironment.parameters_from_json(trial.spec.parameters),
        seed=trial.spec.seed,
        metric=spec.objective.metric,
        direction=spec.objective.direction.value,
        at=spec.objective.at.value,
        metrics=spec.further_metrics,
        purpose=trial.spec.purpose.value,
        metrics_port=spec.metrics.port,
        metrics_path=spec.metrics.path,
        checkpoint_dir=None if checkpoint is None else f"{checkpoint.path}/{study.uid}/{trial.name}",
        termination_log=termination_log,
    )


def _pack(study: StudyView, trials: Sequence[TrialView], termination_log: str) -> PackEnvironment:
    return PackEnvironment(tuple(environment(study, trial, termination_log) for trial in trials))


def _pod_template(
    study: StudyView,
    trials: Sequence[TrialView],
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    default_image: str,
) -> Manifest:
    template = study.spec.trial.template
    pod_spec: dict[str, Any] = without_nulls(template.spec)
    name = container_name(study.spec)
    trains = next(c for c in pod_spec["containers"] if c.get("name", "") == name)
    _equip(trains, study, trials, default_image)
    if study.spec.trial.checkpoint is not None:
        claim = {"claimName": study.spec.trial.checkpoint.claim_name}
        pod_spec.setdefault("volumes", []).append({"name": CHECKPOINT_VOLUME, "persistentVolumeClaim": claim})
    pod_spec["restartPolicy"] = "Never"
    pod_spec.setdefault("terminationGracePeriodSeconds", GRACE_SECONDS)
    annotations = {
        **annotations,
        names.ANNOTATION_CONTAINER: name,
        names.ANNOTATION_METRICS_PATH: study.spec.metrics.path,
    }
    return {"metadata": _metadata(template, labels, annotations), "spec": with_restricted_defaults(pod_spec)}


def without_nulls(value: Any) -> Any:
    """Return a copy without fields that are null, which for Kubernetes are unset."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def _metadata(template: PodTemplate, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Manifest:
    given = template.metadata
    return {
        "labels": {**_not_ours((given and given.labels) or {}), **labels},
        "annotations": {**_not_ours((given and given.annotations) or {}), **annotations},
    }


def _not_ours(given: Mapping[str, str]) -> dict[str, str]:
    """Return a template's labels or annotations without those that say what a pod trains."""
    return {name: value for name, value in given.items() if not name.startswith(f"{GROUP}/")}


def _equip(container: dict[str, Any], study: StudyView, trials: Sequence[TrialView], default_image: str) -> None:
    """Give the container that trains its parameters, its port and its place for the record."""
    container.setdefault("image", default_image)
    # Log text stands in for a missing record only to explain a failure: it has no checksum and is never parsed.
    container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    log = container.get("terminationMessagePath", TERMINATION_LOG)
    pack = _pack(study, trials, log)
    ours = pack.to_env() if len(trials) > 1 else pack.members[0].to_env()
    # Ours come first, so that the template's own variables and arguments can refer to them as $(TUNING_…).
    own = [entry for entry in container.get("env", []) if entry.get("name") not in ours]
    # Kubernetes would expand $(…) in a parameter's text too: a doubled sign is one.
    container["env"] = [{"name": key, "value": value.replace("$", "$$")} for key, value in ours.items()] + own
    _declare_port(container, study.spec.metrics.port)
    checkpoint = study.spec.trial.checkpoint
    if checkpoint is not None:
        container.setdefault("volumeMounts", []).append({"name": CHECKPOINT_VOLUME, "mountPath": checkpoint.path})


def _declare_port(container: dict[str, Any], port: int) -> None:
    """Declare the metrics port under the name that scrape configurations select."""
    ports = container.setdefault("ports", [])
    declared = next((p for p in ports if p.get("containerPort") == port and p.get("protocol", "TCP") == "TCP"), None)
    if declared is None:
        ports.append({"name": names.METRICS_PORT_NAME, "containerPort": port, "protocol": "TCP"})
    else:
        declared["name"] = names.METRICS_PORT_NAME
