"""Trials that share a process: one Job and one pod for several, and for each its own result, attempts and failures."""

from collections import Counter
from typing import Any

from tests.cluster.operator.conftest import Lab, a_small_study
from tests.support.api import Manifest
from tests.support.kubelet import Attempt, Container, Ends, Runs, completes, diverges, together
from tuning_operator.api import names

BUDGET = {"maxTrials": 8, "parallelTrials": 4}


def a_packed_study(**budget: Any) -> Manifest:
    return a_small_study(
        budget={**BUDGET, **budget}, trial={"maxPacked": 4}, stopping={"rule": "None"}, nextStudy={"policy": "Off"}
    )


def packs(lab: Lab) -> list[Manifest]:
    """Return the Jobs that train several trials, the oldest first."""
    jobs = [job for job in lab.jobs() if names.LABEL_PACK in job["metadata"]["labels"]]
    return sorted(jobs, key=lambda job: job["metadata"]["creationTimestamp"])


def test_a_study_is_trained_by_a_pod_for_four_trials(lab: Lab) -> None:
    lab.create(a_packed_study())
    status = lab.await_state("Succeeded")
    assert status["progress"] == "8/8"
    assert len(packs(lab)) == 2
    trials = lab.trials().values()
    assert {trial["status"]["packSize"] for trial in trials} == {4}
    assert len({trial["status"]["job"] for trial in trials}) == 2
    assert {trial["status"]["result"]["source"] for trial in trials} == {"Record"}
    owners = packs(lab)[0]["metadata"]["ownerReferences"]
    assert [owner["kind"] for owner in owners] == ["TuningTrial"] * 4
    lab.until("their Jobs are released", lambda: all("ttlSecondsAfterFinished" in j["spec"] for j in packs(lab)))


def test_one_trial_diverges_and_its_neighbours_have_their_results(lab: Lab) -> None:
    def script(attempt: Attempt) -> Container:
        return together(attempt, lambda each: diverges(each) if each.index == 1 else completes(each))

    lab.script(script)
    lab.create(a_packed_study(maxTrials=4))
    lab.await_state("Succeeded")
    assert Counter(t["status"]["state"] for t in lab.trials().values()) == {"Succeeded": 3, "Infeasible": 1}
    assert lab.trials()[1]["status"]["reason"] == "NonFiniteObjective"


def test_a_pack_that_needs_too_much_memory_is_halved(lab: Lab) -> None:
    def script(attempt: Attempt) -> Container:
        if attempt.pack is not None and len(attempt.pack.members) > 2:
            return Ends(137, reason="OOMKilled")
        return completes(attempt)

    lab.script(script)
    lab.create(a_packed_study(maxTrials=4))
    lab.await_state("Succeeded")
    found = [t["status"] for t in lab.trials().values()]
    assert {(s["state"], s["attempt"], s["packSize"], s["maxPacked"]) for s in found} == {("Succeeded", 1, 2, 2)}
    assert len(packs(lab)) == 3
    assert "PackSplit" in lab.kubectl("get", "events")


def test_a_pack_whose_pod_is_deleted_runs_again_together_free_of_charge(lab: Lab) -> None:
    lab.script(lambda attempt: Runs() if attempt.environment.attempt == 0 else completes(attempt))
    lab.create(a_packed_study(maxTrials=4))
    running = lab.until(
        "the pack runs", lambda: lab.status().get("trials", {}).get("running") == 4 and lab.kubelet.live(lab.namespace)
    )
    lab.api.delete("pods", lab.namespace, running[0].pod)
    lab.await_state("Succeeded")
    found = [t["status"] for t in lab.trials().values()]
    assert {(s["attempt"], s["infrastructureRetries"], s["packSize"]) for s in found} == {(1, 1, 4)}


def test_a_trial_that_somebody_deletes_takes_no_neighbour_with_it(lab: Lab) -> None:
    lab.script(lambda attempt: Runs() if attempt.pack is not None else completes(attempt))
    lab.create(a_packed_study(maxTrials=4))
    (pod,) = lab.until(
        "the pack runs", lambda: lab.status().get("trials", {}).get("running") == 4 and lab.kubelet.live(lab.namespace)
    )
    victim = lab.trials()[0]["metadata"]
    lab.api.delete("tuningtrials", lab.namespace, victim["name"])
    lab.until(
        "it is drawn again", lambda: lab.trials().get(0, {"metadata": victim})["metadata"]["uid"] != victim["uid"]
    )
    assert len(packs(lab)) == 1
    lab.kubelet.end(pod, completes(pod))
    lab.await_state("Succeeded")
    assert Counter(t["status"]["state"] for t in lab.trials().values()) == {"Succeeded": 4}
