"""One hyperparameter of a study: its role, its domain, and when it exists."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from tuning_operator.api.base import Model
from tuning_operator.api.rules import validated_by
from tuning_operator.api.study_rules import HYPERPARAMETER_RULES

MAX_HYPERPARAMETERS = 32
MAX_VALUES = 32
NAME_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
ValueText = Annotated[str, Field(max_length=128)]


class HyperparameterType(StrEnum):
    """The kind of domain of a hyperparameter."""

    FLOAT = "Float"
    INTEGER = "Integer"
    CATEGORICAL = "Categorical"
    ORDINAL = "Ordinal"

    @property
    def is_list(self) -> bool:
        """Whether the domain is a list of values, and no range."""
        return self in (HyperparameterType.CATEGORICAL, HyperparameterType.ORDINAL)


class Role(StrEnum):
    """The Playbook's three roles (identifying scientific, nuisance and fixed hyperparameters)."""

    SCIENTIFIC = "Scientific"
    NUISANCE = "Nuisance"
    FIXED = "Fixed"


class Scale(StrEnum):
    """How a range is searched."""

    LINEAR = "Linear"
    LOG = "Log"
    REVERSE_LOG = "ReverseLog"


class Category(StrEnum):
    """What kind of thing a hyperparameter belongs to (playbook: identifying the roles of hyperparameters)."""

    OPTIMIZER = "optimizer"
    OPTIMIZER_CHOICE = "optimizerChoice"
    REGULARIZATION = "regularization"
    REGULARIZATION_SWITCH = "regularizationSwitch"
    ARCHITECTURE = "architecture"
    SCHEDULE = "schedule"
    DATA = "data"
    OTHER = "other"


class Meaning(StrEnum):
    """What a hyperparameter is, whatever it is called."""

    LEARNING_RATE = "learningRate"
    MOMENTUM = "momentum"
    ONE_MINUS_MOMENTUM = "oneMinusMomentum"
    BETA1 = "beta1"
    ONE_MINUS_BETA1 = "oneMinusBeta1"
    BETA2 = "beta2"
    EPSILON = "epsilon"
    WEIGHT_DECAY = "weightDecay"
    DROPOUT = "dropout"
    LABEL_SMOOTHING = "labelSmoothing"
    BATCH_SIZE = "batchSize"
    EVALUATION_BATCH_SIZE = "evaluationBatchSize"
    GRADIENT_ACCUMULATION = "gradientAccumulation"
    MAX_STEPS = "maxSteps"
    WARMUP_STEPS = "warmupSteps"
    WARMUP_FRACTION = "warmupFraction"
    DECAY = "decay"
    CLIP_NORM = "clipNorm"
    AUGMENTATION = "augmentation"
    OPTIMIZER = "optimizer"
    MODEL_SIZE = "modelSize"
    ACTIVATION = "activation"
    NORMALIZATION = "normalization"
    PRECISION = "precision"
    SEED = "seed"
    OTHER = "other"


class ValueType(StrEnum):
    """How a value that is written as a string stands in the container's JSON."""

    STRING = "String"
    INTEGER = "Integer"
    FLOAT = "Float"
    BOOLEAN = "Boolean"


class When(Model):
    """The condition under which a hyperparameter exists."""

    name: str = Field(
        description="Another hyperparameter of this study, Categorical or Ordinal, by its name.",
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
        description="Float or Integer: a range. Categorical: values without an order. Ordinal: values in their order, "
        "such as widths or batch sizes. Never inferred: the API stores 1.0 as 1."
    )
    role: Role = Field(
        description="Scientific: the question is about its effect. Nuisance: it is optimised over, so that the "
        "scientific values are compared fairly. Fixed: it stays as it is, and the conclusion holds for that value only."
    )
    low: float | None = Field(None, description="The smallest value, for a Float or Integer range.")
    high: float | None = Field(None, description="The largest value, for a Float or Integer range.")
    scale: Scale | None = Field(
        None,
        description="How the range is searched. Log: evenly in its logarithm; needs low > 0. ReverseLog: evenly in the "
        "logarithm of 1 - x, for a Float near 1 such as momentum; needs high < 1. Default: Linear. Only with low and "
        "high.",
    )
    values: list[ValueText] | None = Field(
        None,
        description="The values of a Categorical or, in their order, of an Ordinal, as strings; valueType says how the "
        "container receives them.",
        min_length=1,
        max_length=MAX_VALUES,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    value: str | None = Field(None, description="The value of a Fixed hyperparameter, as a string.", max_length=128)
    value_type: ValueType | None = Field(
        None,
        description="How values and value stand in the container's JSON: String, Integer, Float or Boolean. "
        "Default: String for a Categorical and an Ordinal; Float and Integer imply theirs.",
    )
    when: When | None = Field(None, description="The hyperparameter exists only under this condition.")
    category: Category | None = Field(
        None,
        description="What kind of thing it is; the rules about roles and fair comparison use it. Default: by its "
        "meaning, else other.",
    )
    meaning: Meaning | None = Field(
        None,
        description="What it is, whatever it is called. Default: by the parameter's name, where that is a usual one "
        "such as lr, wd or momentum; else other.",
    )
    hard_low: float | None = Field(
        None,
        description="The smallest value that makes sense at all, such as 0 for dropout: no range is widened past it.",
    )
    hard_high: float | None = Field(
        None, description="The largest value that makes sense at all: no range is widened past it."
    )
    fixed_reason: str | None = Field(
        None,
        description="Why a hyperparameter is fixed on purpose, such as earlier evidence that it hardly matters; it "
        "becomes a caveat of the conclusion and no warning.",
        max_length=256,
    )

    @property
    def parameter_name(self) -> str:
        """The name under which the container receives this hyperparameter."""
        return self.parameter or self.name

    @property
    def effective_value_type(self) -> ValueType:
        """How the value stands in the container's JSON."""
        if self.type.is_list:
            return self.value_type or ValueType.STRING
        return ValueType.FLOAT if self.type is HyperparameterType.FLOAT else ValueType.INTEGER
