"""The kubelet's part, played by a thread: pods that start, wait, end with a record, and honour their deletion.

A test scripts what the containers of its namespace do. Everything else (the Jobs, the garbage collector, admission) is
the real thing.
"""

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.api import Api, ApiError, Manifest
from tuning_contract.curve import Curve, Point
from tuning_contract.environment import TrialEnvironment, parameters_hash
from tuning_contract.exit_codes import ExitCode
from tuning_contract.pack import PACK_VARIABLE, PackEnvironment, pack_hash
from tuning_contract.pack_record import MemberResult, PackRecord
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_operator.api import names

NODE = "node-of-tests"
EVALUATIONS = 12
"""Of `trains`."""


@dataclass(frozen=True)
class Attempt:
    """A pod of a trial, as its container sees itself."""

    namespace: str
    pod: str
    pod_uid: str
    environment: TrialEnvironment
    """Of a pack, that of its first trial."""
    pack: PackEnvironment | None = None

    @property
    def index(self) -> int:
        """The trial's number in its study."""
        return int(self.environment.trial.rpartition("-")[2])

    def record(self, status: RecordStatus, *values: float, **fields: Any) -> str:
        """Return a final record after evaluations with these values, at steps 10, 20, …"""
        points = [Point(10 * (i + 1), value) for i, value in enumerate(values)]
        finite = [p for p in points if math.isfinite(p.value)]
        made = FinalRecord(
            study_uid=self.environment.study_uid,
            trial=self.environment.trial,
            attempt=self.environment.attempt,
            parameters_hash=parameters_hash(self.environment.parameters_json),
            status=status,
            best=min(finite, key=lambda p: p.value, default=None),
            last=points[-1] if points else None,
            late_median=points[-1].value if points else None,
            curve=Curve.of(self.environment.metric, points),
            **fields,
        )
        return made.encode().decode()


@dataclass(frozen=True)
class Ends:
    """The container runs and ends at once."""

    exit_code: int = 0
    message: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Runs:
    """The container runs until the test or a SIGTERM ends it."""

    on_sigterm: Callable[[Attempt], Ends] | None = None


@dataclass(frozen=True)
class Waits:
    """The container does not start, for this reason of the kubelet's."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Unseen:
    """No node takes the pod."""


Container = Ends | Runs | Waits | Unseen
Script = Callable[[Attempt], Container]


def together(attempt: Attempt, each: Script) -> Ends:
    """Let every trial of a pack end with the record that it would have in a pod of its own."""
    assert attempt.pack is not None
    ends = [each(replace(attempt, environment=member, pack=None)) for member in attempt.pack.members]
    records = [FinalRecord.decode(end.message) for end in ends if isinstance(end, Ends)]
    results = tuple(map(MemberResult.of, records))
    pack = PackRecord(attempt.environment.study_uid, pack_hash(attempt.pack.text), results)
    return Ends(0, pack.encode().decode())


def loss(parameters: Any) -> float:
    """The objective of the tests: best at a learning rate of 0.01."""
    return round(abs(math.log10(float(parameters["learning_rate"])) + 2), 6)


def completes(attempt: Attempt) -> Ends:
    """Train to the end; of a pack, each trial."""
    if attempt.pack is not None:
        return together(attempt, completes)
    value = loss(attempt.environment.parameters)
    return Ends(0, attempt.record(RecordStatus.COMPLETED, value + 1, value))


def trains(attempt: Attempt) -> Ends:
    """Train to the end, with a curve that is long enough to be judged."""
    best = loss(attempt.environment.parameters)
    curve = [best + 1 / (k + 1) for k in range(EVALUATIONS - 1)]
    return Ends(0, attempt.record(RecordStatus.COMPLETED, *curve, best))


def diverges(attempt: Attempt) -> Ends:
    """Run into a loss that is not finite."""
    record = attempt.record(RecordStatus.INFEASIBLE, 2.0, math.nan, reason="NonFiniteObjective", message="loss is NaN")
    return Ends(ExitCode.DIVERGED, record)


def crashes(attempt: Attempt) -> Ends:
    """Crash after the third evaluation, whose record says Running."""
    return Ends(1, attempt.record(RecordStatus.RUNNING, 3.0, 2.0, 1.0), "Error")


def is_interrupted(attempt: Attempt) -> Ends:
    """Write a checkpoint at SIGTERM, and say so."""
    return Ends(ExitCode.INTERRUPTED, attempt.record(RecordStatus.INTERRUPTED, 2.0), "Error")


class FakeKubelet:
    """All nodes of the cluster; for a `with` block."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._scripts: dict[str, Script] = {}
        self._attempts: dict[str, Attempt] = {}
        self._containers: dict[str, Container] = {}
        self._ended: set[str] = set()
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(8, "kubelet")
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "FakeKubelet":
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watcher.join()
        self._pool.shutdown(cancel_futures=True)

    def script(self, namespace: str, script: Script) -> None:
        """Say what the containers of a namespace do from now on; without a script they train to the end."""
        self._scripts[namespace] = script

    def live(self, namespace: str) -> list[Attempt]:
        """Return the attempts whose containers run or wait, by index."""
        with self._guard:
            found = [a for uid, a in self._attempts.items() if a.namespace == namespace and uid not in self._ended]
        return sorted(found, key=lambda a: a.index)

    def end(self, attempt: Attempt, how: Ends) -> None:
        """End a running container."""
        with self._lock(attempt.pod_uid):
            self._end(attempt, how)

    def overcome(self, namespace: str) -> None:
        """Let the containers that wait for something start after all, by the namespace's script."""
        for attempt in self.live(namespace):
            with self._lock(attempt.pod_uid):
                if isinstance(self._containers[attempt.pod_uid], Waits | Unseen):
                    self._run(attempt, self._scripts.get(namespace, completes)(attempt))

    def evict(self, attempt: Attempt) -> None:
        """Evict a pod as a node under pressure does: marked as a disruption, killed by force, without a record."""
        with self._lock(attempt.pod_uid):
            disruption = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
            self._end(attempt, Ends(137, reason="Error"), reason="Evicted", conditions=[disruption])

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                for kind, pod in self._api.watch("pods", self._stop):
                    if kind in ("ADDED", "MODIFIED") and names.LABEL_TRIAL in pod["metadata"].get("labels", {}):
                        self._pool.submit(self._handle, pod)
            except (OSError, ApiError):
                self._stop.wait(0.2)

    def _lock(self, uid: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(uid, threading.Lock())

    def _handle(self, pod: Manifest) -> None:
        uid = pod["metadata"]["uid"]
        with self._lock(uid), suppress(ApiError):
            # An error means that the pod changed or went meanwhile; another event tells of it.
            if "deletionTimestamp" in pod["metadata"]:
                self._terminate(pod)
            elif uid not in self._containers:
                self._start(pod)

    def _start(self, pod: Manifest) -> None:
        attempt = _attempt(pod)
        container = self._scripts.get(attempt.namespace, completes)(attempt)
        if not isinstance(container, Unseen):
            target = {"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": NODE}}
            path = f"/api/v1/namespaces/{attempt.namespace}/pods/{attempt.pod}/binding"
            self._api.call("POST", path, {**target, "metadata": {"name": attempt.pod}})
        with self._guard:
            self._attempts[attempt.pod_uid] = attempt
        self._run(attempt, container)

    def _run(self, attempt: Attempt, container: Container) -> None:
        self._containers[attempt.pod_uid] = container
        match container:
            case Waits(reason, message):
                self._show(attempt, "Pending", {"waiting": {"reason": reason, "message": message}})
            case Unseen():
                unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}
                self._status(attempt, {"conditions": [unscheduled]})
            case Runs():
                self._show(attempt, "Running", {"running": {"startedAt": _now()}})
            case Ends():
                self._show(attempt, "Running", {"running": {"startedAt": _now()}})
                self._end(attempt, container)

    def _terminate(self, pod: Manifest) -> None:
        uid = pod["metadata"]["uid"]
        attempt = self._attempts.get(uid) or _attempt(pod)
        if uid not in self._ended and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            container = self._containers.get(uid)
            how = container.on_sigterm if isinstance(container, Runs) and container.on_sigterm else is_interrupted
            self._end(attempt, how(attempt))
        self._api.delete(
            "pods", attempt.namespace, attempt.pod, gracePeriodSeconds=0, preconditions={"uid": attempt.pod_uid}
        )

    def _end(self, attempt: Attempt, how: Ends, **status: Any) -> None:
        began = (datetime.now(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        ended = {"exitCode": how.exit_code, "reason": how.reason, "message": how.message}
        phase = "Succeeded" if how.exit_code == 0 else "Failed"
        self._show(attempt, phase, {"terminated": {**ended, "startedAt": began, "finishedAt": _now()}}, **status)
        with self._guard:
            self._ended.add(attempt.pod_uid)

    def _show(self, attempt: Attempt, phase: str, state: Manifest, **status: Any) -> None:
        trainer = {
            "name": "trainer",
            "image": "localhost/trainer",
            "imageID": "",
            "ready": phase == "Running",
            "restartCount": 0,
            "state": state,
        }
        self._status(attempt, {"phase": phase, "containerStatuses": [trainer], **status})

    def _status(self, attempt: Attempt, status: Manifest) -> None:
        self._api.patch("pods", attempt.namespace, attempt.pod, {"status": status}, "status")


def _attempt(pod: Manifest) -> Attempt:
    meta = pod["metadata"]
    trains = next(c for c in pod["spec"]["containers"] if c["name"] == meta["annotations"][names.ANNOTATION_CONTAINER])
    env = {entry["name"]: entry.get("value", "") for entry in trains["env"]}
    pack = PackEnvironment.from_env(env) if PACK_VARIABLE in env else None
    first = TrialEnvironment.from_env(env) if pack is None else pack.members[0]
    return Attempt(meta["namespace"], meta["name"], meta["uid"], first, pack)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
