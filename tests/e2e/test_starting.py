"""Pods that cannot start: the study says why, spends nothing, and goes on by itself where that can be."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.studies import a_training
from tests.support.live import Live, Namespace, until

GPU = "nvidia.com/gpu"
A_MINUTE = 60.0


def test_a_wrong_image_is_said_and_no_further_trial_is_spent_on_it(live: Live, namespace: Namespace) -> None:
    needs = {"envFrom": [{"secretRef": {"name": "credentials"}}]}
    namespace.apply(
        a_training("typo", trials=3, parallel=1, container={"image": "localhost/nope:1"}),
        a_training("locked-out", trials=2, parallel=1, container=needs, fixed={"max_steps": 40}),
    )
    condition = namespace.wait_for_condition("typo", "TrialsStarting", "ImagePullFailed", A_MINUTE)
    assert condition["status"] == "False"
    assert "localhost/nope:1" in condition["message"]
    condition = namespace.wait_for_condition("locked-out", "TrialsStarting", "InvalidContainer", A_MINUTE)
    assert condition["status"] == "False"
    assert 'secret "credentials" not found' in condition["message"]
    assert namespace.study("locked-out")["status"]["state"] == "Blocked"
    live.say("creating the Secret that was missing")
    namespace.kubectl("create", "secret", "generic", "credentials", "--from-literal=TOKEN=none")
    status = namespace.wait_for_success("locked-out")["status"]
    assert (status["trials"]["succeeded"], status["trials"]["failed"]) == (2, 0)
    assert namespace.condition("locked-out", "TrialsStarting")["status"] == "True"
    assert len(namespace.trials("typo")) == 1
    assert namespace.study("typo")["status"]["state"] == "Blocked"


@pytest.fixture
def no_gpus(live: Live) -> Iterator[None]:
    """A node without GPUs, also where an earlier run has advertised some."""

    def withdraw() -> None:
        operation = [{"op": "remove", "path": f"/status/capacity/{GPU.replace('/', '~1')}"}]
        for node in live.api.items("/api/v1/nodes"):
            if GPU in node["status"]["capacity"]:
                path = f"/api/v1/nodes/{node['metadata']['name']}/status"
                live.api.call("PATCH", path, operation, content="application/json-patch+json")

    withdraw()
    yield
    withdraw()


@pytest.mark.usefixtures("own_cluster", "no_gpus")
def test_a_trial_waits_for_a_gpu_and_takes_it_when_there_is_one(live: Live, namespace: Namespace) -> None:
    gpu = {"resources": {"requests": {"cpu": "50m"}, "limits": {GPU: "1"}}}
    namespace.apply(a_training("hungry", trials=2, container=gpu, fixed={"max_steps": 40}))
    condition = namespace.wait_for_condition("hungry", "TrialsStarting", "Unschedulable")
    assert condition["status"] == "Unknown"
    assert f"Insufficient {GPU}" in condition["message"]
    live.say("one GPU appears")
    live.cluster.advertise(GPU, 1)
    namespace.wait_for_success("hungry")
    pods = namespace.pods("hungry")
    first_end = min(pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] for pod in pods)
    assert max(pod["status"]["startTime"] for pod in pods) >= first_end, "two pods had the one GPU"
    assert json.dumps(pods[0]["spec"]["containers"][0]["resources"]).count(GPU) == 2


def test_a_refused_template_is_answered_in_the_api_servers_words(namespace: Namespace) -> None:
    namespace.apply(a_training("strange", container={"imagePullPolice": "Never"}))
    until("it is refused", lambda: namespace.condition("strange", "Accepted")["status"] == "False")
    assert (
        'unknown field "spec.template.spec.containers[0].imagePullPolice"'
        in namespace.condition("strange", "Accepted")["message"]
    )
    assert namespace.trials("strange") == []
