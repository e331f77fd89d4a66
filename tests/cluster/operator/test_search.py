"""What is tried, what is stopped, and what is learnt from earlier studies, on a real API server."""

from typing import Any

import pytest

from tests.cluster.operator.conftest import Lab, a_small_study, scraped
from tests.support.api import Manifest
from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.kubelet import Attempt, Container, Runs
from tests.support.prometheus import FakePrometheus
from tuning_contract.metrics import TRIAL_OBJECTIVE, TRIAL_STEP

RATES = a_choice("learning_rate", type="Ordinal", role="Nuisance", values=["0.001", "0.01", "0.1"], valueType="Float")
RATE = a_range("learning_rate", low=1e-4, high=1.0, scale="Log")


def drawn_by(lab: Lab, study: str) -> list[str]:
    """Return what drew a study's trials, in their order."""
    trials = lab.api.list("tuningtrials", lab.namespace)
    ours = [trial["spec"] for trial in trials if trial["spec"]["studyRef"]["name"] == study]
    return [spec["suggestedBy"] for spec in sorted(ours, key=lambda spec: int(spec["index"]))]


@pytest.mark.parametrize("algorithm", ["QuasiRandom", "Random", "Grid", "Bayesian"])
def test_a_space_that_is_used_up_ends_the_study(lab: Lab, algorithm: str) -> None:
    lab.create(a_small_study(hyperparameters=[RATES], search={"algorithm": algorithm}, budget={"maxTrials": 9}))
    status = lab.await_state("Succeeded")
    assert lab.condition("Succeeded")["reason"] == "SearchSpaceExhausted"
    assert (status["progress"], status["best"]["parameters"]) == ("3/9", [{"name": "learning_rate", "value": "0.01"}])


@pytest.mark.parametrize(
    ("search", "reason", "message"),
    [
        ({"points": [{"rate": "0.1"}]}, "PointInvalid", "spec.search.points[0] needs a value of learning_rate"),
        ({"algorithm": "Grid", "pointsPerRange": 100}, "GridTooLarge", "lower spec.search.pointsPerRange"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_words(lab: Lab, search: dict[str, Any], reason: str, message: str) -> None:
    space = [RATE] if "points" in search else [RATE, a_range("x"), a_range("y")]
    lab.create(a_small_study(hyperparameters=space, search=search))
    lab.await_state("Rejected")
    accepted = lab.condition("Accepted")
    assert accepted["reason"] == reason
    assert message in accepted["message"]


def test_a_study_learns_from_an_earlier_one(lab: Lab) -> None:
    lab.create(a_small_study("before", budget={"maxTrials": 10, "parallelTrials": 5}))
    lab.await_state("Succeeded", "before")
    lab.create(a_small_study("after", search={"algorithm": "Bayesian"}, previousStudies=["before", "never"]))
    status = lab.await_state("Succeeded", "after")
    assert drawn_by(lab, "before") == ["QuasiRandom"] * 10
    assert drawn_by(lab, "after") == ["Bayesian"] * 3
    assert status["evidence"] == [
        {"study": "before", "trials": 10},
        {"study": "never", "trials": 0, "note": "there is no study of this name in the namespace"},
    ]
    assert status["best"]["value"] <= lab.status("before")["best"]["value"] + 0.5


def test_replicates_have_a_mean(lab: Lab) -> None:
    lab.create(a_small_study(search={"replicates": 2}, budget={"maxTrials": 4}))
    status = lab.await_state("Succeeded")
    assert [(top["replicates"], top["deviation"]) for top in status["top"]] == [(2, 0), (2, 0)]
    assert [t["spec"]["purpose"] for t in lab.trials().values()] == ["Search", "Replicate"] * 2


def test_a_trial_that_has_diverged_is_stopped_with_its_evidence(lab: Lab, prometheus: FakePrometheus) -> None:
    def rises(attempt: Attempt) -> Container:
        curve = [(60.0 - i, 1.0 + i / 10) for i in range(40)]
        steps = [(60.0 - i, float(i + 1)) for i in range(40)]
        scraped(prometheus, attempt, **{TRIAL_OBJECTIVE: curve, TRIAL_STEP: steps})
        return Runs()

    lab.script(rises)
    study: Manifest = a_small_study(
        hyperparameters=[RATE, a_fixed(value="100")], budget={"maxTrials": 2, "parallelTrials": 2}
    )
    lab.create(study)
    status = lab.await_state("Failed")
    assert lab.condition("Failed")["reason"] == "NoFeasibleTrial"
    assert (status["progress"], status["trials"]["stopped"]) == ("2/2", 2)
    for trial in lab.trials().values():
        stop = trial["status"]["stop"]
        assert (trial["status"]["state"], stop["rule"], stop["reason"]) == ("Stopped", "DivergedOnly", "BeyondRecovery")
        assert stop["evidence"]["initial"] == 1.0
        assert 20 < stop["step"] <= 40
    lab.until("their Jobs are gone", lambda: not lab.jobs() or None)
    assert "TrialStopped" in lab.kubectl("get", "events")
