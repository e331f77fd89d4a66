"""kind's configuration: one node, whose components may talk faster than their defaults allow."""

from __future__ import annotations

import json

from hack.node_image import NodeImage
from hack.paths import cluster_name

# By default the controller manager sends 20 requests a second: 3 Jobs a second, and the operator waits.
FAST_CLIENT = {"kube-api-qps": "1000", "kube-api-burst": "2000"}
CONTROLLER_MANAGER = {**FAST_CLIENT, "concurrent-job-syncs": "50"}
VOLUMES = "/tmp/hostpath_pv"  # noqa: S108 - where Kubernetes' own host path provisioner puts volumes


def node() -> str:
    """The name of the local cluster's one node, and of its container."""
    return f"{cluster_name()}-control-plane"


def render(image: NodeImage) -> str:
    """The configuration as text. JSON is YAML, and cannot be indented wrongly."""
    config: dict[str, object] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": cluster_name(),
        "networking": networking(image),
        "nodes": [
            {
                "role": "control-plane",
                "image": image.reference,
                "kubeadmConfigPatches": [json.dumps(patch(image))],
            }
        ],
    }
    return json.dumps(config, indent=2) + "\n"


def networking(image: NodeImage) -> dict[str, object]:
    """Our own node image brings its network; the published one gets kind's."""
    common: dict[str, object] = {"ipFamily": "ipv4", "apiServerAddress": "127.0.0.1"}
    return {**common, "disableDefaultCNI": True} if image.ours else common


def patch(image: NodeImage) -> dict[str, object]:
    """What kubeadm is told about the components (extraArgs are a map: kind asks for v1beta3 up to 1.35)."""
    manager: dict[str, object] = {"extraArgs": CONTROLLER_MANAGER}
    if image.ours:  # the provisioner runs in the controller manager, and makes its folders on the node
        volume = {
            "name": "volumes",
            "hostPath": VOLUMES,
            "mountPath": VOLUMES,
            "pathType": "DirectoryOrCreate",
        }
        manager["extraVolumes"] = [volume]
    return {
        "kind": "ClusterConfiguration",
        "controllerManager": manager,
        "scheduler": {"extraArgs": FAST_CLIENT},
    }
