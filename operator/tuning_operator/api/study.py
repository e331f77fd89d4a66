"""TuningStudy: one question to answer by training, its search space and its budget; and what came of it."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from tuning_contract.metrics import DEFAULT_PATH, DEFAULT_PORT
from tuning_contract.pack import MAX_MEMBERS
from tuning_operator.api.base import Model
from tuning_operator.api.hyperparameters import MAX_HYPERPARAMETERS, NAME_PATTERN, Hyperparameter
from tuning_operator.api.procedure import Acknowledgement, Baseline, Lint, NextStudy, Retrains, Training
from tuning_operator.api.rules import validated_by
from tuning_operator.api.search import Search
from tuning_operator.api.stopping import Stopping
from tuning_operator.api.study_rules import (
    CONSTRAINT_RULES,
    DURATION_RULES,
    OBJECTIVE_RULES,
    SPACE_RULES,
    SPEC_RULES,
)

DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
StudyName = Annotated[str, Field(min_length=1, max_length=253)]
LabelText = Annotated[str, Field(max_length=63)]
AnnotationText = Annotated[str, Field(max_length=65536)]


class GoalKind(StrEnum):
    """What a round of experiments is for (playbook: choosing the goal for the next round)."""

    TRY_CHANGE = "TryChange"
    UNDERSTAND = "Understand"
    MINIMISE = "Minimise"


class Goal(Model):
    """The one question that this study is to answer (playbook: one goal a round)."""

    question: str = Field(
        description="The question in a sentence, such as: Does AdamW beat Nesterov momentum within 600 steps?",
        min_length=1,
        max_length=512,
    )
    kind: GoalKind = Field(
        GoalKind.UNDERSTAND,
        description="TryChange: should a change to the pipeline be adopted? Understand: how does a hyperparameter act? "
        "Minimise: only the best value counts.",
    )


class Direction(StrEnum):
    """Which way is better."""

    MINIMIZE = "Minimize"
    MAXIMIZE = "Maximize"

    @property
    def sign(self) -> float:
        """1 or -1: times this, of two values the smaller is the better."""
        return 1.0 if self is Direction.MINIMIZE else -1.0


class ObjectiveAt(StrEnum):
    """Which evaluation of a trial counts."""

    BEST = "Best"
    LAST = "Last"
    LATE_MEDIAN = "LateMedian"


class Constraint(Model):
    """What a trial must keep to, beside its objective: a latency, a size, another metric."""

    model_config = ConfigDict(json_schema_extra=validated_by(*CONSTRAINT_RULES))

    metric: str = Field(
        description="The metric's name as the container reports it; another one than the objective's.",
        pattern=NAME_PATTERN,
        max_length=63,
    )
    max: float | None = Field(None, description="It must not be larger.")
    min: float | None = Field(None, description="It must not be smaller.")
    at: ObjectiveAt | None = Field(
        None,
        description="Which evaluation counts. Best: the one at which the objective is best, so that of the checkpoint "
        "that is kept. Last: the last one. LateMedian: the median over the last tenth of the evaluations. Default: as "
        "the objective's.",
    )

    def holds(self, value: float) -> bool:
        """Return whether a value keeps to it; NaN never does."""
        return (self.max is None or value <= self.max) and (self.min is None or value >= self.min) and value == value


class Objective(Model):
    """What is measured, and which way is better."""

    model_config = ConfigDict(json_schema_extra=validated_by(*OBJECTIVE_RULES))

    metric: str = Field(
        description="The metric's name as the container reports it, such as validation_loss.",
        pattern=NAME_PATTERN,
        max_length=63,
    )
    direction: Direction = Field(Direction.MINIMIZE, description="Whether a smaller or a larger value is better.")
    at: ObjectiveAt = Field(
        ObjectiveAt.BEST,
        description="Which evaluation counts. Best: the best one (whose checkpoint is kept). Last: the last one. "
        "LateMedian: the median over the last tenth of the evaluations.",
    )
    series: str | None = Field(
        None,
        description="The Prometheus metric that carries the objective, for images that do not use our reporter. "
        "Default: tuning_trial_objective. Only series of the study's own pods are read.",
        pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$",
        max_length=128,
    )
    constraints: list[Constraint] | None = Field(
        None,
        description="What a trial must keep to. One that does not is a result, counted and learnt from, but never the "
        "best. One metric and constraints for all others is what the Playbook recommends.",
        min_length=1,
        max_length=4,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["metric"]},
    )
    smallest_difference_that_matters: float | None = Field(
        None, description="A difference of the objective below this is of no interest, whatever its certainty.", ge=0
    )


class SecondObjective(Model):
    """Another metric that is to be good, where nobody can say beforehand how good is good enough."""

    metric: str = Field(
        description="The metric's name as the container reports it; another one than the objective's. It counts at the "
        "same evaluation.",
        pattern=NAME_PATTERN,
        max_length=63,
    )
    direction: Direction = Field(Direction.MINIMIZE, description="Whether a smaller or a larger value is better.")


class Budget(Model):
    """How much may be spent."""

    max_trials: int = Field(
        description="How many trials with a result the study needs; an infeasible one, and one that the stopping rule "
        "has ended, count. Raising it on a "
        "finished study continues it; it cannot be lowered below the number of trials that were started.",
        ge=1,
        le=10_000,
    )
    parallel_trials: int = Field(
        1,
        description="How many trials run at once; `kubectl scale` changes it. To stop, use spec.suspend.",
        ge=1,
        le=1000,
    )
    max_failed_trials: int = Field(
        3,
        description="The study fails when more than this many trials have failed. Infeasible trials, and trials lost "
        "to infrastructure, are not failures.",
        ge=0,
        le=10_000,
    )
    max_duration: str | None = Field(
        None,
        description="How long the study may run, as a Go duration such as 90m or 1h30m, counted from its first trial; "
        "the clock stands still while the study is suspended. Running trials are then stopped by SIGTERM.",
        pattern=DURATION_PATTERN,
        max_length=32,
        json_schema_extra=validated_by(*DURATION_RULES),
    )
    max_retrains: int = Field(
        10, description="How many retrains, of all sides together, the study may run.", ge=0, le=1000
    )
    max_probes: int = Field(4, description="How many probes, such as for instability, the study may run.", ge=0, le=100)
    max_infrastructure_retries: int = Field(
        5,
        description="How often one trial is started again after it was evicted, preempted or deleted, free of charge.",
        ge=0,
        le=100,
    )


class Metrics(Model):
    """Where the trial's container exports its metrics."""

    port: int = Field(
        DEFAULT_PORT, description="The port; added to the container where it is not declared.", ge=1024, le=65535
    )
    path: str = Field(DEFAULT_PATH, description="The HTTP path.", pattern=r"^/[a-zA-Z0-9/_.-]*$", max_length=128)


class Checkpoint(Model):
    """Where a trial's checkpoints are kept, so that a retry goes on instead of starting again."""

    claim_name: str = Field(
        description="A PersistentVolumeClaim in the study's namespace.",
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        max_length=253,
    )
    path: str = Field(
        "/checkpoints",
        description="Where the claim is mounted. Each trial has a directory of its own below it, named in "
        "TUNING_CHECKPOINT_DIR.",
        pattern=r"^/[a-zA-Z0-9/_.-]*[a-zA-Z0-9_-]$",
        max_length=128,
    )


class TemplateMetadata(Model):
    """Labels and annotations of the trial's pods."""

    labels: dict[str, LabelText] | None = Field(
        None, description="Labels of the pod; those of tuning-operator.dev are ours.", max_length=64
    )
    annotations: dict[str, AnnotationText] | None = Field(None, description="Annotations of the pod.", max_length=64)


class PodTemplate(Model):
    """A PodTemplateSpec."""

    metadata: TemplateMetadata | None = Field(None, description="Labels and annotations of the pod.")
    spec: dict[str, Any] = Field(
        description="A PodSpec, as in a Job. Security fields that it leaves unset are filled for the restricted Pod "
        "Security Standard; what it sets wins. It is checked by a dry run when the study is accepted.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )


class TrialTemplate(Model):
    """How one trial runs."""

    container: str | None = Field(
        None,
        description="The container that receives the parameters and writes the record; default: the first.",
        max_length=63,
    )
    checkpoint: Checkpoint | None = Field(
        None, description="Where checkpoints are kept; without it a retry starts from step 0."
    )
    max_packed: int = Field(
        1,
        description="How many trials one pod may train together, in one process: small trials fill a GPU so. Only "
        "trials whose parameters differ in numbers such as the learning rate are packed (docs/concepts.md has the "
        "list), and no more than budget.parallelTrials. The image must know TUNING_PACK, as the trainer does. 1: each "
        "trial has a pod of its own.",
        ge=1,
        le=MAX_MEMBERS,
    )
    template: PodTemplate = Field(
        description="The pod of a trial. Where its container names no image, the operator's default trainer "
        "image is used."
    )


class TuningStudySpec(Model):
    """The question, the search space, the budget, and how a trial runs."""

    model_config = ConfigDict(json_schema_extra=validated_by(*SPEC_RULES))

    goal: Goal | None = Field(None, description="What this study is to find out.")
    objective: Objective = Field(description="What is measured, and which way is better.")
    second_objective: SecondObjective | None = Field(
        None,
        description="A second metric to trade off against the objective: status.paretoFront has the trials of which no "
        "other is better in both. Where you can say how much is enough, use objective.constraints instead.",
    )
    hyperparameters: list[Hyperparameter] = Field(
        description="The search space: every hyperparameter with its role and its domain.",
        min_length=1,
        max_length=MAX_HYPERPARAMETERS,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            **validated_by(*SPACE_RULES),
        },
    )
    search: Search = Field(default_factory=Search, description="How the search space is explored.")
    budget: Budget = Field(description="How much may be spent.")
    stopping: Stopping = Field(
        default_factory=Stopping, description="When trials are stopped before their schedule ends."
    )
    suspend: bool = Field(
        False,
        description="Stops the study: running trials are asked to checkpoint and end (SIGTERM), none is started. "
        "Set to false, they go on from their checkpoints.",
    )
    metrics: Metrics = Field(default_factory=Metrics, description="Where the trial's container exports its metrics.")
    trial: TrialTemplate = Field(description="How one trial runs.")
    previous_studies: list[StudyName] | None = Field(
        None,
        description="Earlier studies in this namespace that led to this one, by name, the oldest first: the rules look "
        "at what they have found, and their trials teach the model of a Bayesian search. There a trial counts where it "
        "had the same objective and the same parameters, each with a value that this study's space has; numbers may "
        "lie outside its ranges.",
        min_length=1,
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    baseline: Baseline | None = Field(None, description="What a change is compared with: for the goal TryChange.")
    training: Training = Field(
        default_factory=Training,
        description="What the rules about length, schedule and evaluation need to know of a trial's training.",
    )
    lint: Lint = Field(
        Lint.WARN,
        description="What becomes of a study that the Playbook would not run. Warn: it runs, without a conclusion. "
        "Enforce: it is not accepted.",
    )
    acknowledge: list[Acknowledgement] | None = Field(
        None,
        description="Findings that you know of and accept: they become caveats of the conclusion.",
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    thresholds: dict[str, float] | None = Field(
        None,
        description="Other numbers for the rules than the defaults, by name; docs/playbook-map.md lists them.",
        max_length=64,
    )
    retrains: Retrains | None = Field(
        None,
        description="Trains the best arm and its rival again, when the search is done, to decide on a change. "
        "Default: no retrains.",
    )
    next_study: NextStudy = Field(
        default_factory=NextStudy, description="What becomes of the study that should follow."
    )

    @property
    def measurements(self) -> tuple[tuple[str, ObjectiveAt], ...]:
        """What a result needs beside the objective: metrics, and the evaluations at which they count; each once."""
        constrained = [(c.metric, c.at or self.objective.at) for c in self.objective.constraints or ()]
        second = [] if self.second_objective is None else [(self.second_objective.metric, self.objective.at)]
        return tuple(dict.fromkeys([*constrained, *second]))

    @property
    def further_metrics(self) -> tuple[str, ...]:
        """The metrics beside the objective that a trial must measure: of the constraints and the second objective."""
        return tuple(dict.fromkeys(metric for metric, _ in self.measurements))
