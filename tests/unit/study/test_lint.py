"""What the Playbook holds against a study is seen where one looks first, and stops it only where the study says so."""

from typing import Any

import pytest

from tests.support.builders import a_choice, a_range
from tests.support.views import a_snapshot, a_spec, a_study
from tuning_operator.study.acceptance import Refused, check
from tuning_operator.study.decide import decide
from tuning_operator.study.lint import blocking, caution, told

GOAL = {"question": "Which batch size is best?"}
BATCHES = a_choice("batch_size", values=["32", "64"], valueType="Integer", role="Nuisance")
SPACE = [a_range("learning_rate", low=1e-4, high=1.0, scale="Log"), BATCHES]
ACKNOWLEDGED = {"code": "Specification", "verdict": "BatchSizeSearched", "reason": "it is about speed"}


def accepted(**spec: Any) -> tuple[str, str, str]:
    """Return status, reason and message of the condition Accepted."""
    decision = decide(a_snapshot(a_study(**spec)))
    assert decision.study_status is not None
    (it,) = (c for c in decision.study_status.conditions if c.type == "Accepted")
    return it.status.value, it.reason, it.message


def test_a_study_that_the_playbook_would_not_run_runs_and_its_acceptance_says_why_not() -> None:
    status, reason, message = accepted(goal=GOAL, hyperparameters=SPACE)
    assert (status, reason) == ("True", "Valid")
    assert "The Playbook would draw no conclusion: BatchSizeSearched: batch_size is tuned" in message
    assert "Fix batch_size to the largest size" in message
    decision = decide(a_snapshot(a_study(goal=GOAL, hyperparameters=SPACE)))
    assert len(decision.new_trials) == 1
    assert [(event.reason, "BatchSizeSearched" in event.message) for event in decision.events] == [
        ("StudyAccepted", True)
    ]


def test_a_study_that_asks_for_it_is_refused_with_all_that_is_to_change() -> None:
    status, reason, message = accepted(lint="Enforce", hyperparameters=SPACE)
    assert (status, reason) == ("False", "PlaybookLint")
    for part in ("MissingGoal: The study has no goal.", "spec.goal.question", "BatchSizeSearched", "spec.acknowledge"):
        assert part in message
    decision = decide(a_snapshot(a_study(lint="Enforce", hyperparameters=SPACE)))
    assert decision.new_trials == ()
    assert [event.reason for event in decision.events] == ["StudyRejected"]


def test_what_only_restricts_a_conclusion_refuses_nothing_and_is_not_said_here() -> None:
    space = [a_choice(), a_choice("activation"), a_range("learning_rate", low=1e-4, high=1.0, scale="Log", when={
        "name": "optimizer", "values": ["adamw"]})]  # fmt: skip
    status, reason, message = accepted(lint="Enforce", goal=GOAL, hyperparameters=space)
    assert (status, reason) == ("True", "Valid")
    assert "Playbook" not in message


@pytest.mark.parametrize("lint", ["Warn", "Enforce"])
def test_what_is_acknowledged_is_neither_refused_nor_said(lint: str) -> None:
    status, _, message = accepted(lint=lint, goal=GOAL, hyperparameters=SPACE, acknowledge=[ACKNOWLEDGED])
    assert status == "True"
    assert "Playbook" not in message


def test_a_study_that_cannot_run_hears_of_that_first() -> None:
    broken = a_choice("a", when={"name": "b", "values": ["x"]})
    with pytest.raises(Refused) as refused:
        check(a_snapshot(a_study(lint="Enforce", hyperparameters=[broken])))
    assert refused.value.reason == "SearchSpaceInvalid"


def test_a_sound_study_has_nothing_to_be_cautious_of() -> None:
    assert caution("digits", a_spec(goal=GOAL)) == ""
    assert blocking("digits", a_spec(goal=GOAL)) == []


def test_of_many_reasons_the_first_are_told_in_full_and_all_are_named() -> None:
    values = {"values": [f"{number:x>100}" for number in range(32)], "role": "Nuisance"}
    space = [*SPACE, a_choice("optimizer", **values), a_range("max_steps", type="Integer", low=1, high=9)]
    found = blocking("digits", a_spec(hyperparameters=space, training={"evaluateEverySeconds": 60}))
    text = told(found)
    assert text.startswith("MissingGoal: The study has no goal. Say in spec.goal.question")
    assert all(finding.verdict in text for finding in found)
    assert len(text) < 1024
    assert len(told(found[3:4])) > 0
    status, _, message = accepted(lint="Enforce", hyperparameters=space)
    assert status == "False"
    assert len(message) <= 1024
    assert "spec.acknowledge" in message
