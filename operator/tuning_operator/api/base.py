"""What all models of the custom resources share."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

GROUP: Final = "tuning-operator.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"


class Model(BaseModel):
    """A part of a custom resource: camelCase outside, snake_case inside, immutable once read.

    Unknown fields are ignored on reading: the API server has pruned them, and a newer CRD may know more than we do.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that the API server stores; absent fields are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[datetime, PlainSerializer(_rfc3339, when_used="json")]
"""A moment in UTC, in whole seconds, as `metav1.Time` writes it."""


class ConditionStatus(StrEnum):
    """The three answers of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One observation of the object's state, as in `metav1.Condition`."""

    type: str = Field(description="What is observed, in CamelCase.", max_length=63)
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: str = Field(description="Why, in one CamelCase word that programs may rely on.", max_length=128)
    message: str = Field(description="Why, for people; where something is to be done, it says what.", max_length=2048)
    observed_generation: int = Field(0, description="The metadata.generation that this was observed for.", ge=0)
    last_transition_time: Time = Field(description="When the status last changed.")
