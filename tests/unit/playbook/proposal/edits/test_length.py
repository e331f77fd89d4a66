"""How long the next study's trials train."""

import pytest

from tests.support.findings import finding
from tests.support.studies import LEARNING_RATE, spec_of, study_of
from tuning_operator.api.findings import Code, Evidence, Finding, Severity
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.curves.step_budget import CONFOUNDED
from tuning_operator.playbook.proposal.change import Change
from tuning_operator.playbook.proposal.edits.length import of_another_length

STEPS = {"name": "steps", "parameter": "max_steps", "type": "Integer", "role": "Fixed", "value": "1000"}


def too_long(proposed: float = 320.4) -> Finding:
    return finding(Code.STEP_BUDGET, "TooLong", Severity.INFO, numbers={"proposedSteps": proposed})


def changed(spec: TuningStudySpec, found: Finding) -> Change:
    return of_another_length(study_of(spec), [found], Change(spec))


def test_all_trials_get_the_number_of_steps_that_the_best_ones_ask_for() -> None:
    change = changed(spec_of([LEARNING_RATE, STEPS], training={"maxSteps": 1000}), too_long())
    steps = change.hyperparameter("steps")
    assert steps is not None
    assert steps.value == "320"
    assert change.spec.training.max_steps == 320
    assert len(change.reasons) >= 1


def test_a_study_that_says_its_length_nowhere_stays_as_it_is() -> None:
    spec = spec_of([LEARNING_RATE])
    assert changed(spec, too_long()) == Change(spec)


@pytest.mark.parametrize("proposed", [0.2, 1e300])
def test_a_length_that_makes_no_sense_is_not_proposed(proposed: float) -> None:
    spec = spec_of([LEARNING_RATE, STEPS])
    assert changed(spec, too_long(proposed)) == Change(spec)


def test_late_best_steps_that_the_decay_explains_ask_for_nothing() -> None:
    late = finding(Code.STEP_BUDGET, "TooShort", Severity.INFO).model_copy(
        update={"evidence": Evidence(numbers={"proposedSteps": 1500.0}, notes=[f"{CONFOUNDED}: it reaches zero."])}
    )
    spec = spec_of([LEARNING_RATE, STEPS])
    assert changed(spec, late) == Change(spec)
