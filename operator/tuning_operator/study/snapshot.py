"""The world as one study sees it at one moment: frozen values, and nothing that can call out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from tuning_contract.metrics import TRIAL_OBJECTIVE
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.api.study_status import TuningStudyStatus
from tuning_operator.api.trial import TuningTrialSpec, TuningTrialStatus
from tuning_operator.playbook.analysis import Analysis
from tuning_operator.search.suggest import Suggestion


class Member(NamedTuple):
    """One of the trials that a pod trains."""

    trial: str
    attempt: int
    uid: str = ""
    """Of the trial: one that was deleted and drawn again has its name, and perhaps other parameters."""


Place = tuple[int, int]
"""Of a trial in its study: the arm's number and the position in the arm."""


@dataclass(frozen=True)
class Settings:
    """What the installation decides, for all studies."""

    scrape_interval: timedelta = timedelta(seconds=15)
    """How often Prometheus scrapes trial pods."""
    result_patience: timedelta = timedelta(minutes=5)
    """How long an ended trial without a record waits for a Prometheus that does not answer."""
    progress_interval: timedelta = timedelta(minutes=1)
    """How often a running trial's progress is written into its status."""


@dataclass(frozen=True)
class StudyView:
    """A TuningStudy."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    created: datetime
    deleting: bool
    spec: TuningStudySpec
    status: TuningStudyStatus
    template_hash: str
    """SHA-256 of `spec.trial` as it is now."""
    round: int = 1
    """Which study of a chain it is: one more than the study that it follows."""

    @property
    def series(self) -> str:
        """The Prometheus metric that carries the objective."""
        return self.spec.objective.series or TRIAL_OBJECTIVE


@dataclass(frozen=True)
class TrialView:
    """A TuningTrial."""

    name: str
    uid: str
    resource_version: str
    created: datetime
    deleting: bool
    spec: TuningTrialSpec
    status: TuningTrialStatus


@dataclass(frozen=True)
class PreviousStudy:
    """An earlier study that this one names as evidence."""

    name: str
    study: StudyView | None = None
    """None: there is none of this name."""
    trials: tuple[TrialView, ...] = ()


@dataclass(frozen=True)
class JobView:
    """One attempt's Job; of a pack, as one of its trials sees it."""

    name: str
    uid: str
    trial: str
    attempt: int
    created: datetime
    deleting: bool = False
    complete: bool = False
    failed: bool = False
    failure: str = ""
    """The message of the condition Failed."""
    has_ttl: bool = False
    members: tuple[Member, ...] = ()
    """The trials of a pack, in the order of TUNING_PACK; empty: it trains one alone."""
    trial_uid: str = ""
    """Of the trial that sees a pack's Job so; empty of a Job of one trial, which goes with it."""

    @property
    def size(self) -> int:
        """How many trials it trains."""
        return len(self.members) or 1

    def as_each_sees_it(self) -> "tuple[JobView, ...]":
        """Return the Job once for each trial that it trains, with that trial's name and attempt."""
        if not self.members:
            return (self,)
        return tuple(replace(self, trial=m.trial, attempt=m.attempt, trial_uid=m.uid) for m in self.members)

    def is_of(self, trial: TrialView) -> bool:
        """Whether it trains this very trial, and not one that was deleted and had its name."""
        return self.trial_uid in ("", trial.uid)

    @property
    def finished(self) -> bool:
        """Whether the Job controller is done with it."""
        return self.complete or self.failed


@dataclass(frozen=True)
class PodView:
    """A pod of a trial's Job, as it is or as it was last seen."""

    name: str
    uid: str
    job_uid: str
    trial: str
    attempt: int
    created: datetime
    phase: str = "Pending"
    deleting: bool = False
    """Its deletion was asked for before its container ended: by somebody, or by the node's end."""
    gone: bool = False
    """The API server no longer has it; this is its last state."""
    disrupted: bool = False
    """It has the condition DisruptionTarget: preempted, evicted, or its node went away."""
    reason: str = ""
    """status.reason, such as DeadlineExceeded or Evicted."""
    unschedulable: str = ""
    """The scheduler's message while no node takes the pod."""
    waiting_reason: str = ""
    """Why the trial's container (or one before it) does not start, such as ImagePullBackOff."""
    waiting_message: str = ""
    started: datetime | None = None
    """When the trial's container started."""
    finished: datetime | None = None
    """When the trial's container ended."""
    exit_code: int | None = None
    exit_reason: str = ""
    """The kubelet's word, such as OOMKilled or Error."""
    termination_message: str = ""
    members: tuple[Member, ...] = ()
    """The trials of a pack, in the order of TUNING_PACK; empty: it trains one alone."""
    pack_hash: str = ""
    """Of TUNING_PACK, of which a pack's record must be."""

    @property
    def lost(self) -> bool:
        """Whether the infrastructure, and not the training, ended this pod."""
        vanished = self.gone and self.exit_code is None
        return self.over and self.exit_code != 0 and (self.disrupted or self.deleting or vanished)

    @property
    def over(self) -> bool:
        """Whether no container of it runs any more."""
        return self.gone or self.phase in ("Succeeded", "Failed")

    @property
    def running(self) -> bool:
        """Whether the trial's container runs now."""
        return self.started is not None and self.finished is None and not self.gone


@dataclass(frozen=True)
class Sample:
    """One scrape of one pod: the objective, and the step where the image exports it."""

    time: datetime
    value: float
    step: int | None
    attempt: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What else was scraped then, by metric; read only for a trial that ended without a record."""


@dataclass(frozen=True)
class MetricsView:
    """What Prometheus says about this study."""

    reachable: bool = True
    error: str = ""
    since: datetime | None = None
    """Since when Prometheus has not answered; None while it does."""
    latest: Mapping[str, Sample] = field(default_factory=dict)
    """The newest sample of each running trial, by trial name."""
    curves: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)
    """All samples so far of the running trials, by trial name, oldest first."""
    whole: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)
    """All samples of the trials that `Decision.questions` asked for, by trial name, oldest first; empty: none exist."""
    names_seen: tuple[str, ...] = ()
    """Metric names that Prometheus has for this study's pods, read only where the objective's is missing."""


@dataclass(frozen=True)
class AnalysisFailed:
    """That a study could not be analysed: its trials are as good as before, and nothing is concluded."""

    reason: str
    message: str


@dataclass(frozen=True)
class DatedAnalysis:
    """What the Playbook says of a study, and on what it rests."""

    result: Analysis | AnalysisFailed
    trials: int
    """How many trials had ended, retrains and probes among them."""
    searched: int
    """How many of the search's trials had ended."""
    generation: int
    """The study's metadata.generation."""

    @property
    def said(self) -> Analysis | None:
        """The analysis; None where it failed."""
        return self.result if isinstance(self.result, Analysis) else None


@dataclass(frozen=True)
class Refusal:
    """The API server would not create a Job, or the Job controller could not create its pod."""

    trial: str
    message: str
    retry: bool = False
    """The wait after it is over: one more try shows whether its cause is gone."""


@dataclass(frozen=True)
class Snapshot:
    """All that a decision may depend on."""

    now: datetime
    study: StudyView
    trials: Mapping[str, TrialView] = field(default_factory=dict)
    """By name."""
    jobs: Mapping[str, tuple[JobView, ...]] = field(default_factory=dict)
    """By trial name, by ascending attempt, of one attempt the oldest first; a pack's stands at each of its trials."""
    pods: Mapping[str, tuple[PodView, ...]] = field(default_factory=dict)
    """By Job uid, oldest first."""
    metrics: MetricsView = field(default_factory=MetricsView)
    previous: tuple[PreviousStudy, ...] = ()
    """The studies in `spec.previousStudies`."""
    refusals: tuple[Refusal, ...] = ()
    suggestions: Mapping[Place, Suggestion] = field(default_factory=dict)
    """What `Decision.draws` asked for; where one is missing, nothing could be drawn."""
    analysis: DatedAnalysis | None = None
    """The newest that `Decision.asks_analysis` asked for, which other trials may have ended since."""
    next_study_error: str | None = None
    """The API server's word on the study that should follow; None: it took it, or was not asked."""
    dry_run_error: str | None = None
    """The API server's word on the rendered Job; None: it would take it, or it was not asked."""
    settings: Settings = field(default_factory=Settings)

    @cached_property
    def trials_with_living_pods(self) -> Mapping[str, int]:
        """The lowest attempt of which a pod still lives, by trial name; a pod can outlive its Job's object."""
        lowest: dict[str, int] = {}
        for pods in self.pods.values():
            for pod in pods:
                for member in () if pod.over else pod.members or (Member(pod.trial, pod.attempt),):
                    now = self.trials.get(member.trial)
                    # The pod of a trial that was deleted, and drawn again, comes before each of the new one's.
                    attempt = member.attempt if now is None or member.uid in ("", now.uid) else -1
                    lowest[member.trial] = min(attempt, lowest.get(member.trial, attempt))
        return lowest

    def job_of(self, trial: TrialView) -> JobView | None:
        """Return the Job of the trial's current attempt."""
        return next((job for job in self.jobs_of(trial) if job.attempt == trial.status.attempt), None)

    def jobs_of(self, trial: TrialView) -> list[JobView]:
        """Return the Jobs of all of the trial's attempts, those that are not being deleted first."""
        own = [job for job in self.jobs.get(trial.name, ()) if job.is_of(trial)]
        return sorted(own, key=lambda job: (job.attempt, job.deleting))

    def still_trains_others(self, job: JobView) -> bool:
        """Whether a pack has trials that have not come to their end."""
        views = [(member, self.trials.get(member.trial)) for member in job.members]
        return any(v is not None and m.uid in ("", v.uid) and not v.status.state.is_finished for m, v in views)

    def pods_of(self, job: JobView) -> tuple[PodView, ...]:
        """Return the Job's pods, oldest first."""
        return self.pods.get(job.uid, ())
