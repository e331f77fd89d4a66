"""Observe, decide, act, write the status once: the page to read first.

A look at a study costs no call to the API server where nothing is to be done. It may be cut off after any write, run
twice, or run beside a second operator: the next look starts from what the API server holds.
"""

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tuning_operator.analysing import Analysing
from tuning_operator.api.trial import TuningTrialStatus
from tuning_operator.clients.cluster import Cluster
from tuning_operator.clients.curves import CurveReader
from tuning_operator.clients.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound
from tuning_operator.clients.telemetry import RECONCILE_SECONDS, RECONCILES, RESULTS, TRIAL_GAP
from tuning_operator.clients.views import trial_view
from tuning_operator.drawing import Drawing
from tuning_operator.observed import Family, Key, Observed, grouped
from tuning_operator.render.job import job
from tuning_operator.render.trial import event, status_body, trial
from tuning_operator.study import acceptance
from tuning_operator.study.concluding import known_analysis
from tuning_operator.study.decide import decide, first_trial
from tuning_operator.study.decision import Decision, Event, NewJob, NewTrial, TrialStatusWrite
from tuning_operator.study.metrics import trials_with_lost_results, trials_without_metrics
from tuning_operator.study.snapshot import (
    DatedAnalysis,
    JobView,
    PreviousStudy,
    Refusal,
    Settings,
    Snapshot,
    StudyView,
    TrialView,
)

log = logging.getLogger(__name__)

REFUSAL_WAIT = timedelta(seconds=30)
"""How long nothing is created after the API server refused it."""
POD_PATIENCE = timedelta(seconds=2)
"""A Job whose pod has not appeared after this long is asked for its events."""
JOBS_ASKED = 3
ABSENCE_HOLDS = 60.0
"""In seconds: so long a study that is not there is not asked for again."""
ANALYSIS_RETRY = 5.0
"""In seconds: so long after a list that failed the study is analysed again."""
RESYNC = timedelta(minutes=10)
"""How often a study is looked at although nothing seems to happen, and listed anew: a watch may have missed a thing."""


@dataclass(frozen=True)
class _Refused:
    refusal: Refusal
    at: datetime


@dataclass
class _Concluding:
    """What is remembered of a study's analysis; it can be made again at any time."""

    newest: DatedAnalysis | None = None
    running: "asyncio.Task[None] | None" = None
    refused: tuple[int, str] | None = None
    """At which generation, and in which words, the API server would not create the study that follows."""


@dataclass
class Reconciler:
    """Brings studies forward, one look at a time."""

    cluster: Cluster
    observed: Observed
    curves: CurveReader
    settings: Settings
    trainer_image: str
    drawing: Drawing = field(default_factory=Drawing)
    analysing: Analysing = field(default_factory=Analysing)
    look_soon: Callable[[Key], None] = lambda key: None
    """Has a study looked at again: it was analysed."""
    _refused: dict[Key, _Refused] = field(default_factory=dict)
    _concluding: defaultdict[Key, _Concluding] = field(default_factory=lambda: defaultdict(_Concluding))
    _absent: dict[tuple[str, str], float] = field(default_factory=dict)
    """When a study that another one learns from was last asked for and not there, by namespace and name."""

    async def reconcile(self, key: Key) -> timedelta | None:
        """Look at one study and do what is to be done.

        Returns:
            After how long to look again; None: when something happens.

        Raises:
            ClusterError: a call failed; the study comes back after a while.
        """
        family = self.observed.family(key)
        study = family.study
        if study is None:
            self.observed.forget(key)
            self._refused.pop(key, None)
            self._concluding.pop(key, None)
            return None
        context = {"study": study.name, "namespace": study.namespace}
        started = time.monotonic()
        try:
            wait = await self._look(key, family)
        except (Conflict, NotFound) as error:
            # Somebody else wrote: what we know is out of date, so everything is listed anew.
            family.synced = False
            RECONCILES.labels("conflict").inc()
            log.info("The study changed while it was looked at: %s", error, extra=context)
            raise
        except ClusterError as error:
            RECONCILES.labels("error").inc()
            log.warning("%s", error, extra=context)
            raise
        except Exception:
            RECONCILES.labels("error").inc()
            log.exception("A look at the study failed.", extra=context)
            raise
        finally:
            RECONCILE_SECONDS.observe(time.monotonic() - started)
        RECONCILES.labels("ok").inc()
        return wait

    async def _look(self, key: Key, family: Family) -> timedelta:
        if not family.synced or time.monotonic() >= family.list_again_at:
            await self._sync(key, family)
        snapshot = await self._observe(key, family)
        snapshot, decision = await self._think(snapshot)
        if decision.draws:
            # Drawing may take a while: what is known is written first, and the world looked at anew after it.
            if not await self._act(key, family, snapshot, decision):
                return timedelta(0)
            snapshot, decision = await self._think(await self._observe(key, family))
            suggestions = await self.drawing.draw(snapshot, decision) if decision.draws else {}
            snapshot, decision = await self._think(replace(await self._observe(key, family), suggestions=suggestions))
        if not await self._act(key, family, snapshot, decision):
            return timedelta(0)
        if decision.asks_analysis:
            self._analyse_beside(key, snapshot)
        listing = timedelta(seconds=max(family.list_again_at - time.monotonic(), 0))
        waits = [listing] if decision.look_again_after is None else [listing, decision.look_again_after]
        # A Job without a pod is watched by nobody: why it has none stands in events only.
        asks = _awaits_pods(snapshot) and not snapshot.refusals and decision.study_status is None
        return min([*waits, POD_PATIENCE] if asks else waits)

    async def _think(self, snapshot: Snapshot) -> tuple[Snapshot, Decision]:
        """Decide; where the decision needs whole curves, read them and decide again."""
        decision = await _decided(snapshot)
        if decision.questions:
            snapshot = await self._ask_for_curves(snapshot, decision.questions)
            decision = await _decided(snapshot)
        return snapshot, decision

    def _analyse_beside(self, key: Key, snapshot: Snapshot) -> None:
        """Analyse the study beside all else that it does: no trial waits for it."""
        concluding = self._concluding[key]
        if concluding.running is None or concluding.running.done():
            concluding.running = asyncio.create_task(self._analyse(key, snapshot), name=f"analysis of {key[1]}")

    async def _analyse(self, key: Key, snapshot: Snapshot) -> None:
        """Go through the checklist with all curves, which are read for it alone: most of the time nobody needs them."""
        study = snapshot.study
        try:
            earlier = [(e.study, self._whole_trials(e.study)) for e in snapshot.previous if e.study is not None]
            newest = await self.analysing.analyse(study, self._whole_trials(study), earlier)
        except ClusterError as error:
            log.warning("A study could not be read for its analysis: %s", error, extra=_about(study, None))
            await asyncio.sleep(ANALYSIS_RETRY)
        else:
            self._concluding[key].newest = newest
        finally:
            self._concluding[key].running = None
            self.look_soon(key)

    async def _whole_trials(self, study: StudyView) -> AsyncIterator[list[TrialView]]:
        async for page in self.cluster.pages_of_study("tuningtrials", study.namespace, study.uid):
            yield [trial_view(each, with_curve=True) for each in page]

    # --- observe ---------------------------------------------------------------------------------------------------

    async def _sync(self, key: Key, family: Family) -> None:
        """List all that belongs to a study: after a start, and whenever what we know proved to be out of date."""
        namespace, uid = key
        name = _existing(family).name
        # What is doubted from now on may be missing from these lists.
        family.synced, family.list_again_at = False, math.inf
        try:
            raw = await self.cluster.get("tuningstudies", namespace, name)
        except NotFound:
            raw = None
        if raw is None or raw["metadata"]["uid"] != uid:
            # Its deletion was missed, and perhaps another one has its name.
            family.study = None
            raise NotFound(f"the study {name} is gone")
        self.observed.apply("tuningstudies", raw)
        for resource in ("tuningtrials", "jobs", "pods"):
            self.observed.replace_all(key, resource, *await self.cluster.list_of_study(resource, namespace, uid))
        self.observed.listed(key, RESYNC)

    async def _observe(self, key: Key, family: Family) -> Snapshot:
        study = _existing(family)
        await self._confirm_absences(study, family)
        snapshot = Snapshot(
            now=datetime.now(UTC),
            study=study,
            trials=dict(family.trials),
            jobs=grouped(
                (seen for job_ in family.jobs.values() for seen in job_.as_each_sees_it()),
                lambda j: j.trial,
                lambda j: (j.attempt, j.created, j.name),
            ),
            pods=grouped(family.pods.values(), lambda p: p.job_uid, lambda p: (p.created, p.name)),
            metrics=self.curves.view(study),
            previous=tuple([await self._previous(study, name) for name in study.spec.previous_studies or ()]),
            analysis=self._newest_analysis(key, study),
            next_study_error=self._next_refusal(key, study),
            settings=self.settings,
        )
        if trials_without_metrics(snapshot) or trials_with_lost_results(snapshot):
            await self.curves.read_names(study)
            snapshot = replace(snapshot, metrics=self.curves.view(study))
        snapshot = await self._try_template(key, snapshot)
        return replace(snapshot, refusals=tuple(await self._refusals(key, snapshot)))

    def _newest_analysis(self, key: Key, study: StudyView) -> DatedAnalysis | None:
        """Return the analysis that the status may not hold yet; of a study that is over it is forgotten.

        But for one that has failed, which is not to be tried again.
        """
        newest, known = self._concluding[key].newest, known_analysis(study.status)
        if newest is None or study.status.completion_time is None or known is None:
            return newest
        if (newest.trials, newest.generation) == (known.trials, known.generation):
            self._concluding[key].newest = None
        return self._concluding[key].newest

    def _next_refusal(self, key: Key, study: StudyView) -> str | None:
        refused = self._concluding[key].refused
        return refused[1] if refused is not None and refused[0] == study.generation else None

    async def _previous(self, study: StudyView, name: str) -> PreviousStudy:
        """Return a study that this one learns from, with all of its trials."""
        key = self.observed.named(study.namespace, name)
        if key is None:
            key = await self._asked_for(study.namespace, name)
        if key is None or key[1] == study.uid:
            return PreviousStudy(name)
        family = self.observed.family(key)
        if not family.synced:
            await self._sync(key, family)
        return PreviousStudy(name, family.study, tuple(family.trials.values()))

    async def _asked_for(self, namespace: str, name: str) -> Key | None:
        """Ask for a study that no watch has shown, once in a while: after a start it may be there all the same."""
        if time.monotonic() < self._absent.get((namespace, name), -math.inf) + ABSENCE_HOLDS:
            return None
        try:
            return self.observed.apply("tuningstudies", await self.cluster.get("tuningstudies", namespace, name))
        except NotFound:
            self._absent[namespace, name] = time.monotonic()
            return None

    async def _confirm_absences(self, study: StudyView, family: Family) -> None:
        """A Job that a trial's status names, but no watch has shown, is asked for before it is taken for deleted."""
        known = {job_.name for job_ in family.jobs.values()}
        running = (view.status for view in family.trials.values() if not view.status.state.is_finished)
        for name in sorted({status.job for status in running if status.job is not None} - known):
            try:
                self.observed.apply("jobs", await self.cluster.get("jobs", study.namespace, name))
            except NotFound:
                continue

    async def _try_template(self, key: Key, snapshot: Snapshot) -> Snapshot:
        """Before a study's first trial, ask the API server whether it would take its Job."""
        study = snapshot.study
        if study.status.template_hash is not None:
            return snapshot
        try:
            acceptance.check_specification(study.spec)
        except acceptance.Refused:
            return snapshot
        draft = first_trial(study)
        stand_in = TrialView(draft.name, study.uid, "0", snapshot.now, False, draft.spec, TuningTrialStatus())
        try:
            body = job(study, [stand_in], self.trainer_image)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # The schema keeps whatever the template says: a list may stand where a pod has an object.
            return replace(snapshot, dry_run_error=f"spec.trial.template cannot be read as a pod: {error}")
        try:
            await self.cluster.dry_run_job(body)
        except Invalid as error:
            return replace(snapshot, dry_run_error=str(error))
        except Forbidden as error:
            self._refuse(key, draft.name, error)
        return snapshot

    async def _refusals(self, key: Key, snapshot: Snapshot) -> list[Refusal]:
        found = []
        if snapshot.study.spec.suspend or snapshot.study.status.completion_time is not None:
            self._refused.pop(key, None)  # nothing is to be created, so nothing is in the way
        refused = self._refused.get(key)
        if refused is not None:
            found.append(replace(refused.refusal, retry=snapshot.now - refused.at >= REFUSAL_WAIT))
        # The oldest will do: what keeps one pod away keeps the others away too.
        without = {job_.uid: job_ for job_ in _without_pods(snapshot, POD_PATIENCE)}
        waiting = sorted(without.values(), key=lambda j: (j.created, j.name))
        for job_ in waiting[:JOBS_ASKED]:
            events = await self.cluster.failed_creates(snapshot.study.namespace, job_.name)
            if events:
                newest = max(events, key=lambda e: e.get("lastTimestamp") or e.get("eventTime") or "")
                found.append(Refusal(job_.trial, newest.get("message", "")))
        return found

    async def _ask_for_curves(self, snapshot: Snapshot, trials: Iterable[str]) -> Snapshot:
        whole = {}
        for name in sorted(trials):
            samples = await self.curves.whole(snapshot.study, snapshot.trials[name])
            if samples is None:
                return replace(snapshot, metrics=self.curves.view(snapshot.study))
            whole[name] = samples
        return replace(snapshot, metrics=replace(snapshot.metrics, whole=whole))

    # --- act -------------------------------------------------------------------------------------------------------

    async def _act(self, key: Key, family: Family, snapshot: Snapshot, decision: Decision) -> bool:
        """Carry out a decision; return whether all of it was done, or the rest needs another look at once."""
        study = snapshot.study
        await _all(self._write_trial_status(study, write) for write in decision.trial_statuses)
        # At once: what follows may be refused, and the next look sees the trials as they are then.
        await self._tell(snapshot, [event_ for event_ in decision.events if event_.trial is not None])
        for deletion in decision.deletions:
            await self.cluster.delete_job(study.namespace, deletion.job.name, deletion.job.uid)
            log.info("Deleted a Job: %s", deletion.reason, extra=_about(study, deletion.job.trial))
        if not await self._create(key, study, decision):
            return False
        self._measure_gap(family, decision)
        await _all(self._expire(study, expiry.job, expiry.after) for expiry in decision.expiries)
        if decision.new_study is not None and not await self._follow(key, study, decision.new_study):
            return False
        if decision.study_status is not None:
            body = status_body(
                "TuningStudy", study.namespace, study.name, study.uid, study.resource_version, decision.study_status
            )
            self.observed.apply("tuningstudies", await self.cluster.replace_status("tuningstudies", body))
        await self._tell(snapshot, [event_ for event_ in decision.events if event_.trial is None])
        return True

    async def _write_trial_status(self, study: StudyView, write: TrialStatusWrite) -> None:
        view, status = write.trial, write.status
        body = status_body("TuningTrial", study.namespace, view.name, view.uid, view.resource_version, status)
        self.observed.apply("tuningtrials", await self.cluster.replace_status("tuningtrials", body))
        if status.state is not view.status.state:
            log.info("%s: %s", status.state.value, status.message or "", extra=_about(study, view.name))
            if status.result is not None and status.state.has_result:
                RESULTS.labels(status.result.source.value).inc()

    async def _create(self, key: Key, study: StudyView, decision: Decision) -> bool:
        """Create trials and Jobs; return False where the API server refused, which the next look reports.

        One, then two, then four at a time, up to the first refusal: one costs few tries, and not one for each trial.
        """
        work: list[NewJob | NewTrial] = [*decision.new_jobs, *decision.new_trials]
        if not work:
            return True
        batch = 1
        while work:
            now, work = work[:batch], work[batch:]
            try:
                await _all(self._create_one(study, item) for item in now)
            except (Forbidden, Invalid) as error:
                self._refuse(key, _trial_of(now[0]), error)
                return False
            batch *= 2
        self._refused.pop(key, None)
        return True

    async def _create_one(self, study: StudyView, item: NewJob | NewTrial) -> None:
        if isinstance(item, NewTrial):
            raw = await self.cluster.create("tuningtrials", trial(study, item), study.uid)
            self.observed.apply("tuningtrials", raw)
            view = trial_view(raw)
            log.info("Created a trial: %s", item.spec.parameters, extra=_about(study, item.name))
            if item.starts and view.status == TuningTrialStatus():
                # Else it was there, and has come further: by another operator, for the moment in which two overlap.
                await self._create_job(study, [view])
        else:
            await self._create_job(study, item.trials)

    async def _create_job(self, study: StudyView, trials: Sequence[TrialView]) -> None:
        raw = await self.cluster.create("jobs", job(study, trials, self.trainer_image), trials[0].uid)
        self.observed.apply("jobs", raw)

    async def _follow(self, key: Key, study: StudyView, manifest: Mapping[str, Any]) -> bool:
        """Create the study that follows; where the API server refuses, the next look's status says so."""
        body = {**manifest, "metadata": {**manifest["metadata"], "namespace": study.namespace}}
        try:
            self.observed.apply("tuningstudies", await self.cluster.create_following(body, study.created))
        except (Conflict, Forbidden, Invalid) as error:
            self._concluding[key].refused = (study.generation, str(error))
            return False
        log.info("Created the study that follows: %s", body["metadata"]["name"], extra=_about(study, None))
        return True

    async def _expire(self, study: StudyView, job_: JobView, after: timedelta) -> None:
        try:
            raw = await self.cluster.set_ttl(study.namespace, job_.name, job_.uid, int(after.total_seconds()))
        except NotFound:
            return
        self.observed.apply("jobs", raw)

    def _refuse(self, key: Key, trial_name: str, error: ClusterError) -> None:
        self._refused[key] = _Refused(Refusal(trial_name, str(error)), datetime.now(UTC))

    @staticmethod
    def _measure_gap(family: Family, decision: Decision) -> None:
        if family.ended is not None and decision.new_trials:
            TRIAL_GAP.observe((datetime.now(UTC) - family.ended).total_seconds())
        if not decision.draws:
            family.ended = None

    async def _tell(self, snapshot: Snapshot, events: Iterable[Event]) -> None:
        """Write events for people; they are worth no retry."""
        study = snapshot.study
        for happened in events:
            extra = _about(study, happened.trial)
            level = logging.WARNING if happened.warning else logging.INFO
            log.log(level, "%s: %s", happened.reason, happened.message, extra=extra)
            try:
                await self.cluster.create_event(event(study, happened, snapshot.now))
            except ClusterError as error:
                log.info("An event was not written: %s", error, extra=extra)


async def _decided(snapshot: Snapshot) -> Decision:
    # Comparing thousands of curves takes seconds, for which the probes and the other studies shall not wait.
    return await asyncio.to_thread(decide, snapshot) if snapshot.study.spec.stopping.rule.compares else decide(snapshot)


def _trial_of(item: NewJob | NewTrial) -> str:
    return item.name if isinstance(item, NewTrial) else item.trials[0].name


def _existing(family: Family) -> StudyView:
    if family.study is None:
        raise NotFound("the study was deleted while it was looked at")
    return family.study


def _awaits_pods(snapshot: Snapshot) -> bool:
    return any(True for _ in _without_pods(snapshot, timedelta(0)))


def _without_pods(snapshot: Snapshot, patience: timedelta) -> Iterator[JobView]:
    """Return the running trials' Jobs that have had no pod for longer than `patience`."""
    for view in snapshot.trials.values():
        job_ = None if view.status.state.is_finished else snapshot.job_of(view)
        if job_ is None or job_.finished or job_.deleting or snapshot.pods_of(job_):
            continue
        if snapshot.now - job_.created >= patience:
            yield job_


def _about(study: StudyView, trial_name: str | None) -> dict[str, str]:
    """Return the fields that every line of the log carries."""
    context = {"namespace": study.namespace, "study": study.name}
    return context if trial_name is None else {**context, "trial": trial_name}


async def _all(calls: Iterable[Awaitable[None]]) -> None:
    """Make all calls side by side, to the end; then raise the first error, if there was one."""
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
