"""What the operator shows of itself: its metrics, and whether it lives and is ready."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tuning_operator.api.study_status import TuningStudyStatus
from tuning_operator.study.snapshot import StudyView

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SLOW = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

RECONCILES = Counter("tuning_operator_reconciles", "Looks at a study, by how they ended.", ["result"])
RECONCILE_SECONDS = Histogram(
    "tuning_operator_reconcile_seconds", "Seconds that one look at a study took.", buckets=FAST
)
QUEUE_DEPTH = Gauge("tuning_operator_queue_depth", "Studies that wait to be looked at.")
QUEUE_OLDEST = Gauge("tuning_operator_queue_oldest_seconds", "How long the study that has waited longest has waited.")
API_REQUESTS = Counter("tuning_operator_api_requests", "Calls to the API server.", ["verb", "resource", "code"])
API_REQUEST_SECONDS = Histogram(
    "tuning_operator_api_request_seconds",
    "Seconds that calls to the API server took.",
    ["verb", "resource"],
    buckets=FAST,
)
API_SERVER_UP = Gauge("tuning_operator_api_server_up", "1 while the API server answers.")
PROMETHEUS_UP = Gauge("tuning_operator_prometheus_up", "1 while Prometheus answers.")
PROMETHEUS_QUERIES = Counter("tuning_operator_prometheus_queries", "Queries to Prometheus.", ["result"])
PROMETHEUS_QUERY_SECONDS = Histogram(
    "tuning_operator_prometheus_query_seconds", "Seconds that queries to Prometheus took.", buckets=FAST
)
SUGGESTION_SECONDS = Histogram(
    "tuning_operator_suggestion_seconds", "Seconds that drawing one point by a model of the results took.", buckets=FAST
)
ANALYSIS_SECONDS = Histogram(
    "tuning_operator_analysis_seconds", "Seconds that going through the Playbook's checklist took.", buckets=SLOW
)
RESULTS = Counter("tuning_operator_results", "Trials with a value, by where it was read.", ["source"])
TRIAL_GAP = Histogram(
    "tuning_operator_trial_gap_seconds",
    "Seconds from the event that showed a trial's end to the creation of the next trial's Job.",
    buckets=FAST,
)


class StudyCollector(Collector):
    """The studies' own numbers, read from the statuses that the operator knows at the moment of the scrape."""

    def __init__(self, studies: Callable[[], Iterable[StudyView]]) -> None:
        self._studies = studies

    def collect(self) -> Iterable[Metric]:
        """Return the gauges of all studies."""
        labels = ["namespace", "study", "study_uid"]
        trials = GaugeMetricFamily("tuning_study_trials", "Trials of a study by state.", labels=[*labels, "state"])
        wanted = GaugeMetricFamily("tuning_study_max_trials", "Trials that the study's budget allows.", labels=labels)
        best = GaugeMetricFamily("tuning_study_best_objective", "The best objective so far.", labels=labels)
        for study in self._studies():
            identity = [study.namespace, study.name, study.uid]
            for state, count in _by_state(study.status).items():
                trials.add_metric([*identity, state], count)
            wanted.add_metric(identity, study.spec.budget.max_trials)
            if study.status.best is not None:
                best.add_metric(identity, study.status.best.value)
        return [trials, wanted, best]


def _by_state(status: TuningStudyStatus) -> dict[str, int]:
    counts = status.trials
    states = ("pending", "running", "suspended", "paused", "succeeded", "infeasible", "failed", "stopped")
    return {state.capitalize(): getattr(counts, state) for state in states}


@dataclass
class Health:
    """Whether the operator lives and is ready.

    Dead is only what a restart would cure: a stuck loop (then nobody answers the probe) or a worker that ended. An
    API server or a Prometheus that does not answer makes the operator unready, and nothing else.
    """

    workers: list[asyncio.Task[None]] = field(default_factory=list)
    watches: Callable[[], str | None] = lambda: None
    """Returns why nothing is watched; None: the watches run."""
    answers: Mapping[str, Callable[[], Awaitable[bool]]] = field(default_factory=dict)
    """Asks, by name, whether those answer that the operator works with; a broken watch waits in silence."""

    def problem(self) -> str | None:
        """Return what a restart would cure; None: nothing."""
        dead = [task.get_name() for task in self.workers if task.done()]
        return f"ended: {', '.join(dead)}" if dead else None

    async def unready(self) -> str | None:
        """Return what the operator waits for; None: it is ready."""
        problem = self.watches()
        if problem is not None:
            return problem
        answers = await asyncio.gather(*(ask() for ask in self.answers.values()))
        silent = [name for name, answered in zip(self.answers, answers, strict=True) if not answered]
        return f"no answer from {' and '.join(silent)}" if silent else self.problem()


async def serve(port: int, health: Health) -> web.AppRunner:
    """Serve /metrics, /healthz and /readyz until the runner is cleaned up."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        return _verdict(health.problem())

    async def readyz(_: web.Request) -> web.Response:
        return _verdict(await health.unready())

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host=None, port=port).start()
    return runner


def _verdict(problem: str | None) -> web.Response:
    return web.Response(text="ok") if problem is None else web.Response(text=problem, status=503)
