"""The numbers that verdicts are measured against: named, with their origin, and each study may set its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tuning_operator.api.findings import ThresholdUsed


class Origin(StrEnum):
    """Where a threshold is from."""

    TEXT = "Text"
    """The Playbook states it."""
    FIGURE = "Figure"
    """It was read off one of the Playbook's figures."""
    DEFAULT = "Default"
    """Ours: the Playbook leaves it to judgement."""
    STUDY = "Study"
    """The study has set it."""


@dataclass(frozen=True)
class Threshold:
    """One number that a rule uses. Declared beside its rule."""

    name: str
    """As in `spec.thresholds`, in camelCase, such as `edgeBand`."""
    value: float
    origin: Origin
    meaning: str
    """With its unit, for the reference."""
    low: float = 0.0
    """The smallest value that a study may set."""
    high: float = float("inf")


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of one study."""

    overrides: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, threshold: Threshold) -> float:
        """Return the study's value, else the default."""
        return self.overrides.get(threshold.name, threshold.value)

    def used(self, *thresholds: Threshold) -> list[ThresholdUsed]:
        """Return what a finding's evidence says of the thresholds that it rests on."""
        return [
            ThresholdUsed(
                name=t.name,
                value=self[t],
                origin=(Origin.STUDY if t.name in self.overrides else t.origin).value,
            )
            for t in thresholds
        ]


DEFAULTS = Thresholds()
