"""Isolation plots show, for each value, the best trial over all other hyperparameters."""

import numpy as np
import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_operator.playbook.comparison.isolation import isolation
from tuning_operator.playbook.records import State

VALUES = {"name": "variant", "type": "Categorical", "role": "Scientific", "values": ["a", "b", "c"]}


def test_each_value_of_a_list_has_its_best_trial() -> None:
    spec = spec_of([VALUES, LEARNING_RATE])
    trials = [
        trial_of(spec, 0, {"variant": "a", "learning_rate": 0.1}, 0.3),
        trial_of(spec, 1, {"variant": "a", "learning_rate": 0.2}, 0.2),
        trial_of(spec, 2, {"variant": "b", "learning_rate": 0.1}, 0.25),
        trial_of(spec, 3, {"variant": "c", "learning_rate": 0.1}, state=State.INFEASIBLE),
    ]
    buckets = isolation(study_of(spec, trials), "variant")
    assert [(b.value, b.result) for b in buckets] == [("a", 0.2), ("b", 0.25), ("c", None)]
    assert buckets[0].best is trials[1]
    assert [len(b.infeasible) for b in buckets] == [0, 0, 1]
    assert buckets[0].interval is not None
    assert buckets[0].interval[0] < 0.2 < buckets[0].interval[1]


def test_a_range_is_divided_on_its_scale_and_each_part_has_its_best() -> None:
    spec = spec_of([LEARNING_RATE])
    rates = np.geomspace(1e-4, 1, 17)[:-1] * 1.01
    losses = [0.5, 0.4, 0.45, 0.6, 0.35, 0.3, 0.31, 0.4, 0.2, 0.25, 0.21, 0.3, 0.4, 0.5, 0.45, 0.6]
    trials = [
        trial_of(spec, i, {"learning_rate": float(r)}, v) for i, (r, v) in enumerate(zip(rates, losses, strict=True))
    ]
    buckets = isolation(study_of(spec, trials), "learning_rate")
    assert [b.result for b in buckets] == [0.4, 0.3, 0.2, 0.4]
    assert [b.low for b in buckets] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])
    assert buckets[-1].high == 1.0


@pytest.mark.parametrize("scale", ["Linear", "Log", "ReverseLog"])
def test_parts_without_trials_stay_empty(scale: str) -> None:
    spec = spec_of([{"name": "x", "type": "Float", "role": "Nuisance", "low": 0.1, "high": 0.9, "scale": scale}])
    buckets = isolation(study_of(spec, [trial_of(spec, 0, {"x": 0.11}, 0.3)]), "x")
    assert [b.result for b in buckets] == [0.3, None, None, None]
    assert all(b.is_uncertain for b in buckets)


def test_results_are_shown_as_they_are_measured() -> None:
    spec = spec_of([VALUES, LEARNING_RATE], objective={"metric": "accuracy", "direction": "Maximize"})
    trials = [trial_of(spec, i, {"variant": "a", "learning_rate": 0.1 + 0.1 * i}, 0.8 + 0.01 * i) for i in range(4)]
    assert isolation(study_of(spec, trials), "variant")[0].result == pytest.approx(0.83)


def test_trials_without_the_hyperparameter_are_left_out() -> None:
    momentum = {"name": "momentum", "type": "Float", "role": "Nuisance", "low": 0.0, "high": 1.0}
    spec = spec_of([VALUES, momentum | {"when": {"name": "variant", "values": ["a"]}}])
    trials = [trial_of(spec, 0, {"variant": "a", "momentum": 0.9}, 0.3), trial_of(spec, 1, {"variant": "b"}, 0.1)]
    assert [b.result for b in isolation(study_of(spec, trials), "momentum")] == [None, None, None, 0.3]


def test_an_integer_range_has_whole_edges() -> None:
    spec = spec_of([{"name": "width", "type": "Integer", "role": "Scientific", "low": 1, "high": 64, "scale": "Log"}])
    buckets = isolation(study_of(spec, [trial_of(spec, i, {"width": i + 1}, 0.1 * i) for i in range(64)]), "width")
    assert [b.low for b in buckets] == [round(b.low or 0) for b in buckets]
    assert sum(len(b.trials) for b in buckets) == 64


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no hyperparameter depth"):
        isolation(study_of(spec_of()), "depth")
