"""How trials end badly, and what is said about it."""

import pytest

from tests.e2e.studies import a_script, a_training
from tests.support.live import Live, Namespace

STRICT = {"maxFailedTrials": 0}


def fill_the_memory() -> None:
    """Take more memory than the container may."""
    held = []
    while True:
        held.append(bytearray(b"x" * (16 << 20)))


@pytest.fixture(scope="module")
def ended(live: Live, shared_namespace: Namespace) -> Namespace:
    """Trials that diverge, misspell a parameter, crash and use too much memory, side by side."""
    live.say("studies that end badly")
    small = {"resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}}}
    shared_namespace.apply(
        a_training("diverging", fixed={"optimizer": "sgd", "learning_rate": 1e6}, searched=[]),
        a_training("misspelt", fixed={"learning_speed": 0.1}, budget=STRICT),
        a_script("greedy", fill_the_memory, container=small),
        a_training(
            "crashing", container={"command": ["python3", "-c", "raise SystemError('no such device')"]}, budget=STRICT
        ),
    )
    for study in ("diverging", "misspelt", "greedy", "crashing"):
        shared_namespace.wait_for_end(study)
    return shared_namespace


def test_divergence_is_evidence_about_the_search_space(ended: Namespace) -> None:
    trial = ended.trial("diverging")["status"]
    assert (trial["state"], trial["reason"]) == ("Infeasible", "NonFiniteObjective")
    assert trial["result"]["last"]["nonFinite"] in ("NaN", "Infinity")
    assert "best" not in ended.study("diverging")["status"]
    study = ended.study("diverging")["status"]
    assert (study["trials"]["infeasible"], study["trials"]["failed"]) == (1, 0)
    assert ended.condition("diverging", "Failed")["reason"] == "NoFeasibleTrial"


def test_a_wrong_parameter_is_answered_by_the_list_of_right_ones(ended: Namespace) -> None:
    trial = ended.trial("misspelt")["status"]
    assert (trial["state"], trial["reason"]) == ("Failed", "BadConfiguration")
    assert "unknown parameter 'learning_speed' (did you mean 'learning_rate'?)" in trial["message"]
    assert "Known parameters: workload, max_steps, batch_size" in trial["message"]
    assert ended.condition("misspelt", "Failed")["reason"] == "MaxFailedTrialsExceeded"


def test_too_much_memory_is_evidence_too(ended: Namespace) -> None:
    trial = ended.trial("greedy")["status"]
    assert (trial["state"], trial["reason"]) == ("Infeasible", "OutOfMemory")


def test_a_crash_is_a_failure_with_its_last_words(ended: Namespace) -> None:
    trial = ended.trial("crashing")["status"]
    assert (trial["state"], trial["reason"]) == ("Failed", "Crashed")
    assert "no such device" in trial["message"]
