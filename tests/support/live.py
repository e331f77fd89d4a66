"""A live cluster for the end-to-end tests: the API server, the operator's release, Prometheus and the node.

Waiting is asking again until a deadline. Deadlines are generous: they are for machines that are busy with other things.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config

from hack import engine, shell
from hack.cluster import Cluster
from hack.images import Images
from hack.kind_config import node
from hack.paths import ROOT
from tuning_operator.api import names
from tuning_operator.api.base import API_VERSION

Manifest = dict[str, Any]

NAMESPACE = "tuning-operator-e2e"
"""Of the operator under test."""
RELEASE = "tuning-operator"
PROMETHEUS = f"{RELEASE}-prometheus"
TESTS = "e2e-"
"""What the names of the tests' own namespaces begin with."""
SCRAPE_SECONDS = 2
PATIENCE = 300.0
ASK_AGAIN_SECONDS = 0.5
CHART = ROOT / "charts" / "tuning-operator"
SETTLED = ("Succeeded", "Failed", "Rejected")
STUDIES = f"/apis/{API_VERSION}/namespaces/{{namespace}}/tuningstudies"
TRIALS = f"/apis/{API_VERSION}/namespaces/{{namespace}}/tuningtrials"


T = TypeVar("T")


def until(what: str, ask: Callable[[], T], within: float = PATIENCE) -> T:
    """Ask until the answer is true, and return it; fail in words when that takes too long."""
    deadline = time.monotonic() + within
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}; the last answer was {answer!r:.300}"
        time.sleep(ASK_AGAIN_SECONDS)
    return answer


class ApiError(RuntimeError):
    """The API server refused a call, or could not pass it on."""


class Api:
    """The API server, by one connection: kubectl for each question would keep a small machine busy."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client: ApiClient = new_client_from_config(config_file=str(kubeconfig))

    def get(self, path: str, **query: str) -> Any:
        """Return an object or a list; None where there is none."""
        return self.call("GET", path, query=query)

    def text(self, path: str, **query: str) -> str:
        """Return an answer that is no JSON, such as a log or a page of metrics."""
        answer = self.call("GET", path, query=query, parsed=False)
        return str(answer or "")

    def items(self, path: str, **query: str) -> list[Manifest]:
        """Return a list's items."""
        return list((self.get(path, **query) or {}).get("items", []))

    def call(
        self,
        verb: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
        parsed: bool = True,
    ) -> Any:
        """Make a call; None where the object is not found."""
        method, url, headers, data, _ = self._client.param_serialize(
            verb,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "*/*", "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        response = self._client.call_api(method, url, headers, data, _request_timeout=60)
        text = response.read().decode(errors="replace")
        if response.status == 404:
            return None
        if response.status >= 400:
            raise ApiError(f"{verb} {path}: {response.status} {text:.400}")
        return json.loads(text) if parsed else text


@dataclass
class Live:
    """The cluster with the operator installed on it."""

    cluster: Cluster
    images: Images
    say: Callable[[str], None]
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.api = Api(self.cluster.kubeconfig)

    # --- the release -----------------------------------------------------------------------------------------------

    def install(self) -> None:
        """Install the operator by the chart, or bring it to this checkout's state, and wait until it is ready."""
        try:
            self.cluster.helm(
                "upgrade",
                "--install",
                RELEASE,
                CHART,
                f"--namespace={NAMESPACE}",
                "--create-namespace",
                f"--set=prometheus.scrapeInterval={SCRAPE_SECONDS}s",
                *image_values("image", self.images.operator),
                *image_values("trainer.image", self.images.trainer),
                *image_values("prometheus.image", self.images.prometheus),
                "--wait",
                "--timeout=3m",
            )
        except shell.CommandError as error:
            pods = self.cluster.kubectl("describe", "pods", f"--namespace={NAMESPACE}")
            raise AssertionError(f"{error}\n{pods}\n{self.log()}") from error

    def uninstall(self) -> None:
        """Uninstall the operator; its definitions stay, and so do studies."""
        self.cluster.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--ignore-not-found", "--wait")
        until("the release's pods are gone", lambda: not self.pods_of_release())

    def scale(self, deployment: str, replicas: int) -> None:
        """Scale one of the release's deployments, and wait until it is so."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{deployment}"
        body = {"spec": {"replicas": replicas}}
        self.api.call("PATCH", f"{path}/scale", body, content="application/merge-patch+json")
        component = "prometheus" if deployment == PROMETHEUS else "operator"
        if replicas == 0:
            until(f"{deployment} has no pod", lambda: not self.pods_of_release(component))
        else:
            until(f"{deployment} is ready", lambda: self.api.get(path)["status"].get("readyReplicas", 0) == replicas)

    def pods_of_release(self, component: str | None = None) -> list[Manifest]:
        """Return the pods of the operator, of Prometheus, or both."""
        selector = "app.kubernetes.io/name=tuning-operator"
        selector += f",app.kubernetes.io/component={component}" if component else ""
        return self.api.items(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=selector)

    def log(self, component: str | None = None, lines: int = 60) -> str:
        """Return the end of the log of the operator, of Prometheus, or both, with what ran before a restart."""
        parts = []
        for pod in self.pods_of_release(component):
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}/log"
            for previous in ("true", "false"):
                try:
                    parts.append(self.api.text(path, tailLines=str(lines), previous=previous))
                except ApiError as error:
                    parts.append(str(error))
        return "\n".join(parts)

    def operator_metrics(self) -> dict[str, float]:
        """Return the operator's own numbers, by series as it writes them."""
        (pod,) = self.pods_of_release("operator")
        page = self.api.text(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy/metrics")
        lines = [line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#")]
        return {series: float(value) for series, _, value in lines}

    def kill_operator(self) -> None:
        """SIGKILL the operator's process from its node, and wait until the kubelet has started another one."""
        (pod,) = self.pods_of_release("operator")
        before = pod["status"]["containerStatuses"][0]["restartCount"]
        # Processes of a pod are in cgroups that carry its uid, in one of two spellings.
        uid = pod["metadata"]["uid"]
        # One of all the processes there ends while they are gone through, which grep would call an error.
        either = f"'{uid}|{uid.replace('-', '_')}'"
        found = self.on_node(
            "sh", "-c", f"grep --no-messages --files-with-matches --extended-regexp {either} /proc/*/cgroup || true"
        )
        pids = [path.split("/")[2] for path in found.split()]
        mine = [pid for pid in pids if "tuning_operator" in self.on_node("cat", f"/proc/{pid}/cmdline")]
        assert mine, f"no process of the operator among {pids}"
        self.on_node("kill", "-KILL", *mine)

        def restarted() -> bool:
            (now,) = self.pods_of_release("operator")
            return bool(now["status"]["containerStatuses"][0]["restartCount"] > before)

        until("the kubelet restarts the operator", restarted)

    def on_node(self, *command: str) -> str:
        """Run a command on the local cluster's node; a process that ended meanwhile is no error."""
        found = engine.find()
        try:
            return found.output("exec", node(), *command, timeout=60)
        except shell.CommandError as error:
            if "No such file" in str(error) or "No such process" in str(error):
                return ""
            raise

    # --- Prometheus ------------------------------------------------------------------------------------------------

    def ask(self, expression: str) -> list[Any]:
        """Put a question in PromQL to the release's Prometheus."""
        return self._prometheus("query", query=expression)

    def ask_over_time(self, expression: str, start: float, end: float, step: float = 2) -> list[Any]:
        """Put a question about a span of time."""
        return self._prometheus("query_range", query=expression, start=str(start), end=str(end), step=str(step))

    def _prometheus(self, kind: str, **query: str) -> list[Any]:
        service = f"/api/v1/namespaces/{NAMESPACE}/services/{PROMETHEUS}:9090/proxy/api/v1/{kind}"
        answer = self.api.get(service, **query)
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])


@dataclass
class Namespace:
    """A test's own namespace, under the restricted Pod Security Standard."""

    live: Live
    name: str

    def create(self) -> None:
        """Create it, in place of one that an earlier run left."""
        self.delete()
        until(f"the old namespace {self.name} is gone", lambda: self.api.get(f"/api/v1/namespaces/{self.name}") is None)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": labels}}
        self.api.call("POST", "/api/v1/namespaces", body)

    def delete(self) -> None:
        """Ask for its deletion; it goes on by itself."""
        self.api.call("DELETE", f"/api/v1/namespaces/{self.name}")

    @property
    def api(self) -> Api:
        """The API server."""
        return self.live.api

    def kubectl(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run kubectl in this namespace."""
        return self.live.cluster.kubectl(f"--namespace={self.name}", *arguments, stdin=stdin)

    def apply(self, *manifests: Manifest) -> None:
        """Apply manifests as a user does."""
        self.kubectl("apply", "--filename=-", stdin="\n---\n".join(map(json.dumps, manifests)))

    # --- what is there ---------------------------------------------------------------------------------------------

    def study(self, name: str) -> Manifest:
        """Return a study."""
        found = self.api.get(f"{STUDIES.format(namespace=self.name)}/{name}")
        assert found is not None, f"there is no study {name}"
        return dict(found)

    def trials(self, study: str) -> list[Manifest]:
        """Return a study's trials, by index."""
        selector = f"{names.LABEL_STUDY}={study}"
        found = self.api.items(TRIALS.format(namespace=self.name), labelSelector=selector)
        return sorted(found, key=lambda trial: int(trial["spec"]["index"]))

    def trial(self, study: str) -> Manifest:
        """Return the only trial of a study."""
        (only,) = self.trials(study)
        return only

    def pods(self, study: str | None = None, trial: str | None = None) -> list[Manifest]:
        """Return the pods of trials, oldest first."""
        labels = {names.LABEL_STUDY: study, names.LABEL_TRIAL: trial}
        selector = ",".join(f"{key}={value}" for key, value in labels.items() if value)
        found = self.api.items(f"/api/v1/namespaces/{self.name}/pods", labelSelector=selector)
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def condition(self, study: str, kind: str) -> Manifest:
        """Return a study's condition; an empty one where it is not there yet."""
        conditions = self.study(study).get("status", {}).get("conditions", [])
        return next((dict(c) for c in conditions if c["type"] == kind), {"status": "", "reason": "", "message": ""})

    # --- waiting ---------------------------------------------------------------------------------------------------

    def wait_for_condition(self, study: str, kind: str, reason: str, within: float = PATIENCE) -> Manifest:
        """Wait until a condition has a reason, and return it."""

        def met() -> Manifest | None:
            found = self.condition(study, kind)
            return found if found["reason"] == reason else None

        found = until(f"{study} says {kind}: {reason}", met, within)
        assert found is not None
        return found

    def wait_for_end(self, study: str, within: float = PATIENCE) -> Manifest:
        """Wait until a study is over, and return it."""

        def over() -> Manifest | None:
            found = self.study(study)
            return found if found.get("status", {}).get("state") in SETTLED else None

        found = until(f"{study} is over", over, within)
        assert found is not None
        return found

    def wait_for_success(self, study: str, within: float = PATIENCE) -> Manifest:
        """Wait until a study is over, demand that it succeeded, and return it."""
        found = self.wait_for_end(study, within)
        assert found["status"]["state"] == "Succeeded", found["status"]
        return found

    def wait_until_trained(self, study: str, step: int, trials: int) -> list[Manifest]:
        """Wait until Prometheus has seen so many trials of a study reach a step; return all trials by index."""
        query = f'tuning_trial_step{{namespace="{self.name}", study="{study}"}} >= {step}'

        def trained() -> bool:
            state = self.study(study).get("status", {}).get("state")
            assert state not in SETTLED, f"{study} is {state} before {trials} trials have reached step {step}"
            return len(self.live.ask(query)) >= trials

        until(f"{trials} trials of {study} reach step {step}", trained)
        return self.trials(study)

    def wait_until_gone(self, *pods: Manifest) -> None:
        """Wait until the API server has these very pods no more."""
        uids = {pod["metadata"]["uid"] for pod in pods}
        until("pods are gone", lambda: not uids & {pod["metadata"]["uid"] for pod in self.pods()})

    # --- what happens to pods --------------------------------------------------------------------------------------

    def living_pod(self, trial: Manifest) -> Manifest:
        """Return the pod in which a trial trains."""
        return next(pod for pod in self.pods(trial=trial["metadata"]["name"]) if pod["status"]["phase"] == "Running")

    def evict(self, pod: Manifest) -> None:
        """Evict a pod as `kubectl drain` does."""
        name = pod["metadata"]["name"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": self.name},
        }
        self.api.call("POST", f"/api/v1/namespaces/{self.name}/pods/{name}/eviction", body)

    def delete_pod(self, pod: Manifest) -> None:
        """Delete a pod as `kubectl delete pod` does; returns at once."""
        self.api.call("DELETE", f"/api/v1/namespaces/{self.name}/pods/{pod['metadata']['name']}")

    def patch_study(self, name: str, spec: Manifest) -> None:
        """Change a study's spec."""
        path = f"{STUDIES.format(namespace=self.name)}/{name}"
        self.api.call("PATCH", path, {"spec": spec}, content="application/merge-patch+json")

    def diagnosis(self) -> str:
        """Return what a person would look at after a failure."""
        wanted: Sequence[tuple[str, ...]] = (
            ("get", "studies,trials,jobs,pods,pvc", "--output=wide"),
            ("get", "events", "--sort-by=.lastTimestamp"),
            ("describe", "studies"),
            ("describe", "pods", f"--selector={names.LABEL_TRIAL}"),
        )
        parts = []
        for arguments in wanted:
            try:
                said = self.kubectl(*arguments)
            except shell.CommandError as error:
                said = str(error)
            parts.append(f"$ kubectl --namespace={self.name} {' '.join(arguments)}\n{said[-12_000:]}")
        return "\n".join([*parts, "The operator's log ends with:", self.live.log("operator")])


def image_values(value: str, reference: str) -> list[str]:
    """Return the arguments that set one of the chart's images to a full reference."""
    repository, tag = reference.rsplit(":", 1)
    return [f"--set={value}.repository={repository}", f"--set-string={value}.tag={tag}"]
