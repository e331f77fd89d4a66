"""How a trial tells the operator how it fares, for this trainer and for anybody's own.

    reporter = Reporter.from_env()
    for step in …:
        …
        reporter.report(step, {"validation_loss": loss, "validation_error": error})
    reporter.complete()

Each report goes two ways. Prometheus scrapes it, for curves and dashboards. And it is written into the termination
message, as a final record that the operator reads from the pod's status, so that a result is exact although the last
scrape came too early or never.

Copy this file and the package tuning_contract into an image, and install prometheus_client; nothing else is needed.
"""

import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tuning_contract import CONTRACT_VERSION
from tuning_contract.curve import Curve, Point, Row, best_few_of, best_of, late_median_of, values_of
from tuning_contract.diagnostics import (
    BUCKETS_PER_DECADE,
    CURVE_METRICS,
    GRAD_NORM_STEPS,
    Diagnostics,
    LogHistogram,
)
from tuning_contract.environment import ContractError, TrialEnvironment, parameters_hash
from tuning_contract.metrics import TRIAL_INFO, TRIAL_OBJECTIVE, TRIAL_STEP, series_of
from tuning_contract.record import FinalRecord, RecordStatus

MAX_LINGER_SECONDS: Final = 300.0
"""Longer than two intervals of any sensible scrape configuration; a GPU must not wait for a broken one."""

MAX_CURVE_POINTS: Final = 300
"""More than a record has room for with seven digits a value; spares encoding a long curve to no purpose."""

_RESERVED: Final = (TRIAL_STEP, TRIAL_OBJECTIVE, TRIAL_INFO)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Snapshot:
    """One evaluation: what a scrape sees, all of it or nothing."""

    step: int
    objective: float
    metrics: Mapping[str, float]
    grad_norms: LogHistogram | None = None


class TrialCollector(Collector):
    """Exports the latest evaluation.

    Separate gauges, set one after the other, would let a scrape pair a step with the values of the step before.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None

    def publish(self, snapshot: Snapshot) -> None:
        """Let scrapes see this evaluation from now on."""
        with self._lock:
            self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield the series of one scrape; before the first evaluation only the contract's version."""
        with self._lock:
            snapshot = self._snapshot
        info = GaugeMetricFamily(TRIAL_INFO, "Version of the contract between operator and trial.", labels=["version"])
        info.add_metric([str(CONTRACT_VERSION)], 1)
        yield info
        if snapshot is None:
            return
        yield GaugeMetricFamily(TRIAL_STEP, "Training steps done at the latest evaluation.", snapshot.step)
        yield GaugeMetricFamily(TRIAL_OBJECTIVE, "The study's objective at that step.", snapshot.objective)
        for name, value in snapshot.metrics.items():
            yield GaugeMetricFamily(series_of(name), f"{name} at that step.", value)
        if snapshot.grad_norms is not None:
            yield _prometheus_histogram(snapshot.grad_norms)


def _prometheus_histogram(histogram: LogHistogram) -> HistogramMetricFamily:
    """Return the gradient norms of all steps as Prometheus counts them: up to each bound, not between two."""
    buckets, seen = [], 0
    for bucket in sorted(histogram.counts):
        seen += histogram.counts[bucket]
        buckets.append((f"{10 ** ((bucket + 1) / BUCKETS_PER_DECADE):.6g}", float(seen)))
    buckets.append(("+Inf", float(seen)))
    meaning = "Norms of every step's whole gradient, before clipping."
    return HistogramMetricFamily(series_of(GRAD_NORM_STEPS), meaning, buckets=buckets, sum_value=None)


class RecordFile:
    """The termination message, rewritten in place: the kubelet bind-mounts the file, so it cannot be renamed over."""

    def __init__(self, path: str, say: Callable[[str], None] = _say) -> None:
        """Open the file, which the kubelet has made. Where it cannot be written, say so once and go on without it."""
        self._say = say
        self._descriptor: int | None = None
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            say(f"no final record, the result rests on Prometheus alone: {error}")

    def write(self, record: bytes) -> None:
        """Replace the whole content.

        A process may be killed at any point. So a shorter record is padded with spaces to the length of the one before
        and put over it in one write; only then is the file cut. In between it holds the new record and blanks.
        """
        if self._descriptor is None:
            return
        try:
            padded = record.ljust(os.fstat(self._descriptor).st_size)
            if os.pwrite(self._descriptor, padded, 0) < len(padded):
                raise OSError("no space left for the record")
            os.ftruncate(self._descriptor, len(record))
        except OSError as error:
            self._say(f"the final record cannot be written any more, the result rests on Prometheus alone: {error}")
            self.close()

    def close(self) -> None:
        """Write no more; the file keeps what it holds."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Reporter:
    """One attempt's voice. Its methods may be called from any thread."""

    def __init__(
        self,
        trial: TrialEnvironment,
        *,
        collector: TrialCollector | None = None,
        record_file: RecordFile | None = None,
        listener: Callable[[FinalRecord], None] | None = None,
        linger_seconds: float = 0.0,
        stop: threading.Event | None = None,
    ) -> None:
        """Report to what is given; with none of it, it only keeps the curve, as on a laptop.

        `listener` is called with each record, whole: before it is cut down to what fits into a file. `linger_seconds`
        (0 to 300): how long the metrics stay up after the end, for images without a record. `stop` ends that early; let
        a SIGTERM handler set it.
        """
        self._trial = trial
        self._collector = collector
        self._record_file = record_file
        self._listener = listener
        self._linger_seconds = bounded_linger(linger_seconds)
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._columns = _columns(trial)
        self._rows: list[Row] = []
        self._points: list[Point] = []
        self._best: Point | None = None
        self._diagnostics = Diagnostics()
        self._resumed_from: int | None = None
        self._write(RecordStatus.RUNNING)

    @classmethod
    def from_env(
        cls,
        env: Mapping[str, str] = os.environ,
        *,
        linger_seconds: float = 0.0,
        stop: threading.Event | None = None,
        say: Callable[[str], None] = _say,
    ) -> "Reporter":
        """Return the reporter of the trial that this container is, its metrics server running.

        Raises:
            ContractError: the operator's variables are absent or malformed.
        """
        trial = TrialEnvironment.from_env(env)
        collector = TrialCollector()
        serve(collector, trial.metrics_port, say)
        return cls(
            trial,
            collector=collector,
            record_file=RecordFile(trial.termination_log, say),
            linger_seconds=linger_seconds,
            stop=stop,
        )

    def diagnose(self, diagnostics: Diagnostics) -> None:
        """Tell what was measured beside the curve, all of it so far; records from now on carry what fits of it.

        Raises:
            ValueError: a number in it is not finite, or lies outside its range.
        """
        known = Diagnostics.from_json(diagnostics.to_json())
        with self._lock:
            self._diagnostics = known

    @property
    def best(self) -> Point | None:
        """The best finite evaluation so far, this one included; None before the first."""
        return self._best

    def best_few(self, count: int) -> tuple[Point, ...]:
        """Return the best finite evaluations so far, at most `count`, the best first: those whose weights are kept."""
        with self._lock:
            return best_few_of(self._points, self._trial.direction, count)

    def report(self, step: int, metrics: Mapping[str, float]) -> None:
        """Tell of one evaluation.

        Args:
            step: training steps done; more than at the last report.
            metrics: values by name; the study's objective is one of them. NaN and infinities are reported as such. The
                record has those that the study needs, and those of `tuning_contract.diagnostics.CURVE_METRICS`.

        Raises:
            ContractError: the objective is not among the metrics.
            ValueError: the step does not ascend, or a name cannot be a Prometheus metric.
        """
        with self._lock:
            snapshot = self._checked(step, metrics)
            if self._rows and step <= self._rows[-1].step:
                raise ValueError(f"steps must ascend: {step} after {self._rows[-1].step}")
            point = Point(step, snapshot.objective)
            self._points.append(point)
            self._rows.append(Row(step, tuple(map(snapshot.metrics.get, self._columns))))
            self._best = best_of([p for p in (self._best, point) if p is not None], self._trial.direction)
            self._write(RecordStatus.RUNNING)
            if self._collector is not None:
                self._collector.publish(snapshot)

    def complete(self) -> None:
        """Tell that the training came to its planned end. Exit with code 0 afterwards."""
        self._finish(RecordStatus.COMPLETED)

    def infeasible(self, reason: str, message: str) -> None:
        """Tell that these parameters cannot be trained with. Exit with 100 (diverged) or 101 (out of memory).

        Args:
            reason: CamelCase, such as `NonFiniteObjective`.
            message: for people.
        """
        self._finish(RecordStatus.INFEASIBLE, reason, message)

    def interrupted(self, message: str = "") -> None:
        """Tell that somebody stopped the attempt and that the trial can go on. Exit with 143 afterwards."""
        with self._lock:
            self._write(RecordStatus.INTERRUPTED, "Interrupted", message)

    def failed(self, reason: str, message: str) -> None:
        """Leave a word for people before exiting with an error. The record stays `Running`: there is no result."""
        with self._lock:
            self._write(RecordStatus.RUNNING, reason, message)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold so that a resumed attempt's record tells of the whole trial."""
        with self._lock:
            curve = self._whole
            values = {metric: list(curve.series(metric)) for metric in curve.metrics}
            return {"steps": [row.step for row in curve.rows], "values": values}

    def restore(self, state: Mapping[str, Any], resumed_from: int) -> None:
        """Take up the curve of the attempt before, up to the checkpoint of step `resumed_from`.

        Its last evaluation is not exported again: Prometheus has it from that attempt.
        """
        with self._lock:
            series = [state["values"][metric] for metric in self._columns]
            self._rows = [Row(step, tuple(values)) for step, *values in zip(state["steps"], *series, strict=True)]
            self._points = list(self._whole.points)
            self._best = best_of(self._points, self._trial.direction)
            self._resumed_from = resumed_from
            self._write(RecordStatus.RUNNING)

    @property
    def _whole(self) -> Curve:
        return Curve(self._columns, tuple(self._rows))

    def _checked(self, step: int, metrics: Mapping[str, float]) -> Snapshot:
        for name in metrics:
            if not re.fullmatch(r"[a-zA-Z0-9_]+", name) or series_of(name) in _RESERVED:
                raise ValueError(f"{name!r:.60} cannot be a metric: letters, digits and _, not step or objective")
        if self._trial.metric not in metrics:
            raise ContractError(f"the objective {self._trial.metric!r:.60} is not among {', '.join(metrics)}")
        values = {name: float(value) for name, value in metrics.items()}
        return Snapshot(step, values[self._trial.metric], values, self._diagnostics.grad_norm_histogram)

    def _finish(self, status: RecordStatus, reason: str = "", message: str = "") -> None:
        with self._lock:
            self._write(status, reason, message)
        if self._collector is not None:
            self._stop.wait(self._linger_seconds)

    def _write(self, status: RecordStatus, reason: str = "", message: str = "") -> None:
        if self._record_file is None and self._listener is None:
            return
        record = self._record(status, reason, message)
        if self._listener is not None:
            self._listener(record)
        if self._record_file is not None:
            self._record_file.write(record.encode())

    def _record(self, status: RecordStatus, reason: str, message: str) -> FinalRecord:
        points, direction = self._points, self._trial.direction
        return FinalRecord(
            study_uid=self._trial.study_uid,
            trial=self._trial.trial,
            attempt=self._trial.attempt,
            parameters_hash=parameters_hash(self._trial.parameters_json),
            status=status,
            best=self._best,
            last=points[-1] if points else None,
            late_median=late_median_of(points),
            metrics={name: values_of(self._whole, name, direction) for name in self._trial.metrics},
            curve=_told(self._whole.thinned(MAX_CURVE_POINTS)),
            diagnostics=self._diagnostics,
            resumed_from=self._resumed_from,
            reason=reason,
            message=message,
        )


def bounded_linger(seconds: float) -> float:
    """Return how long metrics stay up that somebody wants for `seconds`."""
    return min(max(seconds, 0.0), MAX_LINGER_SECONDS)


def _columns(trial: TrialEnvironment) -> tuple[str, ...]:
    """Return the metrics that a record tells of, the most important first: what does not fit is left out at the end."""
    return tuple(dict.fromkeys((trial.metric, *trial.metrics, *CURVE_METRICS)))


def _told(curve: Curve) -> Curve:
    """Return the curve without the metrics that it has no value of."""
    known = [n for n, _ in enumerate(curve.metrics) if any(row.values[n] is not None for row in curve.rows)]
    rows = tuple(Row(row.step, tuple(row.values[n] for n in known)) for row in curve.rows)
    return Curve(tuple(curve.metrics[n] for n in known), rows)


def serve(collector: Collector, port: int, say: Callable[[str], None] = _say) -> int | None:
    """Serve the collector's metrics over HTTP from a daemon thread, on IPv6 and IPv4.

    The server answers on every path, so also on the one that the study names. Returns the port, chosen by the system
    where `port` is 0. Where the port cannot be had, says so and returns None: the final record still has the result.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    address = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - Prometheus comes from another pod
    try:
        server, _ = start_http_server(port, addr=address, registry=registry)
    except (OSError, OverflowError) as error:
        say(f"no metrics on port {port}: {error}")
        return None
    return int(server.server_port)
