"""Somebody who watches a namespace all the time, and remembers the worst that was to be seen."""

import threading
from collections import Counter

from tests.support.api import Api, ApiError, Manifest
from tuning_operator.api import names


class Witness:
    """Watches the pods and Jobs of trials; for a `with` block."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._watch, args=(kind,), daemon=True) for kind in ("jobs", "pods")]
        self.most_pods = 0
        """Pods of the study that were not over, at once."""
        self.most_of_a_trial = {"jobs": 0, "pods": 0}
        """Of one trial, at once."""
        self.jobs_made: set[str] = set()

    def __enter__(self) -> "Witness":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, resource: str) -> None:
        live: dict[str, str] = {}
        while not self._stop.is_set():
            try:
                # What vanished between two watches is not told again.
                existing = {thing["metadata"]["uid"] for thing in self._api.list(resource, self._namespace)}
                live = {uid: trial for uid, trial in live.items() if uid in existing}
                for kind, thing in self._api.watch(resource, self._stop):
                    if thing["metadata"].get("namespace") == self._namespace:
                        self._see(resource, kind, thing, live)
            except (OSError, ApiError):
                self._stop.wait(0.2)

    def _see(self, resource: str, kind: str, thing: Manifest, live: dict[str, str]) -> None:
        meta = thing["metadata"]
        if resource == "jobs":
            self.jobs_made.add(meta["name"])
        if kind == "DELETED" or _over(thing):
            live.pop(meta["uid"], None)
        else:
            live[meta["uid"]] = meta["labels"][names.LABEL_TRIAL]
        if resource == "pods":
            self.most_pods = max(self.most_pods, len(live))
        most = max(Counter(live.values()).values(), default=0)
        self.most_of_a_trial[resource] = max(self.most_of_a_trial[resource], most)


def _over(thing: Manifest) -> bool:
    status = thing.get("status", {})
    ended = any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in status.get("conditions", []))
    return ended or status.get("phase") in ("Succeeded", "Failed")
