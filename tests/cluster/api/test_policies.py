"""Who may write what: real users with client certificates, and the controllers that must not be hindered."""

import json
from typing import Any

import pytest

from tests.cluster.conftest import OPERATOR, Cluster, permissions, until
from tests.support.builders import Manifest, a_study, a_trial
from tuning_operator.api.base import API_VERSION

WRITE = ["create", "get", "list", "update", "patch"]
STUDIES = {"tuningstudies": WRITE, "tuningstudies/scale": WRITE, "tuningstudies/status": WRITE}
TRIALS = {"tuningtrials": [*WRITE, "delete"], "tuningtrials/status": WRITE}
JOBS = {"jobs": ["create"]}

USERS = {
    "author": permissions("author", STUDIES | TRIALS | JOBS),
    "student": permissions("student", STUDIES),  # may not create Jobs
    "team": permissions("team", STUDIES | JOBS),
    "team with an account": permissions("team", {"serviceaccounts": ["use"]}, only=["gpu"]),
}

CREATED = "tuningstudy.tuning-operator.dev/digits created"
WORKER = {"name": "trainer", "image": "localhost/trainer"}


@pytest.fixture(scope="module", autouse=True)
def _users(dry: Cluster) -> None:
    dry.apply(
        {"apiVersion": "v1", "kind": "List", "items": [item for user in USERS.values() for item in user["items"]]}
    )


def policy(name: str) -> str:
    return f"ValidatingAdmissionPolicy 'tuning-operator-{name}' with binding 'tuning-operator-{name}' denied request: "


def needs_jobs(namespace: str) -> str:
    return policy("study-author") + (
        "a study creates Jobs: to create or change one you must be allowed to create Jobs (batch) "
        f"in namespace {namespace} yourself"
    )


def needs_use(namespace: str) -> str:
    return policy("study-author") + (
        "the pods of trials would run as service account gpu: to use it you must be allowed the verb use on this "
        f"service account in namespace {namespace}, or leave serviceAccountName out"
    )


NEEDS_OPERATOR = policy("trial-writer") + (
    "trials are written by the operator alone: create or change a TuningStudy instead"
)


def running_as(**fields: Any) -> Manifest:
    """Return a study whose pods have these fields."""
    return a_study(trial={"template": {"spec": {"containers": [WORKER], **fields}}})


def test_an_author_may_create_a_study(cluster: Cluster) -> None:
    assert cluster.apply(a_study(), user="author") == CREATED


def test_who_may_not_create_jobs_may_not_create_a_study(cluster: Cluster) -> None:
    answer = cluster.apply(a_study(), user="student")
    assert answer.endswith(needs_jobs(cluster.namespace))
    assert "Forbidden" in answer or "forbidden" in answer


def test_who_may_not_create_jobs_may_not_change_a_study(cluster: Cluster) -> None:
    cluster.apply(a_study(), user="author")
    assert cluster.apply(a_study(budget={"maxTrials": 100}), user="student").endswith(needs_jobs(cluster.namespace))
    assert cluster.apply(a_study(suspend=True), user="student").endswith(needs_jobs(cluster.namespace))


def test_who_may_not_create_jobs_may_not_scale_a_study(cluster: Cluster) -> None:
    cluster.apply(a_study(), user="author")
    scaled = "tuningstudy.tuning-operator.dev/digits scaled"
    assert cluster.kubectl("scale", "study", "digits", "--replicas=9", user="student").endswith(
        needs_jobs(cluster.namespace)
    )
    assert cluster.kubectl("scale", "study", "digits", "--replicas=9", user="author") == scaled


def test_metadata_and_status_are_not_the_policy_s_concern(cluster: Cluster) -> None:
    cluster.apply(a_study(), user="author")
    answer = cluster.kubectl("label", "study", "digits", "team=vision", user="student")
    assert answer == "tuningstudy.tuning-operator.dev/digits labeled"
    answer = cluster.patch_status("tuningstudy", "digits", {"state": "Running"}, user="student")
    assert answer == "tuningstudy.tuning-operator.dev/digits patched"


@pytest.mark.parametrize("field", ["serviceAccountName", "serviceAccount"])
def test_a_service_account_needs_the_verb_use(cluster: Cluster, field: str) -> None:
    study = running_as(**{field: "gpu"})
    assert cluster.apply(study, user="author").endswith(needs_use(cluster.namespace))
    assert cluster.apply(study, user="team") == CREATED


def test_both_names_of_the_service_account_count(cluster: Cluster) -> None:
    study = running_as(serviceAccountName="default", serviceAccount="gpu")
    assert cluster.apply(study, user="author").endswith(needs_use(cluster.namespace))


@pytest.mark.parametrize("account", ["", "default"])
def test_the_default_service_account_is_free(cluster: Cluster, account: str) -> None:
    assert cluster.apply(running_as(serviceAccountName=account), user="author") == CREATED


@pytest.mark.parametrize("account", [7, ["gpu"], {"name": "gpu"}])
def test_a_service_account_that_is_no_text_is_refused(cluster: Cluster, account: Any) -> None:
    assert policy("study-author") in cluster.apply(running_as(serviceAccountName=account), user="author")


def test_every_name_of_a_service_account_is_told(cluster: Cluster) -> None:
    study = running_as(serviceAccountName="cpu", serviceAccount="gpu")
    assert "as service account cpu and gpu:" in cluster.apply(study, user="team")


NO_OTHER_TEMPLATE = (
    "trial cannot be changed, since trials of different templates are not comparable: create another study"
)


def test_swapping_one_field_for_a_service_account_is_noticed(cluster: Cluster) -> None:
    cluster.apply(running_as(priorityClassName="gpu"), user="author")
    patch = [
        {"op": "remove", "path": "/spec/trial/template/spec/priorityClassName"},
        {"op": "add", "path": "/spec/trial/template/spec/serviceAccountName", "value": "gpu"},
    ]
    answer = cluster.kubectl("patch", "study", "digits", "--type=json", f"--patch={json.dumps(patch)}", user="author")
    # Two policies refuse it, and the API server names the one that it came to first.
    assert needs_use(cluster.namespace) in answer or answer.endswith(NO_OTHER_TEMPLATE)


POD = "/spec/trial/template/spec"

SWAPS = {
    "of the pod": (f"{POD}/priorityClassName", f"{POD}/hostNetwork"),
    "of an object in it": (f"{POD}/securityContext/runAsUser", f"{POD}/securityContext/runAsGroup"),
    "of a container": (f"{POD}/containers/0/image", f"{POD}/containers/0/workingDir"),
}


@pytest.mark.parametrize(("old", "new"), SWAPS.values(), ids=SWAPS.keys())
def test_swapping_one_field_of_the_template_for_another_is_refused(cluster: Cluster, old: str, new: str) -> None:
    cluster.apply(running_as(priorityClassName="gpu", securityContext={"runAsUser": 7}))
    patch = [{"op": "remove", "path": old}, {"op": "add", "path": new, "value": "/"}]
    answer = cluster.kubectl("patch", "study", "digits", "--type=json", f"--patch={json.dumps(patch)}")
    assert answer.endswith(NO_OTHER_TEMPLATE)


def test_the_operator_writes_trials(cluster: Cluster) -> None:
    assert cluster.apply(a_trial("digits-0"), user=OPERATOR) == "tuningtrial.tuning-operator.dev/digits-0 created"
    answer = cluster.patch_status("tuningtrial", "digits-0", {"state": "Running"}, user=OPERATOR)
    assert answer == "tuningtrial.tuning-operator.dev/digits-0 patched"


def test_nobody_else_writes_trials(cluster: Cluster) -> None:
    assert cluster.apply(a_trial("digits-0"), user="author").endswith(NEEDS_OPERATOR)
    cluster.apply(a_trial("digits-0"), user=OPERATOR)
    for user in ("author", None):  # not even cluster-admin
        forged = cluster.patch_status("tuningtrial", "digits-0", {"state": "Succeeded"}, user=user)
        assert forged.endswith(NEEDS_OPERATOR)


def test_others_may_label_and_delete_trials(cluster: Cluster) -> None:
    cluster.apply(a_trial("digits-0"), user=OPERATOR)
    answer = cluster.kubectl("label", "trial", "digits-0", "seen=yes", user="author")
    assert answer == "tuningtrial.tuning-operator.dev/digits-0 labeled"
    answer = cluster.kubectl("delete", "trial", "digits-0", user="author")
    assert "deleted" in answer


def owned_by(owner: Manifest, manifest: Manifest) -> Manifest:
    """Return the manifest with the owner that it waits for."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [reference]}}


def a_family(cluster: Cluster) -> None:
    """Create a study that owns a trial that owns a ConfigMap, which stands for its Job."""
    cluster.apply(a_study())
    study = cluster.get("tuningstudy", "digits")
    cluster.apply(owned_by(study, a_trial("digits-0")), user=OPERATOR)
    trial = cluster.get("tuningtrial", "digits-0")
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "digits-0-1"}}
    cluster.apply(owned_by(trial, child))


def test_a_foreground_deletion_ends(cluster: Cluster) -> None:
    a_family(cluster)
    cluster.kubectl("delete", "study", "digits", "--cascade=foreground", "--timeout=60s")
    assert cluster.get("tuningstudies,tuningtrials")["items"] == []
    assert cluster.kubectl("get", "configmap", "digits-0-1", "--ignore-not-found") == ""


def test_a_deletion_that_orphans_trials_ends(cluster: Cluster) -> None:
    a_family(cluster)
    cluster.kubectl("delete", "study", "digits", "--cascade=orphan", "--timeout=60s")
    trial = cluster.get("tuningtrial", "digits-0")
    assert trial["apiVersion"] == API_VERSION
    assert "ownerReferences" not in trial["metadata"]


def test_the_deletion_of_a_namespace_ends(cluster: Cluster) -> None:
    a_family(cluster)
    cluster.kubectl("delete", "namespace", cluster.namespace, "--wait=false")
    until(
        "the namespace is gone",
        lambda: cluster.kubectl("get", "namespace", cluster.namespace, "--ignore-not-found") == "",
    )
