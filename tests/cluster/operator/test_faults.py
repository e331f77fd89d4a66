"""The API server ends, breaks its watches or answers with errors: the operator lives, says so, and goes on."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hack.control_plane import ControlPlane
from tests.cluster.operator.conftest import Lab, a_small_study
from tests.support.kubelet import Runs, completes
from tests.support.nursery import Fork, Nursery
from tests.support.operators import Operator
from tests.support.proxy import Call, Fault, Proxy


@pytest.fixture(scope="module")
def proxy(operator_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """What stands between the operator and the API server."""
    with Proxy(operator_kubeconfig, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def behind(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator that reaches the API server through the proxy alone."""
    log = tmp_path_factory.mktemp("behind") / "operator.log"
    with Nursery() as nursery:
        fork = Fork(proxy.kubeconfig, log)
        fork.nursery = nursery
        with fork as operator:
            yield operator


class Down(Fault):
    """Answers everything with one status, watches with a last event first."""

    def __init__(self, code: int) -> None:
        self._code = code

    def before(self, call: Call) -> int | None:
        """Fail."""
        return self._code

    def in_watch(self, call: Call) -> bytes | None:
        """Say in the stream what went wrong, as an API server does whose etcd changed its leader."""
        if self._code == 0:
            return None
        status = {"kind": "Status", "status": "Failure", "code": self._code, "message": "on purpose", "reason": "X"}
        return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


@contextmanager
def without_api_server(plane: ControlPlane) -> Iterator[None]:
    """Kill the API server; its etcd and its controllers stay, and at the end it comes back."""
    process = plane._processes["kube-apiserver"]
    process.kill()
    process.wait(10)
    yield
    assert isinstance(process.args, list)
    plane._start(*[str(word) for word in process.args[1:]])
    plane._wait_until("the API server is back", plane._ready)


@pytest.mark.parametrize("code", [0, 410, 429, 500, 503], ids=lambda code: str(code) if code else "no answer")
def test_an_api_server_that_fails_for_a_while_costs_nothing_but_the_while(
    bench: Callable[[], Lab], behind: Operator, proxy: Proxy, code: int
) -> None:
    lab = bench()
    lab.script(lambda _: Runs())
    lab.create(a_small_study())
    lab.until("two run", lambda: lab.status().get("trials", {}).get("running") == 2)
    proxy.fault = Down(code)
    proxy.break_watches()
    live = lab.kubelet.live(lab.namespace)
    lab.script(completes)
    for attempt in live:
        lab.kubelet.end(attempt, completes(attempt))
    lab.until("it says that it is not ready", lambda: behind.probe("readyz") == 503)
    assert behind.probe("healthz") == 200
    proxy.fault = Fault()
    status = lab.await_state("Succeeded")
    assert status["trials"]["succeeded"] == status["trials"]["total"] == 3
    assert all(t["status"]["attempt"] == 0 for t in lab.trials().values())
    assert behind.alive


def test_what_went_away_while_the_watches_were_broken_is_missed(
    bench: Callable[[], Lab], behind: Operator, proxy: Proxy
) -> None:
    lab = bench()
    lab.script(lambda _: Runs())
    lab.create(a_small_study(budget={"maxTrials": 1, "parallelTrials": 1}))
    lab.until("it runs", lambda: lab.status().get("trials", {}).get("running") == 1)
    lab.script(completes)
    proxy.fault = Down(410)
    proxy.break_watches()
    lab.kubectl("delete", "jobs", "--all")
    lab.until("its pod is gone", lambda: not lab.pods())
    proxy.fault = Fault()
    lab.await_state("Succeeded")
    assert (lab.trial()["attempt"], lab.trial()["infrastructureRetries"]) == (1, 1)


def test_the_operator_outlives_a_restart_of_the_api_server(lab: Lab, plane: ControlPlane, operator: Operator) -> None:
    lab.script(lambda _: Runs())
    lab.create(a_small_study())
    lab.until("two run", lambda: lab.status().get("trials", {}).get("running") == 2)
    live = lab.kubelet.live(lab.namespace)
    with without_api_server(plane):
        assert operator.probe("healthz") == 200
    assert operator.probe("healthz") == 200
    lab.script(completes)
    for attempt in live:
        lab.kubelet.end(attempt, completes(attempt))
    lab.await_state("Succeeded")
    lab.until("the operator is ready again", lambda: operator.probe("readyz") == 200)


def test_sigterm_ends_the_operator_within_seconds(operator_kubeconfig: Path, tmp_path: Path) -> None:
    with Operator(operator_kubeconfig, tmp_path / "log") as operator:
        assert operator.terminate(within=15) == 0


def test_sigterm_ends_an_operator_whose_api_server_is_away(proxy: Proxy, tmp_path: Path) -> None:
    proxy.fault = Down(0)
    operator = Operator(proxy.kubeconfig, tmp_path / "log")
    try:
        operator.start()
        while operator.probe("healthz") is None:
            assert operator.alive
        assert operator.probe("readyz") == 503
        assert operator.terminate(within=15) == 0
    except subprocess.TimeoutExpired:
        operator.kill()
        raise
    finally:
        proxy.fault = Fault()
