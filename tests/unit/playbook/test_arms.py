"""The trials of a study, sorted: by scientific values, and by how they ended."""

import math
from typing import Any

import numpy as np
import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.playbook.arms import Arm, arms, is_infeasible, is_lost, noise, position, scientific_of, whole
from tuning_operator.playbook.records import Purpose, State, TrialRecord

NAN, INF = math.nan, math.inf
OPTIMIZER = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["sgd", "adam"]}
SPEC = spec_of()
ARMS = spec_of([OPTIMIZER, LEARNING_RATE])


def _trial(number: int = 0, value: float | None = None, **fields: Any) -> TrialRecord:
    return trial_of(SPEC, number, {"learning_rate": 0.1}, value, **fields)


def _whole(*trials: TrialRecord) -> Arm:
    return whole(study_of(SPEC, trials))


def _names(trials: tuple[TrialRecord, ...]) -> list[str]:
    return [trial.name for trial in trials]


def test_arms_come_in_the_manifests_order_those_without_trials_too() -> None:
    study = study_of(ARMS, [trial_of(ARMS, 0, {"optimizer": "adam", "learning_rate": 0.1}, 0.5)])
    assert [(dict(arm.scientific), len(arm.trials)) for arm in arms(study)] == [
        ({"optimizer": "sgd"}, 0),
        ({"optimizer": "adam"}, 1),
    ]


def test_a_study_without_scientific_values_is_one_arm() -> None:
    (arm,) = arms(study_of(SPEC, [_trial(0, 0.5)]))
    assert (arm.scientific, len(arm.trials), [h.name for h in arm.dimensions]) == ({}, 1, ["learning_rate"])


def test_a_study_without_trials_has_arms_without_a_best() -> None:
    for arm in (*arms(study_of(ARMS)), whole(study_of(ARMS))):
        assert arm.best is None
        assert not arm.top
        assert not arm.launched
        assert not arm.losses


def test_a_joint_designs_trials_belong_to_the_scientific_values_that_they_had() -> None:
    width = {"name": "width", "type": "Ordinal", "role": "Scientific", "values": ["9", "10"], "valueType": "Integer"}
    spec = spec_of([width, LEARNING_RATE], search={"design": "Joint"})
    study = study_of(spec, [trial_of(spec, i, {"width": 10, "learning_rate": 0.1}, 0.5) for i in range(3)])
    assert [(dict(arm.scientific), len(arm.trials)) for arm in arms(study)] == [({"width": 9}, 0), ({"width": 10}, 3)]
    assert [h.name for h in arms(study)[0].dimensions] == ["learning_rate"]
    assert [h.name for h in whole(study).dimensions] == ["width", "learning_rate"]


@pytest.mark.parametrize("design", [None, "Joint"])
def test_a_scientific_range_divides_no_trials_and_stays_a_dimension(design: str | None) -> None:
    decay = {"name": "weight_decay", "type": "Float", "role": "Scientific", "low": 1e-6, "high": 1e-2, "scale": "Log"}
    spec = spec_of([decay, LEARNING_RATE], search={"design": design} if design else {})
    study = study_of(spec, [trial_of(spec, 0, {"weight_decay": 1e-4, "learning_rate": 0.1}, 0.5)])
    (arm,) = arms(study)
    assert (dict(arm.scientific), len(arm.trials)) == ({}, 1)
    assert [(h.name, h.role.value) for h in arm.dimensions] == [
        ("weight_decay", "Scientific"),
        ("learning_rate", "Nuisance"),
    ]


def test_an_arm_has_the_dimensions_that_exist_in_it() -> None:
    when = {"when": {"name": "optimizer", "values": ["sgd"]}}
    spec = spec_of([OPTIMIZER, LEARNING_RATE, LEARNING_RATE | {"name": "momentum"} | when])
    assert [[h.name for h in arm.dimensions] for arm in arms(study_of(spec))] == [
        ["learning_rate", "momentum"],
        ["learning_rate"],
    ]


def test_a_number_that_a_table_wrote_otherwise_belongs_to_its_arm() -> None:
    width = {"name": "width", "type": "Ordinal", "role": "Scientific", "values": ["64", "128"], "valueType": "Integer"}
    spec = spec_of([width, LEARNING_RATE])
    trial = trial_of(spec, 0, {"width": 64.0, "learning_rate": 1}, 0.5)
    assert scientific_of(study_of(spec), trial) == {"width": 64}
    assert len(arms(study_of(spec, [trial]))[0].trials) == 1


def test_only_search_trials_that_have_ended_enter_an_arm() -> None:
    purposes = [_trial(i, 0.5, purpose=purpose) for i, purpose in enumerate(Purpose)]
    arm = _whole(*purposes, _trial(9, state=State.RUNNING, curve=[0.5]))
    assert [trial.purpose for trial in arm.trials] == [Purpose.SEARCH]


def test_trials_are_sorted_by_how_they_ended() -> None:
    arm = _whole(
        _trial(0, 0.5),
        _trial(1, 0.4),
        _trial(2, state=State.INFEASIBLE, reason="NonFiniteObjective"),
        _trial(3, state=State.INFEASIBLE, reason="OutOfMemory"),
        _trial(4, state=State.FAILED, reason="OOMKilled"),
        _trial(5, state=State.FAILED, reason="Error"),
        _trial(6, state=State.FAILED, reason="Evicted"),
        _trial(7, state=State.LOST),
        _trial(8, state=State.STOPPED, stopped_by="Median", curve=[0.9, 0.1]),
        _trial(9, state=State.STOPPED, stopped_by="DivergedOnly", curve=[0.9, 5.0]),
    )
    assert _names(arm.feasible) == ["t-1", "t-0"]
    assert _names(arm.infeasible) == ["t-2", "t-3", "t-4", "t-9"]
    assert _names(arm.failed) == ["t-5"]
    assert _names(arm.lost) == ["t-6", "t-7"]
    assert _names(arm.stopped) == ["t-8"]
    assert len(arm.launched) == 8


@pytest.mark.parametrize(
    ("fields", "infeasible"),
    [
        ({"value": NAN}, True),
        ({"value": INF}, True),
        ({"curve": [0.9, 0.5, NAN, NAN]}, True),
        ({"curve": [0.9, 0.5, INF]}, True),
        ({"curve": [NAN, NAN, NAN]}, True),
        ({"curve": [0.9, 0.8, 0.7], "train": [1.0, NAN, NAN]}, True),
        ({"curve": [0.9, 0.8, NAN], "train": [1.0, 0.9, NAN]}, True),
        ({"curve": [0.9, 0.8, 0.7], "train": [1.0, 0.9, INF]}, True),
        ({"curve": [0.9, INF, 0.7]}, False),
        # The objective at every third evaluation, the training loss at the others.
        ({"curve": [NAN, NAN, 0.9, NAN, NAN, 0.8, NAN], "train": [1.0, 0.9, NAN, 0.8, 0.7, NAN, 0.6]}, False),
        ({"curve": [0.9, NAN, 0.8, NAN], "train": [1.0, 0.9, 0.8, 0.7]}, False),
        # A last evaluation when training is over.
        ({"curve": [0.9, 0.8, 0.7], "train": [1.0, 0.9, NAN]}, False),
        # Nothing is known of the objective: no evidence either way.
        ({"train": [1.0, 0.9]}, False),
        ({}, False),
    ],
)
def test_a_loss_that_went_and_did_not_come_back_is_infeasible(fields: dict[str, Any], infeasible: bool) -> None:
    trial = _trial(0, **fields)
    assert is_infeasible(study_of(SPEC), trial) is infeasible


def test_a_trial_of_which_nothing_was_measured_is_neither_feasible_nor_infeasible() -> None:
    arm = _whole(_trial(0), _trial(1, train=[1.0, 0.5]))
    assert arm.feasible == arm.infeasible == ()
    assert len(arm.launched) == 2


def test_a_program_that_crashed_on_a_loss_that_is_no_number_has_infeasible_parameters() -> None:
    arm = _whole(
        _trial(0, state=State.FAILED, reason="Error", train=[1.0, 9.0, NAN]),
        _trial(1, state=State.FAILED, reason="Error", train=[1.0, 0.9]),
        _trial(2, state=State.FAILED, reason="Error"),
    )
    assert _names(arm.infeasible) == ["t-0"]
    assert _names(arm.failed) == ["t-1", "t-2"]


def test_what_the_infrastructure_ended_is_lost_whatever_it_is_called() -> None:
    assert is_lost(_trial(0, state=State.INFEASIBLE, reason="Preempted"))
    assert not is_lost(_trial(0, state=State.INFEASIBLE, reason="OutOfMemory"))
    assert not is_lost(_trial(0, 0.5, reason="Preempted"))


def _learning(value: float, first: float = 2.3) -> dict[str, Any]:
    return {"curve": [first, (first + value) / 2, value], "train": [first, (first + value) / 2, value]}


def test_a_result_far_from_the_others_without_any_learning_is_infeasible() -> None:
    good = [_trial(i, **_learning(0.3 + i / 100)) for i in range(9)]
    stuck = _trial(9, curve=[2.3, 2.31, 2.3], train=[2.3, 2.3, 2.3])
    slow = _trial(10, **_learning(2.0))
    arm = _whole(*good, stuck, slow)
    assert _names(arm.infeasible) == ["t-9"]
    assert arm.feasible[-1] is slow


def test_many_results_that_came_to_nothing_do_not_spoil_the_measure() -> None:
    arm = _whole(*(_trial(i, 0.3 + i / 100) for i in range(9)), *(_trial(9 + i, 1e6) for i in range(8)))
    assert len(arm.infeasible) == 8


def test_results_that_are_the_same_number_make_no_outlier_of_another() -> None:
    spec = spec_of(objective={"metric": "accuracy", "direction": "Maximize"})
    values = [0.9] * 8 + [0.89, 0.1]
    trials = [trial_of(spec, i, {"learning_rate": 0.1}, curve=[value, value]) for i, value in enumerate(values)]
    assert _names(whole(study_of(spec, trials)).infeasible) == ["t-9"]


def test_a_smooth_bowl_has_no_outliers() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        trials = [_trial(i, 0.3 + 2 * (rng.random() - 0.3) ** 2 + rng.normal(0, 0.002)) for i in range(20)]
        assert _whole(*trials).infeasible == ()


@pytest.mark.parametrize(("number", "top"), [(1, 1), (3, 3), (20, 3), (31, 4), (40, 4)])
def test_the_top_is_a_tenth_and_at_least_three(number: int, top: int) -> None:
    assert len(_whole(*(_trial(i, 0.5 + i / 100) for i in range(number))).top) == top


def test_a_maximised_objective_has_its_largest_value_first() -> None:
    spec = spec_of(objective={"metric": "accuracy", "direction": "Maximize"})
    study = study_of(spec, [trial_of(spec, i, {"learning_rate": 0.1}, v) for i, v in enumerate([0.5, 0.9, 0.7])])
    assert _names(whole(study).feasible) == ["t-1", "t-2", "t-0"]


def _h(**fields: Any) -> Hyperparameter:
    return Hyperparameter.model_validate(LEARNING_RATE | fields)


@pytest.mark.parametrize(
    ("fields", "value", "u"),
    [
        ({}, 1e-4, 0.0),
        ({}, 1e-2, 0.5),
        ({}, 10.0, 1.25),
        ({}, 0.0, None),
        ({}, -1.0, None),
        ({"scale": "Linear", "low": 0.0}, 0.25, 0.25),
        ({"scale": "ReverseLog", "low": 0.9, "high": 0.999}, 0.99, 0.5),
        ({"scale": "ReverseLog", "low": 0.9, "high": 0.999}, 1.0, None),
        ({"scale": "Linear", "low": 0.5, "high": 0.5}, 0.5, None),
        ({"type": "Integer", "scale": "Linear", "low": 1, "high": 4}, 1, 0.125),
    ],
)
def test_a_trials_position_is_measured_on_the_ranges_scale(
    fields: dict[str, Any], value: float, u: float | None
) -> None:
    trial = _trial(0)
    moved = TrialRecord(trial.name, {"learning_rate": value}, {}, State.SUCCEEDED)
    assert position(_h(**fields), moved) == (None if u is None else pytest.approx(u))


def test_a_hyperparameter_that_does_not_exist_in_a_trial_has_no_position() -> None:
    assert position(_h(name="momentum"), _trial(0)) is None


def _curve(seed: int, deviation: float) -> list[float]:
    return list(0.3 + np.random.default_rng(seed).normal(0, deviation, 200))


def test_noise_is_the_late_deviation_of_the_curves_where_there_are_no_retrains() -> None:
    trials = [_trial(i, curve=_curve(i, 0.01)) for i in range(5)]
    assert noise(study_of(SPEC, trials), trials) == pytest.approx(0.01, rel=0.3)


def test_curves_with_gaps_or_without_the_objective_do_not_spoil_the_noise() -> None:
    holed = [_trial(i, curve=[v if j % 2 else NAN for j, v in enumerate(_curve(i, 0.01))]) for i in range(5)]
    without = [_trial(5 + i, 0.3, train=[1.0, 0.5, 0.4]) for i in range(6)]
    short = [_trial(20 + i, curve=[0.9, 0.5]) for i in range(6)]
    assert noise(study_of(SPEC), [*holed, *without, *short]) == pytest.approx(0.01, rel=0.3)


def test_without_curves_and_retrains_no_noise_is_known() -> None:
    assert noise(study_of(SPEC), [_trial(i, 0.3) for i in range(5)]) == 0


def test_retrains_tell_the_noise_better_than_curves() -> None:
    original = _trial(0, 0.1, curve=_curve(0, 0.05))
    retrains = [_trial(i, 0.30 + d, purpose=Purpose.RETRAIN, of="t-0") for i, d in ((1, -0.01), (2, 0.0), (3, 0.01))]
    # Its own lucky result is not among them.
    assert noise(study_of(SPEC, [original, *retrains]), [original]) == pytest.approx(0.01)


def test_two_retrains_are_too_few_and_the_known_deviation_of_the_baseline_serves() -> None:
    spec = spec_of([OPTIMIZER, LEARNING_RATE], baseline={"scientific": {"optimizer": "sgd"}, "retrainDeviation": 0.02})
    retrains = [
        trial_of(spec, i, {"optimizer": "sgd", "learning_rate": 0.1}, 0.3 + i / 10, purpose=Purpose.RETRAIN)
        for i in range(2)
    ]
    assert noise(study_of(spec, retrains), []) == 0.02


def test_replicates_of_every_point_count_with_the_trials_that_they_repeat() -> None:
    trials = []
    for point in range(3):
        parameters = {"learning_rate": 10.0**-point}
        trials.append(trial_of(SPEC, 2 * point, parameters, 0.3 + point))
        trials.append(trial_of(SPEC, 2 * point + 1, parameters, 0.32 + point, purpose=Purpose.REPLICATE))
    assert noise(study_of(SPEC, trials), []) == pytest.approx(0.02 / math.sqrt(2))
