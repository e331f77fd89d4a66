"""What a rule says, as values: each with the reason that goes into status, event and log.

A verdict follows from the curves as they were. Curves that come later may suggest another one, so the caller records
what it carries out and hands a stopped trial in as stopped; `rules.replayed` finds a recorded stop again.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stop:
    """End the trial for good; its result, if any, is a lower bound of what it could have been."""

    trial: str
    rule: str
    """As the study names it, such as Median."""
    step: int
    """The evaluation at which it could first be said."""
    reason: str
    """One CamelCase word."""
    message: str
    """For people."""
    evidence: Mapping[str, float] = field(default_factory=dict)
    """Finite numbers by name, the objective's with its own sign."""
    compared: tuple[str, ...] = ()
    """The trials that it was compared with, by name, itself perhaps among them: with these it can be found again."""


@dataclass(frozen=True)
class Pause:
    """End the trial's pod and keep its checkpoint: others are better at this rung."""

    trial: str
    rung: int
    """Counted from 0."""
    step: int
    """The evaluation at the rung."""
    message: str
    evidence: Mapping[str, float] = field(default_factory=dict)
    compared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pass:
    """Let a running trial go on past its rung; record `passed`, and it is not judged there again."""

    trial: str
    passed: int
    """How many rungs are behind it: the new value of `Curve.passed`."""
    message: str


@dataclass(frozen=True)
class Resume:
    """Start a paused trial again from its checkpoint: it belongs to the best of its rung by now. Record `passed`."""

    trial: str
    passed: int
    """How many rungs are behind it: the new value of `Curve.passed`."""
    message: str


@dataclass(frozen=True)
class Note:
    """Why a rule says nothing of some trials."""

    reason: str
    """One CamelCase word."""
    message: str
    trials: tuple[str, ...]


@dataclass(frozen=True)
class Verdicts:
    """All that a rule says at one moment, each kind by trial name; resumes with the most deserving first."""

    stops: tuple[Stop, ...] = ()
    pauses: tuple[Pause, ...] = ()
    passes: tuple[Pass, ...] = ()
    resumes: tuple[Resume, ...] = ()
    """All that may go on; the caller starts as many as it has slots free, before any new trial."""
    notes: tuple[Note, ...] = ()


def numbers(**named: float) -> dict[str, float]:
    """Return the finite ones: evidence goes into JSON, which has no others."""
    return {name: value for name, value in named.items() if math.isfinite(value)}
