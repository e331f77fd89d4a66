"""The whole operator on a real API server with the real Job controller: only the nodes are played by a thread.

The operator has the rights of its role and no more, and everything that it asks of the API server is audited.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hack.control_plane import ControlPlane
from hack.generate.crds import crds
from hack.generate.policies import PATH as POLICIES
from hack.paths import ROOT
from tests.support.api import Api, Manifest
from tests.support.builders import a_range, a_study, merged
from tests.support.kubelet import Attempt, FakeKubelet, Script
from tests.support.operators import Operator
from tests.support.prometheus import FakePrometheus
from tuning_contract.metrics import LABEL_ATTEMPT, LABEL_NAMESPACE, LABEL_STUDY_UID, LABEL_TRIAL
from tuning_operator.api import names
from tuning_operator.api.policies import ServiceAccount

T = TypeVar("T")

OPERATOR = ServiceAccount().username
RBAC = ROOT / "manifests/rbac/operator.yaml"
WAIT_SECONDS = 90.0

_numbers = count()


@dataclass(frozen=True)
class Write:
    """One write by the operator that the API server carried out or refused."""

    at: datetime
    verb: str
    resource: str
    name: str
    code: int
    dry_run: bool


@dataclass
class Lab:
    """A namespace of the test's own, and all that a test needs in it."""

    plane: ControlPlane
    api: Api
    kubelet: FakeKubelet
    audit: Path
    namespace: str = field(default_factory=lambda: f"lab-{next(_numbers)}")

    def create(self, manifest: Manifest) -> Manifest:
        """Create a study."""
        return self.api.create("tuningstudies", self.namespace, manifest)

    def script(self, script: Script) -> None:
        """Say what the containers do."""
        self.kubelet.script(self.namespace, script)

    def change(self, name: str, **spec: Any) -> Manifest:
        """Change fields of a study's spec."""
        return self.api.patch("tuningstudies", self.namespace, name, {"spec": spec})

    def find(self, name: str) -> Manifest:
        """Return a study; empty where there is none."""
        return self.api.find("tuningstudies", self.namespace, name) or {}

    def study(self, name: str = "digits") -> Manifest:
        """Return a study."""
        return self.api.get("tuningstudies", self.namespace, name)

    def status(self, name: str = "digits") -> Manifest:
        """Return a study's status."""
        status: Manifest = self.study(name).get("status") or {}
        return status

    def condition(self, kind: str, name: str = "digits") -> Manifest:
        """Return a study's condition; empty where it has none."""
        return next((c for c in self.status(name).get("conditions", []) if c["type"] == kind), {})

    def trials(self) -> dict[int, Manifest]:
        """Return the trials by index."""
        found = self.api.list("tuningtrials", self.namespace)
        return {t["spec"]["index"]: t for t in sorted(found, key=lambda t: int(t["spec"]["index"]))}

    def trial(self, index: int = 0) -> Manifest:
        """Return one trial's status."""
        status: Manifest = self.trials()[index].get("status") or {}
        return status

    def jobs(self) -> list[Manifest]:
        """Return the Jobs."""
        return self.api.list("jobs", self.namespace)

    def pods(self) -> list[Manifest]:
        """Return the pods."""
        return self.api.list("pods", self.namespace)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl as a cluster-admin and return what it says."""
        done = self.plane.kubectl(*arguments, f"--namespace={self.namespace}", check=False)
        return (done.stdout + done.stderr).strip()

    def await_state(self, state: str, name: str = "digits", within: float = WAIT_SECONDS) -> Manifest:
        """Wait until a study has a state, and return its status."""

        def there() -> Manifest | None:
            status = self.status(name)
            return status if status.get("state") == state else None

        return self.until(f"study {name} is {state}", there, within)

    def until(self, what: str, look: Callable[[], T | None], within: float = WAIT_SECONDS) -> T:
        """Wait until a look finds something, and return it; fail with the namespace's contents when it never does."""
        deadline = time.monotonic() + within
        while not (found := look()):
            assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}\n{self.account()}"
            time.sleep(0.05)
        return found

    def writes(self) -> list[Write]:
        """Return the operator's writes in this namespace, as the API server has audited them."""
        return [
            write for line in self.audit.read_text().splitlines() if (write := _write(line, self.namespace)) is not None
        ]

    def account(self) -> str:
        """Tell what there is in the namespace."""
        wide = self.kubectl("get", "tuningstudies,tuningtrials,jobs,pods", "--output=wide")
        return wide + "\n" + self.kubectl("get", "events", "--sort-by=.lastTimestamp")


def a_small_study(name: str = "digits", **spec: Any) -> Manifest:
    """Return a study of three trials over one learning rate, two at a time."""
    small = {
        "hyperparameters": [a_range("learning_rate", low=1e-4, high=1.0, scale="Log")],
        "budget": {"maxTrials": 3, "parallelTrials": 2},
    }
    return a_study(name, **merged(small, spec))


def too_high(**spec: Any) -> Manifest:
    """Return a study whose range leaves out the best rate: all good trials lie at its low end."""
    rate = a_range("learning_rate", low=0.05, high=1.0, scale="Log")
    budget = {"maxTrials": 12, "parallelTrials": 4}
    return a_study(
        **{"goal": {"question": "Which learning rate is best?"}, "hyperparameters": [rate], "budget": budget, **spec}
    )


def scraped(prometheus: FakePrometheus, attempt: Attempt, **samples: list[tuple[float, float]]) -> None:
    """Let Prometheus have scraped an attempt: by metric, ages in seconds with values."""
    labels = {
        LABEL_NAMESPACE: attempt.namespace,
        LABEL_STUDY_UID: attempt.environment.study_uid,
        LABEL_TRIAL: attempt.environment.trial,
        LABEL_ATTEMPT: str(attempt.environment.attempt),
        "instance": attempt.pod,
    }
    prometheus.scraped(labels, samples)


def live_jobs_of_trials(jobs: list[Manifest]) -> Counter[str]:
    """Return how many Jobs that are not over each trial has."""
    return Counter(
        job["metadata"]["labels"][names.LABEL_TRIAL]
        for job in jobs
        if not any(c["type"] in ("Complete", "Failed") for c in job.get("status", {}).get("conditions", []))
    )


def _write(line: str, namespace: str) -> Write | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None  # it is being written
    what = entry.get("objectRef", {})
    if what.get("namespace") != namespace or entry["verb"] in ("get", "list", "watch"):
        return None
    resource = "/".join(part for part in (what["resource"], what.get("subresource")) if part)
    at = datetime.fromisoformat(entry["requestReceivedTimestamp"].replace("Z", "+00:00"))
    code = entry["responseStatus"]["code"]
    return Write(at, entry["verb"], resource, what.get("name", ""), code, "dryRun=All" in entry["requestURI"])


@pytest.fixture(scope="session")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The API server's account of the operator's requests, a JSON object a line."""
    folder = tmp_path_factory.mktemp("audit")
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
        "rules": [{"level": "Metadata", "users": [OPERATOR]}, {"level": "None"}],
    }
    (folder / "policy.json").write_text(json.dumps(policy))
    log = folder / "audit.log"
    log.touch()
    return log


@pytest.fixture(scope="session")
def plane(audit: Path) -> Iterator[ControlPlane]:
    """A control plane with our definitions, policies and the operator's own role."""
    arguments = [f"--audit-policy-file={audit.parent / 'policy.json'}", f"--audit-log-path={audit}"]
    with ControlPlane(controller_manager=True, api_server_args=arguments) as plane:
        for path in crds():
            plane.kubectl("apply", "--filename", ROOT / path)
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        plane.kubectl("create", "namespace", ServiceAccount().namespace)
        plane.kubectl("apply", "--filename", ROOT / POLICIES)
        plane.kubectl("apply", f"--namespace={ServiceAccount().namespace}", "--filename", RBAC)
        yield plane


@pytest.fixture(scope="session")
def api(plane: ControlPlane) -> Api:
    """The API server as cluster-admin."""
    return Api(plane.kubeconfig)


@pytest.fixture(scope="session")
def kubelet(api: Api) -> Iterator[FakeKubelet]:
    """All nodes."""
    with FakeKubelet(api) as kubelet:
        yield kubelet


@pytest.fixture(scope="session")
def prometheus() -> Iterator[FakePrometheus]:
    """The Prometheus of the operator under test."""
    with FakePrometheus() as prometheus:
        yield prometheus


@pytest.fixture(scope="session")
def operator_kubeconfig(plane: ControlPlane) -> Path:
    """The operator's credentials."""
    return plane.kubeconfig_for(OPERATOR, ["system:serviceaccounts", "system:authenticated"])


@pytest.fixture(scope="module")
def operator(
    operator_kubeconfig: Path, prometheus: FakePrometheus, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """An operator that serves all namespaces, for the tests of one file."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with Operator(operator_kubeconfig, log, prometheus.url, scrape_interval="1") as operator:
        yield operator
        assert operator.alive, f"the operator ended on its way: {operator.tail()}"


@pytest.fixture(scope="session")
def bench(plane: ControlPlane, api: Api, kubelet: FakeKubelet, audit: Path) -> Callable[[], Lab]:
    """Makes labs: for tests that need an operator of their own, or several namespaces."""

    def make() -> Lab:
        lab = Lab(plane, api, kubelet, audit)
        api.create("namespaces", None, {"metadata": {"name": lab.namespace}})
        return lab

    return make


@pytest.fixture
def lab(bench: Callable[[], Lab], operator: Operator) -> Lab:
    """A namespace that the file's operator serves."""
    return bench()
