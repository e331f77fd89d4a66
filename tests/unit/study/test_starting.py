"""Why pods do not start, in the words of the condition TrialsStarting."""

from typing import Any

import pytest

from tests.support.views import NOW, a_job, a_pod, a_snapshot, a_trial, running
from tuning_operator.study.snapshot import PodView, Refusal
from tuning_operator.study.starting import Obstacle, obstacle_of

TRIAL = a_trial()
JOB = a_job(TRIAL)
QUOTA = 'pods "x" is forbidden: exceeded quota: gpus, requested: nvidia.com/gpu=1, used: 4, limited: 4'


def found(*pods: PodView, refusals: tuple[Refusal, ...] = ()) -> Obstacle | None:
    return obstacle_of(a_snapshot(trials=[TRIAL], jobs=[JOB], pods=pods, refusals=refusals), [TRIAL.name])


@pytest.mark.parametrize(
    ("pod", "reason", "blocks"),
    [
        ({"waiting_reason": "ErrImagePull"}, "ImagePullFailed", True),
        ({"waiting_reason": "ImagePullBackOff"}, "ImagePullFailed", True),
        ({"waiting_reason": "InvalidImageName"}, "ImagePullFailed", True),
        ({"waiting_reason": "ErrImageNeverPull"}, "ImagePullFailed", True),
        ({"waiting_reason": "CreateContainerConfigError"}, "InvalidContainer", True),
        ({"waiting_reason": "CreateContainerError"}, "InvalidContainer", True),
        ({"unschedulable": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."}, "Unschedulable", False),
    ],
)
def test_a_pod_that_waits_says_why(pod: dict[str, Any], reason: str, blocks: bool) -> None:
    obstacle = found(a_pod(JOB, **pod))
    assert obstacle is not None
    assert (obstacle.reason, obstacle.blocks, obstacle.forbids) == (reason, blocks, blocks)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (QUOTA, "QuotaExceeded"),
        ("failed quota: compute: must specify limits.cpu for: trainer", "QuotaExceeded"),
        ("must specify requests.memory", "QuotaExceeded"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "PodsForbidden"),
        ("admission webhook denied the request", "PodsForbidden"),
        ("serviceaccount default not found", "PodsForbidden"),
        ('Pod "x" is invalid: spec.containers[0].image: Required value', "InvalidContainer"),
        ("spec.tolerations[0].effect: Invalid value", "InvalidContainer"),
    ],
)
def test_a_refusal_says_whose_it_is(message: str, reason: str) -> None:
    obstacle = found(refusals=(Refusal(TRIAL.name, message),))
    assert obstacle is not None
    assert (obstacle.reason, obstacle.forbids) == (reason, True)
    assert message in obstacle.message


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(JOB),
        a_pod(JOB, waiting_reason="ContainerCreating"),
        running(JOB),
        a_pod(JOB, exit_code=0),
        a_pod(JOB, waiting_reason="ErrImagePull", deleting=True),
        a_pod(JOB, waiting_reason="ErrImagePull", gone=True),
        a_pod(JOB, waiting_reason="ErrImagePull", phase="Failed"),
    ],
)
def test_other_pods_are_no_obstacle(pod: PodView) -> None:
    assert found(pod) is None


def test_a_mistake_is_graver_than_a_wait() -> None:
    waits, fails = a_pod(JOB, 0, unschedulable="no node"), a_pod(JOB, 1, waiting_reason="ErrImagePull")
    obstacle = found(waits, fails)
    assert obstacle is not None
    assert obstacle.reason == "ImagePullFailed"


def test_a_refusal_whose_wait_is_over_lets_one_more_try_through() -> None:
    obstacle = found(refusals=(Refusal(TRIAL.name, QUOTA, retry=True),))
    assert obstacle is not None
    assert (obstacle.blocks, obstacle.forbids) == (True, False)
    # but not where another obstacle still stands
    both = found(a_pod(JOB, waiting_reason="ErrImagePull"), refusals=(Refusal(TRIAL.name, QUOTA, retry=True),))
    assert both is not None
    assert both.forbids


def test_the_kubelet_s_words_are_passed_on() -> None:
    obstacle = found(a_pod(JOB, waiting_reason="ErrImagePull", waiting_message="manifest unknown"))
    assert obstacle is not None
    assert obstacle.message == f"Pod {JOB.name}-pod0: ErrImagePull: manifest unknown"


def test_pods_of_trials_that_are_over_do_not_matter() -> None:
    snapshot = a_snapshot(trials=[TRIAL], jobs=[JOB], pods=[a_pod(JOB, waiting_reason="ErrImagePull")])
    assert obstacle_of(snapshot, []) is None


def test_a_container_that_no_node_can_start_is_not_tried_again_and_again() -> None:
    said = "the container could not be started: exec: pyhton: not found"
    failed = a_trial(state="Failed", reason="ContainerCannotStart", message=said)
    obstacle = obstacle_of(a_snapshot(trials=[failed, a_trial(1)]), [])
    assert obstacle is not None
    assert (obstacle.reason, obstacle.forbids) == ("InvalidContainer", True)
    assert said in obstacle.message
    # but where one has run, it was that node's fault or the moment's
    ran = a_trial(1, state="Succeeded", start_time=NOW)
    assert obstacle_of(a_snapshot(trials=[failed, ran]), []) is None
