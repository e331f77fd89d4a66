"""What a comparison came to, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tuning_contract.environment import ParameterValue
from tuning_operator.playbook.records import TrialRecord


class Reason(StrEnum):
    """Why there is a winner, or none."""

    WINNER = "Winner"
    TIE = "Tie"
    TIE_BY_STEP_VARIANCE = "TieByStepVariance"
    """The best evaluations differ, and late in training the order is another."""
    ONE_ARM = "OneArm"
    """There are no scientific values to compare."""
    ARM_WITHOUT_RESULT = "ArmWithoutResult"
    TOO_FEW_TRIALS = "TooFewTrials"
    """However clear the lead, chance could have made it."""


@dataclass(frozen=True)
class Standing:
    """What one arm, or one part of a scientific range, has come to."""

    scientific: Mapping[str, ParameterValue]
    best: TrialRecord | None
    loss: float
    """Of the best trial, turned so that smaller is better; infinite where there is none."""
    expected: float
    """The expected best of half as many trials as the smallest arm has; infinite where there is no result."""
    spread: float
    """The standard deviation of the same: the luck of the search."""
    tried: int
    """How many points were tried, infeasible ones among them."""
    interval: tuple[float, float] | None = None
    """Of a scientific range, the values that were not told apart from the best one."""


@dataclass(frozen=True)
class Outcome:
    """Which arm won, by how much and how surely."""

    ranked: tuple[Standing, ...]
    """All arms, the best result first."""
    reason: Reason
    winner: Standing | None = None
    difference: float | None = None
    """By how much the first of `ranked` is ahead of its rival, in the objective's units; None: nothing to compare."""
    uncertainty: float | None = None
    """The standard error of that difference: noise, and the luck of both searches."""
    p_value: float | None = None
    """How likely so large a lead is between identical arms, over all arms together."""
    note: str = ""
    """What decided, in a sentence."""

    @property
    def confidence(self) -> float | None:
        """One minus the probability of so large a lead by chance."""
        return None if self.p_value is None else 1 - self.p_value

    @property
    def values(self) -> dict[str, ParameterValue] | None:
        """The winner's scientific values; without any, the best trial's parameters; None: no winner."""
        if self.winner is None:
            return None
        best = self.winner.best
        return dict(self.winner.scientific) or (dict(best.parameters) if best is not None else None)
