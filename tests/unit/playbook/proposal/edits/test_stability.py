"""What unstable training is given to try."""

from typing import Any

from tests.support.findings import finding
from tests.support.studies import LEARNING_RATE, spec_of, study_of
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Role
from tuning_operator.playbook.proposal.change import Change
from tuning_operator.playbook.proposal.edits.stability import clipped, warmed_up

PLAN = finding(
    Code.WARMUP,
    "Plan",
    Severity.INFO,
    parameter="learning_rate",
    numbers={"warmupSteps1": 10, "warmupSteps2": 77, "warmupSteps3": 600, "baseLearningRate": 10.0},
)
OPTIMIZER = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adam", "sgd"]}


def warmed(*hyperparameters: dict[str, Any]) -> Change:
    spec = spec_of([LEARNING_RATE, *hyperparameters])
    return warmed_up(study_of(spec), [PLAN], Change(spec))


def test_the_planned_warm_ups_are_compared_with_none_at_higher_rates() -> None:
    change = warmed()
    warmup, rate = change.hyperparameter("warmup_steps"), change.hyperparameter("learning_rate")
    assert warmup is not None
    assert rate is not None
    assert (warmup.role, warmup.values) == (Role.SCIENTIFIC, ["0", "10", "77", "600"])
    assert rate.high == 10.0
    assert change.spec.budget.max_trials == 40, "ten for each warm-up"
    assert change.spec.baseline is not None
    assert change.spec.baseline.scientific == {"warmup_steps": "0"}


def test_beside_another_question_they_are_searched() -> None:
    warmup = warmed(OPTIMIZER).hyperparameter("warmup_steps")
    assert warmup is not None
    assert warmup.role is Role.NUISANCE


def test_a_fixed_warm_up_is_opened_under_its_own_name() -> None:
    fixed = {"name": "warmup", "parameter": "num_warmup_steps", "type": "Integer", "role": "Fixed", "value": "0"}
    warmup = warmed(fixed).hyperparameter("warmup")
    assert warmup is not None
    assert (warmup.parameter_name, warmup.values) == ("num_warmup_steps", ["0", "10", "77", "600"])


def recommended(threshold: float) -> Finding:
    return finding(Code.CLIPPING, "Recommended", Severity.INFO, numbers={"threshold": threshold})


def test_gradients_are_clipped_at_the_recommended_norm() -> None:
    spec = spec_of([LEARNING_RATE])
    added = clipped(study_of(spec), [recommended(2.34567)], Change(spec)).hyperparameter("clip_norm")
    assert added is not None
    assert (added.role, added.value) == (Role.FIXED, "2.346")


def test_a_threshold_that_is_there_is_moved() -> None:
    spec = spec_of(
        [LEARNING_RATE, {"name": "clip", "parameter": "max_grad_norm", "type": "Float", "role": "Fixed", "value": "5"}]
    )
    moved = clipped(study_of(spec), [recommended(2.0)], Change(spec)).hyperparameter("clip")
    assert moved is not None
    assert (moved.parameter_name, moved.value) == ("max_grad_norm", "2")


def test_of_two_arms_the_smaller_norm_counts_and_is_said_once() -> None:
    spec = spec_of([LEARNING_RATE])
    change = clipped(study_of(spec), [recommended(3.0), recommended(2.0)], Change(spec))
    added = change.hyperparameter("clip_norm")
    assert added is not None
    assert added.value == "2"
    assert len(change.reasons) == 1


def test_clipping_waits_until_warm_ups_were_tried() -> None:
    spec = spec_of([LEARNING_RATE])
    assert clipped(study_of(spec), [PLAN, recommended(2.0)], Change(spec)) == Change(spec)
