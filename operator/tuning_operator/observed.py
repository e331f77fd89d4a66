"""What the watches have told: the newest version of every study, trial, Job and pod, as values.

Fed by events and by the answers to our own writes, so that a decision sees what it did. It can be thrown away at any
time: everything in it comes from the API server again.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tuning_operator.api import names
from tuning_operator.clients.views import job_view, pod_view, study_view, trial_view
from tuning_operator.study.snapshot import JobView, PodView, StudyView, TrialView

Raw = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace and uid of a study."""
View = TypeVar("View")

SETTLED_AFTER = 5.0
"""In seconds: so long the first events of a watch are waited for, so that one list answers all of them."""


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
    list_again_at: float = math.inf
    """When all is to be listed anew, by the monotonic clock; events may have been missed."""
    versions: dict[str, int] = field(default_factory=dict)
    """The newest resourceVersion seen of each uid; of what is gone, too, until the next complete list."""
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

    def named(self, namespace: str, name: str) -> Key | None:
        """Return the key of the study of a name; None: there is none."""
        for key, family in self._families.items():
            if key[0] == namespace and family.study is not None and family.study.name == name:
                return key
        return None

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
        if not self._is_newer(family, raw):
            return key
        match resource:
            case "tuningstudies":
                self._apply_study(key, family, None if gone else study_view(raw))
            case "tuningtrials":
                self._apply_trial(family, raw, gone)
            case "jobs":
                self._apply_job(family, raw, gone)
            case "pods":
                self._apply_pod(family, raw, gone)
        return key

    def replace_all(self, key: Key, resource: str, objects: Iterable[Raw], version: int) -> None:
        """Take in a complete list.

        Args:
            key: the study.
            resource: tuningtrials, jobs or pods.
            objects: all that belong to the study.
            version: the list's resourceVersion: what it lacks, and has no newer version here, is gone.
        """
        family = self.family(key)
        listed = list(objects)
        for raw in listed:
            self.apply(resource, raw)
        uids = {raw["metadata"]["uid"] for raw in listed}

        def stays(uid: str) -> bool:
            return uid in uids or family.versions.get(uid, 0) > version

        if resource == "tuningtrials":
            family.trials = {name: trial for name, trial in family.trials.items() if stays(trial.uid)}
        elif resource == "jobs":
            family.jobs = {uid: job for uid, job in family.jobs.items() if stays(uid)}
        elif resource == "pods":
            # Its deletion was missed; its last state is kept for as long as its Job, as after an event.
            last = {uid: pod if stays(uid) else replace(pod, gone=True) for uid, pod in family.pods.items()}
            family.pods = {uid: pod for uid, pod in last.items() if stays(uid) or pod.job_uid in family.jobs}

    def listed(self, key: Key, again_after: timedelta) -> None:
        """Note that all of a family's lists were taken in, and forget the versions of what is gone."""
        family = self.family(key)
        family.synced = True
        family.list_again_at = min(family.list_again_at, time.monotonic() + again_after.total_seconds())
        known = {*family.jobs, *family.pods, *(trial.uid for trial in family.trials.values()), key[1]}
        family.versions = {uid: version for uid, version in family.versions.items() if uid in known}

    def doubt(self, key: Key) -> None:
        """Have a family listed anew soon: a watch began again, and does not tell what went away meanwhile."""
        family = self.family(key)
        family.list_again_at = min(family.list_again_at, time.monotonic() + SETTLED_AFTER)

    @staticmethod
    def _is_newer(family: Family, raw: Raw) -> bool:
        """Compare resourceVersions, which Kubernetes says may be compared as integers (KEP-5504)."""
        meta = raw["metadata"]
        version, uid = int(meta["resourceVersion"]), meta["uid"]
        if version < family.versions.get(uid, 0):
            return False
        # Kept of what is gone, too: the answer to our own last write may come after the event of the deletion.
        family.versions[uid] = version
        return True

    def _apply_study(self, key: Key, family: Family, study: StudyView | None) -> None:
        before, family.study = family.study, study
        if before is None or study is None:
            return
        if study.spec.stopping.rule.compares and not before.spec.stopping.rule.compares:
            self.doubt(key)  # the ended trials' curves were left out until now

    @staticmethod
    def _apply_trial(family: Family, raw: Raw, gone: bool) -> None:
        name = raw["metadata"]["name"]
        if not gone:
            # Where the study is not known yet, its rule may need the curve.
            compares = family.study is None or family.study.spec.stopping.rule.compares
            family.trials[name] = trial_view(raw, with_curve=compares)
        elif name in family.trials and family.trials[name].uid == raw["metadata"]["uid"]:
            del family.trials[name]

    @staticmethod
    def _apply_job(family: Family, raw: Raw, gone: bool) -> None:
        uid = raw["metadata"]["uid"]
        if gone:
            family.jobs.pop(uid, None)
            family.pods = {k: pod for k, pod in family.pods.items() if pod.job_uid != uid or not pod.gone}
            return
        family.jobs[uid] = job_view(raw)
        if family.jobs[uid].finished:
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
    attempt = labels.get(names.LABEL_ATTEMPT, "0")
    if not (attempt.isascii() and attempt.isdigit()):
        return None  # somebody else's object with our labels
    return meta["namespace"], labels[names.LABEL_STUDY_UID]


POD_LABELS = (names.LABEL_STUDY_UID, names.LABEL_TRIAL, names.LABEL_ATTEMPT)


def grouped(
    values: Iterable[View], by: Callable[[View], str], order: Callable[[View], Any]
) -> dict[str, tuple[View, ...]]:
    """Return the values in groups, each in order."""
    groups: dict[str, list[View]] = {}
    for value in values:
        groups.setdefault(by(value), []).append(value)
    return {name: tuple(sorted(group, key=order)) for name, group in groups.items()}
