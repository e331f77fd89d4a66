"""What the search sees of a study's trials, and of those of the studies before it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.views import a_result, a_snapshot, a_spec, a_study, a_trial
from tuning_contract.environment import ParameterValue
from tuning_operator.api.study_status import ParameterAssignment
from tuning_operator.api.trial import StopRecord
from tuning_operator.search.observation import Observation
from tuning_operator.study.evidence import Evidence, observations_of, previous_evidence
from tuning_operator.study.snapshot import PreviousStudy, TrialView


def at(trial: TrialView, **values: str) -> TrialView:
    """Return the trial at a point."""
    assignments = [ParameterAssignment(name=name, value=value) for name, value in values.items()]
    spec = trial.spec.model_copy(update={"assignments": assignments})
    return TrialView(trial.name, trial.uid, "1", trial.created, False, spec, trial.status)


def seen(trial: TrialView, direction: str = "Minimize") -> Observation:
    (found,) = observations_of(a_spec(objective={"direction": direction}), [trial])
    return found


@pytest.mark.parametrize(
    ("state", "value", "direction", "loss", "pending", "infeasible", "failed"),
    [
        ("Succeeded", 0.5, "Minimize", 0.5, False, False, False),
        ("Succeeded", 0.5, "Maximize", -0.5, False, False, False),
        ("Infeasible", None, "Minimize", None, False, True, False),
        # a value that was seen before the end is none
        ("Infeasible", 0.5, "Minimize", None, False, True, False),
        ("Failed", None, "Minimize", None, False, False, True),
        ("Stopped", None, "Minimize", None, False, False, True),
        ("Pending", None, "Minimize", None, True, False, False),
        ("Running", None, "Minimize", None, True, False, False),
        ("Suspended", None, "Minimize", None, True, False, False),
    ],
)
def test_each_state_is_one_kind_of_evidence(
    state: str, value: float | None, direction: str, loss: float | None, pending: bool, infeasible: bool, failed: bool
) -> None:
    result = None if value is None else a_result(value)
    found = seen(a_trial(state=state, result=result), direction)
    assert (found.loss, found.is_pending, found.infeasible, found.failed) == (loss, pending, infeasible, failed)


def test_points_are_read_back_as_they_were_drawn() -> None:
    spec = a_spec(
        hyperparameters=[
            a_range("rate"),
            a_range("n", type="Integer", low=1, high=9),
            a_choice("on", role="Nuisance", values=["true", "false"], valueType="Boolean"),
        ]
    )
    (found,) = observations_of(spec, [at(a_trial(3, arm=0, position=3), rate="0.001", n="4", on="true")])
    assert (found.arm, found.position) == (0, 3)
    assert found.assignment == {"rate": 0.001, "n": 4, "on": True}


def test_they_come_in_the_order_of_their_numbers() -> None:
    trials = [a_trial(i) for i in (2, 0, 1)]
    assert [o.position for o in observations_of(a_spec(), trials)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("rule", "loss", "infeasible"),
    [("Median", 0.5, False), ("SuccessiveHalving", 0.5, False), ("DivergedOnly", None, True)],
)
def test_a_stopped_trial_says_how_far_it_came_or_that_it_diverged(
    rule: str, loss: float | None, infeasible: bool
) -> None:
    stop = StopRecord(rule=rule, reason="R", step=10)
    found = seen(a_trial(state="Stopped", result=a_result(0.5), stop=stop))
    assert (found.loss, found.infeasible, found.is_pending) == (loss, infeasible, False)


# --- studies before it -----------------------------------------------------------------------------------------------

SPACE = [
    a_choice(),
    a_range("rate", parameter="learning_rate", low=1e-3, high=1.0, scale="Log"),
    a_range("momentum", when={"name": "optimizer", "values": ["nesterov"]}),
    a_fixed(),
]
ADAMW: dict[str, ParameterValue] = {"optimizer": "adamw", "learning_rate": 0.1, "max_steps": 600}


def ran(parameters: dict[str, ParameterValue], **status: Any) -> TrialView:
    """A trial of an earlier study, with a result."""
    trial = a_trial(**{"state": "Succeeded", "result": a_result(0.5), **status})
    return replace(trial, spec=trial.spec.model_copy(update={"parameters": json.dumps(parameters)}))


def learnt(*trials: TrialView, **their_spec: Any) -> Evidence:
    earlier = PreviousStudy("before", a_study(**their_spec), trials)
    return previous_evidence(a_snapshot(a_study(hyperparameters=SPACE), previous=(earlier,)))


def test_a_trial_of_an_earlier_study_stands_in_its_arm_under_this_study_s_names() -> None:
    found = learnt(ran({**ADAMW, "optimizer": "nesterov", "momentum": 0.5}), ran(ADAMW))
    assert [(o.arm, o.position, o.loss) for o in found.observations] == [(1, -2, 0.5), (0, -1, 0.5)]
    assert found.observations[1].assignment == {"optimizer": "adamw", "rate": 0.1, "max_steps": 600}
    assert [(e.study, e.trials, e.note) for e in found.summary] == [("before", 2, None)]


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"learning_rate": 5.0}, True),  # outside the range: the model can use it
        ({"optimizer": "lion"}, False),
        ({"max_steps": 1200}, False),
        ({"momentum": 0.5}, False),  # set there, and not here
        ({"learning_rate": None}, False),
        ({"learning_rate": "fast"}, False),
        ({"learning_rate": True}, False),
    ],
)
def test_only_what_this_study_might_have_run_counts(changes: dict[str, Any], counts: bool) -> None:
    parameters = {name: value for name, value in {**ADAMW, **changes}.items() if value is not None}
    found = learnt(ran(parameters))
    assert len(found.observations) == found.summary[0].trials == int(counts)
    assert (found.summary[0].note is None) is counts


def test_only_what_has_ended_with_a_result_teaches() -> None:
    found = learnt(ran(ADAMW, state="Running"), ran(ADAMW, state="Failed"), ran(ADAMW, state="Infeasible", result=None))
    assert [(o.loss, o.infeasible) for o in found.observations] == [(None, True)]


@pytest.mark.parametrize("objective", [{"metric": "validation_error"}, {"direction": "Maximize"}, {"at": "Last"}])
def test_another_objective_teaches_nothing(objective: dict[str, str]) -> None:
    found = learnt(ran(ADAMW), objective=objective)
    assert found.observations == ()
    assert found.summary[0].note == "it has another objective"


def test_a_study_that_is_not_there_is_named() -> None:
    found = previous_evidence(a_snapshot(previous=(PreviousStudy("gone"),)))
    assert (found.summary[0].trials, found.summary[0].note) == (0, "there is no study of this name in the namespace")


def of_metrics(**values: float) -> list[dict[str, Any]]:
    return [{"metric": name, "at": "Best", "value": value} for name, value in values.items()]


LIMITED: dict[str, Any] = {
    "objective": {"constraints": [{"metric": "latency", "max": 10.0}, {"metric": "size", "min": 1.0}]}
}


def test_a_constraint_s_metric_and_the_second_objective_are_seen_beside_the_loss() -> None:
    result = a_result(0.5, metrics=of_metrics(latency=12.0, accuracy=0.75), violations=["latency"])
    spec = a_spec(**LIMITED, secondObjective={"metric": "accuracy", "direction": "Maximize"})
    (found,) = observations_of(spec, [a_trial(state="Succeeded", result=result)])
    assert (found.loss, found.second_loss, found.constrained) == (0.5, -0.75, (12.0, None))
    assert not found.infeasible


@pytest.mark.parametrize("state", ["Running", "Infeasible", "Failed"])
def test_of_a_trial_without_a_result_nothing_further_is_known(state: str) -> None:
    result = a_result(0.5, metrics=of_metrics(latency=12.0))
    spec = a_spec(**LIMITED, secondObjective={"metric": "latency"})
    (found,) = observations_of(spec, [a_trial(state=state, result=result)])
    assert (found.second_loss, found.constrained) == (None, (None, None))


def test_an_earlier_study_s_trials_are_held_to_this_study_s_constraints() -> None:
    result = a_result(0.5, metrics=of_metrics(latency=12.0))
    trial = at(a_trial(state="Succeeded", result=result), learning_rate="0.1")
    trial = replace(trial, spec=trial.spec.model_copy(update={"parameters": '{"learning_rate":0.1}'}))
    before = a_study(secondObjective={"metric": "latency"})
    study = a_study(**LIMITED, search={"algorithm": "Bayesian"}, previousStudies=["before"])
    found = previous_evidence(a_snapshot(study, previous=(PreviousStudy("before", before, (trial,)),)))
    assert [(o.loss, o.second_loss, o.constrained) for o in found.observations] == [(0.5, None, (12.0, None))]
