"""Lost pods, a suspended study and a used-up time: training goes on from its checkpoint, and nobody is blamed."""

import json
from collections.abc import Callable

from tests.e2e.studies import a_claim, a_training
from tests.support.live import RELEASE, Live, Manifest, Namespace, until

STEPS = 240
INTERVAL = 20
SLOW = 0.05
"""Seconds a step: twelve seconds a trial."""


def steps_of(trial: Manifest) -> list[int]:
    """Return the steps of a trial's curve."""
    return [step for step, _ in json.loads(trial["status"]["result"]["curve"])]


def assert_trained_once(trial: Manifest) -> None:
    """Each evaluation is there once: none is missing, none was repeated."""
    assert steps_of(trial) == list(range(INTERVAL, STEPS + 1, INTERVAL))


def test_a_lost_pod_goes_on_from_its_checkpoint(
    live: Live, namespace: Namespace, figure: Callable[[str, float], None]
) -> None:
    namespace.apply(
        a_claim(),
        a_training("lost", trials=4, slow=SLOW, checkpoint=True, fixed={"max_steps": STEPS}, search={"seed": 5}),
    )
    trials = namespace.wait_until_trained("lost", 60, 4)
    pods = [namespace.living_pod(trial) for trial in trials]
    live.say("evicting one pod, deleting another, and the same while the operator is away")
    namespace.evict(pods[0])
    namespace.delete_pod(pods[1])
    live.scale(RELEASE, 0)
    try:
        namespace.evict(pods[2])
        namespace.delete_pod(pods[3])
        namespace.wait_until_gone(pods[3])
    finally:
        live.scale(RELEASE, 1)
    status = namespace.wait_for_success("lost")["status"]
    assert (status["trials"]["succeeded"], status["trials"]["failed"]) == (4, 0)
    assert status["trials"]["infrastructureRetries"] == 4
    for trial in namespace.trials("lost"):
        assert trial["status"]["infrastructureRetries"] == 1
        assert trial["status"]["resumedFrom"] >= 60
        assert_trained_once(trial)


def test_a_suspended_study_gives_its_pods_back_and_goes_on_where_it_was(live: Live, namespace: Namespace) -> None:
    namespace.apply(
        a_claim(),
        a_training("paused", trials=2, slow=SLOW, checkpoint=True, fixed={"max_steps": STEPS}, search={"seed": 6}),
    )
    namespace.wait_until_trained("paused", 60, 2)
    namespace.patch_study("paused", {"suspend": True})
    until("no trial has a pod", lambda: not namespace.pods("paused"))
    until("the study says so", lambda: namespace.study("paused")["status"]["state"] == "Suspended")
    assert namespace.study("paused")["status"]["trials"]["suspended"] == 2
    assert "since" not in namespace.study("paused")["status"]["duration"]
    live.say("the study is suspended; it goes on")
    namespace.patch_study("paused", {"suspend": False})
    status = namespace.wait_for_success("paused")["status"]
    assert (status["trials"]["failed"], status["trials"]["infrastructureRetries"]) == (0, 0)
    for trial in namespace.trials("paused"):
        assert trial["status"]["resumedFrom"] >= 60
        assert_trained_once(trial)


def test_at_the_end_of_its_time_a_study_stops_what_runs_and_keeps_what_it_has(namespace: Namespace) -> None:
    lengths = {"name": "max_steps", "type": "Categorical", "valueType": "Integer", "role": "Scientific"}
    searched = [{**lengths, "values": ["40", "100000"]}]
    namespace.apply(a_training("timed", trials=2, slow=SLOW, searched=searched, budget={"maxDuration": "25s"}))
    status = namespace.wait_for_success("timed")["status"]
    assert namespace.condition("timed", "Succeeded")["reason"] == "MaxDurationReached"
    short, long = namespace.trials("timed")
    assert (short["status"]["state"], long["status"]["state"]) == ("Succeeded", "Stopped")
    assert status["best"]["trial"] == short["metadata"]["name"]
    until("the long trial's pod is gone", lambda: not namespace.pods(trial=long["metadata"]["name"]))
