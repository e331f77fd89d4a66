"""A study comes to a conclusion, runs the trials that this needs, and is followed by the study that it proposes."""

import json
import math
import threading
from pathlib import Path

from tests.cluster.operator.conftest import Lab, too_high
from tests.support.api import Api, path_of
from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.kubelet import EVALUATIONS, Attempt, Container, Ends, Runs, trains
from tests.support.operators import Operator
from tuning_contract.diagnostics import Diagnostics, Throughput
from tuning_contract.exit_codes import ExitCode
from tuning_contract.record import RecordStatus
from tuning_operator.api import names

CLIFF = 0.1
"""A learning rate beyond which training diverges."""


def diverges_beyond_the_cliff(attempt: Attempt) -> Ends:
    """Train the better, the higher the rate is, up to a rate at which training is unstable."""
    rate = float(str(attempt.environment.parameters["learning_rate"]))
    best = round(1 - math.log10(rate), 6)
    if rate > CLIFF:
        record = attempt.record(RecordStatus.INFEASIBLE, best + 1, math.nan, reason="NonFiniteObjective")
        return Ends(ExitCode.DIVERGED, record)
    curve = [best + 1 / (k + 1) for k in range(EVALUATIONS - 1)]
    return Ends(0, attempt.record(RecordStatus.COMPLETED, *curve, best))


def answers(lab: Lab, name: str = "digits") -> dict[str, tuple[str, str]]:
    """Return status and reason of each condition."""
    return {c["type"]: (c["status"], c["reason"]) for c in lab.status(name)["conditions"]}


def test_who_waits_for_a_study_s_end_finds_its_conclusion_and_the_study_that_should_follow(lab: Lab) -> None:
    lab.script(trains)
    lab.create(too_high())
    assert "condition met" in lab.kubectl("wait", "--for=condition=Succeeded", "study/digits", "--timeout=90s")
    status = lab.status()
    assert (status["conclusion"]["state"], status["conclusion"]["reason"]) == ("Blocked", "Expand")
    assert status["analysed"] == {"trials": 12, "generation": 1}
    edge = next(f for f in status["findings"] if f["code"] == "SearchSpaceEdge")
    assert (edge["verdict"], edge["parameter"], edge["side"]) == ("Expand", "learning_rate", "low")
    assert not [f for f in status["findings"] if f["verdict"] in ("Ok", "Unknown")]
    told = answers(lab)
    assert told["ConclusionReady"] == ("True", "Blocked")
    assert told["QuestionAnswered"] == ("False", "Expand")
    assert told["SearchSpaceAdequate"] == ("False", "Expand")
    proposal = status["nextStudy"]
    assert proposal["applied"] is False
    create = ("create", "--dry-run=server", "--filename=-", f"--namespace={lab.namespace}")
    assert "created" in lab.plane.kubectl(*create, input=json.dumps(proposal["manifest"])).stdout
    described = lab.until("its events", lambda: _with(lab.kubectl("describe", "study", "digits"), "NextStudyProposed"))
    assert "ConclusionBlocked" in described
    assert "Blocked" in lab.kubectl("get", "study", "digits", "--output=wide")
    assert lab.find("digits-r2") == {}


def test_the_operator_applies_the_study_that_follows_as_the_same_account(lab: Lab) -> None:
    lab.script(trains)
    lab.api.create("serviceaccounts", lab.namespace, {"metadata": {"name": "trainer"}})
    container = {"name": "trainer", "image": "localhost/trainer"}
    template = {"spec": {"serviceAccountName": "trainer", "containers": [container]}}
    study = lab.create(too_high(nextStudy={"policy": "Run", "maxStudies": 2}, trial={"template": template}))
    status = lab.await_state("Succeeded")
    assert status["nextStudy"]["applied"] is True
    second = lab.find("digits-r2")
    notes = second["metadata"]["annotations"]
    assert (notes[names.ANNOTATION_FOLLOWS], notes[names.ANNOTATION_ROUND]) == ("digits", "2")
    assert second["spec"]["previousStudies"] == ["digits"]
    assert second["spec"]["trial"] == study["spec"]["trial"]
    (rate,) = second["spec"]["hyperparameters"]
    assert rate["low"] < 0.01 < rate["high"]
    last = lab.await_state("Succeeded", "digits-r2")
    assert abs(last["best"]["value"]) < 0.2
    # The chain has both of its studies.
    assert len(lab.api.list("tuningstudies", lab.namespace)) == 2
    if "nextStudy" in last:
        assert not last["nextStudy"]["applied"]
        assert last["nextStudy"]["note"]
    assert "NextStudyCreated" in lab.until(
        "its event", lambda: _with(lab.kubectl("describe", "study", "digits"), "NextStudyCreated")
    )


def test_a_name_that_somebody_else_uses_is_told_and_their_study_left_alone(lab: Lab) -> None:
    lab.script(trains)
    theirs = lab.create({**too_high(suspend=True), "metadata": {"name": "digits-r2"}})
    lab.create(too_high(nextStudy={"policy": "Run"}))
    status = lab.await_state("Succeeded")
    assert status["nextStudy"]["applied"] is False
    assert "exists already" in status["nextStudy"]["note"]
    assert lab.find("digits-r2")["spec"] == theirs["spec"]


def test_a_suspected_instability_is_probed_before_the_study_is_over(lab: Lab) -> None:
    purposes: dict[str, str] = {}

    def remember(attempt: Attempt) -> Container:
        purposes[attempt.environment.trial] = attempt.environment.purpose
        return diverges_beyond_the_cliff(attempt)

    lab.script(remember)
    rate = a_range("learning_rate", low=1e-4, high=1.0, scale="Log")
    lab.create(too_high(hyperparameters=[rate], budget={"maxTrials": 16, "parallelTrials": 4, "maxProbes": 2}))
    status = lab.await_state("Succeeded")
    trials = {t["metadata"]["name"]: t for t in lab.api.list("tuningtrials", lab.namespace)}
    probes = {name: t for name, t in trials.items() if t["spec"]["purpose"] == "InstabilityProbe"}
    assert len(probes) == status["trials"]["probes"] == 2
    assert status["progress"] == "16/16"
    assert status["analysed"]["trials"] == 18
    for name, probe in probes.items():
        assert "-probe-" in name
        assert purposes[name] == "InstabilityProbe"
        probed = json.loads(trials[probe["spec"]["of"]]["spec"]["parameters"])["learning_rate"]
        assert json.loads(probe["spec"]["parameters"])["learning_rate"] >= 4.9 * probed
    assert not {entry["trial"] for entry in status["top"]} & set(probes)
    assert {purposes[name] for name in set(trials) - set(probes)} == {"Search"}


def test_a_study_that_cannot_be_analysed_ends_all_the_same_and_the_next_operator_tries_again(
    lab: Lab, operator: Operator, operator_kubeconfig: Path
) -> None:
    last_one_waits = threading.Event()

    def script(attempt: Attempt) -> Container:
        if attempt.index == 5:
            last_one_waits.set()
            return Runs()
        return trains(attempt)

    lab.script(script)
    lab.create(too_high(budget={"maxTrials": 6, "parallelTrials": 1}))
    lab.until("the last trial runs", lambda: last_one_waits.is_set() and lab.kubelet.live(lab.namespace))
    broken = next(t["metadata"]["name"] for i, t in lab.trials().items() if i == 0)
    trial = lab.api.get("tuningtrials", lab.namespace, broken)
    curve, trial["status"]["result"]["curve"] = trial["status"]["result"]["curve"], "no curve"
    # Nobody but the operator may write that.
    Api(operator_kubeconfig).call("PUT", path_of("tuningtrials", lab.namespace, broken, "status"), trial)
    (attempt,) = lab.kubelet.live(lab.namespace)
    lab.kubelet.end(attempt, trains(attempt))
    status = lab.await_state("Succeeded")
    assert answers(lab)["ConclusionReady"] == ("False", "AnalysisFailed")
    assert broken in lab.condition("ConclusionReady")["message"]
    assert "conclusion" not in status
    assert status["best"]
    operator.kill()
    trial = lab.api.get("tuningtrials", lab.namespace, broken)
    trial["status"]["result"]["curve"] = curve
    Api(operator_kubeconfig).call("PUT", path_of("tuningtrials", lab.namespace, broken, "status"), trial)
    operator.start()
    lab.until("the conclusion", lambda: lab.status().get("conclusion"))
    assert answers(lab)["ConclusionReady"][0] == "True"


def _with(text: str, word: str) -> str | None:
    return text if word in text else None


def test_a_change_is_decided_on_by_retrains_of_both_sides(lab: Lab) -> None:
    def compares(attempt: Attempt) -> Container:
        """Train AdamW to a clearly better loss; seeds make a little difference."""
        told = attempt.environment
        away = abs(math.log10(float(str(told.parameters["learning_rate"]))) + 2)
        best = 0.2 + (0.0 if told.parameters["optimizer"] == "adamw" else 0.5) + 0.02 * away**2
        best = round(best + (told.seed % 7) * 1e-4, 6)
        curve = [best + 0.3 / (k + 1) ** 2 for k in range(EVALUATIONS - 1)]
        return Ends(0, attempt.record(RecordStatus.COMPLETED, *curve, best))

    lab.script(compares)
    space = [a_choice(), a_range("learning_rate", low=1e-4, high=1.0, scale="Log")]
    study = too_high(
        goal={"question": "AdamW instead of Nesterov?", "kind": "TryChange"},
        baseline={"scientific": {"optimizer": "nesterov"}},
        hyperparameters=space,
        retrains={"count": 3},
        budget={"maxTrials": 40, "parallelTrials": 8},
        acknowledge=[{"code": code, "reason": "A test."} for code in ("Specification", "Sampling", "EndOfTraining")],
    )
    lab.create(study)
    status = lab.await_state("Succeeded")
    retrains = [t for t in lab.api.list("tuningtrials", lab.namespace) if t["spec"]["purpose"] == "Retrain"]
    assert status["conclusion"]["state"] == "Allowed", status["conclusion"]
    assert len(retrains) == status["trials"]["retrains"] == 6
    seeds: dict[str, set[int]] = {}
    for retrain in retrains:
        seeds.setdefault(retrain["spec"]["of"], set()).add(retrain["spec"]["seed"])
    one, other = seeds.values()
    assert one == other
    assert len(one) == 3
    assert status["conclusion"]["decision"] == "Adopt"
    assert status["conclusion"]["winner"] == {"optimizer": "adamw"}
    assert answers(lab)["QuestionAnswered"][0] == "True"
    assert "RetrainsStarted" in lab.kubectl("describe", "study", "digits")


RATES = {32: 100.0, 64: 190.0, 128: 360.0, 256: 365.0}
"""Examples a second, by batch size; at all others memory runs out."""


def tells_its_throughput(attempt: Attempt) -> Ends:
    """Train; a probe of a batch size tells how fast that is."""
    if attempt.environment.purpose != "BatchSizeProbe":
        return trains(attempt)
    size = int(attempt.environment.parameters["batch_size"])
    if size not in RATES:
        return Ends(137, reason="OOMKilled")
    told = Diagnostics(throughput=Throughput(size, RATES[size]))
    return Ends(0, attempt.record(RecordStatus.COMPLETED, 2.0, 1.0, diagnostics=told))


def test_the_throughput_is_measured_size_after_size_until_it_grows_no_more(lab: Lab) -> None:
    lab.script(tells_its_throughput)
    study = too_high(training={"batchSizes": [*RATES, 512]})
    study["spec"]["hyperparameters"].append(a_fixed("batch_size", value="64"))
    lab.create(study)
    status = lab.await_state("Succeeded")
    trials = lab.api.list("tuningtrials", lab.namespace)
    probes = sorted(
        (t for t in trials if t["spec"]["purpose"] == "BatchSizeProbe"), key=lambda t: int(t["spec"]["index"])
    )
    assert [json.loads(t["spec"]["parameters"])["batch_size"] for t in probes] == list(RATES)
    ends = [t["status"]["completionTime"] for t in probes]
    assert all(after["metadata"]["creationTimestamp"] >= end for after, end in zip(probes[1:], ends, strict=False))
    assert status["trials"]["probes"] == 4
    (chosen,) = [f for f in status["findings"] if f["code"] == "BatchSize" and f["verdict"] == "Chosen"]
    assert "128 is the largest batch size that still gains throughput" in chosen["message"]
    assert status["nextStudy"]["manifest"]["spec"]["training"]["batchSizes"] == [*RATES, 512]
    assert status["best"]["trial"] not in {t["metadata"]["name"] for t in probes}


def test_a_study_that_is_over_measures_where_it_is_asked_to_until_memory_runs_out(lab: Lab) -> None:
    lab.script(tells_its_throughput)
    study = too_high(budget={"maxTrials": 4, "maxFailedTrials": 0})
    study["spec"]["hyperparameters"].append(a_fixed("batch_size", value="64"))
    lab.create(study)
    assert lab.await_state("Succeeded")["trials"]["probes"] == 0
    lab.change("digits", training={"batchSizes": [64, 32, 1024, 2048]})
    lab.until("the third probe", lambda: lab.status()["trials"]["probes"] == 3)
    status = lab.await_state("Succeeded")
    probes = [t for t in lab.api.list("tuningtrials", lab.namespace) if t["spec"]["purpose"] == "BatchSizeProbe"]
    ends = {json.loads(t["spec"]["parameters"])["batch_size"]: t["status"] for t in probes}
    assert {size: end["state"] for size, end in ends.items()} == {32: "Succeeded", 64: "Succeeded", 1024: "Infeasible"}
    assert ends[1024]["reason"] == "OutOfMemory"
    (chosen,) = [f for f in status["findings"] if f["code"] == "BatchSize" and f["verdict"] == "Chosen"]
    assert "64 is the largest batch size" in chosen["message"]
    assert "BatchSizeProbe" in lab.kubectl("get", "trials", "-o", "wide")
