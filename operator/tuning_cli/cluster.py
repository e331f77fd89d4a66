"""Studies and their trials in the cluster of the user's kubeconfig."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from kubernetes.aio.config import ConfigException, list_kube_config_contexts

from tuning_cli.inputs import StudyWithEarlier
from tuning_cli.problems import InputError, Problem, Warnings
from tuning_cli.reading.kubernetes_objects import trials_from_list
from tuning_cli.reading.places import Document
from tuning_cli.reading.study_file import study_of
from tuning_operator.api.names import round_of
from tuning_operator.clients.cluster import Cluster
from tuning_operator.clients.errors import ClusterError, NotFound
from tuning_operator.playbook.analysis import analyse
from tuning_operator.playbook.records import StudyRecord

Manifest = dict[str, Any]
Answer = TypeVar("Answer")
STUDIES = "tuningstudies"
TRIALS = "tuningtrials"


def read_study_of_cluster(name: str, namespace: str | None, warnings: Warnings) -> StudyWithEarlier:
    """Read a study, its trials, and the earlier studies that it names.

    Raises:
        InputError: there is no such study, or the cluster cannot be asked.
    """

    async def read(cluster: Cluster, place: str) -> StudyWithEarlier:
        study = await cluster.get(STUDIES, place, name)
        return await _with_earlier(cluster, place, study, warnings)

    return _asked(read, namespace)


def proposed_manifest(name: str, namespace: str | None, warnings: Warnings) -> Manifest | None:
    """Return the next study's manifest: the one in the status; where it was too large for that, computed again."""

    async def read(cluster: Cluster, place: str) -> Manifest | None:
        study = await cluster.get(STUDIES, place, name)
        proposed = ((study.get("status") or {}).get("nextStudy") or {}).get("manifest")
        if isinstance(proposed, dict):
            return proposed
        known = await _with_earlier(cluster, place, study, warnings)
        number = round_of(study["metadata"].get("annotations") or {})
        proposal = analyse(replace(known.study, round=number), known.earlier).next_study
        return None if proposal is None else proposal.manifest

    return _asked(read, namespace)


async def _with_earlier(cluster: Cluster, namespace: str, study: Manifest, warnings: Warnings) -> StudyWithEarlier:
    earlier = []
    for name in study["spec"].get("previousStudies") or ():
        try:
            before = await cluster.get(STUDIES, namespace, name)
        except NotFound:
            warnings.add(Problem(f"the earlier study {name} is not there any more"))
        else:
            earlier.append(await _record(cluster, namespace, before, warnings))
    return StudyWithEarlier(await _record(cluster, namespace, study, warnings), tuple(earlier))


async def _record(cluster: Cluster, namespace: str, study: Manifest, warnings: Warnings) -> StudyRecord:
    meta = study["metadata"]
    trials, _ = await cluster.list_of_study(TRIALS, namespace, meta["uid"])
    place = f"{namespace}/{meta['name']}"
    return trials_from_list(study_of(Document(place, study), warnings), {"items": trials}, place, warnings)


def _asked(read: Callable[[Cluster, str], Awaitable[Answer]], namespace: str | None) -> Answer:
    async def ask() -> Answer:
        cluster = await Cluster.connect()
        try:
            return await read(cluster, namespace or _current_namespace())
        finally:
            await cluster.close()

    try:
        return asyncio.run(ask())
    except ConfigException as error:
        raise InputError(Problem(f"no cluster: {error}")) from None
    except ClusterError as error:
        raise InputError(Problem(str(error) or type(error).__name__)) from None


def _current_namespace() -> str:
    """Return the namespace of kubeconfig's current context, as kubectl would."""
    try:
        _, context = list_kube_config_contexts()
    except ConfigException:
        return "default"
    return str((context.get("context") or {}).get("namespace") or "default")
