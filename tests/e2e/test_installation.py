"""What stays and what goes: deletion of a study, an uninstallation, and the other way of installing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

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
def manifests(live: Live, tmp_path: Path) -> Path:
    """A copy of manifests/, its images edited as its kustomization.yaml says."""
    folder = tmp_path / "manifests"
    shutil.copytree(ROOT / "manifests", folder)
    file = folder / "kustomization.yaml"
    yaml = YAML()
    kustomization = yaml.load(file)
    ours = {
        "tuning-operator": live.images.operator,
        "tuning-trainer": live.images.trainer,
        "prometheus": live.images.prometheus,
    }
    for image in kustomization["images"]:
        image["newName"], image["newTag"] = ours.pop(image["name"]).rsplit(":", 1)
    assert ours == {}
    yaml.dump(kustomization, file)
    return folder


@pytest.fixture
def reinstalled(live: Live) -> Iterator[None]:
    """The chart's release is there again for the tests that follow."""
    yield
    live.say("installing the operator by its chart again")
    live.install()


@pytest.mark.usefixtures("own_cluster", "reinstalled")
def test_studies_outlive_the_release_and_another_installation_goes_on_with_them(
    live: Live, namespace: Namespace, manifests: Path
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
        live.cluster.kubectl("apply", "--server-side", "--force-conflicts", "--kustomize", manifests)
        for deployment in ("tuning-operator", "tuning-operator-prometheus"):
            live.cluster.kubectl(
                "rollout", "status", f"deployment/{deployment}", f"--namespace={KUSTOMIZED}", "--timeout=180s"
            )
        namespace.wait_for_success("moving")
        assert before <= {trial["metadata"]["uid"] for trial in namespace.trials("moving")}
    finally:
        live.say("kubectl delete -k")
        namespace.kubectl("delete", "studies", "--all", "--cascade=foreground")
        live.cluster.kubectl("delete", "--kustomize", manifests, "--ignore-not-found", "--timeout=180s")
    found = live.api.items("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    assert [crd for crd in found if crd["spec"]["group"] == "tuning-operator.dev"] == []
