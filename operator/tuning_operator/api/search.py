"""How a study's search space is searched."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from tuning_operator.api.base import Model
from tuning_operator.api.hyperparameters import ValueText
from tuning_operator.api.rules import validated_by
from tuning_operator.api.study_rules import SEARCH_RULES

MAX_POINTS = 256
POINTS_PER_RANGE = 5
"""Of a Grid, where the study says nothing else."""


class Algorithm(StrEnum):
    """How points of the search space are chosen."""

    QUASI_RANDOM = "QuasiRandom"
    RANDOM = "Random"
    GRID = "Grid"
    LIST = "List"
    BAYESIAN = "Bayesian"


class Design(StrEnum):
    """How scientific values and nuisance parameters are combined."""

    ARMS = "Arms"
    JOINT = "Joint"


class Switch(Model):
    """Another algorithm from some trial on."""

    algorithm: Algorithm = Field(description="The algorithm to go over to: Bayesian.")
    after_trials: int = Field(
        description="After how many trials of the first algorithm; divided over the arms as maxTrials is.",
        ge=1,
        le=10_000,
    )


class Search(Model):
    """How the search space is explored."""

    model_config = ConfigDict(json_schema_extra=validated_by(*SEARCH_RULES))

    algorithm: Algorithm = Field(
        Algorithm.QUASI_RANDOM,
        description="QuasiRandom: a scrambled Halton sequence, the Playbook's choice for exploration. Random: "
        "independent points. Grid: all combinations, in random order. List: the points of `points` and no others. "
        "Bayesian: points that a model of the results expects to be best, for exploitation; it begins quasi-randomly.",
    )
    switch_to: Switch | None = Field(
        None,
        description="Goes over to another algorithm, such as from QuasiRandom to Bayesian when exploration is done.",
    )
    points: list[dict[str, ValueText]] | None = Field(
        None,
        description="Your own points, tried first, in this order: for each a map from the name of every hyperparameter "
        "that is searched and exists in it to its value, as a string.",
        min_length=1,
        max_length=MAX_POINTS,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    points_per_range: int | None = Field(
        None,
        description="How many values a Grid has along each range, its ends among them. Default: 5. Only with Grid.",
        ge=2,
        le=100,
    )
    replicates: int = Field(
        1,
        description="How many trials each point gets, alike but for their seed: to see how much of a difference is "
        "chance. Each of them counts towards maxTrials; their mean is the point's value.",
        ge=1,
        le=100,
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
