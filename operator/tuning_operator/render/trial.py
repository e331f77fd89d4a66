"""TuningTrial objects, status bodies and events."""

from datetime import datetime
from typing import Any

from tuning_operator.api import names
from tuning_operator.api.base import API_VERSION, Model
from tuning_operator.study.decision import Event, NewTrial
from tuning_operator.study.snapshot import StudyView

Manifest = dict[str, Any]


def trial(study: StudyView, new: NewTrial) -> Manifest:
    """Return the TuningTrial of a new trial; the study owns it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "TuningTrial",
        "metadata": {
            "name": new.name,
            "namespace": study.namespace,
            "labels": {
                names.LABEL_STUDY: names.study_label(study.name),
                names.LABEL_STUDY_UID: study.uid,
                names.LABEL_TRIAL: new.name,
                names.LABEL_MANAGED_BY: names.MANAGED_BY,
            },
            "annotations": {names.ANNOTATION_STUDY: study.name},
            "ownerReferences": [owner_reference("TuningStudy", study.name, study.uid)],
        },
        "spec": new.spec.to_json(),
    }


def owner_reference(kind: str, name: str, uid: str) -> Manifest:
    """Return a controller reference: the object goes when its owner goes."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def status_body(kind: str, namespace: str, name: str, uid: str, resource_version: str, status: Model) -> Manifest:
    """Return the body that replaces an object's status, and nothing where the object has changed meanwhile."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": resource_version},
        "status": status.to_json(),
    }


def event(study: StudyView, happened: Event, now: datetime) -> Manifest:
    """Return the core/v1 Event that `kubectl describe study` shows; a trial is named in its message."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    message = happened.message if happened.trial is None else f"{happened.trial}: {happened.message}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{study.name[:200]}.", "namespace": study.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "TuningStudy",
            "namespace": study.namespace,
            "name": study.name,
            "uid": study.uid,
        },
        "reason": happened.reason,
        "message": message[:1024],
        "type": "Warning" if happened.warning else "Normal",
        "source": {"component": names.MANAGED_BY},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
