"""Trials that no operator has judged are held to the constraints as the operator would hold them."""

import math
from typing import Any

import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.arms import whole
from tuning_operator.playbook.constraints import constrained_value, unmeasured, violations_of
from tuning_operator.playbook.records import Curve

NAN, INF = math.nan, math.inf


def spec(at: str | None = None, **objective: Any) -> TuningStudySpec:
    constraint = {"metric": "latency", "max": 10.0, **({} if at is None else {"at": at})}
    return spec_of(objective={"constraints": [constraint], **objective})


def curve(losses: list[float], latencies: list[float] | None) -> Curve:
    values = {"validation_loss": tuple(losses)} | ({} if latencies is None else {"latency": tuple(latencies)})
    return Curve(tuple(range(10, 10 * len(losses) + 1, 10)), values)


@pytest.mark.parametrize(
    ("at", "direction", "value"),
    [
        (None, "Minimize", 12.0),
        ("Best", "Minimize", 12.0),
        ("Best", "Maximize", 8.0),
        ("Last", "Minimize", 9.0),
        ("LateMedian", "Minimize", 9.0),
    ],
)
def test_a_constraint_is_judged_where_it_counts(at: str | None, direction: str, value: float) -> None:
    study, seen = spec(at, direction=direction), curve([0.9, 0.5, 0.6], [8.0, 12.0, 9.0])
    constraint = (study.objective.constraints or [])[0]
    assert constrained_value(study, constraint, seen) == value
    assert violations_of(study, seen) == (("latency",) if value > 10 else ())
    assert unmeasured(study, seen) == ()


@pytest.mark.parametrize("latencies", [None, [8.0, NAN, 9.0]])
def test_what_was_not_measured_there_is_said_to_be_unknown_and_no_pass(latencies: list[float] | None) -> None:
    seen = curve([0.9, 0.5, 0.6], latencies)
    assert (violations_of(spec(), seen), unmeasured(spec(), seen)) == ((), ("latency",))


def test_without_evaluations_nothing_is_known() -> None:
    assert (violations_of(spec(), Curve()), unmeasured(spec(), Curve())) == ((), ("latency",))
    assert (violations_of(spec_of(), Curve()), unmeasured(spec_of(), Curve())) == ((), ())


def test_infinity_is_above_every_limit() -> None:
    assert violations_of(spec(), curve([0.5], [INF])) == ("latency",)


def test_a_violating_trial_is_neither_the_best_of_its_arm_nor_infeasible() -> None:
    study = spec()
    points = [{"learning_rate": 0.1 * (i + 1)} for i in range(3)]
    trials = [
        trial_of(study, 0, points[0], 0.1, violations=("latency",)),
        trial_of(study, 1, points[1], 0.5),
        trial_of(study, 2, points[2], 0.4),
    ]
    arm = whole(study_of(study, trials))
    assert [t.name for t in arm.feasible] == ["t-2", "t-1"]
    assert [t.name for t in arm.violating] == ["t-0"]
    assert arm.infeasible == ()
