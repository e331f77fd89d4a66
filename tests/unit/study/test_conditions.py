"""A condition's transition time moves only when its answer changes."""

import pytest

from tests.support.views import after
from tuning_operator.api.base import Condition
from tuning_operator.study.conditions import MAX_MESSAGE, condition, find, is_true, merged


def said(answer: bool | None, second: float, reason: str = "Because", kind: str = "Accepted") -> Condition:
    return condition(kind, answer, reason, "message", 1, after(second))


@pytest.mark.parametrize(("answer", "status"), [(True, "True"), (False, "False"), (None, "Unknown")])
def test_an_answer_is_written_as_kubernetes_does(answer: bool | None, status: str) -> None:
    assert said(answer, 0).status.value == status


def test_the_time_of_the_last_transition_stays_while_the_answer_does() -> None:
    (kept,) = merged([said(True, 0)], [said(True, 60, reason="Another")])
    assert (kept.last_transition_time, kept.reason) == (after(0), "Another")


def test_another_answer_is_a_transition() -> None:
    (changed,) = merged([said(True, 0)], [said(None, 60)])
    assert changed.last_transition_time == after(60)


def test_a_new_condition_begins_now() -> None:
    assert [c.last_transition_time for c in merged([said(True, 0)], [said(True, 9, kind="Failed")])] == [after(9)]


def test_times_have_whole_seconds_as_the_api_stores_them() -> None:
    first = said(True, 0.75)
    assert first.last_transition_time == after(0)
    assert Condition.model_validate(first.to_json()) == first


def test_a_long_message_is_cut() -> None:
    cut = condition("Accepted", True, "R", "x" * 5000, 1, after(0)).message
    assert (len(cut), cut[-1]) == (MAX_MESSAGE, "…")


def test_conditions_are_found_by_type() -> None:
    there = [said(False, 0), said(True, 0, kind="Failed")]
    assert find(there, "Accepted") is there[0]
    assert find(there, "Absent") is None
    assert [is_true(there, kind) for kind in ("Accepted", "Failed", "Absent")] == [False, True, False]
