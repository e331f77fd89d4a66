"""A study comes to a conclusion, runs the trials that this needs, and is followed by the study that it proposes."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.operator.conftest import OPERATOR, Lab
from tests.support.api import Manifest
from tests.support.builders import a_range, a_study
from tests.support.kubelet import Attempt, Container, Ends, Runs, loss
from tests.support.nursery import Fork, Nursery
from tests.support.proxy import Call, Fault, Proxy
from tuning_contract.exit_codes import ExitCode
from tuning_contract.record import RecordStatus
from tuning_operator.api import names

GOAL = {"question": "Which learning rate is best?"}
EVALUATIONS = 12
CLIFF = 0.1
"""A learning rate beyond which training diverges."""


def trains(attempt: Attempt) -> Ends:
    """Train to the end, with a curve long enough to be judged: the best rate is 0.01."""
    best = loss(attempt.environment.parameters)
    curve = [best + 1 / (k + 1) for k in range(EVALUATIONS - 1)]
    return Ends(0, attempt.record(RecordStatus.COMPLETED, *curve, best))


def diverges_beyond_the_cliff(attempt: Attempt) -> Ends:
    """Train the better, the higher the rate is, up to a rate at which training is unstable."""
    rate = float(str(attempt.environment.parameters["learning_rate"]))
    best = round(1 - math.log10(rate), 6)
    if rate > CLIFF:
        record = attempt.record(RecordStatus.INFEASIBLE, best + 1, math.nan, reason="NonFiniteObjective")
        return Ends(ExitCode.DIVERGED, record)
    curve = [best + 1 / (k + 1) for k in range(EVALUATIONS - 1)]
    return Ends(0, attempt.record(RecordStatus.COMPLETED, *curve, best))


def too_high(**spec: Any) -> Manifest:
    """Return a study whose range leaves out the best rate: all good trials lie at its low end."""
    rate = a_range("learning_rate", low=0.05, high=1.0, scale="Log")
    budget = {"maxTrials": 12, "parallelTrials": 4}
    return a_study(**{"goal": GOAL, "hyperparameters": [rate], "budget": budget, **spec})


def answers(lab: Lab, name: str = "digits") -> dict[str, tuple[str, str]]:
    """Return status and reason of each condition."""
    return {c["type"]: (c["status"], c["reason"]) for c in lab.status(name)["conditions"]}


def follows(lab: Lab) -> Manifest:
    """Return the study that was created to follow the first one; empty: there is none."""
    found = lab.api.list("tuningstudies", lab.namespace)
    return next((s for s in found if s["metadata"]["name"] == "digits-r2"), {})


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
    assert follows(lab) == {}


def test_the_operator_applies_the_study_that_follows_as_the_same_account(lab: Lab) -> None:
    lab.script(trains)
    lab.api.create("serviceaccounts", lab.namespace, {"metadata": {"name": "trainer"}})
    container = {"name": "trainer", "image": "localhost/trainer"}
    template = {"spec": {"serviceAccountName": "trainer", "containers": [container]}}
    study = lab.create(too_high(nextStudy={"policy": "Run", "maxStudies": 2}, trial={"template": template}))
    status = lab.await_state("Succeeded")
    assert status["nextStudy"]["applied"] is True
    second = follows(lab)
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
    assert follows(lab)["spec"] == theirs["spec"]


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


def test_a_study_that_cannot_be_analysed_ends_all_the_same(lab: Lab, operator_kubeconfig: Path) -> None:
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
    patch = json.dumps({"status": {"result": {"curve": "no curve"}}})
    arguments = ("patch", "trial", broken, "--subresource=status", "--type=merge", f"--patch={patch}")
    lab.plane.kubectl(*arguments, f"--namespace={lab.namespace}", f"--as={OPERATOR}")
    (attempt,) = lab.kubelet.live(lab.namespace)
    lab.kubelet.end(attempt, trains(attempt))
    status = lab.await_state("Succeeded")
    assert answers(lab)["ConclusionReady"] == ("False", "AnalysisFailed")
    assert broken in lab.condition("ConclusionReady")["message"]
    assert "conclusion" not in status
    assert status["best"]


# --- an operator that dies -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Where operators start in a moment."""
    with Nursery() as nursery:
        yield nursery


class KillAtTheNextStudy(Fault):
    """Kills the operator when it creates the study that follows: before it is there, or before it hears of it."""

    def __init__(self, operator: Fork, is_there: bool) -> None:
        self._operator, self._is_there = operator, is_there
        self.killed = threading.Event()

    def before(self, call: Call) -> int | None:
        """Kill it before the study is there."""
        return self._kill() if not self._is_there and self._creates(call) else None

    def after(self, call: Call) -> int | None:
        """Kill it when the study is there."""
        return self._kill() if self._is_there and self._creates(call) else None

    def _creates(self, call: Call) -> bool:
        is_study = call.path.split("?")[0].endswith("/tuningstudies")
        return call.is_write and is_study and not self.killed.is_set()

    def _kill(self) -> int:
        self._operator.kill()
        self.killed.set()
        return 0


@pytest.mark.parametrize("is_there", [False, True])
def test_an_operator_that_dies_while_it_creates_the_next_study_creates_it_once(
    bench: Callable[[], Lab], nursery: Nursery, operator_kubeconfig: Path, tmp_path: Path, is_there: bool
) -> None:
    lab = bench()
    lab.script(trains)
    with Proxy(operator_kubeconfig, tmp_path) as proxy:
        operator = Fork(proxy.kubeconfig, tmp_path / "operator.log")
        operator.nursery = nursery
        proxy.fault = fault = KillAtTheNextStudy(operator, is_there)
        operator.start()
        try:
            lab.create(too_high(nextStudy={"policy": "Run", "maxStudies": 2}))
            lab.until("the operator was killed", fault.killed.is_set)
            assert lab.status()["state"] == "Running"
            assert bool(follows(lab)) is is_there
            made = follows(lab).get("metadata", {}).get("uid")
            proxy.fault = Fault()
            operator.start()
            status = lab.await_state("Succeeded")
        finally:
            operator.kill()
    assert status["nextStudy"]["applied"] is True
    assert follows(lab)["metadata"]["uid"] == (made or follows(lab)["metadata"]["uid"])
    assert len(lab.api.list("tuningstudies", lab.namespace)) == 2


def _with(text: str, word: str) -> str | None:
    return text if word in text else None
