"""A small world in memory, in which whole studies run to their end in milliseconds.

It has the objects of one study, a Job controller and a kubelet that do what Kubernetes does, one second a tick, and an
operator that looks, decides and writes, and can be killed after any write. What becomes of a trial's pods is scripted.
"""

import asyncio
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from tests.support.views import NOTHING_SAID, NOW, a_record, samples
from tuning_contract.diagnostics import Diagnostics, Throughput
from tuning_contract.pack_record import MemberResult, PackRecord
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_operator.api import names
from tuning_operator.api.study_status import TuningStudyStatus
from tuning_operator.api.trial import TrialPurpose, TuningTrialSpec, TuningTrialStatus
from tuning_operator.drawing import Drawing
from tuning_operator.playbook.analysis import Analysis
from tuning_operator.study.concluding import ended_searches, ended_trials
from tuning_operator.study.decide import decide
from tuning_operator.study.decision import Decision
from tuning_operator.study.snapshot import (
    AnalysisFailed,
    DatedAnalysis,
    JobView,
    Member,
    MetricsView,
    PodView,
    Refusal,
    Sample,
    Snapshot,
    StudyView,
    TrialView,
)

TICK = timedelta(seconds=1)
MOST_ROUNDS = 12
"""A study whose world stands still must come to rest after so many looks."""


class End(Enum):
    """How a pod ends."""

    RESULT = auto()
    DIVERGED = auto()
    OOM_KILLED = auto()
    CRASHED = auto()
    """After its third evaluation, with a partial record."""
    EVICTED = auto()
    """Through the Eviction API: its Job replaces it."""
    DELETED = auto()
    """By kubectl delete pod: its Job fails."""
    VANISHED = auto()
    """Its node is gone, and with it all that the pod had to say."""
    JOB_DELETED = auto()
    """By kubectl delete job: the Job is gone at once, the pod a tick later."""
    SIGTERM = auto()
    """From somebody else than Kubernetes, with a partial record."""
    UNRECORDED = auto()
    """Well, without a record, but scraped."""
    SILENT = auto()
    """Well, without a record, and never scraped."""

    @property
    def is_lost(self) -> bool:
        """Whether it is nobody's fault."""
        return self in (End.EVICTED, End.DELETED, End.VANISHED, End.JOB_DELETED, End.SIGTERM)


@dataclass(frozen=True)
class Life:
    """What becomes of one pod."""

    end: End = End.RESULT
    ticks: int = 1
    """How long its container runs."""


Script = Mapping[int, Sequence[Life]]
"""The lives of a trial's pods, by the trial's index; when they are used up, pods end with a result after a tick."""


class OperatorKilled(Exception):  # noqa: N818
    """The operator died between two writes."""


@dataclass
class World:
    """All objects of a study, and the time."""

    study: StudyView
    script: Script = field(default_factory=dict)
    obstacle: Callable[[int], tuple[str, str]] = lambda tick: ("", "")
    """At a tick: the reason and message with which containers wait; empty reason: they start."""
    now: datetime = NOW
    trials: dict[str, TrialView] = field(default_factory=dict)
    jobs: dict[str, JobView] = field(default_factory=dict)
    pods: dict[str, PodView] = field(default_factory=dict)
    curves: dict[str, list[Sample]] = field(default_factory=dict)
    scraped: bool = False
    """Whether Prometheus sees the curves while trials run: a tick is ten steps. Then checkpoints are kept, too."""
    refusals: tuple[Refusal, ...] = ()
    analyse: Callable[[StudyView, Sequence[TrialView]], Analysis | AnalysisFailed] = lambda study, trials: NOTHING_SAID
    """What the Playbook says; by default nothing, in no time."""
    follow_up_lives: Sequence[Life] = ()
    """The lives of the pods of each retrain and probe."""
    throughput: Mapping[int, float | None] = field(default_factory=dict)
    """What probes of batch sizes tell, in examples a second by size; None: memory runs out there."""
    following: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The manifests of the studies that the operator has created, by name."""
    analyses: int = 0
    """How often the study was analysed."""
    writes: list[datetime] = field(default_factory=list)
    most_active: int = 0
    most_training: int = 0
    pack_sizes: list[int] = field(default_factory=list)
    """Of each Job, how many trials it trains."""
    mixed: int = 0
    """How often trials whose checkpoints are of different steps were put into one pack: they start anew."""
    tick: int = 0
    _ages: dict[str, int] = field(default_factory=dict)
    _lives: dict[str, dict[str, Life]] = field(default_factory=dict)
    """By pod and trial."""
    _analysis: DatedAnalysis | None = None
    """In the operator's memory."""
    _checkpoints: dict[str, int] = field(default_factory=dict)
    """Ticks that a trial has trained, by its name."""

    # --- the operator ------------------------------------------------------------------------------------------------

    def snapshot(self, questions: frozenset[str] = frozenset()) -> Snapshot:
        """Return what the operator sees."""
        jobs: dict[str, tuple[JobView, ...]] = {}
        seen = [each for job in self.jobs.values() for each in job.as_each_sees_it()]
        for job in sorted(seen, key=lambda j: (j.attempt, j.created, j.name)):
            jobs[job.trial] = (*jobs.get(job.trial, ()), job)
        pods: dict[str, tuple[PodView, ...]] = {}
        for pod in self.pods.values():
            pods[pod.job_uid] = (*pods.get(pod.job_uid, ()), pod)
        whole = {name: tuple(self.curves.get(name, ())) for name in questions}
        metrics = MetricsView(whole=whole, curves=self._curves() if self.scraped else {})
        return Snapshot(
            self.now,
            self.study,
            dict(self.trials),
            jobs,
            pods,
            metrics,
            refusals=self.refusals,
            analysis=self._analysis,
        )

    def _curves(self) -> dict[str, tuple[Sample, ...]]:
        running = [pod for pod in self.pods.values() if pod.running and self._ages[pod.uid] > 0]
        return {t: samples(*self._values(t, pod), attempt=a) for pod in running for t, a, _ in members_of(pod)}

    def look(self) -> Decision:
        """Decide, with all that the decision asks for."""
        snapshot, decision = self._think()
        if decision.draws:
            suggestions = asyncio.run(Drawing().draw(snapshot, decision))
            decision = decide(replace(snapshot, suggestions=suggestions))
        return decision

    def _think(self) -> tuple[Snapshot, Decision]:
        """Decide, twice: nothing but the snapshot may matter."""
        snapshot = self.snapshot()
        decision = decide(snapshot)
        assert decide(self.snapshot()) == decision
        if decision.questions:
            snapshot = self.snapshot(decision.questions)
            decision = decide(snapshot)
        return snapshot, decision

    def settle(self) -> None:
        """Look and write until there is nothing to do; what is known is written before anything is drawn."""
        for _ in range(MOST_ROUNDS):
            _, decision = self._think()
            if decision.draws:
                self.apply(decision)
                decision = self.look()
            if is_empty(decision):
                return
            self.apply(decision)
        raise AssertionError(f"the operator does not come to rest: {decision}")

    def apply(self, decision: Decision, writes: int | None = None, order: int | None = None) -> None:
        """Carry out a decision.

        Args:
            decision: what is to be done.
            writes: after how many writes the operator is killed; None: it lives.
            order: seeds the order in which trials after the first are created; None: as decided.

        Raises:
            OperatorKilled: that was its last write.
        """
        for done, write in enumerate(self._writes(decision, order)):
            if done == writes:
                raise OperatorKilled
            write()
            self.writes.append(self.now)
        active = sum(not trial.status.state.is_finished for trial in self.trials.values())
        self.most_active = max(self.most_active, active)
        if decision.asks_analysis:
            self.study_was_analysed()

    def killed(self) -> None:
        """Forget what only the operator's memory held: the last states of pods that are gone."""
        self.pods = {uid: pod for uid, pod in self.pods.items() if not pod.gone}
        self._analysis = None

    def study_was_analysed(self) -> None:
        """Have the operator know what the Playbook says of the study as it is now."""
        trials = list(self.trials.values())
        result = self.analyse(self.study, trials)
        self._analysis = DatedAnalysis(result, ended_trials(trials), ended_searches(trials), self.study.generation)
        self.analyses += 1

    def _writes(self, decision: Decision, order: int | None) -> list[Callable[[], None]]:
        writes: list[Callable[[], None]] = []
        for w in decision.trial_statuses:
            writes.append(lambda w=w: self._write_status(w.trial.name, w.status))  # type: ignore[misc]
        for d in decision.deletions:
            writes.append(lambda d=d: self._delete(d.job))  # type: ignore[misc]
        creations: list[list[Callable[[], None]]] = []
        for j in decision.new_jobs:
            members = [Member(trial.name, trial.status.attempt, trial.uid) for trial in j.trials]
            creations.append([lambda m=members: self._create_job(m)])  # type: ignore[misc]
        for t in decision.new_trials:
            steps: list[Callable[[], None]] = [lambda t=t: self._create_trial(t.name, t.spec)]  # type: ignore[misc]
            if t.starts:
                steps.append(lambda t=t: self._create_job([Member(t.name, 0)]))  # type: ignore[misc]
            creations.append(steps)
        if order is not None:
            # As with asyncio.gather: the first alone, the others in any order.
            rest = creations[1:]
            random.Random(order).shuffle(rest)
            creations[1:] = rest
        writes += [write for creation in creations for write in creation]
        for e in decision.expiries:
            writes.append(lambda e=e: self._replace_job(e.job.uid, has_ttl=True))  # type: ignore[misc]
        if (manifest := decision.new_study) is not None:
            writes.append(lambda: self.following.__setitem__(manifest["metadata"]["name"], manifest))
        if (status := decision.study_status) is not None:
            writes.append(lambda: self._write_study_status(status))
        return writes

    # --- the API server ----------------------------------------------------------------------------------------------

    def change_spec(self, **changes: object) -> None:
        """Do what kubectl patch does; keywords are fields of the spec, with `budget` merged."""
        budget = changes.pop("budget", {})
        assert isinstance(budget, dict)
        spec = self.study.spec
        spec = spec.model_copy(update={**changes, "budget": spec.budget.model_copy(update=budget)})
        self.study = replace(self.study, spec=spec, generation=self.study.generation + 1)

    def _write_study_status(self, status: TuningStudyStatus) -> None:
        self.study = replace(self.study, status=TuningStudyStatus.model_validate(status.to_json()))

    def _write_status(self, trial: str, status: TuningTrialStatus) -> None:
        read = TuningTrialStatus.model_validate(status.to_json())
        assert not self.trials[trial].status.state.is_finished, "a verdict is written once"
        self.trials[trial] = replace(self.trials[trial], status=read)

    def _create_trial(self, name: str, spec: TuningTrialSpec) -> None:
        assert name not in self.trials, "a name is used once"
        read = TuningTrialSpec.model_validate(spec.to_json())
        self.trials[name] = TrialView(name, f"uid-{name}", "1", self.now, False, read, TuningTrialStatus())

    def _create_job(self, trials: Sequence[Member]) -> None:
        trial, attempt, _ = trials[0]
        name = names.pack_name(trial, repr(trials)) if len(trials) > 1 else names.job_name(trial, attempt)
        assert name not in self.jobs, "a name is used once"
        members = tuple(trials) if len(trials) > 1 else ()
        self.jobs[name] = JobView(name, name, trial, attempt, self.now, members=members)
        self.pack_sizes.append(len(trials))

    def _delete(self, job: JobView) -> None:
        self._replace_job(job.uid, deleting=True)
        for pod in self._pods_of(job):
            self._replace_pod(pod.uid, deleting=pod.deleting or not pod.over)

    def _replace_job(self, uid: str, **changes: object) -> None:
        if uid in self.jobs:
            self.jobs[uid] = replace(self.jobs[uid], **changes)  # type: ignore[arg-type]

    def _replace_pod(self, uid: str, **changes: object) -> None:
        self.pods[uid] = replace(self.pods[uid], **changes)  # type: ignore[arg-type]

    # --- Kubernetes --------------------------------------------------------------------------------------------------

    def pass_time(self, ticks: int = 1) -> None:
        """Let the Job controller and the kubelets work, while the operator looks away."""
        for _ in range(ticks):
            self.tick += 1
            self.now += TICK
            for job in list(self.jobs.values()):
                self._control(job)
            for pod in list(self.pods.values()):
                self._run(pod)
            self._assert_alone()

    def _control(self, job: JobView) -> None:
        pods = self._pods_of(job)
        if job.deleting:
            if all(pod.over for pod in pods):
                self._forget(job)
            return
        if job.finished:
            return
        if not all(pod.over for pod in pods):
            return
        if not pods and (job.uid, 0) not in self._started_pods:
            self._create_pod(job, 0)
        elif any(pod.phase == "Succeeded" for pod in pods):
            self._replace_job(job.uid, complete=True)
        elif pods and pods[-1].disrupted:
            self._create_pod(job, len(pods))
        else:
            self._replace_job(job.uid, failed=True, failure="Job has reached the specified backoff limit")

    @property
    def _started_pods(self) -> set[tuple[str, int]]:
        return {(uid.rsplit(".", 1)[0], int(uid.rsplit(".", 1)[1])) for uid in self._lives}

    def _create_pod(self, job: JobView, number: int) -> None:
        name = f"{job.name}.{number}"
        pod = PodView(
            name, name, job.uid, job.trial, job.attempt, self.now, members=job.members, pack_hash=f"hash of {job.name}"
        )
        self._lives[name] = {member.trial: self._next_life(member.trial) for member in members_of(pod)}
        steps = {self._checkpoints.get(member.trial, 0) for member in members_of(pod)}
        self.mixed += len(steps) > 1
        self._ages[name] = min(steps) if len(steps) == 1 else 0
        self.pods[name] = pod

    def _next_life(self, trial: str) -> Life:
        spec = self.trials[trial].spec
        used = sum(trial in lives for lives in self._lives.values())
        lives = self.script.get(spec.index, ()) if spec.purpose.is_search else self.follow_up_lives
        if (told := self._throughput(trial)) is not None and told.examples_per_second is None:
            lives = [*lives, Life(End.OOM_KILLED)]
        return lives[used] if used < len(lives) else Life()

    def _run(self, pod: PodView) -> None:
        if pod.over:
            if pod.deleting:
                self._replace_pod(pod.uid, gone=True)
            return
        if pod.deleting:
            self._end(pod, 143, RecordStatus.INTERRUPTED)
            return
        if pod.started is None:
            reason, message = self.obstacle(self.tick)
            started = {} if reason else {"started": self.now, "phase": "Running"}
            self._replace_pod(pod.uid, waiting_reason=reason, waiting_message=message, **started)
            return
        self._ages[pod.uid] += 1
        if self._ages[pod.uid] >= self._ticks(pod):
            ends = [life.end for life in self._lives[pod.uid].values()]
            # What ends a process ends it for all that it trains; to diverge, a trial of a pack needs no other.
            self._end_as_scripted(pod, next((e for e in ends if e not in (End.RESULT, End.DIVERGED)), ends[0]))

    def _ticks(self, pod: PodView) -> int:
        return max(life.ticks for life in self._lives[pod.uid].values())

    def _end_as_scripted(self, pod: PodView, end: End) -> None:
        match end:
            case End.RESULT | End.DIVERGED if pod.members:
                self._end(pod, 0, RecordStatus.COMPLETED)
            case End.RESULT:
                self._end(pod, 0, RecordStatus.COMPLETED)
            case End.DIVERGED:
                self._end(pod, 100, RecordStatus.INFEASIBLE)
            case End.OOM_KILLED:
                self._end(pod, 137, RecordStatus.RUNNING, exit_reason="OOMKilled")
            case End.CRASHED:
                self._end(pod, 1, RecordStatus.RUNNING)
            case End.EVICTED:
                self._end(pod, 143, RecordStatus.INTERRUPTED, disrupted=True)
            case End.DELETED:
                self._end(pod, 143, RecordStatus.INTERRUPTED, deleting=True)
            case End.VANISHED:
                self._replace_pod(pod.uid, gone=True)
            case End.JOB_DELETED:
                self._forget(self.jobs[pod.job_uid])
                self._replace_pod(pod.uid, deleting=True)
            case End.SIGTERM:
                self._end(pod, 143, RecordStatus.INTERRUPTED)
            case End.UNRECORDED:
                self._end(pod, 0, None)
                for trial, attempt, _ in members_of(pod):
                    self.curves[trial] = list(samples(*self._values(trial, pod), attempt=attempt))
            case End.SILENT:
                self._end(pod, 0, None)

    def _end(self, pod: PodView, code: int, status: RecordStatus | None, **changes: object) -> None:
        if self.scraped:
            self._checkpoints |= {member.trial: self._ages[pod.uid] for member in members_of(pod)}
        message = "" if status is None else self._message(pod, status)
        ended: dict[str, object] = {
            "phase": "Failed" if code else "Succeeded",
            "finished": self.now,
            "exit_code": code,
            "exit_reason": "Error" if code else "Completed",
            "termination_message": message,
        }
        self._replace_pod(pod.uid, **(ended | changes))

    def _message(self, pod: PodView, status: RecordStatus) -> str:
        """Return the termination message of a pod that has evaluated something."""
        diverged = {trial for trial, life in self._lives[pod.uid].items() if life.end is End.DIVERGED}
        records = [
            a_record(
                self.trials[trial],
                self._values(trial, pod),
                status=RecordStatus.INFEASIBLE if pod.members and trial in diverged else status,
                attempt=attempt,
                diagnostics=Diagnostics(throughput=self._throughput(trial)),
            )
            for trial, attempt, _ in members_of(pod)
            if self._values(trial, pod)
        ]
        if not pod.members or not records:
            return records[0] if records else ""
        results = tuple(MemberResult.of(FinalRecord.decode(record)) for record in records)
        return PackRecord(self.study.uid, pod.pack_hash, results).encode().decode()

    def _throughput(self, trial: str) -> Throughput | None:
        """What a probe of a batch size tells; None: the trial is none, or tells nothing."""
        spec = self.trials[trial].spec
        size = json.loads(spec.parameters).get("batch_size")
        if spec.purpose is not TrialPurpose.BATCH_SIZE_PROBE or size not in self.throughput:
            return None
        return Throughput(size, self.throughput[size])

    def _values(self, trial: str, pod: PodView) -> tuple[float, ...]:
        """The objective falls to how far the learning rate is from 0.01, in decades."""
        rate = float(self.trials[trial].spec.parameters.split('"learning_rate":')[1].split(",")[0].rstrip("}"))
        last = abs(math.log10(rate) + 2)
        if not self.scraped:
            return last + 2, last + 1, last
        ticks = self._ticks(pod)
        return tuple(last + (ticks - tick) / ticks for tick in range(1, self._ages[pod.uid] + 1))

    def _pods_of(self, job: JobView) -> list[PodView]:
        return [pod for pod in self.pods.values() if pod.job_uid == job.uid]

    def _forget(self, job: JobView) -> None:
        self.jobs.pop(job.uid)
        self.pods = {uid: pod for uid, pod in self.pods.items() if pod.job_uid != job.uid or not pod.over}

    def _assert_alone(self) -> None:
        """Two pods of one trial never live at once: they would share a GPU and a checkpoint."""
        alive = [member.trial for pod in self.pods.values() if not pod.over for member in members_of(pod)]
        assert len(alive) == len(set(alive)), f"two pods of one trial: {alive}"
        self.most_training = max(self.most_training, len(alive))

    # --- whole studies -----------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the study has come to an end, and all is tidied up."""
        return self.study.status.completion_time is not None and is_empty(self.look())

    def run(self, most_ticks: int = 400) -> "World":
        """Run the study to its end."""
        for _ in range(most_ticks):
            self.settle()
            if self.over and all(job.finished for job in self.jobs.values()):
                return self
            self.pass_time()
        raise AssertionError(f"the study does not end: {self.study.status}")

    def run_ticks(self, ticks: int) -> None:
        """Run for a while."""
        for _ in range(ticks):
            self.settle()
            self.pass_time()
        self.settle()


def is_empty(decision: Decision) -> bool:
    """Whether nothing is to be written."""
    written = (
        decision.trial_statuses,
        decision.new_trials,
        decision.new_jobs,
        decision.deletions,
        decision.expiries,
        decision.study_status,
        decision.events,
        decision.questions,
        decision.asks_analysis,
        decision.new_study,
    )
    return not any(written)


def members_of(pod: PodView) -> tuple[Member, ...]:
    """Return the trials that a pod trains: one, or those of a pack."""
    return pod.members or (Member(pod.trial, pod.attempt),)
