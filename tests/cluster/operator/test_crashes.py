"""The operator is killed at its every write, or runs twice at once: the study comes to the same end.

Of every index there is one result or an explained failure; never two Jobs of a trial at once; never more pods than
asked for; and parameters and winner are those of a run that nobody disturbed.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.operator.conftest import Lab, a_small_study, too_high
from tests.support.kubelet import Attempt, Container, completes, crashes, diverges, is_interrupted, trains
from tests.support.nursery import Fork, Nursery
from tests.support.operators import Operator
from tests.support.proxy import Call, Fault, Proxy
from tests.support.witness import Witness

PARALLEL = 2
BUDGET = {"maxTrials": 4, "parallelTrials": PARALLEL}
Outcome = dict[int, tuple[Any, ...]]


def eventful(attempt: Attempt) -> Container:
    """One of each: diverges, crashes, is lost once, and results."""
    endings = {1: diverges, 2: crashes}
    if attempt.index == 3 and attempt.environment.attempt == 0:
        return is_interrupted(attempt)
    return endings.get(attempt.index, completes)(attempt)


def outcome(lab: Lab) -> Outcome:
    """Return what came of each index."""
    found = {}
    for index, trial in lab.trials().items():
        status = trial["status"]
        result = status.get("result", {})
        counted = (status["attempt"], status["infrastructureRetries"])
        found[index] = (trial["spec"]["parameters"], status["state"], status["reason"], result.get("value"), *counted)
    return found


def best_of(lab: Lab) -> tuple[str, float]:
    """Return the winner: its number and its value."""
    best = lab.status()["best"]
    return best["trial"].rpartition("-")[2], best["value"]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Where operators start in a moment."""
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="module")
def start(nursery: Nursery, operator_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Fork]:
    """Makes operators of which the tests decide when they start and die."""
    folder = tmp_path_factory.mktemp("forks")

    def make(kubeconfig: Path = operator_kubeconfig) -> Fork:
        fork = Fork(kubeconfig, folder / "operators.log")
        fork.nursery = nursery
        return fork

    return make


@pytest.fixture(scope="module")
def undisturbed(bench: Callable[[], Lab], start: Callable[..., Fork]) -> tuple[Outcome, tuple[str, float], int]:
    """How the study ends when nobody disturbs it, and how many writes that takes."""
    lab = bench()
    lab.script(eventful)
    with start():
        lab.create(a_small_study(budget=BUDGET))
        lab.await_state("Succeeded")
        lab.until("it is at rest", lambda: all(j["spec"].get("ttlSecondsAfterFinished") for j in lab.jobs()))
    found = outcome(lab)
    assert [entry[1] for entry in found.values()] == ["Succeeded", "Infeasible", "Failed", "Succeeded", "Succeeded"]
    return found, best_of(lab), len(lab.writes())


class KillAtWrite(Fault):
    """Kills the operator when it has made so many writes: before the last one, or after it and before its answer."""

    def __init__(self, operator: Operator, writes: int, before: bool) -> None:
        self._operator, self._left, self._before = operator, writes, before
        self._lock = threading.Lock()
        self.killed = threading.Event()

    def before(self, call: Call) -> int | None:
        """Count a write."""
        if self.killed.is_set():
            return 0
        if not call.is_write:
            return None
        with self._lock:
            self._left -= 1
            if self._left > 0 or not self._before:
                return None
        return self._kill()

    def after(self, call: Call) -> int | None:
        """Let the write happen, and nobody hear of it."""
        return self._kill() if call.is_write and self._left <= 0 and not self.killed.is_set() else None

    def _kill(self) -> int:
        self._operator.kill()
        self.killed.set()
        return 0


@pytest.mark.parametrize(("writes", "before"), [(1, False), (3, True)], ids=["after every write", "before each third"])
def test_killed_at_its_writes_the_operator_comes_to_the_same_end(
    bench: Callable[[], Lab],
    start: Callable[..., Fork],
    operator_kubeconfig: Path,
    undisturbed: tuple[Outcome, tuple[str, float], int],
    tmp_path: Path,
    writes: int,
    before: bool,
) -> None:
    lab = bench()
    lab.script(eventful)
    lives = 0
    with Proxy(operator_kubeconfig, tmp_path) as proxy, Witness(lab.api, lab.namespace) as witness:
        operator = start(proxy.kubeconfig)
        lab.create(a_small_study(budget=BUDGET))
        try:
            while lab.status().get("state") != "Succeeded":
                proxy.fault = fault = KillAtWrite(operator, writes, before)
                operator.start()
                lives += 1
                lab.until("the operator was killed, or the study is over", lambda: _over(lab, fault))  # noqa: B023
                operator.kill()
                assert lives < 100, lab.account()
        finally:
            operator.kill()
    found, best, needed = undisturbed
    assert outcome(lab) == found
    assert best_of(lab) == best
    assert lives >= needed / writes / 3, "the operator was not killed often enough to prove anything"
    assert witness.most_of_a_trial == {"jobs": 1, "pods": 1}
    assert witness.most_pods <= PARALLEL
    assert len(witness.jobs_made) == len(found) + 1


def _over(lab: Lab, fault: KillAtWrite) -> bool:
    return fault.killed.is_set() or lab.status().get("state") == "Succeeded"


def test_two_operators_at_once_do_no_harm(
    bench: Callable[[], Lab], start: Callable[..., Fork], undisturbed: tuple[Outcome, tuple[str, float], int]
) -> None:
    lab = bench()
    lab.script(eventful)
    with start() as one, start() as other, Witness(lab.api, lab.namespace) as witness:
        lab.create(a_small_study(budget=BUDGET))
        lab.await_state("Succeeded")
        assert one.alive
        assert other.alive
    found, best, needed = undisturbed
    assert outcome(lab) == found
    assert best_of(lab) == best
    assert witness.most_of_a_trial == {"jobs": 1, "pods": 1}
    assert witness.most_pods <= PARALLEL
    assert len(witness.jobs_made) == len(found) + 1
    assert len(lab.writes()) <= 4 * needed, "they hinder each other"


def test_an_answer_that_got_lost_creates_nothing_twice(
    bench: Callable[[], Lab], start: Callable[..., Fork], operator_kubeconfig: Path, tmp_path: Path
) -> None:
    class LoseAnswers(Fault):
        def __init__(self) -> None:
            self.seen: set[tuple[str, str]] = set()

        def after(self, call: Call) -> int | None:
            """Lose the first answer to each kind of write."""
            if not call.is_write or (call.verb, call.path) in self.seen:
                return None
            self.seen.add((call.verb, call.path))
            return 0

    lab = bench()
    with Proxy(operator_kubeconfig, tmp_path) as proxy, Witness(lab.api, lab.namespace) as witness:
        proxy.fault = LoseAnswers()
        with start(proxy.kubeconfig):
            lab.create(a_small_study())
            lab.await_state("Succeeded")
    assert len(lab.trials()) == len(witness.jobs_made) == 3
    assert witness.most_pods <= PARALLEL


class KillAtTheNextStudy(Fault):
    """Kills the operator when it creates the study that follows: before it is there, or before it hears of it."""

    def __init__(self, operator: Operator, is_there: bool) -> None:
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
    bench: Callable[[], Lab],
    start: Callable[..., Fork],
    operator_kubeconfig: Path,
    tmp_path: Path,
    is_there: bool,
) -> None:
    lab = bench()
    lab.script(trains)
    with Proxy(operator_kubeconfig, tmp_path) as proxy:
        operator = start(proxy.kubeconfig)
        proxy.fault = fault = KillAtTheNextStudy(operator, is_there)
        operator.start()
        try:
            lab.create(too_high(nextStudy={"policy": "Run", "maxStudies": 2}))
            lab.until("the operator was killed", fault.killed.is_set)
            assert lab.status()["state"] == "Running"
            assert bool(lab.find("digits-r2")) is is_there
            made = lab.find("digits-r2").get("metadata", {}).get("uid")
            proxy.fault = Fault()
            operator.start()
            status = lab.await_state("Succeeded")
        finally:
            operator.kill()
    assert status["nextStudy"]["applied"] is True
    assert lab.find("digits-r2")["metadata"]["uid"] == (made or lab.find("digits-r2")["metadata"]["uid"])
    assert len(lab.api.list("tuningstudies", lab.namespace)) == 2
