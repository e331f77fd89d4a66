"""The watches: kopf's low-level event handlers, which write nothing and only pass on what they see.

No `on.create`, daemons, timers or indexes: these keep state in annotations and finalizers, and start up in quadratic
time. Handlers' errors are never retried by kopf, so no work is done here.
"""

import asyncio
import itertools
import logging
import random
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import kopf

from tuning_operator.api import names
from tuning_operator.api.base import GROUP, VERSION

log = logging.getLogger(__name__)

Sink = Callable[[str, Mapping[str, Any], str | None], None]
"""Takes the resource, the object, and the event's type; None: it was listed, because a watch began."""

FAILURES_ALLOWED = 20
"""So many watches in a row that fail at once mean that a restart of the process is the better cure."""
HEALTHY_AFTER = 60.0
ASK_AGAIN = 2.0
"""Seconds between questions whether the API server knows our kinds by now."""


class Watches:
    """kopf in a thread and event loop of its own.

    At its exit kopf cancels every task of its loop, and it exits when a watch breaks in a way that it does not know.
    Apart from ours, it can be started again without losing the queue or what was observed.
    """

    def __init__(self, sink: Sink, namespaces: Sequence[str], missing: Callable[[], Awaitable[str | None]]) -> None:
        """Prepare to watch.

        Args:
            sink: takes what the watches tell.
            namespaces: the ones to watch; none named means all.
            missing: says what the API server does not serve yet of what is watched; None: nothing is missing.
        """
        self._sink = sink
        self._namespaces = namespaces
        self._missing = missing
        self._problem: str | None = "the watches have not begun"
        self._ready = threading.Event()
        self._stop = threading.Event()

    @property
    def problem(self) -> str | None:
        """Why nothing is watched; None while the watches run."""
        return None if self._ready.is_set() else self._problem

    async def run(self) -> None:
        """Watch until cancelled; return only when watching failed too often for a restart of kopf to help."""
        loop = asyncio.get_running_loop()
        failures = 0
        while failures < FAILURES_ALLOWED:
            self._stop.clear()
            await self._wait_for_our_kinds()
            started = loop.time()
            try:
                await asyncio.to_thread(self._watch, loop)
            except Exception:
                log.exception("The watches broke; they are started again.")
            finally:
                self._ready.clear()
                self._stop.set()
            failures = 0 if loop.time() - started > HEALTHY_AFTER else failures + 1
            await asyncio.sleep(min(0.5 * 2**failures, 30.0))

    async def _wait_for_our_kinds(self) -> None:
        """Return when the API server serves our kinds: kopf looks once, and would never watch what came later."""
        while (missing := await self._missing()) is not None:
            if missing != self._problem:
                log.warning("Nothing is watched: %s.", missing)
            self._problem = missing
            await asyncio.sleep(ASK_AGAIN)
        self._problem = "the watches have not begun"

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        def pass_on(resource: str, event: Mapping[str, Any]) -> None:
            loop.call_soon_threadsafe(self._sink, resource, event["object"], event["type"])

        async def operate() -> None:
            try:
                await kopf.operator(
                    registry=registry(pass_on),
                    settings=settings(),
                    # Named, since kopf would ask for the user's name, and a container's numeric user has none.
                    identity=names.MANAGED_BY,  # type: ignore[arg-type]
                    standalone=True,
                    clusterwide=not self._namespaces,
                    namespaces=list(self._namespaces),
                    ready_flag=self._ready,
                    stop_flag=self._stop,
                )
            finally:
                # One of kopf's threads waits for this flag, and asyncio.run for that thread: without it a kopf that
                # failed would never come to its end, and nobody would watch.
                self._ready.clear()
                self._stop.set()

        asyncio.run(operate())


def registry(pass_on: Callable[[str, Mapping[str, Any]], None]) -> kopf.OperatorRegistry:
    """Return the handlers: one for each kind of object, and the login."""
    handlers = kopf.OperatorRegistry()
    ours = {names.LABEL_STUDY_UID: kopf.PRESENT}

    @kopf.on.login(registry=handlers)
    def login(**kwargs: Any) -> Any:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(GROUP, VERSION, "tuningstudies", registry=handlers)
    def on_study(event: Mapping[str, Any], **_: Any) -> None:
        pass_on("tuningstudies", event)

    @kopf.on.event(GROUP, VERSION, "tuningtrials", registry=handlers)
    def on_trial(event: Mapping[str, Any], **_: Any) -> None:
        pass_on("tuningtrials", event)

    @kopf.on.event("batch", "v1", "jobs", labels=ours, registry=handlers)
    def on_job(event: Mapping[str, Any], **_: Any) -> None:
        pass_on("jobs", event)

    @kopf.on.event("", "v1", "pods", labels=ours, registry=handlers)
    def on_pod(event: Mapping[str, Any], **_: Any) -> None:
        pass_on("pods", event)

    return handlers


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings; the reasons stand beside them."""
    chosen = kopf.OperatorSettings()
    # Filtered by the API server: of the cluster's Jobs and pods only ours travel.
    chosen.watching.label_selectors["batch", "jobs"] = names.LABEL_STUDY_UID
    chosen.watching.label_selectors["v1", "pods"] = names.LABEL_STUDY_UID
    # The namespaces and kinds are known: kopf needs no right to list namespaces and CRDs.
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    # Each object has a short-lived worker: many at once, none that waits for more of the same for long.
    chosen.queueing.worker_limit = 200
    chosen.queueing.idle_timeout = 0.05
    chosen.networking.request_timeout = 30.0
    chosen.networking.connect_timeout = 5.0
    chosen.networking.error_backoffs = Endless()
    chosen.process.ultimate_exiting_timeout = 30.0
    return chosen


class Endless:
    """Pauses between tries, in seconds, without end: an API server that is away for an hour comes back all the same."""

    def __iter__(self) -> Iterator[float]:
        for pause in itertools.chain((1.0, 2.0, 4.0, 8.0, 16.0), itertools.repeat(30.0)):
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311
