"""A real API server for the session, with our definitions and policies in force."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import pytest

from hack.control_plane import ControlPlane
from hack.generate.crds import crds
from hack.generate.policies import PATH as POLICIES
from hack.paths import ROOT
from tests.support.builders import a_study, a_trial
from tuning_operator.api.base import GROUP
from tuning_operator.api.policies import ServiceAccount

GROUPS = {"jobs": "batch", "serviceaccounts": ""}
"""The API group of each resource that is not ours."""

OPERATOR = ServiceAccount().username
READY_SECONDS = 60.0

_numbers = count()


class Cluster:
    """kubectl on the session's API server, in a namespace of the test's own."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace

    def kubectl(
        self, *arguments: object, manifest: Any = None, user: str | None = None, groups: tuple[str, ...] = ()
    ) -> str:
        """Run kubectl as cluster-admin or as a user; return what it says, whether it succeeds or not."""
        text = manifest if manifest is None or isinstance(manifest, str) else json.dumps(manifest)
        result = self.plane.kubectl(
            *map(str, arguments),
            f"--namespace={self.namespace}",
            input=text,
            user=user,
            groups=groups,
            check=False,
        )
        return (result.stdout + result.stderr).strip()

    def get(self, *arguments: object) -> Any:
        """Return an object, or a list, as kubectl has it in JSON."""
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    def apply(self, manifest: Any, *arguments: object, user: str | None = None) -> str:
        """Apply a manifest."""
        return self.kubectl("apply", "--filename=-", *arguments, manifest=manifest, user=user)

    def refusal(self, manifest: Any) -> str:
        """Apply a manifest that is to be refused, and return what kubectl says."""
        answer = self.apply(manifest, "--dry-run=server")
        assert "(server dry run)" not in answer, f"this was accepted: {manifest}"
        return answer

    def patch_status(self, resource: str, name: str, status: dict[str, Any], user: str | None = None) -> str:
        """Change an object's status."""
        patch = json.dumps({"status": status})
        return self.kubectl(
            "patch", resource, name, "--subresource=status", "--type=merge", f"--patch={patch}", user=user
        )


def permissions(user: str, verbs: Mapping[str, Sequence[str]], only: Sequence[str] = ()) -> dict[str, Any]:
    """Return what gives a user permissions in every namespace: verbs by resource; `only` these objects, if named."""
    named = {"resourceNames": list(only)} if only else {}
    role = f"{user}-{'-'.join(only)}"
    rules = [
        {"apiGroups": [GROUPS.get(resource, GROUP)], "resources": [resource], "verbs": list(allowed), **named}
        for resource, allowed in verbs.items()
    ]
    api = "rbac.authorization.k8s.io"
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": f"{api}/v1", "kind": "ClusterRole", "metadata": {"name": role}, "rules": rules},
            {
                "apiVersion": f"{api}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": role},
                "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
            },
        ],
    }


def until(what: str, condition: Callable[[], bool], within: float = READY_SECONDS) -> None:
    """Wait for a condition; fail in words when it does not come true."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """An API server with the garbage collector and the namespace controller, our CRDs and our policies."""
    with ControlPlane(controller_manager=True) as plane:
        for path in crds():
            plane.kubectl("apply", "--filename", ROOT / path)
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        plane.kubectl("apply", "--filename", ROOT / POLICIES)
        # What the operator may do is a matter for its role's own tests; here it may do everything.
        plane.kubectl("create", "clusterrolebinding", "operator", "--clusterrole=cluster-admin", f"--user={OPERATOR}")
        _wait_for_policies(Cluster(plane, "default"))
        yield plane


@pytest.fixture(scope="session")
def dry(control_plane: ControlPlane) -> Cluster:
    """The default namespace, for requests that leave nothing behind (`--dry-run=server`)."""
    return Cluster(control_plane, "default")


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Cluster:
    """A fresh namespace on the session's API server."""
    namespace = f"test-{next(_numbers)}"
    control_plane.kubectl("create", "namespace", namespace)
    return Cluster(control_plane, namespace)


def _wait_for_policies(cluster: Cluster) -> None:
    """A new policy acts a moment after it was written, unannounced."""
    cluster.apply(permissions("probe", {"tuningstudies": ["create"]}))
    cluster.apply(a_study("probe"))

    def denied(*arguments: str, manifest: Any = None, user: str | None = None) -> bool:
        answer = cluster.kubectl(*arguments, "--dry-run=server", manifest=manifest, user=user)
        return "ValidatingAdmissionPolicy" in answer

    create = ("create", "--filename=-")
    swap = [
        {"op": "move", "from": "/spec/trial/template/spec/containers", "path": "/spec/trial/template/spec/others"},
    ]
    patch = ("patch", "study", "probe", "--type=json", f"--patch={json.dumps(swap)}")
    until("trials by others are denied", lambda: denied(*create, manifest=a_trial()))
    until("studies of who may not create Jobs are denied", lambda: denied(*create, manifest=a_study(), user="probe"))
    until("changes of a template are denied", lambda: denied(*patch))
    cluster.kubectl("delete", "study", "probe")
