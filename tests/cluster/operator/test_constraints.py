"""Constraints and a second objective on a real API server: who wins, what is told, and what is never passed over."""

from tests.cluster.operator.conftest import Lab, a_small_study
from tests.support.kubelet import Attempt, Container, Ends
from tuning_contract.curve import MetricValues
from tuning_contract.record import RecordStatus

CONSTRAINT = {"metric": "latency", "max": 10.0}


def measures(*latencies: float | None) -> object:
    """The trials' losses descend by their numbers, and these are their latencies."""

    def script(attempt: Attempt) -> Container:
        assert attempt.environment.metrics == ("latency",)
        latency = latencies[attempt.index]
        metrics = {"latency": MetricValues(latency, latency, latency)}
        return Ends(0, attempt.record(RecordStatus.COMPLETED, 1.0 - attempt.index / 10, metrics=metrics))

    return script


def test_the_best_trial_is_the_best_of_those_that_keep_to_the_constraint(lab: Lab) -> None:
    lab.script(measures(8.0, 9.0, 12.5))  # type: ignore[arg-type]
    lab.create(a_small_study(objective={"constraints": [CONSTRAINT]}))
    status = lab.await_state("Succeeded")
    assert (status["progress"], status["trials"]["succeeded"], status["trials"]["violating"]) == ("3/3", 3, 1)
    assert [top["value"] for top in status["top"]] == [0.9, 1.0]
    violating = lab.trial(2)
    assert (violating["state"], violating["reason"]) == ("Succeeded", "ConstraintViolated")
    assert violating["message"] == "0.8 at step 10, but latency is 12.5 and must be at most 10"
    assert violating["result"]["violations"] == ["latency"]
    assert violating["result"]["metrics"] == [{"metric": "latency", "at": "Best", "value": 12.5}]
    assert "ConstraintViolated" in lab.kubectl("get", "trials", "--output=wide")


def test_a_metric_that_no_trial_measures_fails_the_study_in_words(lab: Lab) -> None:
    lab.script(measures(*[None] * 8))  # type: ignore[arg-type]
    lab.create(a_small_study(objective={"constraints": [CONSTRAINT]}, budget={"maxFailedTrials": 1}))
    status = lab.await_state("Failed")
    assert status["trials"]["failed"] >= 2
    assert "best" not in status
    failed = next(t["status"] for t in lab.trials().values() if t["status"]["state"] == "Failed")
    assert failed["reason"] == "MetricMissing"
    assert "the study needs latency (at Best) too, which the container did not report" in failed["message"]


def test_two_objectives_have_a_front(lab: Lab) -> None:
    lab.script(measures(1.0, 9.0, 5.0))  # type: ignore[arg-type]
    lab.create(a_small_study(secondObjective={"metric": "latency"}))
    status = lab.await_state("Succeeded")
    assert [(point["value"], point["second"]) for point in status["paretoFront"]] == [(0.8, 5.0), (1.0, 1.0)]
    assert status["best"]["value"] == 0.8
