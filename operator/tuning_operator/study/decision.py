"""What is to be done, as values: each with the reason that goes into condition, event and log."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tuning_operator.api.study_status import TuningStudyStatus
from tuning_operator.api.trial import TuningTrialSpec, TuningTrialStatus
from tuning_operator.study.snapshot import JobView, Place, TrialView


@dataclass(frozen=True)
class Event:
    """Something that a person wants to see in `kubectl describe`."""

    reason: str
    message: str
    warning: bool = False
    trial: str | None = None
    """The trial that it is about; None: the study."""


@dataclass(frozen=True)
class NewTrial:
    """A trial to create, and its first Job."""

    name: str
    spec: TuningTrialSpec
    starts: bool = True
    """False: it waits for its Job until it is known with which others it can share one."""


@dataclass(frozen=True)
class NewJob:
    """A Job to create for the attempt that the status names, of one trial or of several that share a process."""

    trials: tuple[TrialView, ...]


@dataclass(frozen=True)
class TrialStatusWrite:
    """A trial's status to write over what was read."""

    trial: TrialView
    status: TuningTrialStatus


@dataclass(frozen=True)
class JobDeletion:
    """A Job to delete; its pods receive SIGTERM."""

    job: JobView
    reason: str


@dataclass(frozen=True)
class JobExpiry:
    """A finished Job that may be cleaned up: its result is recorded."""

    job: JobView
    after: timedelta


@dataclass(frozen=True)
class Decision:
    """All actions, in the order in which they are carried out; the study's status comes last."""

    trial_statuses: tuple[TrialStatusWrite, ...] = ()
    new_trials: tuple[NewTrial, ...] = ()
    new_jobs: tuple[NewJob, ...] = ()
    deletions: tuple[JobDeletion, ...] = ()
    expiries: tuple[JobExpiry, ...] = ()
    study_status: TuningStudyStatus | None = None
    """None: it is as it should be."""
    events: tuple[Event, ...] = ()
    """Emitted after the statuses were written."""
    questions: frozenset[str] = field(default_factory=frozenset)
    """Trials whose whole curve Prometheus must be asked for before this decision can be completed."""
    asks_analysis: bool = False
    """The Playbook's checklist must be gone through before this decision can be completed."""
    new_study: dict[str, Any] | None = None
    """The manifest of the study that follows, to create."""
    draws: tuple[Place, ...] = ()
    """Places whose points depend on results: they must be drawn, which may take long, before they are new trials."""
    look_again_after: timedelta | None = None
    """When to decide again although nothing happens; None: when something happens."""
