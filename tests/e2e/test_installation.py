"""What stays and what goes: deletion of a study, an uninstallation, and the other way of installing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.paths import ROOT
from tests.e2e.studies import a_claim, a_training
from tests.support.live import Live, Namespace, until

KUSTOMIZED = "tuning-operator-system"
RESOURCES = ("tuningtrials", "jobs", "pods")


def test_a_deleted_study_takes_everything_with_it(namespace: Namespace) -> None:
    namespace.apply(a_training("doomed", trials=3, parallel=2, slow=0.5))
    until("two trials run", lambda: namespace.study("doomed").get("status", {}).get("trials", {}).get("running") == 2)
    namespace.kubectl("delete", "study", "doomed", "--cascade=foreground", "--timeout=180s")
    left = json.loads(namespace.kubectl("get", ",".join(RESOURCES), "--output=json"))["items"]
    assert [item["metadata"]["name"] for item in left] == []


@pytest.fixture
def overlay(live: Live, tmp_path: Path) -> Path:
    """A user's kustomization: ours, with the images of this checkout."""
    names = {
        "localhost/tuning-operator/operator": live.images.operator,
        "localhost/tuning-operator/trainer": live.images.trainer,
        "docker.io/prom/prometheus": live.images.prometheus,
    }
    images = [
        {"name": name, "newName": image.rsplit(":", 1)[0], "newTag": image.rsplit(":", 1)[1]}
        for name, image in names.items()
    ]
    # kustomize takes only relative paths, and none with links in it.
    folder = tmp_path.resolve()
    base = Path(*[".."] * (len(folder.parts) - 1), *(ROOT / "manifests").parts[1:])
    written = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(base)],
        "images": images,
    }
    (folder / "kustomization.yaml").write_text(json.dumps(written))
    return folder


@pytest.fixture
def reinstalled(live: Live) -> Iterator[None]:
    """The chart's release is there again for the tests that follow."""
    yield
    live.say("installing the operator by its chart again")
    live.install()


@pytest.mark.usefixtures("reinstalled")
def test_studies_outlive_the_release_and_another_installation_goes_on_with_them(
    live: Live, namespace: Namespace, overlay: Path
) -> None:
    study = a_training("moving", trials=3, parallel=1, slow=0.05, checkpoint=True)
    namespace.apply(a_claim(), study)
    until("a result", lambda: namespace.study("moving").get("status", {}).get("trials", {}).get("succeeded", 0) >= 1)
    before = {trial["metadata"]["uid"] for trial in namespace.trials("moving")}
    live.say("helm uninstall")
    live.uninstall()
    assert before <= {trial["metadata"]["uid"] for trial in namespace.trials("moving")}
    live.say("kubectl apply -k")
    try:
        live.cluster.kubectl("apply", "--server-side", "--force-conflicts", "--kustomize", overlay)
        for deployment in ("tuning-operator", "tuning-operator-prometheus"):
            live.cluster.kubectl(
                "rollout", "status", f"deployment/{deployment}", f"--namespace={KUSTOMIZED}", "--timeout=180s"
            )
        namespace.wait_for_success("moving")
        assert before <= {trial["metadata"]["uid"] for trial in namespace.trials("moving")}
    finally:
        live.say("kubectl delete -k")
        namespace.kubectl("delete", "studies", "--all", "--cascade=foreground")
        live.cluster.kubectl("delete", "--kustomize", overlay, "--ignore-not-found", "--timeout=180s")
    found = live.api.items("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    assert [crd for crd in found if crd["spec"]["group"] == "tuning-operator.dev"] == []
