"""Trials that share a pod and a process: real training, scraped and recorded for each trial apart."""

import json
import time
from collections import Counter

from hack.paths import ROOT
from tests.e2e.studies import a_claim, a_training
from tests.support.live import Live, Namespace, until

SAMPLE = ROOT / "manifests" / "samples" / "09-packed-trials.yaml"
STUDY = "packed-trials"
SCRAPED = 'count by (trial) (tuning_trial_step{{namespace="{}", study="{}"}})'
STEPS = 360
SLOW = 0.05
"""Seconds a step: eighteen seconds a pack."""


def test_the_packed_sample_trains_sixteen_trials_in_two_pods(namespace: Namespace) -> None:
    namespace.kubectl("apply", "--filename", SAMPLE)
    status = namespace.wait_for_success(STUDY)["status"]
    assert status["progress"] == "16/16"
    trials = namespace.trials(STUDY)
    assert {trial["status"]["packSize"] for trial in trials} == {8}
    assert len({trial["status"]["job"] for trial in trials}) == 2
    assert {trial["status"]["result"]["source"] for trial in trials} == {"Record"}
    values = [trial["status"]["result"]["value"] for trial in trials]
    assert len(set(values)) == 16
    assert min(values) == status["best"]["value"] < 0.2
    assert status["conclusion"]["state"] in ("Allowed", "Blocked")


def test_every_trial_of_a_pack_is_scraped_as_itself(live: Live, namespace: Namespace) -> None:
    began = time.time()
    namespace.apply(
        a_training("scraped", trials=4, slow=SLOW, fixed={"max_steps": STEPS}, trial_fields={"maxPacked": 4})
    )
    namespace.wait_for_success("scraped")
    trials = namespace.trials("scraped")
    assert len({trial["status"]["job"] for trial in trials}) == 1
    answer = live.ask_over_time(SCRAPED.format(namespace.name, "scraped"), began, time.time())
    found = Counter(series["metric"]["trial"] for series in answer)
    assert found.keys() == {trial["metadata"]["name"] for trial in trials}
    for trial in trials:
        curve = json.loads(trial["status"]["result"]["curve"])
        assert "train_loss" in curve["columns"], "a pack's record has the objective alone: this was scraped"
        assert len(curve["rows"]) >= 6
        assert curve["rows"][-1][0] == STEPS


def test_a_pack_whose_pod_is_lost_goes_on_from_its_checkpoints(live: Live, namespace: Namespace) -> None:
    namespace.apply(
        a_claim(),
        a_training(
            "lost", trials=4, slow=SLOW, checkpoint=True, fixed={"max_steps": STEPS}, trial_fields={"maxPacked": 4}
        ),
    )
    namespace.wait_until_trained("lost", 60, 4)
    live.say("deleting the pod of four trials")
    (pod,) = namespace.pods("lost")
    namespace.delete_pod(pod)
    status = namespace.wait_for_success("lost")["status"]
    assert (status["trials"]["succeeded"], status["trials"]["failed"]) == (4, 0)
    trials = [trial["status"] for trial in namespace.trials("lost")]
    assert {(t["attempt"], t["infrastructureRetries"], t["packSize"]) for t in trials} == {(1, 1, 4)}
    assert len({t["resumedFrom"] for t in trials}) == 1
    assert trials[0]["resumedFrom"] >= 60
    assert {t["result"]["last"]["step"] for t in trials} == {STEPS}


def test_a_pack_that_its_image_refuses_runs_one_by_one(namespace: Namespace) -> None:
    # A population trains in float32 alone.
    fixed = {"max_steps": 40, "precision": "bfloat16"}
    namespace.apply(a_training("refused", trials=2, fixed=fixed, trial_fields={"maxPacked": 2}))
    namespace.wait_for_success("refused")
    trials = [trial["status"] for trial in namespace.trials("refused")]
    assert [(t["state"], t["attempt"], t["maxPacked"]) for t in trials] == [("Succeeded", 1, 1)] * 2
    assert not any("packSize" in t for t in trials)
    until("its event says why", lambda: "PackSplit" in namespace.kubectl("get", "events"))
