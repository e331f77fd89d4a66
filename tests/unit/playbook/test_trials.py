"""A TuningTrial becomes the record that the rules read: from the operator's view and from kubectl's JSON alike."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from tests.support.studies import LEARNING_RATE, spec_of
from tests.support.views import NOW, a_study, a_trial
from tuning_contract.curve import Curve as WrittenCurve
from tuning_contract.curve import Row
from tuning_contract.diagnostics import Diagnostics, Evaluation
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.records import Curve, Purpose, State, TrialRecord
from tuning_operator.playbook.trials import WrittenTrial, study_record, trial_record
from tuning_operator.search.stopping.diverged import RULE as DIVERGED
from tuning_operator.study.snapshot import TrialView

SPEC = spec_of([LEARNING_RATE, {"name": "steps", "type": "Integer", "role": "Fixed", "value": "600"}])
CURVE = WrittenCurve(
    ("validation_loss", "train_loss", "grad_norm"),
    (Row(10, (2.0, 1.5, None)), Row(20, (math.inf, None, None))),
)


def record_of(spec: TuningStudySpec = SPEC, **status: Any) -> TrialRecord:
    return trial_record(spec, a_trial(3, **status))


def result(**fields: Any) -> dict[str, Any]:
    return {"source": "Record", **fields}


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        ("Pending", "PodStarting", State.RUNNING),
        ("Running", "PodRunning", State.RUNNING),
        ("Suspended", "Suspended", State.RUNNING),
        ("Paused", "WaitsAtRung", State.RUNNING),
        ("Succeeded", "Completed", State.SUCCEEDED),
        ("Infeasible", "NonFiniteObjective", State.INFEASIBLE),
        ("Infeasible", "OutOfMemory", State.INFEASIBLE),
        ("Failed", "Crashed", State.FAILED),
        ("Failed", "InfrastructureRetriesExceeded", State.LOST),
        ("Failed", "ResultLost", State.LOST),
        ("Pending", "PodLost", State.RUNNING),
        ("Stopped", "DeadlineReached", State.STOPPED),
    ],
)
def test_a_trial_of_any_state_is_read_and_lost_ones_have_not_failed(state: str, reason: str, told: State) -> None:
    record = record_of(state=state, reason=reason, message="why")
    assert (record.state, record.reason, record.message) == (told, reason, "why")
    assert record.stopped_by is None


@pytest.mark.parametrize("rule", [DIVERGED, "Median"])
def test_of_a_stopped_trial_the_rule_is_known(rule: str) -> None:
    record = record_of(state="Stopped", stop={"rule": rule, "reason": "Worse", "step": 30})
    assert (record.state, record.stopped_by) == (State.STOPPED, rule)


def test_what_was_drawn_and_when_it_began_is_kept() -> None:
    record = record_of(state="Running", start_time=NOW)
    assert (record.name, record.index, record.seed, record.started_at) == (a_trial(3).name, 3, 7, NOW)
    assert record.parameters == {"learning_rate": 0.4}
    assert record.assignment == {"learning_rate": 0.4, "steps": 600}
    assert record.purpose is Purpose.SEARCH


def test_a_trial_without_a_result_has_an_empty_curve_and_no_value() -> None:
    record = record_of(state="Running")
    assert (record.value, record.curve, record.diagnostics, record.violations) == (None, Curve(), Diagnostics(), ())


def test_the_curve_has_each_metric_with_gaps_where_it_was_not_measured() -> None:
    record = record_of(state="Succeeded", result=result(value=2.0, curve=json.dumps(CURVE.to_json())))
    assert record.value == 2.0
    assert record.curve.steps == (10, 20)
    values = {metric: tuple(series) for metric, series in record.curve.values.items()}
    assert repr(values) == "{'validation_loss': (2.0, inf), 'train_loss': (1.5, nan)}"


@pytest.mark.parametrize(("name", "value"), [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf")])
def test_a_value_that_is_not_finite_is_one(name: str, value: str) -> None:
    assert repr(record_of(state="Infeasible", result=result(nonFinite=name)).value) == value


def test_diagnostics_and_violated_constraints_are_read() -> None:
    diagnostics = Diagnostics(full_evaluation=Evaluation(0.25, 300))
    text = json.dumps(diagnostics.to_json())
    record = record_of(state="Succeeded", result=result(value=1.0, diagnostics=text, violations=["latency"]))
    assert (record.diagnostics, record.violations) == (diagnostics, ("latency",))


@pytest.mark.parametrize(
    ("hyperparameters", "training", "steps"),
    [
        ([], {}, None),
        ([], {"maxSteps": 900}, 900),
        ([{"name": "num_epochs", "type": "Integer", "role": "Fixed", "value": "12"}], {"maxSteps": 900}, 12),
        ([{"name": "n", "meaning": "maxSteps", "type": "Integer", "role": "Fixed", "value": "70"}], {}, 70),
        ([{"name": "steps", "meaning": "other", "type": "Integer", "role": "Fixed", "value": "70"}], {}, None),
        ([{"name": "steps", "type": "Categorical", "role": "Fixed", "value": "many"}], {"maxSteps": 900}, 900),
    ],
)
def test_how_long_it_was_to_train(
    hyperparameters: list[dict[str, Any]], training: dict[str, Any], steps: int | None
) -> None:
    assert record_of(spec_of([LEARNING_RATE, *hyperparameters], training=training)).max_steps == steps


def test_kubectl_s_json_says_the_same_as_the_operator_s_view() -> None:
    status = {"state": "Succeeded", "startTime": "2026-03-01T12:00:00Z", "result": result(value=0.5)}
    view = a_trial(3, state="Succeeded", start_time=NOW, result=result(value=0.5))
    manifest = {"metadata": {"name": view.name}, "spec": view.spec.to_json(), "status": status}
    assert trial_record(SPEC, WrittenTrial.from_json(manifest)) == trial_record(SPEC, view)


def test_a_trial_that_has_no_status_yet_is_pending() -> None:
    view = a_trial(3)
    written = WrittenTrial.from_json({"metadata": {"name": view.name}, "spec": view.spec.to_json()})
    assert trial_record(SPEC, written).state is State.RUNNING


@pytest.mark.parametrize("curve", ["[[10, 0.5]]", "no JSON", '{"columns": ["step", "a"], "rows": [[1]]}'])
def test_a_malformed_curve_is_told_by_the_trial_s_name(curve: str) -> None:
    with pytest.raises(ValueError, match=f"^{a_trial(3).name}: "):
        record_of(state="Succeeded", result=result(value=0.5, curve=curve))


def test_a_trial_of_another_space_is_told_by_its_name() -> None:
    other = spec_of([{**LEARNING_RATE, "name": "momentum"}])
    with pytest.raises(ValueError, match=r"^digits-\w+-3: parameters.momentum is missing"):
        record_of(other)


def test_a_study_has_its_trials_by_their_numbers() -> None:
    study = a_study()
    trials: list[TrialView] = [a_trial(2), replace(a_trial(1), name="other"), a_trial(0)]
    record = study_record(study, trials)
    assert (record.name, record.spec) == (study.name, study.spec)
    assert [trial.index for trial in record.trials] == [0, 1, 2]
    assert record.trials[1] == trial_record(study.spec, trials[1])
