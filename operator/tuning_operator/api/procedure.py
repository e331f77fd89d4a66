"""What a study says about the Playbook's procedure: its baseline, its training, retrains, rules and the next study."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from tuning_operator.api.base import Model
from tuning_operator.api.findings import Code
from tuning_operator.api.hyperparameters import ValueText
from tuning_operator.api.rules import Rule, validated_by

TRAINING_RULES = (
    Rule(
        "!has(self.schedule) || !has(self.schedule.decaySteps) || has(self.schedule.family)",
        "schedule.decaySteps needs schedule.family: say how the rate decays",
        field_path=".schedule.family",
    ),
)


class Lint(StrEnum):
    """What becomes of a study that the Playbook would not run."""

    WARN = "Warn"
    ENFORCE = "Enforce"


class Acknowledgement(Model):
    """A finding that the study's author knows of and accepts."""

    code: Code = Field(description="The finding's code, such as Specification.")
    verdict: str | None = Field(
        None, description="The finding's verdict, such as BatchSizeSearched; default: all of the code.", max_length=63
    )
    reason: str = Field(
        description="Why it does not matter here; it becomes a caveat of the conclusion.", min_length=1, max_length=512
    )


class Baseline(Model):
    """What a change is compared with."""

    scientific: dict[str, ValueText] | None = Field(
        None,
        description="The scientific values of the arm without the change, by hyperparameter, as strings.",
        max_length=8,
    )
    retrain_deviation: float | None = Field(
        None,
        description="The standard deviation of the objective over retrains of the baseline with other seeds, where an "
        "earlier study has measured it and the pipeline has not changed much since (playbook: ADP-7).",
        ge=0,
    )
    expected_value: float | None = Field(
        None, description="The objective that the baseline should reach, such as a paper's (playbook: ARC-3)."
    )


class TrainingUnit(StrEnum):
    """In what the length of training is told."""

    STEPS = "Steps"
    EPOCHS = "Epochs"


class ScheduleFamily(StrEnum):
    """How the learning rate goes on after the warm-up."""

    CONSTANT = "Constant"
    LINEAR = "Linear"
    COSINE = "Cosine"
    STEP = "Step"
    PIECEWISE = "Piecewise"
    OTHER = "Other"


class Schedule(Model):
    """The learning rate's schedule, as far as the rules about length and warm-up need it."""

    family: ScheduleFamily | None = Field(None, description="How the rate goes on after the warm-up.")
    warmup_steps: int | None = Field(None, description="Over how many steps the rate rises first.", ge=0)
    decay_steps: int | None = Field(
        None, description="Over how many steps, at the end, the rate decays; default: all after the warm-up.", ge=1
    )


class Training(Model):
    """What the rules about length, schedule and evaluation need to know of a trial's training."""

    model_config = ConfigDict(json_schema_extra=validated_by(*TRAINING_RULES))

    unit: TrainingUnit = Field(TrainingUnit.STEPS, description="In what the length of a trial is told.")
    max_steps: int | None = Field(
        None,
        description="How many steps a trial trains; default: the parameter whose meaning is maxSteps tells it.",
        ge=1,
    )
    evaluate_every_steps: int | None = Field(None, description="How many steps lie between two evaluations.", ge=1)
    evaluate_every_seconds: int | None = Field(
        None,
        description="How many seconds lie between two evaluations, where they follow the clock: the Playbook advises "
        "against it (EVS-4).",
        ge=1,
    )
    production_steps: int | None = Field(
        None, description="How long the final training will be, where trials are shorter (playbook: CMP-3).", ge=1
    )
    rounds: int | None = Field(
        None, description="In how many rounds of growing length it is approached (playbook: CMP-4).", ge=1, le=100
    )
    schedule: Schedule | None = Field(None, description="The learning rate's schedule.")
    batch_sizes: list[Annotated[int, Field(ge=1, le=2**31 - 1)]] | None = Field(
        None,
        description="Batch sizes, usually powers of two, at which the throughput is measured after the search, one "
        "after the other from the smallest, until memory runs out, a doubling gains less than 5 % (threshold "
        "batchGain), or the first doubling brings less than 1.8 times the throughput: a bottleneck (batchDoubling; "
        "playbook: BAT-7, BAT-10, BAT-11). A hyperparameter must be the batch size, and none may depend on it by "
        "`when`.",
        min_length=2,
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    model: str | None = Field(
        None,
        description="A name for model and data: earlier conclusions and probes hold only while it stays.",
        max_length=253,
    )


class Retrains(Model):
    """Training again, with other seeds, what the study compares (playbook: ADP-2, ADP-7)."""

    count: int = Field(
        5, description="How often each side is trained again: decided before anybody looks.", ge=2, le=100
    )
    confirm: bool = Field(
        False,
        description="Trains 29 pairs instead: enough to find a change that wins three of four pairs, with an error of "
        "5 % and a power of 80 % (Bouthillier et al. 2021).",
    )
    complexity_cost: float = Field(
        0.0,
        description="By how much of the objective a change must be better to be worth its complexity (ADP-9).",
        ge=0,
    )
    adds_complexity: bool = Field(
        False,
        description="Whether the change adds code or dependencies: the decision is then made at 5 % and not at 15 %.",
    )


class NextStudyPolicy(StrEnum):
    """What becomes of the next study."""

    OFF = "Off"
    PROPOSE = "Propose"
    RUN = "Run"


class NextStudy(Model):
    """What becomes of the study that should follow."""

    policy: NextStudyPolicy = Field(
        NextStudyPolicy.PROPOSE,
        description="Propose: it is written into the status. Run: the operator applies it, up to maxStudies. "
        "Off: neither.",
    )
    max_studies: int = Field(
        4, description="How many studies a chain may have, this one's predecessors among them.", ge=1, le=100
    )
