"""The trials' curves as the operator last read them: one batched query a scrape interval, for all studies at once."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tuning_contract.diagnostics import CURVE_METRICS
from tuning_operator.api.stopping import StoppingRule
from tuning_operator.clients.errors import PrometheusError
from tuning_operator.clients.prometheus import Curves, Prometheus, Target
from tuning_operator.study.metrics import PATIENCE_INTERVALS
from tuning_operator.study.snapshot import MetricsView, Sample, StudyView, TrialView

log = logging.getLogger(__name__)

TRIALS_A_QUERY = 50
MOST_SAMPLES = 4096
"""Of one running trial; beyond it every second one is forgotten."""


@dataclass
class CurveReader:
    """Reads curves, and remembers the newest; everything in it can be read again."""

    prometheus: Prometheus
    scrape_interval: timedelta
    _latest: dict[str, dict[str, Sample]] = field(default_factory=dict)
    _curves: dict[str, Curves] = field(default_factory=dict)
    """Of the running trials of studies that stop trials early, by study uid."""
    _names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _error: str = ""
    _since: datetime | None = None

    def view(self, study: StudyView) -> MetricsView:
        """Return what is known of a study's curves; asks nobody."""
        return MetricsView(
            reachable=self._since is None,
            error=self._error,
            since=self._since,
            latest=self._latest.get(study.uid, {}),
            curves=self._curves.get(study.uid, {}),
            names_seen=self._names.get(study.uid, ()),
        )

    async def poll_forever(
        self, studies: Callable[[], Iterable[StudyView]], changed: Callable[[StudyView], None]
    ) -> None:
        """Read the newest samples of all studies with running trials, once a scrape interval.

        Args:
            studies: returns the studies to read for.
            changed: is told of each study whose view may have changed.
        """
        while True:
            wanted = list(studies())
            if wanted:
                await self._poll(wanted)
                for study in wanted:
                    changed(study)
            await asyncio.sleep(self.scrape_interval.total_seconds())

    async def whole(self, study: StudyView, trial: TrialView) -> tuple[Sample, ...] | None:
        """Return all samples of a trial that ended, with the metrics that rules look at; None: Prometheus is silent.

        Of one trial at a time they are few; the curves of all running trials are read without them.
        """
        further = tuple(dict.fromkeys((*study.spec.further_metrics, *CURVE_METRICS)))
        target = replace(_target(study), metrics=tuple(m for m in further if m != study.spec.objective.metric))
        try:
            curves = await self.prometheus.whole(target, [trial.name], trial.created, datetime.now(UTC))
        except PrometheusError as error:
            self._failed(error)
            return None
        self._answered()
        return curves.get(trial.name, ())

    async def read_names(self, study: StudyView) -> None:
        """Find out which metrics there are of a study whose objective is missing, once until the next poll."""
        if study.uid in self._names:
            return
        try:
            self._names[study.uid] = await self.prometheus.names_of(_target(study), self._window)
        except PrometheusError as error:
            self._failed(error)

    @property
    def _window(self) -> timedelta:
        return self.scrape_interval * (PATIENCE_INTERVALS + 1)

    async def _poll(self, studies: list[StudyView]) -> None:
        try:
            found = await self.prometheus.recent(map(_target, studies), self._window)
        except PrometheusError as error:
            self._failed(error)
            return
        self._answered()
        self._curves = {s.uid: await self._grown(s, found.get(s.uid, {})) for s in studies if _stops_early(s)}
        self._latest = {uid: _newest(curves) for uid, curves in found.items()}
        self._names = {}

    async def _grown(self, study: StudyView, recent: Curves) -> Curves:
        """Return the curves of the trials that have recent samples, each from its beginning."""
        known = self._curves.get(study.uid, {})
        missing = sorted(recent.keys() - known.keys())
        for start in range(0, len(missing), TRIALS_A_QUERY):
            batch = missing[start : start + TRIALS_A_QUERY]
            try:
                found = await self.prometheus.whole(_target(study), batch, study.created, datetime.now(UTC))
            except PrometheusError as error:
                # Asked again at the next poll. A curve without its beginning would be judged by the wrong one.
                log.warning("Curves of %s are not complete: %s", study.name, error, extra={"study": study.name})
                continue
            known = {**known, **found}
        return {name: _joined(known[name], samples) for name, samples in recent.items() if name in known}

    def _failed(self, error: PrometheusError) -> None:
        if self._since is None:
            log.warning("Prometheus does not answer: %s", error)
        self._error = str(error)
        self._since = self._since or datetime.now(UTC)

    def _answered(self) -> None:
        if self._since is not None:
            log.info("Prometheus answers again.")
        self._since, self._error = None, ""


def _target(study: StudyView) -> Target:
    return Target(study.namespace, study.uid, study.series)


def _stops_early(study: StudyView) -> bool:
    return study.spec.stopping.rule is not StoppingRule.NONE


def _joined(known: tuple[Sample, ...], recent: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Append what is new; a scrape that saw the same evaluation again adds nothing, and a long curve is thinned."""
    curve = [*known]
    for sample in recent:
        last = curve[-1] if curve else None
        if last is not None and sample.time <= last.time:
            continue
        if last is None or (sample.attempt, sample.step, sample.value) != (last.attempt, last.step, last.value):
            curve.append(sample)
    return tuple(curve if len(curve) <= MOST_SAMPLES else curve[::2])


def _newest(curves: Curves) -> dict[str, Sample]:
    return {trial: samples[-1] for trial, samples in curves.items() if samples}
