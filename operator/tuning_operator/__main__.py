"""`python -m tuning_operator`: put the parts together, and run until SIGTERM."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import REGISTRY
from pydantic import ValidationError

from tuning_operator import __version__, logs
from tuning_operator.clients.cluster import Cluster
from tuning_operator.clients.curves import CurveReader
from tuning_operator.clients.prometheus import Prometheus
from tuning_operator.clients.telemetry import QUEUE_DEPTH, QUEUE_OLDEST, Health, StudyCollector, serve
from tuning_operator.handlers.watches import Watches
from tuning_operator.observed import Key, Observed
from tuning_operator.reconcile import Reconciler
from tuning_operator.settings import OperatorSettings, SettingsError
from tuning_operator.study.snapshot import Settings, StudyView
from tuning_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)


def main() -> int:
    """Run the operator; return the process's exit code."""
    # The log and the API speak UTC.
    logging.Formatter.converter = time.gmtime
    try:
        settings = OperatorSettings.from_env()
    except SettingsError as error:
        print(f"tuning-operator: {error}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    return asyncio.run(run(settings))


async def run(settings: OperatorSettings) -> int:
    """Run the operator until SIGTERM or SIGINT, or until one of its parts ends."""
    cluster = await Cluster.connect()
    prometheus = Prometheus(settings.prometheus_url, settings.prometheus_token_file, settings.prometheus_ca_file)
    observed, queue = Observed(), WorkQueue[Key]()
    curves = CurveReader(prometheus, settings.scrape_interval)
    reconciler = Reconciler(
        cluster,
        observed,
        curves,
        Settings(scrape_interval=settings.scrape_interval),
        settings.trainer_image,
        look_soon=queue.add,
    )
    watches = Watches(_sink(observed, queue), settings.watch_namespaces, cluster.missing_kinds)
    QUEUE_DEPTH.set_function(lambda: queue.depth)
    QUEUE_OLDEST.set_function(lambda: queue.oldest)
    REGISTRY.register(StudyCollector(observed.studies))

    def due(study: StudyView) -> None:
        queue.add((study.namespace, study.uid))

    tasks = [
        asyncio.create_task(watches.run(), name="watches"),
        asyncio.create_task(curves.poll_forever(lambda: _training(observed.studies()), due), name="curves"),
        *(asyncio.create_task(queue.work(reconciler.reconcile), name=f"worker-{i}") for i in range(settings.workers)),
    ]
    answers = {"the API server": cluster.answers, "Prometheus": prometheus.answers}
    server = await serve(settings.port, Health(tasks, lambda: watches.problem, answers))
    log.info("Tuning operator %s watches %s.", __version__, ", ".join(settings.watch_namespaces) or "all namespaces")
    stopped = _stop_requested()
    await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
    log.info("Stopping." if stopped.done() else "A part of the operator ended; a new process takes over.")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.cleanup()
    await prometheus.close()
    await cluster.close()
    return 0 if stopped.done() else 1


def _sink(observed: Observed, queue: WorkQueue[Key]) -> Any:
    def take(resource: str, raw: Mapping[str, Any], event: str | None) -> None:
        try:
            key = observed.apply(resource, raw, gone=event == "DELETED")
        except ValidationError as error:
            # The CRD is generated from the models, so this is an object of another version of the CRD.
            meta = raw["metadata"]
            log.error("%s %s/%s cannot be read: %s", resource, meta.get("namespace"), meta["name"], error)
            return
        if key is not None:
            if event is None:
                observed.doubt(key)
            queue.add(key)

    return take


def _training(studies: Iterable[StudyView]) -> Iterable[StudyView]:
    """Return the studies of which something can be scraped now."""
    return [study for study in studies if study.status.trials.running > 0]


def _stop_requested() -> "asyncio.Future[None]":
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopped


if __name__ == "__main__":
    sys.exit(main())
