"""Trials that a study runs after its search, because the Playbook asks for them: retrains and probes."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuning_contract.environment import ParameterValue
from tuning_operator.playbook.records import Purpose
from tuning_operator.search.space import Assignment


@dataclass(frozen=True)
class FollowUp:
    """One more trial of a study."""

    purpose: Purpose
    number: int
    """Its number among the study's trials of this purpose, from 0."""
    of: str
    """The trial that it repeats or probes."""
    assignment: Assignment
    parameters: Mapping[str, ParameterValue]
    """What the container is to receive."""
    seed: int
    """The root of its randomness, in [0, 2**31)."""
