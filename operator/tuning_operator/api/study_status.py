"""What has come of a study so far, as the operator writes it."""

from typing import Annotated, Any

from pydantic import Field

from tuning_operator.api.base import Condition, Model, Time
from tuning_operator.api.findings import PRESERVED, Conclusion, Finding
from tuning_operator.api.hyperparameters import MAX_HYPERPARAMETERS

TOP_TRIALS = 10
PARETO_TRIALS = 32
MAX_FINDINGS = 24


class TrialCounts(Model):
    """How many of the study's trials are in which state."""

    total: int = Field(0, description="All trials that were ever created.", ge=0)
    pending: int = Field(0, description="Waiting for their pod to start.", ge=0)
    running: int = Field(0, description="Training now.", ge=0)
    suspended: int = Field(0, description="Waiting for the suspended study to go on.", ge=0)
    paused: int = Field(0, description="Waiting at a rung of successive halving, with a checkpoint.", ge=0)
    succeeded: int = Field(0, description="With a result.", ge=0)
    infeasible: int = Field(0, description="Diverged or out of memory: a result about the search space.", ge=0)
    violating: int = Field(
        0, description="Of the succeeded ones, those that violate a constraint: never the best.", ge=0
    )
    failed: int = Field(0, description="Ended by an error; they count towards maxFailedTrials.", ge=0)
    stopped: int = Field(
        0, description="Stopped: by the stopping rule, or because the study's time was over or it had failed.", ge=0
    )
    stopped_early: int = Field(0, description="Of the stopped ones, those that the stopping rule ended.", ge=0)
    infrastructure_retries: int = Field(0, description="Restarts after lost pods, all trials together.", ge=0)
    retrains: int = Field(0, description="Of all trials, those that repeat one of the search to decide on it.", ge=0)
    probes: int = Field(
        0, description="Of all trials, those that see whether training is unstable, and how fast it is.", ge=0
    )


class ParameterAssignment(Model):
    """One hyperparameter and the value that a trial has."""

    name: str = Field(description="The hyperparameter's name.", max_length=63)
    value: str = Field(description="Its value, as text.", max_length=128)


class TrialSummary(Model):
    """A trial with a result, in short."""

    trial: str = Field(description="The TuningTrial's name; of replicates, the first one's.", max_length=253)
    value: float = Field(description="The objective; of replicates, its mean.")
    replicates: int | None = Field(
        None, description="How many trials the mean is of; absent where points have one each.", ge=1
    )
    deviation: float | None = Field(
        None, description="The sample standard deviation over the replicates; absent for fewer than two.", ge=0
    )
    display: str = Field("", description="The objective in six digits, for people.", max_length=32)
    step: int | None = Field(None, description="The training step at which it was measured, where known.", ge=0)
    source: str = Field(
        description="Record: exact, from the trial's final record. Prometheus: the last sample that was scraped, which "
        "may be one scrape interval old.",
        max_length=63,
    )
    parameters: list[ParameterAssignment] = Field(
        default_factory=list,
        description="The hyperparameters that were searched.",
        max_length=MAX_HYPERPARAMETERS,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )


class ParetoPoint(Model):
    """A trial of which no other is better in both objectives."""

    trial: str = Field(description="The TuningTrial's name; of replicates, the first one's.", max_length=253)
    value: float = Field(description="The objective; of replicates, its mean.")
    second: float = Field(description="The second objective; of replicates, its mean.")
    display: str = Field("", description="Both in six digits, for people.", max_length=64)


class PreviousEvidence(Model):
    """What an earlier study contributes to the model."""

    study: str = Field(description="Its name.", max_length=253)
    trials: int = Field(description="How many of its trials count.", ge=0)
    note: str | None = Field(None, description="Why not all of them do.", max_length=512)


class NextStudyProposal(Model):
    """The study that should follow, ready to apply."""

    name: str = Field(description="Its name.", max_length=253)
    goal: str = Field(description="What it is to find out.", max_length=512)
    reasons: list[Annotated[str, Field(max_length=512)]] = Field(
        default_factory=list,
        description="Each change to this study, and why.",
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    manifest: dict[str, Any] | None = Field(
        None,
        description="The TuningStudy; absent where it is too large for a status: `kubectl tuning next` prints it.",
        json_schema_extra=PRESERVED,
    )
    applied: bool = Field(False, description="Whether the operator has created it (nextStudy.policy Run).")
    note: str | None = Field(None, description="Why the operator has not created it, where it should.", max_length=512)


class Analysed(Model):
    """When the Playbook's checklist was last gone through."""

    trials: int = Field(description="How many trials had ended, retrains and probes among them.", ge=0)
    generation: int = Field(description="The study's metadata.generation.", ge=0)


class StudyDuration(Model):
    """The clock of maxDuration: it stands still while the study is suspended."""

    consumed_seconds: int = Field(0, description="Time used before `since`, in seconds.", ge=0)
    since: Time | None = Field(None, description="When the clock was last started; absent while it stands still.")


class TuningStudyStatus(Model):
    """What has come of the study so far."""

    observed_generation: int = Field(0, description="The metadata.generation that this status is about.", ge=0)
    state: str = Field("Pending", description="A summary of the conditions, for people.", max_length=63)
    progress: str = Field("", description="Trials with a result, of those wanted, such as 5/32.", max_length=63)
    trials: TrialCounts = Field(default_factory=TrialCounts, description="Trials by state.")
    best: TrialSummary | None = Field(None, description="The best trial so far.")
    top: list[TrialSummary] = Field(
        default_factory=list,
        description="The ten best trials, best first.",
        max_length=TOP_TRIALS,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    pareto_front: list[ParetoPoint] = Field(
        default_factory=list,
        description="Where there is a second objective, the trials of which no other that keeps to the constraints is "
        "better in both, the best by the objective first; of more than 32 an even choice, the ends among them.",
        max_length=PARETO_TRIALS,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    evidence: list[PreviousEvidence] = Field(
        default_factory=list,
        description="What the studies in spec.previousStudies contribute.",
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["study"]},
    )
    analysed: Analysed | None = Field(
        None,
        description="What findings, conclusion and nextStudy rest on; absent ones: that analysis failed.",
    )
    findings: list[Finding] = Field(
        default_factory=list,
        description="What a person must see of the Playbook's checklist, the most important first.",
        max_length=MAX_FINDINGS,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    conclusion: Conclusion | None = Field(None, description="What the Playbook would conclude.")
    next_study: NextStudyProposal | None = Field(None, description="The study that should follow.")
    start_time: Time | None = Field(None, description="When the first trial was created.")
    completion_time: Time | None = Field(None, description="When the study succeeded or failed.")
    duration: StudyDuration = Field(default_factory=StudyDuration, description="The time used of maxDuration.")
    template_hash: str | None = Field(
        None, description="SHA-256 of spec.trial as it was accepted: it must not change.", max_length=64
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Accepted, Progressing, Suspended, TrialsStarting, MetricsAvailable, Succeeded, Failed, "
        "ConclusionReady, QuestionAnswered, SearchSpaceAdequate.",
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
