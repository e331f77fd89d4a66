"""Installing on a real API server: each way of doing it works, or is refused with the command that helps.

No pods run: what is tested is what Helm, kubectl and the API server say.
"""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from hack.control_plane import ControlPlane
from tests.cluster.conftest import until
from tests.cluster.packaging.helm import MANIFESTS, Helm, Manifest, kustomized, of_kind, rendered
from tests.support.builders import a_study, a_trial

SYSTEM = "tuning-operator-system"
OUTSIDE_NAMESPACES = (
    "clusterroles",
    "clusterrolebindings",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
)
CRDS = ["tuningstudies.tuning-operator.dev", "tuningtrials.tuning-operator.dev"]


@pytest.fixture(scope="module")
def own_plane() -> Iterator[ControlPlane]:
    """An API server apart from the session's, on which the definitions and policies are somebody else's."""
    with ControlPlane(controller_manager=True) as running:
        yield running


@pytest.fixture
def plane(own_plane: ControlPlane) -> Iterator[ControlPlane]:
    """It, and afterwards nothing of ours on it."""
    yield own_plane
    Helm(own_plane).uninstall_all()
    own_plane.kubectl("delete", "crd", *CRDS, "--ignore-not-found")
    ours = f"{','.join(OUTSIDE_NAMESPACES)},deployments.apps"
    own_plane.kubectl("delete", ours, "--all-namespaces", "--selector=app.kubernetes.io/name=tuning-operator")
    until("no namespace is on its way out", lambda: "Terminating" not in own_plane.kubectl("get", "namespaces").stdout)


@pytest.fixture
def helm(plane: ControlPlane) -> Helm:
    """Helm on it."""
    return Helm(plane)


def get(plane: ControlPlane, *what: str) -> Any:
    """Return an object, or the items of a list."""
    found = json.loads(plane.kubectl("get", *what, "--output=json").stdout)
    return found.get("items", found)


def create(plane: ControlPlane, namespace: str, thing: Manifest, *options: str, check: bool = True) -> str:
    """Create an object; return what kubectl says."""
    text = json.dumps(thing)
    arguments = ("create", f"--namespace={namespace}", "--filename=-", *options)
    result = plane.kubectl(*arguments, input=text, check=check)
    return (result.stdout + result.stderr).strip()


def namespace(plane: ControlPlane, name: str) -> None:
    """Make a namespace, unless an earlier test has."""
    plane.kubectl("create", "namespace", name, check=False)


def definitions_established(plane: ControlPlane) -> None:
    """Wait until studies can be created."""
    plane.kubectl("wait", "--for=condition=Established", "crd", *CRDS, "--timeout=30s")


def advice(said: str, command: str) -> list[list[str]]:
    """Return the words of the commands that a refusal gives as help."""
    return [shlex.split(line) for line in said.splitlines() if line.startswith(f"    {command} ")]


def follow(plane: ControlPlane, said: str) -> None:
    """Do what a refusal says to do with kubectl."""
    commands = advice(said, "kubectl")
    assert commands, said
    for words in commands:
        plane.kubectl(*words[1:])


def test_install_upgrade_and_uninstall_leave_studies_alone(plane: ControlPlane, helm: Helm) -> None:
    said = helm.install("tuning-operator", SYSTEM)
    assert "rollout status deployment/tuning-operator" in said
    definitions_established(plane)
    create(plane, "default", a_study())

    assert "has been upgraded" in helm.upgrade("tuning-operator", SYSTEM, "--set=logLevel=DEBUG")
    (container,) = get(plane, "deployment", "tuning-operator", "-n", SYSTEM)["spec"]["template"]["spec"]["containers"]
    assert {"name": "TUNING_OPERATOR_LOG_LEVEL", "value": "DEBUG"} in container["env"]

    said = helm.uninstall("tuning-operator", SYSTEM)
    assert all(name in said for name in CRDS)  # Helm says what it keeps
    assert len(get(plane, "studies", "--all-namespaces")) == 1
    assert not get(plane, ",".join(OUTSIDE_NAMESPACES), "--selector=app.kubernetes.io/name=tuning-operator")
    assert "STATUS: deployed" in helm.install("tuning-operator", SYSTEM)
    assert len(get(plane, "studies", "--all-namespaces")) == 1


def test_another_release_name_after_an_uninstall_takes_the_definitions_over(plane: ControlPlane, helm: Helm) -> None:
    helm.install("first", SYSTEM)
    helm.uninstall("first", SYSTEM)
    said = helm.install("second", SYSTEM)
    assert f"installed by the Helm release first in namespace {SYSTEM}" in said
    assert "--set crds.install=false" in said
    follow(plane, said)
    assert "STATUS: deployed" in helm.install("second", SYSTEM)


def test_a_second_release_for_all_namespaces_is_refused(plane: ControlPlane, helm: Helm) -> None:
    helm.install("first", SYSTEM)
    said = helm.install("second", "elsewhere", "--set=crds.install=false")
    assert f"already serves all namespaces (Deployment first-tuning-operator in namespace {SYSTEM})" in said
    assert f"helm uninstall first --namespace {SYSTEM}" in said
    assert not get(plane, "deployments", "-n", "elsewhere")


def test_releases_that_share_no_namespace_live_side_by_side(plane: ControlPlane, helm: Helm) -> None:
    for team in ("team-a", "team-b", "team-c"):
        namespace(plane, team)
    first = helm.install("tuning-operator", "ops-a", "--set=watchNamespaces={team-a}")
    assert "Only studies in these namespaces are served" in first
    overlapping = ("--set=watchNamespaces={team-b,team-a}", "--set=crds.install=false")
    assert "already serves team-a (Deployment tuning-operator in namespace ops-a)" in helm.install(
        "tuning-operator", "ops-b", *overlapping
    )
    apart = ("--set=watchNamespaces={team-b}", "--set=crds.install=false")
    assert "STATUS: deployed" in helm.install("tuning-operator", "ops-b", *apart)

    definitions_established(plane)
    until("each operator writes trials where it serves, and only there", lambda: writers(plane) == {
        ("ops-a", "team-a"): True, ("ops-a", "team-b"): False, ("ops-a", "team-c"): False,
        ("ops-b", "team-a"): False, ("ops-b", "team-b"): True, ("ops-b", "team-c"): False,
    })  # fmt: skip


def writers(plane: ControlPlane) -> dict[tuple[str, str], bool]:
    """Which operator (by its namespace) may write trials where."""

    def may(operator: str, team: str) -> bool:
        account = f"system:serviceaccount:{operator}:tuning-operator"
        return "created" in create(plane, team, a_trial(), f"--as={account}", "--dry-run=server", check=False)

    return {(ops, team): may(ops, team) for ops in ("ops-a", "ops-b") for team in ("team-a", "team-b", "team-c")}


def test_a_namespace_that_does_not_exist_is_named(plane: ControlPlane, helm: Helm) -> None:
    assert 'namespaces "nowhere" not found' in helm.install("x", SYSTEM, "--set=watchNamespaces={nowhere}")


def test_kustomize_installs_and_helm_takes_over_by_what_it_says(plane: ControlPlane, helm: Helm) -> None:
    plane.kubectl("apply", "--kustomize", MANIFESTS)
    definitions_established(plane)
    plane.kubectl("apply", "--kustomize", MANIFESTS)  # again, as an upgrade
    create(plane, "default", a_study())

    said = helm.install("tuning-operator", SYSTEM)
    assert "installed by kubectl or another tool" in said
    follow(plane, said)  # the definitions are Helm's now
    said = helm.install("tuning-operator", SYSTEM)
    assert f"already serves all namespaces (Deployment tuning-operator in namespace {SYSTEM})" in said
    follow(plane, said)  # and the rest is gone
    assert "STATUS: deployed" in helm.install("tuning-operator", SYSTEM)
    assert len(get(plane, "studies", "--all-namespaces")) == 1


def test_checks_can_be_left_out_by_who_may_not_list(plane: ControlPlane, helm: Helm) -> None:
    helm.install("first", SYSTEM)
    unchecked = ("--set=checks.enabled=false", "--set=crds.install=false")
    assert "STATUS: deployed" in helm.install("second", "elsewhere", *unchecked)


def test_what_runs_satisfies_the_restricted_standard(plane: ControlPlane) -> None:
    namespace(plane, "strict")
    plane.kubectl("label", "--overwrite", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted")
    deployments = of_kind([*rendered(), *kustomized()], "Deployment")
    assert len(deployments) == 4
    for deployment in deployments:
        template = deployment["spec"]["template"]
        name = deployment["metadata"]["name"]
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        create(plane, "strict", account, check=False)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": template["spec"]}
        assert "created (server dry run)" in create(plane, "strict", pod, "--dry-run=server", check=False)


MAY: list[tuple[str, str, bool]] = [
    ("create", "jobs.batch", True),
    ("delete", "jobs.batch", True),
    ("create", "tuningtrials.tuning-operator.dev", True),
    ("update", "tuningtrials.tuning-operator.dev/status", True),
    ("update", "tuningstudies.tuning-operator.dev/finalizers", True),
    ("list", "events", True),
    ("delete", "tuningtrials.tuning-operator.dev", False),
    ("patch", "tuningtrials.tuning-operator.dev", False),
    ("patch", "tuningstudies.tuning-operator.dev", False),
    ("create", "pods", False),
    ("create", "pods/exec", False),
    ("get", "secrets", False),
    ("list", "namespaces", False),
    ("create", "serviceaccounts/token", False),
    ("create", "rolebindings.rbac.authorization.k8s.io", False),
]


def test_rights_are_those_that_we_say(plane: ControlPlane, helm: Helm) -> None:
    namespace(plane, "team")
    helm.install("tuning-operator", SYSTEM)

    def can(account: str, verb: str, resource: str, where: str = "team") -> bool:
        who = f"--as=system:serviceaccount:{SYSTEM}:{account}"
        kind, _, part = resource.partition("/")
        question = ("auth", "can-i", verb, kind, f"--subresource={part}", who, f"--namespace={where}")
        return plane.kubectl(*question, check=False).stdout.strip() == "yes"

    found = [(verb, resource, can("tuning-operator", verb, resource)) for verb, resource, _ in MAY]
    assert found == MAY
    assert can("tuning-operator-prometheus", "list", "pods")
    assert not can("tuning-operator-prometheus", "list", "jobs.batch")

    helm.upgrade("tuning-operator", SYSTEM, "--set=watchNamespaces={team}")
    assert can("tuning-operator", "create", "jobs.batch")
    assert not can("tuning-operator", "create", "jobs.batch", where="default")


def test_notes_print_a_scrape_job_for_an_existing_prometheus(helm: Helm) -> None:
    said = helm.install("x", SYSTEM, "--set=prometheus.bundled=false", "--set=prometheus.url=http://p:9090")
    assert re.search(r"^- job_name: tuning-trials$|^- .*\n(  .*\n)*  job_name: tuning-trials$", said, re.MULTILINE), (
        said
    )
    assert f'targets: ["x-tuning-operator.{SYSTEM}.svc:8080"]' in said


def test_every_sample_is_accepted(plane: ControlPlane, helm: Helm) -> None:
    helm.install("tuning-operator", SYSTEM)
    definitions_established(plane)
    samples = sorted((MANIFESTS / "samples").glob("*.yaml"))
    assert samples
    for sample in samples:
        plane.kubectl("apply", "--filename", sample)
    assert len(get(plane, "studies")) == len(samples)


def test_the_chart_has_no_faults_that_helm_finds(helm: Helm) -> None:
    assert "1 chart(s) linted, 0 chart(s) failed" in helm.lint()
