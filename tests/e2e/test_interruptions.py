"""Lost pods, a suspended study and a used-up time: training goes on from its checkpoint, and nobody is blamed."""

import json

from tests.e2e.studies import a_claim, a_training
from tests.support.live import RELEASE, Live, Manifest, Namespace, until

STEPS = 360
INTERVAL = 20
SLOW = 0.05
"""Seconds a step: eighteen seconds a trial."""


def steps_of(trial: Manifest) -> list[int]:
    """Return the steps of a trial's curve."""
    return [step for step, *_ in json.loads(trial["status"]["result"]["curve"])["rows"]]


def assert_trained_once(trial: Manifest) -> None:
    """Each evaluation is there once: none is missing, none was repeated."""
    assert steps_of(trial) == list(range(INTERVAL, STEPS + 1, INTERVAL))


def test_a_lost_pod_goes_on_from_its_checkpoint(live: Live, namespace: Namespace) -> None:
    namespace.apply(
        a_claim(),
        a_training("lost", trials=4, slow=SLOW, checkpoint=True, fixed={"max_steps": STEPS}, search={"seed": 5}),
    )
    evicted, deleted, evicted_unseen, deleted_unseen = namespace.wait_until_trained("lost", 60, 4)
    live.say("evicting a pod, deleting another")
    namespace.evict(namespace.living_pod(evicted))
    namespace.delete_pod(namespace.living_pod(deleted))
    until("both losses are counted", lambda: retries(namespace, evicted) == retries(namespace, deleted) == 1)
    live.say("the same while the operator is away")
    live.scale(RELEASE, 0)
    try:
        gone = namespace.living_pod(deleted_unseen)
        namespace.evict(namespace.living_pod(evicted_unseen))
        namespace.delete_pod(gone)
        namespace.wait_until_gone(gone)
    finally:
        live.scale(RELEASE, 1)
    status = namespace.wait_for_success("lost")["status"]
    assert (status["trials"]["succeeded"], status["trials"]["failed"]) == (4, 0)
    for trial in namespace.trials("lost"):
        assert trial["status"]["resumedFrom"] >= 60
        assert_trained_once(trial)
    assert [retries(namespace, trial) for trial in (evicted, deleted, deleted_unseen)] == [1, 1, 1]
    # The Job itself replaced the evicted pod, and no trace of the old one was left for an operator that was away.
    assert retries(namespace, evicted_unseen) <= 1


def retries(namespace: Namespace, trial: Manifest) -> int:
    """Return how often a trial was started again after its pod was lost."""
    (now,) = (t for t in namespace.trials("lost") if t["metadata"]["uid"] == trial["metadata"]["uid"])
    return int(now["status"].get("infrastructureRetries", 0))


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
    assert status["best"]["trial"] == short["metadata"]["name"]
    until("the long trial's pod is gone", lambda: not namespace.pods(trial=long["metadata"]["name"]))
    until("the long trial is Stopped", lambda: namespace.trials("timed")[1]["status"]["state"] == "Stopped")
    counts = namespace.study("timed")["status"]["trials"]
    assert (counts["succeeded"], counts["stopped"], counts["running"]) == (1, 1, 0)
