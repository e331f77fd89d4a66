"""A study whose pods cannot start says why, spends nothing meanwhile, and goes on by itself.

The four studies are stuck side by side, because the waiting is most of the time.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.cluster.operator.conftest import Lab, Write, a_small_study
from tests.support.api import Manifest
from tests.support.kubelet import Runs, Unseen, Waits, completes
from tests.support.operators import Operator

QUIET_SECONDS = 20.0
WRITES_A_MINUTE = 6


@dataclass(frozen=True)
class Stuck:
    """A study that cannot go on, and how to help it."""

    lab: Lab
    reason: str
    said: str
    help: Callable[[], object]


def _image(lab: Lab) -> Stuck:
    lab.script(lambda _: Waits("ImagePullBackOff", 'Back-off pulling image "localhost/trainer"'))
    lab.create(a_small_study())
    return Stuck(lab, "ImagePullFailed", "Back-off pulling image", lambda: _overcome(lab))


def _container(lab: Lab) -> Stuck:
    lab.script(lambda _: Waits("CreateContainerConfigError", 'secret "wandb" not found'))
    lab.create(a_small_study())
    return Stuck(lab, "InvalidContainer", 'secret "wandb" not found', lambda: _overcome(lab))


def _pod_security(lab: Lab) -> Stuck:
    label = "pod-security.kubernetes.io/enforce"
    lab.kubectl("label", "namespace", lab.namespace, f"{label}=restricted")
    context = {"privileged": True, "allowPrivilegeEscalation": True}
    container = {"name": "trainer", "image": "localhost/trainer", "securityContext": context}
    lab.create(a_small_study(trial={"template": {"spec": {"containers": [container]}}}))
    return Stuck(
        lab,
        "PodsForbidden",
        "violates PodSecurity",
        lambda: lab.kubectl("label", "namespace", lab.namespace, f"{label}-"),
    )


def _quota_of_pods(lab: Lab) -> Stuck:
    _quota(lab, "pods", 0)
    lab.create(a_small_study())
    return Stuck(lab, "QuotaExceeded", "exceeded quota", lambda: _quota(lab, "pods", 10))


def _quota_of_jobs(lab: Lab) -> Stuck:
    _quota(lab, "count/jobs.batch", 0)
    lab.create(a_small_study())
    return Stuck(lab, "QuotaExceeded", "exceeded quota", lambda: _quota(lab, "count/jobs.batch", 10))


CASES = {f.__name__.strip("_"): f for f in (_image, _container, _pod_security, _quota_of_pods, _quota_of_jobs)}


def _overcome(lab: Lab) -> None:
    lab.script(completes)
    lab.kubelet.overcome(lab.namespace)


def _quota(lab: Lab, resource: str, hard: int) -> None:
    """Set a quota, and act for the controller that counts what is used."""
    quota = {"metadata": {"name": "small"}, "spec": {"hard": {resource: str(hard)}}}
    if lab.api.find("resourcequotas", lab.namespace, "small") is None:
        lab.api.create("resourcequotas", lab.namespace, {"apiVersion": "v1", "kind": "ResourceQuota", **quota})
    else:
        lab.api.patch("resourcequotas", lab.namespace, "small", quota)
    counted: Manifest = {"status": {"hard": {resource: str(hard)}, "used": {resource: "0"}}}
    lab.api.patch("resourcequotas", lab.namespace, "small", counted, "status")


@pytest.fixture(scope="module")
def stuck(bench: Callable[[], Lab], operator: Operator) -> dict[str, Stuck]:
    """All of the studies that cannot start."""
    return {name: make(bench()) for name, make in CASES.items()}


@pytest.fixture(scope="module")
def quiet(stuck: dict[str, Stuck]) -> dict[str, list[Write]]:
    """What the operator wrote while all of them were stuck."""
    for case in stuck.values():
        _says(case)
    began = datetime.now(UTC)
    time.sleep(QUIET_SECONDS)  # what is tested is that nothing happens for so long
    return {name: [w for w in case.lab.writes() if w.at >= began] for name, case in stuck.items()}


@pytest.fixture(scope="module")
def helped(quiet: object, stuck: dict[str, Stuck]) -> Iterator[dict[str, Stuck]]:
    """The studies after what kept them is gone."""
    for case in stuck.values():
        case.help()
    return stuck  # type: ignore[return-value]


def _says(case: Stuck) -> Manifest:
    return case.lab.until(
        f"it says {case.reason}",
        lambda: c if (c := case.lab.condition("TrialsStarting")).get("status") == "False" else None,
        within=60,
    )


@pytest.mark.parametrize("name", CASES)
def test_a_study_that_cannot_start_pods_says_why_within_a_minute(stuck: dict[str, Stuck], name: str) -> None:
    case = stuck[name]
    said = _says(case)
    assert (said["reason"], case.said in said["message"]) == (case.reason, True), said
    assert case.lab.status()["state"] == "Blocked"
    assert case.lab.condition("Progressing")["status"] == "False"
    assert case.reason in case.lab.kubectl("get", "events", "--field-selector=involvedObject.kind=TuningStudy")


@pytest.mark.parametrize("name", CASES)
def test_meanwhile_nothing_new_starts_and_hardly_anything_is_written(
    stuck: dict[str, Stuck], quiet: dict[str, list[Write]], name: str
) -> None:
    assert len(stuck[name].lab.trials()) <= 2
    assert len(quiet[name]) <= WRITES_A_MINUTE * QUIET_SECONDS / 60, quiet[name]


@pytest.mark.parametrize("name", CASES)
def test_it_goes_on_by_itself_when_the_cause_is_gone(helped: dict[str, Stuck], name: str) -> None:
    lab = helped[name].lab
    status = lab.await_state("Succeeded", within=120)
    assert status["trials"]["succeeded"] == status["trials"]["total"] == 3
    assert lab.condition("TrialsStarting")["status"] == "True"


def test_a_pod_that_waits_for_a_node_keeps_nobody_from_starting(lab: Lab) -> None:
    lab.script(lambda attempt: Unseen() if attempt.index == 0 else completes(attempt))
    lab.create(a_small_study())
    said = lab.until(
        "it is said", lambda: c if (c := lab.condition("TrialsStarting")).get("reason") == "Unschedulable" else None
    )
    assert said["status"] == "Unknown"
    lab.until("the others run", lambda: lab.status()["trials"]["succeeded"] == 2)
    lab.script(completes)
    lab.kubelet.overcome(lab.namespace)
    lab.await_state("Succeeded")


def test_a_quota_for_some_of_the_jobs_costs_few_tries_and_leaves_few_trials_waiting(lab: Lab) -> None:
    lab.script(lambda _: Runs())
    _quota(lab, "count/jobs.batch", 1)
    lab.create(a_small_study(budget={"maxTrials": 16, "parallelTrials": 16}))
    lab.until("it is said", lambda: lab.condition("TrialsStarting").get("reason") == "QuotaExceeded")
    lab.until("one runs", lambda: lab.status()["trials"]["running"] == 1)
    assert len(lab.jobs()) == 1
    # The first was taken; of the next two, both were refused; and no third batch followed.
    assert len(lab.trials()) == 3


def test_a_template_that_is_no_pod_is_answered_and_null_is_as_good_as_absent(lab: Lab) -> None:
    def study(name: str, **container: object) -> Manifest:
        one = {"name": "trainer", "image": "localhost/trainer", **container}
        return a_small_study(name, trial={"template": {"spec": {"containers": [one], "volumes": None}}})

    lab.create(study("strange", env="TOKEN=none"))
    lab.create(study("nulls", env=None, securityContext=None))
    lab.await_state("Succeeded", "nulls")
    lab.await_state("Rejected", "strange")
    assert "spec.trial.template cannot be read as a pod" in lab.condition("Accepted", "strange")["message"]
