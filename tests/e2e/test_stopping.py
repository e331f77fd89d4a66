"""Trials that are stopped early, by curves that a real Prometheus has scraped."""

import json

import pytest

from tests.e2e.studies import a_claim, a_script, a_training
from tests.support.builders import a_choice, a_fixed
from tests.support.live import Live, Namespace

MINUTES = 600.0
RATES = ["0.0005", "0.05", "0.001", "0.08", "0.0007", "0.002"]


def rise() -> None:
    """Export a loss that rises from the start, and never end by oneself."""
    import time

    from prometheus_client import Gauge, start_http_server

    step, loss = Gauge("tuning_trial_step", ""), Gauge("tuning_trial_objective", "")
    start_http_server(8000)
    for number in range(1, 100):
        step.set(number)
        loss.set(1.0 + number / 100)
        time.sleep(1)


@pytest.fixture(scope="module")
def stopped(live: Live, shared_namespace: Namespace) -> Namespace:
    """A hopeless trial beside a study whose trials have to earn their steps."""
    live.say("studies that stop trials early")
    rates = a_choice("learning_rate", role="Nuisance", type="Ordinal", values=RATES, valueType="Float")
    shared_namespace.apply(
        a_claim(),
        a_script("hopeless", rise, hyperparameters=[a_fixed(value="99")]),
        a_training(
            "earning",
            trials=len(RATES),
            parallel=2,
            slow=0.04,
            searched=[rates],
            fixed={"max_steps": 300},
            checkpoint=True,
            search={"algorithm": "List", "points": [{"learning_rate": rate} for rate in RATES]},
            stopping={"rule": "SuccessiveHalving", "minTrials": 2, "minFraction": 0.3},
        ),
    )
    for study in ("hopeless", "earning"):
        shared_namespace.wait_for_end(study, MINUTES)
    return shared_namespace


def test_what_rises_for_a_fifth_of_the_run_is_stopped_and_says_why(stopped: Namespace) -> None:
    trial = stopped.trial("hopeless")["status"]
    assert (trial["state"], trial["reason"], trial["stop"]["rule"]) == ("Stopped", "BeyondRecovery", "DivergedOnly")
    assert 20 <= trial["stop"]["step"] < 60
    assert trial["stop"]["evidence"]["value"] > trial["stop"]["evidence"]["initial"]
    assert stopped.study("hopeless")["status"]["progress"] == "1/1"
    assert stopped.condition("hopeless", "Failed")["reason"] == "NoFeasibleTrial"


def test_the_best_of_a_rung_go_on_from_their_checkpoint_and_the_others_end_there(stopped: Namespace) -> None:
    status, trials = stopped.study("earning")["status"], stopped.trials("earning")
    assert (status["state"], status["progress"]) == ("Succeeded", f"{len(RATES)}/{len(RATES)}")
    assert status["best"]["parameters"][0]["value"] in ("0.05", "0.08")
    ended = {trial["metadata"]["name"]: trial["status"] for trial in trials}
    halted = [trial for trial in ended.values() if trial["state"] == "Stopped"]
    assert len(halted) >= 2
    for trial in halted:
        assert trial["stop"]["rule"] == "SuccessiveHalving"
        steps = [step for step, *_ in json.loads(trial["result"]["curve"])["rows"]]
        assert 90 <= steps[-1] < 300
    for trial in ended.values():
        steps = [step for step, *_ in json.loads(trial["result"]["curve"])["rows"]]
        assert steps == sorted(set(steps))
        if trial["state"] == "Succeeded":
            assert steps[-1] == 300
