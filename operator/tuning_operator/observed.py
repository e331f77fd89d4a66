"""What the watches have told: the newest version of every study, trial, Job and pod, as values.

Fed by events and by the answers to our own writes, so that a decision sees what it did. It can be thrown away at any
time: everything in it comes from the API server again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from tuning_operator.api import names
from tuning_operator.clients.views import job_view, pod_view, study_view, trial_view
from tuning_operator.study.snapshot import JobView, PodView, StudyView, TrialView

Raw = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace and uid of a study."""
View = TypeVar("View")


@dataclass
class Family:
    """A study and all that belongs to it."""

    study: StudyView | None = None
    trials: dict[str, TrialView] = field(default_factory=dict)
    jobs: dict[str, JobView] = field(default_factory=dict)
    pods: dict[str, PodView] = field(default_factory=dict)
    """By uid. A pod that is gone stays in its last state for as long as its Job is there."""
    synced: bool = False
    """Whether all was listed once; before that an absence means nothing."""
    versions: dict[str, int] = field(default_factory=dict)
    """The newest resourceVersion seen of each uid."""
    ended: datetime | None = None
    """When an end of a pod or Job was first seen that no new trial has answered yet."""


class Observed:
    """All families, by the study's namespace and uid."""

    def __init__(self) -> None:
        self._families: dict[Key, Family] = {}

    def family(self, key: Key) -> Family:
        """Return the family of a study, an empty one where nothing is known."""
        return self._families.setdefault(key, Family())

    def studies(self) -> Iterable[StudyView]:
        """Return all studies."""
        return [family.study for family in self._families.values() if family.study is not None]

    def keys(self) -> list[Key]:
        """Return the keys of all families."""
        return list(self._families)

    def forget(self, key: Key) -> None:
        """Drop a family whose study is gone."""
        self._families.pop(key, None)

    def apply(self, resource: str, raw: Raw, gone: bool = False) -> Key | None:
        """Take in an object, or its disappearance, unless something newer is known.

        Args:
            resource: tuningstudies, tuningtrials, jobs or pods.
            raw: the object as the API server sent it.
            gone: whether it was deleted.

        Returns:
            The study to look at again; None where the object belongs to none.

        Raises:
            pydantic.ValidationError: our models do not know what the CRD let through.
        """
        key = key_of(resource, raw)
        if key is None:
            return None
        family = self.family(key)
        if not self._is_newer(family, raw, gone):
            return key
        match resource:
            case "tuningstudies":
                family.study = None if gone else study_view(raw)
            case "tuningtrials":
                _keep(family.trials, raw["metadata"]["name"], None if gone else trial_view(raw))
            case "jobs":
                self._apply_job(family, raw, gone)
            case "pods":
                self._apply_pod(family, raw, gone)
        return key

    def replace_all(self, key: Key, resource: str, objects: Iterable[Raw]) -> None:
        """Take in a complete list: what it lacks is gone."""
        family = self.family(key)
        listed = list(objects)
        for raw in listed:
            self.apply(resource, raw)
        uids = {raw["metadata"]["uid"] for raw in listed}
        names_listed = {raw["metadata"]["name"] for raw in listed}
        if resource == "tuningtrials":
            family.trials = {n: t for n, t in family.trials.items() if n in names_listed}
        elif resource == "jobs":
            family.jobs = {uid: job for uid, job in family.jobs.items() if uid in uids}
        elif resource == "pods":
            family.pods = {uid: pod for uid, pod in family.pods.items() if uid in uids or pod.job_uid in family.jobs}

    @staticmethod
    def _is_newer(family: Family, raw: Raw, gone: bool) -> bool:
        """Compare resourceVersions, which Kubernetes says may be compared as integers (KEP-5504)."""
        meta = raw["metadata"]
        version, uid = int(meta["resourceVersion"]), meta["uid"]
        if version < family.versions.get(uid, 0):
            return False
        if gone:
            family.versions.pop(uid, None)
        else:
            family.versions[uid] = version
        return True

    @staticmethod
    def _apply_job(family: Family, raw: Raw, gone: bool) -> None:
        uid = raw["metadata"]["uid"]
        _keep(family.jobs, uid, None if gone else job_view(raw))
        if gone:
            family.pods = {k: pod for k, pod in family.pods.items() if pod.job_uid != uid or not pod.gone}
        elif family.jobs[uid].finished:
            family.ended = family.ended or datetime.now(UTC)

    @staticmethod
    def _apply_pod(family: Family, raw: Raw, gone: bool) -> None:
        pod = pod_view(raw, gone)
        if gone and pod.job_uid not in family.jobs:
            family.pods.pop(pod.uid, None)
            return
        if pod.finished is not None and family.pods.get(pod.uid, pod).finished is None:
            family.ended = family.ended or datetime.now(UTC)
        family.pods[pod.uid] = pod


def key_of(resource: str, raw: Raw) -> Key | None:
    """Return the key of the study that an object belongs to; None where it carries no label of ours."""
    meta = raw["metadata"]
    if resource == "tuningstudies":
        return meta["namespace"], meta["uid"]
    labels = meta.get("labels") or {}
    needed = (names.LABEL_STUDY_UID, names.LABEL_TRIAL) if resource == "tuningtrials" else POD_LABELS
    if any(label not in labels for label in needed):
        return None
    return meta["namespace"], labels[names.LABEL_STUDY_UID]


POD_LABELS = (names.LABEL_STUDY_UID, names.LABEL_TRIAL, names.LABEL_ATTEMPT)


def _keep(views: dict[str, View], name: str, view: View | None) -> None:
    if view is None:
        views.pop(name, None)
    else:
        views[name] = view


def grouped(
    values: Iterable[View], by: Callable[[View], str], order: Callable[[View], Any]
) -> dict[str, tuple[View, ...]]:
    """Return the values in groups, each in order."""
    groups: dict[str, list[View]] = {}
    for value in values:
        groups.setdefault(by(value), []).append(value)
    return {name: tuple(sorted(group, key=order)) for name, group in groups.items()}
