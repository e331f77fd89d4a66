"""Conditions: set by type, with a transition time that moves only when the answer changes."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from tuning_operator.api.base import Condition, ConditionStatus

MAX_MESSAGE = 1024


def condition(kind: str, answer: bool | None, reason: str, message: str, generation: int, now: datetime) -> Condition:
    """Return a condition that was observed now; `answer` None means Unknown."""
    status = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}[answer]
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=cut(message),
        observed_generation=generation,
        last_transition_time=now.replace(microsecond=0),
    )


def cut(message: str) -> str:
    """Return a message for people at a length that the API takes."""
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"


def merged(old: Iterable[Condition], new: Sequence[Condition]) -> list[Condition]:
    """Return the new conditions, each with the old transition time where its status is the same."""
    before = {c.type: c for c in old}
    return [
        c.model_copy(update={"last_transition_time": before[c.type].last_transition_time})
        if c.type in before and before[c.type].status is c.status
        else c
        for c in new
    ]


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """Return the condition of that type; None where there is none."""
    return next((c for c in conditions if c.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: str) -> bool:
    """Whether there is such a condition and it is True."""
    found = find(conditions, kind)
    return found is not None and found.status is ConditionStatus.TRUE
