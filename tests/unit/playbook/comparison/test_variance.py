"""Three kinds of variance are told apart: training again, searching again, other data."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tests.unit.playbook.comparison.test_adoption import study
from tuning_contract.diagnostics import Diagnostics, Evaluation
from tuning_operator.playbook.comparison.luck import best_of
from tuning_operator.playbook.comparison.variance import data_deviation, variances


def test_each_arm_has_its_own_numbers() -> None:
    old, new = variances(study([1.00, 1.02, 0.98], []))
    assert old.trial == pytest.approx(0.02)
    assert new.trial is None
    assert old.study == pytest.approx(best_of([0.95, 1.05, 1.15, 1.25], 2)[1])
    assert (old.data, new.data) == (None, None)


def test_an_earlier_studys_deviation_is_taken_where_there_are_no_retrains() -> None:
    found = variances(study([], [], baseline={"scientific": {"variant": "old"}, "retrainDeviation": 0.03}))
    assert [v.trial for v in found] == [0.03, 0.03]


def test_without_trials_nothing_is_known() -> None:
    empty = replace(study([], []), trials=())
    assert [(v.trial, v.study, v.data) for v in variances(empty)] == [(None, None, None)] * 2


@pytest.mark.parametrize(
    ("metric", "value", "diagnostics", "expected"),
    [
        ("validation_error", 0.1, Diagnostics(full_evaluation=Evaluation(0.1, 900)), 0.01),
        ("top1", 0.9, Diagnostics(full_evaluation=Evaluation(0.1, 900)), 0.01),
        ("validation_loss", 0.35, Diagnostics(full_evaluation=Evaluation(0.1, 900)), None),
        ("accuracy", 0.9, Diagnostics(dataset_size=900), 0.01),
        ("validation_loss", 0.9, Diagnostics(dataset_size=900), None),
        ("accuracy", 0.9, Diagnostics(), None),
    ],
)
def test_a_fraction_of_examples_has_a_binomial_error(
    metric: str, value: float, diagnostics: Diagnostics, expected: float | None
) -> None:
    fields: dict[str, Any] = {"objective": {"metric": metric}}
    spec = spec_of(**fields)
    trial = trial_of(spec, 0, {"learning_rate": 0.1}, value, diagnostics=diagnostics)
    found = data_deviation(study_of(spec, [trial]), trial)
    assert found == (expected and pytest.approx(expected))
    assert found is None or math.isfinite(found)
