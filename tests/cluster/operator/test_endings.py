"""How trials end, and what it means for them: a result, infeasible, failed, or lost and started again."""

import pytest

from tests.cluster.operator.conftest import Lab, a_small_study
from tests.support.api import Manifest
from tests.support.kubelet import Attempt, Container, Ends, Runs, completes, crashes, diverges, is_interrupted
from tests.support.operators import Operator
from tuning_contract.exit_codes import ExitCode

ONE = {"maxTrials": 1, "parallelTrials": 1}


def the_one(lab: Lab, attempt: int = 0) -> Attempt:
    """Wait until the study's only trial runs its attempt of this number, and return that."""

    def running() -> Attempt | None:
        live = [a for a in lab.kubelet.live(lab.namespace) if a.environment.attempt == attempt]
        return live[0] if live and lab.status().get("trials", {}).get("running") == 1 else None

    return lab.until(f"attempt {attempt} runs", running)


def test_each_ending_is_told_from_the_others(lab: Lab) -> None:
    endings: dict[int, Ends] = {
        1: Ends(137, reason="OOMKilled"),
        3: Ends(ExitCode.BAD_CONFIGURATION, "unknown parameter: learning_rate", "Error"),
        4: Ends(137, reason="Error"),
    }

    def script(attempt: Attempt) -> Container:
        if attempt.index == 0:
            return diverges(attempt)
        if attempt.index == 2:
            return crashes(attempt)
        return endings.get(attempt.index) or completes(attempt)

    lab.script(script)
    lab.create(a_small_study(budget={"maxTrials": 4, "parallelTrials": 3}))
    status = lab.await_state("Succeeded")
    told = {i: (t["status"]["state"], t["status"]["reason"]) for i, t in lab.trials().items()}
    assert told == {
        0: ("Infeasible", "NonFiniteObjective"),
        1: ("Infeasible", "OutOfMemory"),
        2: ("Failed", "Crashed"),
        3: ("Failed", "BadConfiguration"),
        4: ("Failed", "Crashed"),
        5: ("Succeeded", "Completed"),
        6: ("Succeeded", "Completed"),
    }
    assert (status["trials"]["infeasible"], status["trials"]["failed"], status["progress"]) == (2, 3, "4/4")
    trials = lab.trials()
    assert "loss is NaN" in trials[0]["status"]["message"]
    assert trials[0]["status"]["result"]["last"] == {"nonFinite": "NaN", "step": 20}
    assert "result" not in trials[2]["status"]
    assert "unknown parameter: learning_rate" in trials[3]["status"]["message"]
    assert {t["status"]["attempt"] for t in trials.values()} == {0}


def test_a_study_in_which_too_many_trials_fail_fails(lab: Lab) -> None:
    lab.script(crashes)
    lab.create(a_small_study(budget={"maxTrials": 8, "maxFailedTrials": 1}))
    lab.await_state("Failed")
    assert lab.condition("Failed")["reason"] == "MaxFailedTrialsExceeded"

    def at_rest() -> Manifest | None:
        counts: Manifest = lab.status()["trials"]
        return None if counts["pending"] or counts["running"] else counts

    counts = lab.until("nothing is under way", at_rest)
    assert counts["succeeded"] == 0
    assert counts["failed"] + counts["stopped"] == counts["total"] <= 4


def test_an_eviction_is_made_good_by_the_job_itself_and_counted_once(lab: Lab) -> None:
    lab.script(lambda _: Runs())
    lab.create(a_small_study(budget=ONE))
    first = the_one(lab)
    lab.kubelet.evict(first)
    second = lab.until("the Job replaced its pod", lambda: next(iter(lab.kubelet.live(lab.namespace)), None))
    lab.kubelet.end(second, completes(second))
    lab.await_state("Succeeded")
    trial = lab.trial()
    assert (trial["attempt"], trial["infrastructureRetries"], trial["lostPods"]) == (0, 1, [first.pod_uid])
    assert len(lab.jobs()) == 1


@pytest.mark.parametrize("down", [False, True], ids=["under the operator's eyes", "while the operator is down"])
def test_a_trial_whose_pod_is_deleted_starts_again(lab: Lab, operator: Operator, down: bool) -> None:
    lab.script(lambda _: Runs())
    lab.create(a_small_study(budget=ONE))
    first = the_one(lab)
    lab.script(completes)
    if down:
        operator.kill()
    lab.api.delete("pods", lab.namespace, first.pod)
    lab.until("the pod is gone", lambda: lab.api.find("pods", lab.namespace, first.pod) is None)
    if down:
        operator.start()
    lab.await_state("Succeeded")
    trial = lab.trial()
    assert (trial["attempt"], trial["infrastructureRetries"]) == (1, 1)
    assert "TrialLost" in lab.kubectl("get", "events")


def test_a_trial_whose_job_is_deleted_by_hand_starts_again(lab: Lab) -> None:
    lab.script(lambda _: Runs())
    lab.create(a_small_study(budget=ONE))
    the_one(lab)
    lab.script(completes)
    lab.kubectl("delete", "jobs", "--all")
    lab.await_state("Succeeded")
    assert (lab.trial()["attempt"], lab.trial()["infrastructureRetries"]) == (1, 1)


def test_a_trial_that_says_it_was_interrupted_starts_again(lab: Lab) -> None:
    lab.script(lambda attempt: is_interrupted(attempt) if attempt.environment.attempt == 0 else completes(attempt))
    lab.create(a_small_study(budget=ONE))
    lab.await_state("Succeeded")
    assert (lab.trial()["attempt"], lab.trial()["infrastructureRetries"]) == (1, 1)


def test_a_trial_that_is_lost_too_often_fails_and_says_why(lab: Lab) -> None:
    lab.script(is_interrupted)
    lab.create(a_small_study(budget={**ONE, "maxInfrastructureRetries": 1, "maxFailedTrials": 0}))
    lab.await_state("Failed")
    trial = lab.trial()
    assert (trial["state"], trial["reason"]) == ("Failed", "InfrastructureRetriesExceeded")
    assert trial["infrastructureRetries"] == 2
    assert "maxInfrastructureRetries" in trial["message"]
