"""Prometheus: a few batched queries, and nothing that a result depends on when a trial wrote its record.

Step and objective of one scrape share a timestamp, so raw samples are read with a range selector and paired by it.
The matchers on namespace and study uid are set by relabelling and forced here: a study reads its own pods only.
"""

import asyncio
import json
import math
import ssl
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from tuning_contract.metrics import LABEL_ATTEMPT, LABEL_NAMESPACE, LABEL_STUDY_UID, LABEL_TRIAL, TRIAL_STEP, series_of
from tuning_operator.clients.errors import PrometheusError
from tuning_operator.clients.telemetry import PROMETHEUS_QUERIES, PROMETHEUS_QUERY_SECONDS, PROMETHEUS_UP
from tuning_operator.study.snapshot import Sample

QUERY_TIMEOUT = 10.0
PROBE_TIMEOUT = 3.0
"""Less than the probes' timeoutSeconds in the manifests."""
STUDIES_A_QUERY = 50
"""So many uids (37 bytes each) stay far below Prometheus' limits on a query's size."""

Row = Mapping[str, Any]
"""A series of an answer: `metric` labels, and `value` or `values`."""
Curves = dict[str, tuple[Sample, ...]]
"""Samples by trial name, oldest first."""
T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """A study whose series are wanted."""

    namespace: str
    study_uid: str
    series: str
    metrics: tuple[str, ...] = ()
    """Further metrics that are wanted beside it, by the names that a reporter knows."""


class Prometheus:
    """The HTTP API of a Prometheus, 2.42 or later."""

    def __init__(self, url: str, token_file: str | None = None, ca_file: str | None = None) -> None:
        self._url = url.rstrip("/") + "/api/v1/query"
        self._token_file = None if token_file is None else Path(token_file)
        self._ssl = ssl.create_default_context(cafile=ca_file) if ca_file else None
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def answers(self) -> bool:
        """Return whether Prometheus answers a query, within a probe's patience."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                await self._query("vector(1)", lambda rows: rows)
        except (PrometheusError, TimeoutError):
            PROMETHEUS_UP.set(0)
            return False
        return True

    async def recent(self, targets: Iterable[Target], window: timedelta) -> dict[str, Curves]:
        """Return the last `window` of all targets' curves, by study uid: one query for up to 50 studies.

        Raises:
            PrometheusError: no readable answer.
        """
        wanted = list(targets)
        found: dict[str, Curves] = {}
        for start in range(0, len(wanted), STUDIES_A_QUERY):
            batch = wanted[start : start + STUDIES_A_QUERY]
            matchers = {
                "__name__": ("=~", _any_of({TRIAL_STEP, *(t.series for t in batch)})),
                LABEL_NAMESPACE: ("=~", _any_of({t.namespace for t in batch})),
                LABEL_STUDY_UID: ("=~", _any_of({t.study_uid for t in batch})),
            }
            found |= await self._query(_selector(matchers, window), partial(paired, targets=batch))
        return found

    async def whole(self, target: Target, trials: Iterable[str], since: datetime, now: datetime) -> Curves:
        """Return all samples of some trials, by trial, oldest first: the objective and the target's further metrics.

        Raises:
            PrometheusError: no readable answer.
        """
        matchers = {
            "__name__": ("=~", _any_of({TRIAL_STEP, target.series, *map(series_of, target.metrics)})),
            LABEL_NAMESPACE: ("=", target.namespace),
            LABEL_STUDY_UID: ("=", target.study_uid),
            LABEL_TRIAL: ("=~", _any_of(trials)),
        }
        selector = _selector(matchers, now - since + timedelta(minutes=1))
        curves = await self._query(selector, partial(paired, targets=[target]))
        return curves.get(target.study_uid, {})

    async def names_of(self, target: Target, window: timedelta) -> tuple[str, ...]:
        """Return the names of the metrics that Prometheus has of a study's pods, at most twenty.

        Raises:
            PrometheusError: no readable answer.
        """
        matchers = {LABEL_NAMESPACE: ("=", target.namespace), LABEL_STUDY_UID: ("=", target.study_uid)}
        names = await self._query(f"count by (__name__) ({_selector(matchers)})", _names)
        return tuple(sorted(names))[:20]

    async def _query(self, promql: str, read: Callable[[list[Row]], T]) -> T:
        started = time.monotonic()
        try:
            # Reading belongs to it: who answers may be a proxy or another program altogether.
            answer = read(await self._send(promql))
        except (aiohttp.ClientError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            PROMETHEUS_UP.set(0)
            PROMETHEUS_QUERIES.labels("error").inc()
            raise PrometheusError(str(error) or type(error).__name__) from error
        finally:
            PROMETHEUS_QUERY_SECONDS.observe(time.monotonic() - started)
        PROMETHEUS_UP.set(1)
        PROMETHEUS_QUERIES.labels("ok").inc()
        return answer

    async def _send(self, promql: str) -> list[Row]:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=True)
        form = {"query": promql, "timeout": f"{QUERY_TIMEOUT:.0f}s"}
        async with asyncio.timeout(QUERY_TIMEOUT):
            async with self._session.post(
                self._url, data=form, headers=self._headers(), ssl=self._ssl or True
            ) as answer:
                text = await answer.text()
        if answer.status != 200:
            raise ValueError(f"HTTP {answer.status}: {text[:200]}")
        body = json.loads(text)
        if body["status"] != "success":
            raise ValueError(str(body.get("error", "no success"))[:200])
        rows: list[Row] = body["data"]["result"]
        return rows

    def _headers(self) -> dict[str, str]:
        # Read at each call: projected tokens are renewed in place.
        return {} if self._token_file is None else {"Authorization": f"Bearer {self._token_file.read_text().strip()}"}


def paired(rows: Iterable[Row], targets: Iterable[Target]) -> dict[str, Curves]:
    """Pair steps, objectives and further metrics by timestamp.

    Args:
        rows: of a range selector's answer: `metric` labels and `values` [[unix seconds, text], …].
        targets: the studies; a series with a study's uid from another namespace is somebody else's, and is dropped.

    Returns:
        Samples by study uid and trial. Where no step was scraped at an objective's timestamp, its step is None.
    """
    wanted = {(t.namespace, t.study_uid): t for t in targets}
    steps: dict[_Scraped, dict[float, float]] = {}
    values: dict[_Scraped, dict[float, float]] = {}
    further: defaultdict[tuple[_Scraped, float], dict[str, float]] = defaultdict(dict)
    for row in rows:
        key = _Scraped.from_labels(row["metric"])
        samples = {float(at): float(text) for at, text in row["values"]}
        name, target = row["metric"]["__name__"], wanted.get((key.namespace, key.study_uid))
        if name == TRIAL_STEP:
            # Scraped by two jobs, or by two Prometheis behind one, a pod has the series twice.
            steps.setdefault(key, {}).update(samples)
        elif target is not None and name == target.series:
            values.setdefault(key, {}).update(samples)
        for metric in () if target is None else target.metrics:
            if name == series_of(metric):
                for at, value in samples.items():
                    further[key, at][metric] = value
    found: dict[str, dict[str, list[Sample]]] = {}
    for key, samples in values.items():
        at_steps = steps.get(key, {})
        curve = found.setdefault(key.study_uid, {}).setdefault(key.trial, [])
        curve += [
            Sample(_utc(at), value, _step(at_steps.get(at)), key.attempt, further.get((key, at), {}))
            for at, value in samples.items()
        ]
    return {
        study_uid: {trial: tuple(sorted(curve, key=lambda sample: sample.time)) for trial, curve in curves.items()}
        for study_uid, curves in found.items()
    }


def _names(rows: Iterable[Row]) -> list[str]:
    return [row["metric"].get("__name__", "") for row in rows]


@dataclass(frozen=True)
class _Scraped:
    """What one scrape saw at once: one pod's exporter."""

    namespace: str
    study_uid: str
    trial: str
    attempt: int
    instance: str

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> "_Scraped":
        attempt = labels.get(LABEL_ATTEMPT, "")
        return cls(
            namespace=labels.get(LABEL_NAMESPACE, ""),
            study_uid=labels.get(LABEL_STUDY_UID, ""),
            trial=labels.get(LABEL_TRIAL, ""),
            attempt=int(attempt) if attempt.isdigit() else 0,
            instance=labels.get("instance", ""),
        )


def _selector(matchers: Mapping[str, tuple[str, str]], window: timedelta | None = None) -> str:
    inside = ",".join(f"{label}{operator}{json.dumps(value)}" for label, (operator, value) in matchers.items())
    return f"{{{inside}}}" + ("" if window is None else f"[{max(1, math.ceil(window.total_seconds()))}s]")


def _any_of(values: Iterable[str]) -> str:
    # Of what means something in a regular expression, names have the dot at most.
    return "|".join(sorted(value.replace(".", r"\.") for value in values))


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _step(value: float | None) -> int | None:
    # A container may export anything; what does not fit into an int64 could not be written into a status.
    return int(value) if value is not None and 0 <= value <= 2**53 else None
