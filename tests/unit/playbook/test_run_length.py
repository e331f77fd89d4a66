"""How many steps a trial trains."""

import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_operator.playbook.run_length import planned_length, run_length, study_length

MAX_STEPS = {"name": "max_steps", "type": "Integer", "role": "Fixed", "value": "600"}
RATE = {"learning_rate": 0.1}


def test_a_trial_knows_best_then_the_study_then_its_parameter_then_its_curve() -> None:
    told = spec_of(training={"maxSteps": 500})
    by_parameter = spec_of([LEARNING_RATE, MAX_STEPS])
    unknown = spec_of()
    assert run_length(study_of(told), trial_of(told, 0, RATE, max_steps=700)) == 700
    assert run_length(study_of(told), trial_of(told, 0, RATE)) == 500
    assert run_length(study_of(by_parameter), trial_of(by_parameter, 0, RATE)) == 600
    assert run_length(study_of(unknown), trial_of(unknown, 0, RATE, curve=[1, 2, 3])) == 30
    assert run_length(study_of(unknown), trial_of(unknown, 0, RATE)) is None


def test_a_number_of_epochs_is_no_number_of_steps() -> None:
    spec = spec_of([LEARNING_RATE, MAX_STEPS | {"name": "epochs", "value": "10"}], training={"unit": "Epochs"})
    study = study_of(spec, [trial_of(spec, 0, RATE, curve=[1.0] * 50)])
    assert run_length(study, study.trials[0]) == 500
    assert planned_length(spec) is None
    assert study_length(study) == 500


def test_a_length_that_the_curve_has_passed_counted_something_else() -> None:
    spec = spec_of([LEARNING_RATE, MAX_STEPS | {"name": "epochs", "value": "10"}])
    assert run_length(study_of(spec), trial_of(spec, 0, RATE, curve=[1.0] * 50)) == 500


@pytest.mark.parametrize("value", ["0", "-5"])
def test_a_length_that_is_none_is_not_known(value: str) -> None:
    assert planned_length(spec_of([LEARNING_RATE, MAX_STEPS | {"value": value}])) is None
    assert study_length(study_of(spec_of())) is None
