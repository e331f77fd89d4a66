"""TuningStudy: one question to answer by training, its search space and its budget; and what came of it."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from tuning_contract.metrics import DEFAULT_PATH, DEFAULT_PORT
from tuning_operator.api.base import Condition, Model, Time
from tuning_operator.api.rules import validated_by
from tuning_operator.api.study_rules import DURATION_RULES, HYPERPARAMETER_RULES, SPACE_RULES, SPEC_RULES

MAX_HYPERPARAMETERS = 32
MAX_VALUES = 32
NAME_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
TOP_TRIALS = 10

ValueText = Annotated[str, Field(max_length=128)]
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


class ObjectiveAt(StrEnum):
    """Which evaluation of a trial counts."""

    BEST = "Best"
    LAST = "Last"
    LATE_MEDIAN = "LateMedian"


class Objective(Model):
    """What is measured, and which way is better."""

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


class HyperparameterType(StrEnum):
    """The kind of domain of a hyperparameter."""

    FLOAT = "Float"
    INTEGER = "Integer"
    CATEGORICAL = "Categorical"


class Role(StrEnum):
    """The Playbook's three roles (identifying scientific, nuisance and fixed hyperparameters)."""

    SCIENTIFIC = "Scientific"
    NUISANCE = "Nuisance"
    FIXED = "Fixed"


class Scale(StrEnum):
    """How a range is searched."""

    LINEAR = "Linear"
    LOG = "Log"


class ValueType(StrEnum):
    """How a value that is written as a string stands in the container's JSON."""

    STRING = "String"
    INTEGER = "Integer"
    FLOAT = "Float"
    BOOLEAN = "Boolean"


class When(Model):
    """The condition under which a hyperparameter exists."""

    name: str = Field(
        description="Another hyperparameter of this study, Categorical, by its name.",
        pattern=NAME_PATTERN,
        max_length=63,
    )
    values: list[ValueText] = Field(
        description="This hyperparameter exists where the other one has one of these values.",
        min_length=1,
        max_length=MAX_VALUES,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class Hyperparameter(Model):
    """One hyperparameter: its role in the question and its domain, whose fields depend on role and type."""

    model_config = ConfigDict(json_schema_extra=validated_by(*HYPERPARAMETER_RULES))

    name: str = Field(
        description="The hyperparameter's name, unique in the study.", pattern=NAME_PATTERN, max_length=63
    )
    parameter: str | None = Field(
        None,
        description="The name under which the container receives it; default: name. Two hyperparameters may share one "
        "where their `when` makes sure that never both exist, such as two learning rates for two optimizers.",
        pattern=NAME_PATTERN,
        max_length=63,
    )
    type: HyperparameterType = Field(
        description="Float, Integer or Categorical. Never inferred: the API stores 1.0 as 1."
    )
    role: Role = Field(
        description="Scientific: the question is about its effect. Nuisance: it is optimised over, so that the "
        "scientific values are compared fairly. Fixed: it stays as it is, and the conclusion holds for that value only."
    )
    low: float | None = Field(None, description="The smallest value, for a Float or Integer range.")
    high: float | None = Field(None, description="The largest value, for a Float or Integer range.")
    scale: Scale | None = Field(
        None, description="How the range is searched; Log needs low > 0. Default: Linear. Only with low and high."
    )
    values: list[ValueText] | None = Field(
        None,
        description="The values of a Categorical, as strings; valueType says how the container receives them.",
        min_length=1,
        max_length=MAX_VALUES,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    value: str | None = Field(None, description="The value of a Fixed hyperparameter, as a string.", max_length=128)
    value_type: ValueType | None = Field(
        None,
        description="How values and value stand in the container's JSON: String, Integer, Float or Boolean. "
        "Default: String for a Categorical; Float and Integer imply theirs.",
    )
    when: When | None = Field(None, description="The hyperparameter exists only under this condition.")

    @property
    def parameter_name(self) -> str:
        """The name under which the container receives this hyperparameter."""
        return self.parameter or self.name

    @property
    def effective_value_type(self) -> ValueType:
        """How the value stands in the container's JSON."""
        if self.type is HyperparameterType.CATEGORICAL:
            return self.value_type or ValueType.STRING
        return ValueType.FLOAT if self.type is HyperparameterType.FLOAT else ValueType.INTEGER


class Algorithm(StrEnum):
    """How points of the search space are chosen."""

    QUASI_RANDOM = "QuasiRandom"


class Design(StrEnum):
    """How scientific values and nuisance parameters are combined."""

    ARMS = "Arms"
    JOINT = "Joint"


class Search(Model):
    """How the search space is explored."""

    algorithm: Algorithm = Field(
        Algorithm.QUASI_RANDOM,
        description="QuasiRandom: a scrambled Halton sequence, the Playbook's choice for exploration.",
    )
    design: Design | None = Field(
        None,
        description="Arms: each combination of scientific values has its own sequence over its own nuisance "
        "parameters, and an equal share of the budget. Joint: scientific and nuisance parameters form one space, for "
        "scientific ranges. Default: Joint where a scientific hyperparameter is a range, else Arms.",
    )
    seed: int = Field(
        0,
        description="The root of all randomness of the study: the same seed gives the same trials.",
        ge=0,
        le=2**31 - 1,
    )


class Budget(Model):
    """How much may be spent."""

    max_trials: int = Field(
        description="How many trials with a result (an infeasible one is a result) the study needs. Raising it on a "
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
    template: PodTemplate = Field(
        description="The pod of a trial. Where its container names no image, the operator's default trainer "
        "image is used."
    )


class TuningStudySpec(Model):
    """The question, the search space, the budget, and how a trial runs."""

    model_config = ConfigDict(json_schema_extra=validated_by(*SPEC_RULES))

    goal: Goal | None = Field(None, description="What this study is to find out.")
    objective: Objective = Field(description="What is measured, and which way is better.")
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
    suspend: bool = Field(
        False,
        description="Stops the study: running trials are asked to checkpoint and end (SIGTERM), none is started. "
        "Set to false, they go on from their checkpoints.",
    )
    metrics: Metrics = Field(default_factory=Metrics, description="Where the trial's container exports its metrics.")
    trial: TrialTemplate = Field(description="How one trial runs.")


class TrialCounts(Model):
    """How many of the study's trials are in which state."""

    total: int = Field(0, description="All trials that were ever created.", ge=0)
    pending: int = Field(0, description="Waiting for their pod to start.", ge=0)
    running: int = Field(0, description="Training now.", ge=0)
    suspended: int = Field(0, description="Waiting for the suspended study to go on.", ge=0)
    succeeded: int = Field(0, description="With a result.", ge=0)
    infeasible: int = Field(0, description="Diverged or out of memory: a result about the search space.", ge=0)
    failed: int = Field(0, description="Ended by an error; they count towards maxFailedTrials.", ge=0)
    stopped: int = Field(0, description="Stopped because the study's time was over or it had failed.", ge=0)
    infrastructure_retries: int = Field(0, description="Restarts after lost pods, all trials together.", ge=0)


class ParameterAssignment(Model):
    """One hyperparameter and the value that a trial has."""

    name: str = Field(description="The hyperparameter's name.", max_length=63)
    value: str = Field(description="Its value, as text.", max_length=128)


class TrialSummary(Model):
    """A trial with a result, in short."""

    trial: str = Field(description="The TuningTrial's name.", max_length=253)
    value: float = Field(description="The objective.")
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
    start_time: Time | None = Field(None, description="When the first trial was created.")
    completion_time: Time | None = Field(None, description="When the study succeeded or failed.")
    duration: StudyDuration = Field(default_factory=StudyDuration, description="The time used of maxDuration.")
    template_hash: str | None = Field(
        None, description="SHA-256 of spec.trial as it was accepted: it must not change.", max_length=64
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Accepted, Progressing, Suspended, TrialsStarting, MetricsAvailable, Succeeded, Failed.",
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
