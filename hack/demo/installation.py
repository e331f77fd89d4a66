"""The demo's release, namespaces and study on a cluster, and their removal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from ruamel.yaml import YAML

from hack import shell
from hack.cluster import Cluster
from hack.images import Images
from hack.paths import ROOT

RELEASE = "tuning-operator-demo"
NAMESPACE = "tuning-operator-demo"
STUDIES = "tuning-demo"
"""The namespace of the demo's studies."""
MARK = "tuning-operator.dev/demo"
CRDS = ("tuningstudies.tuning-operator.dev", "tuningtrials.tuning-operator.dev")
SCRAPE_INTERVAL = "2s"
"""The demo's trials last seconds; an installation for real training scrapes every 15 s."""


def confirm(cluster: Cluster, environment: Mapping[str, str]) -> None:
    """Show which cluster of the user's this is about, and ask once; `YES=1` answers.

    Raises:
        CommandError: the user said no, or nobody is there to answer.
    """
    context = cluster.kubectl("config", "current-context").strip()
    server = cluster.kubectl("config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}")
    print(f"This is the context {context} ({server}).")
    print(f"The demo creates the namespaces {NAMESPACE} and {STUDIES}, and pushes to {environment['IMAGE_REGISTRY']}.")
    if environment.get("YES") == "1":
        return
    try:
        answer = input("Go on? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise shell.CommandError("not confirmed; YES=1 answers the question beforehand")


def install(cluster: Cluster, images: Images) -> None:
    """Install the operator and the bundled Prometheus by the chart, or upgrade them to this checkout's."""
    for namespace in (NAMESPACE, STUDIES):
        _create_namespace(cluster, namespace)
    _release_lock(cluster)
    cluster.kubectl("label", "namespace", STUDIES, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    cluster.helm(
        "upgrade",
        "--install",
        RELEASE,
        ROOT / "charts" / "tuning-operator",
        f"--namespace={NAMESPACE}",
        f"--set=watchNamespaces={{{STUDIES}}}",
        f"--set=crds.install={'true' if _brings_crds(cluster) else 'false'}",
        f"--set=prometheus.scrapeInterval={SCRAPE_INTERVAL}",
        *_image_values("image", images.operator),
        *_image_values("trainer.image", images.trainer),
        *_image_values("prometheus.image", images.prometheus),
        "--wait",
        "--timeout=5m",
    )


def apply_sample(cluster: Cluster, sample: Path) -> None:
    """Apply a sample; one that ran in an earlier demo runs anew."""
    name = study_name(sample)
    cluster.kubectl(
        "delete", "tuningstudy", name, f"--namespace={STUDIES}", "--ignore-not-found", "--cascade=foreground"
    )
    cluster.kubectl("apply", f"--namespace={STUDIES}", "--filename", sample)


def study_name(sample: Path) -> str:
    """Return the name of the study in a manifest.

    Raises:
        CommandError: there is none in it.
    """
    for document in YAML(typ="safe").load_all(sample.read_text()):
        if document and document.get("kind") == "TuningStudy":
            return str(document["metadata"]["name"])
    raise shell.CommandError(f"{sample} has no TuningStudy")


def uninstall(cluster: Cluster) -> Iterator[str]:
    """Remove what the demo created on a user's cluster, and nothing else; yields what was done."""
    if _exists(cluster, "namespace", STUDIES) and _marked(cluster, STUDIES) and _exists(cluster, "crd", CRDS[0]):
        cluster.kubectl("delete", "tuningstudies", "--all", f"--namespace={STUDIES}", "--cascade=foreground")
    brought = [name for name in CRDS if _is_ours(cluster, name)]
    if RELEASE in _releases(cluster):
        cluster.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait")
        yield f"Uninstalled the release {RELEASE}."
    for namespace in (STUDIES, NAMESPACE):
        if _exists(cluster, "namespace", namespace) and _marked(cluster, namespace):
            cluster.kubectl("delete", "namespace", namespace)
            yield f"Deleted the namespace {namespace}."
    if not brought:
        return
    left = json.loads(cluster.kubectl("get", "tuningstudies", "--all-namespaces", "--output=json"))["items"]
    if left:
        yield f"Kept the CRDs: {len(left)} studies of others use them."
        return
    for name in brought:
        cluster.kubectl("delete", "crd", name)
        yield f"Deleted the CRD {name}."


def _release_lock(cluster: Cluster) -> None:
    """Remove a release whose Helm was killed: until somebody does, Helm refuses everything else."""
    if any(status.startswith("pending") for status in _releases(cluster).values()):
        cluster.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait")


def _releases(cluster: Cluster) -> dict[str, str]:
    """Return the status of the demo's release by its name; empty where there is none."""
    listed = cluster.helm("list", "--all", f"--filter=^{RELEASE}$", f"--namespace={NAMESPACE}", "--output=json")
    return {release["name"]: release["status"] for release in json.loads(listed)}


def _create_namespace(cluster: Cluster, name: str) -> None:
    if not _exists(cluster, "namespace", name):
        # In one call: an interrupt between two would leave a namespace that nobody takes for the demo's.
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {MARK: "true"}}}
        cluster.kubectl("create", "--filename=-", stdin=json.dumps(body))


def _marked(cluster: Cluster, namespace: str) -> bool:
    labels = json.loads(cluster.kubectl("get", "namespace", namespace, "--output=json"))["metadata"].get("labels", {})
    return bool(labels.get(MARK) == "true")


def _brings_crds(cluster: Cluster) -> bool:
    """Whether this release may own the CRDs: they are not there, or an earlier demo brought them."""
    return all(not _exists(cluster, "crd", name) or _is_ours(cluster, name) for name in CRDS)


def _is_ours(cluster: Cluster, crd: str) -> bool:
    if not _exists(cluster, "crd", crd):
        return False
    annotations = json.loads(cluster.kubectl("get", "crd", crd, "--output=json"))["metadata"].get("annotations", {})
    return bool(annotations.get("meta.helm.sh/release-name") == RELEASE)


def _exists(cluster: Cluster, kind: str, name: str) -> bool:
    return bool(cluster.kubectl("get", kind, name, "--ignore-not-found", "--output=name").strip())


def _image_values(key: str, reference: str) -> list[str]:
    repository, _, tag = reference.rpartition(":")
    return [f"--set={key}.repository={repository}", f"--set-string={key}.tag={tag}"]
