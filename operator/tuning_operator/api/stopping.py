"""When a study's trials are stopped before their schedule ends."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from tuning_operator.api.base import Model
from tuning_operator.api.hyperparameters import NAME_PATTERN
from tuning_operator.api.rules import validated_by
from tuning_operator.api.study_rules import STOPPING_RULES


class StoppingRule(StrEnum):
    """When a trial is ended before its schedule is."""

    NONE = "None"
    DIVERGED_ONLY = "DivergedOnly"
    MEDIAN = "Median"
    SUCCESSIVE_HALVING = "SuccessiveHalving"

    @property
    def compares(self) -> bool:
        """Whether it judges a trial by the others' curves."""
        return self in (StoppingRule.MEDIAN, StoppingRule.SUCCESSIVE_HALVING)


class Stopping(Model):
    """When trials are stopped early, from their curves as Prometheus has them."""

    model_config = ConfigDict(json_schema_extra=validated_by(*STOPPING_RULES))

    rule: StoppingRule = Field(
        StoppingRule.DIVERGED_ONLY,
        description="DivergedOnly: what is not finite, or worse than at the start for a fifth of the run and not "
        "improving. Median: also what is worse than the median of the others at its fraction of the schedule. "
        "SuccessiveHalving: also pauses, at each rung, all but the best; they go on from their checkpoint when they "
        "rise. None: nothing. In exploration complete curves are worth more than what stopping saves.",
    )
    steps_parameter: str = Field(
        "max_steps",
        description="The parameter that tells how many steps a trial trains: trials are compared at equal fractions.",
        pattern=NAME_PATTERN,
        max_length=63,
    )
    warmup_parameter: str = Field(
        "warmup_steps",
        description="The parameter that tells for how many steps the rate warms up: nothing is concluded there.",
        pattern=NAME_PATTERN,
        max_length=63,
    )
    min_trials: int | None = Field(
        None,
        description="How many other trials a comparison needs. Default: 5. Only with Median and SuccessiveHalving.",
        ge=1,
        le=1000,
    )
    grace_fraction: float | None = Field(
        None,
        description="The fraction of its schedule before which no trial is stopped. Default: 0.25. Only with Median.",
        ge=0.0,
        le=1.0,
    )
    eta: int | None = Field(
        None,
        description="The best 1/eta of a rung go on, and rungs are eta times apart. Default: 3. Only with "
        "SuccessiveHalving.",
        ge=2,
        le=16,
    )
    min_fraction: float | None = Field(
        None,
        description="The fraction of the schedule at which the first rung is. Default: 1/9. Only with "
        "SuccessiveHalving.",
        ge=0.001,
        le=0.9,
    )
