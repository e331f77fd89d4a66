"""Trials as values: what counts as a result."""

import math

import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.playbook.records import State, is_infrastructure

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("at", "curve", "loss"),
    [
        ("Best", [0.9, 0.2, 0.4], 0.2),
        ("Best", [0.9, NAN, 0.4, NAN], 0.4),
        ("Best", [NAN, INF], NAN),
        ("Best", [], NAN),
        ("Last", [0.9, 0.2, 0.4], 0.4),
        ("Last", [NAN, 0.2, NAN, 0.4, NAN], 0.4),
        ("Last", [0.2, 0.4, NAN], NAN),
        ("Last", [0.2, 0.4, INF], NAN),
        ("LateMedian", [*[0.9] * 18, 0.2, 0.4], 0.3),
        ("LateMedian", [0.9, NAN] * 10, 0.9),
        ("LateMedian", [0.9, 0.8, INF], NAN),
    ],
)
def test_the_result_is_the_evaluation_that_counts(at: str, curve: list[float], loss: float) -> None:
    spec = spec_of(objective={"metric": "validation_loss", "at": at})
    found = study_of(spec).loss(trial_of(spec, 0, {"learning_rate": 0.1}, curve=curve))
    assert found == pytest.approx(loss, nan_ok=True)


def test_a_result_known_apart_from_the_curve_counts_first() -> None:
    spec = spec_of()
    assert study_of(spec).loss(trial_of(spec, 0, {"learning_rate": 0.1}, 0.1, curve=[0.9, 0.2])) == 0.1


def test_a_maximised_objective_is_turned_and_turned_back() -> None:
    spec = spec_of(objective={"metric": "accuracy", "direction": "Maximize"})
    study, trial = study_of(spec), trial_of(spec, 0, {"learning_rate": 0.1}, curve=[0.5, 0.9, 0.8])
    assert study.loss(trial) == -0.9
    assert study.shown(study.loss(trial)) == 0.9
    assert study.losses(trial).tolist() == [-0.5, -0.9, -0.8]


def test_a_trial_that_never_measured_its_objective_is_not_measured() -> None:
    spec = spec_of()
    study = study_of(spec)
    assert not study.is_measured(trial_of(spec, 0, {"learning_rate": 0.1}, train=[1.0, 0.5]))
    assert study.is_measured(trial_of(spec, 0, {"learning_rate": 0.1}, curve=[NAN]))
    assert study.is_measured(trial_of(spec, 0, {"learning_rate": 0.1}, NAN, state=State.INFEASIBLE))


@pytest.mark.parametrize("reason", ["NodeLost", "node lost", "node_lost", "PREEMPTION", "image pull", "Evicted"])
def test_the_infrastructures_reasons_are_known_however_they_are_written(reason: str) -> None:
    assert is_infrastructure(reason)


@pytest.mark.parametrize("reason", ["", "OutOfMemory", "NonFiniteObjective", "Error"])
def test_a_trials_own_reasons_are_not_the_infrastructures(reason: str) -> None:
    assert not is_infrastructure(reason)
