"""How far a range can go."""

from typing import Any

import pytest

from tuning_operator.api.findings import Side
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.playbook.space.limits import limits_of, widened
from tuning_operator.playbook.thresholds import DEFAULTS, Thresholds

STEPS = Hyperparameter.model_validate({"name": "max_steps", "type": "Integer", "role": "Fixed", "value": "600"})


def _range(name: str = "x", **fields: Any) -> Hyperparameter:
    return Hyperparameter.model_validate({"name": name, "type": "Float", "role": "Nuisance"} | fields)


def _widened(hyperparameter: Hyperparameter, side: str, thresholds: Thresholds = DEFAULTS) -> float | None:
    low, high = limits_of(hyperparameter, thresholds, [STEPS])
    return widened(hyperparameter, Side(side), thresholds, low if side == "low" else high)


@pytest.mark.parametrize(
    ("fields", "side", "limit"),
    [
        ({"low": 1e-4, "high": 0.1, "scale": "Log"}, "high", 1.0),
        ({"low": 1e-4, "high": 0.1, "scale": "Log"}, "low", 1e-5),
        ({"low": 0.2, "high": 0.6}, "high", 0.8),
        ({"low": 0.2, "high": 0.6}, "low", 0.0),
        ({"low": 0.9, "high": 0.999, "scale": "ReverseLog"}, "high", 0.9999),
        ({"low": 0.99, "high": 0.999, "scale": "ReverseLog"}, "low", 0.9),
        ({"low": 2, "high": 8, "type": "Integer"}, "high", 11),
        ({"low": 2, "high": 3, "type": "Integer"}, "high", 4),
        ({"low": 16, "high": 1024, "type": "Integer", "scale": "Log"}, "high", 10240),
        ({"low": 16, "high": 1024, "type": "Integer", "scale": "Log"}, "low", 1),
        ({"low": 1, "high": 1024, "type": "Integer", "scale": "Log"}, "low", None),
    ],
)
def test_a_range_is_widened_by_a_decade_or_by_half_its_width(
    fields: dict[str, Any], side: str, limit: float | None
) -> None:
    assert _widened(_range(**fields), side) == limit


@pytest.mark.parametrize(
    ("fields", "side", "limit"),
    [
        ({"low": 0.2, "high": 0.6, "hardHigh": 0.7}, "high", 0.7),
        ({"low": 0.2, "high": 0.6, "hardHigh": 0.6}, "high", None),
        ({"low": 0.2, "high": 0.6, "hardLow": 0.1}, "low", 0.1),
        ({"low": 0.2, "high": 0.6, "hardLow": 0.5}, "low", None),
        ({"low": 1e-4, "high": 0.1, "scale": "Log", "hardHigh": 0.3}, "high", 0.3),
        ({"low": 2, "high": 8, "type": "Integer", "hardHigh": 9.5}, "high", 9),
    ],
)
def test_no_range_is_widened_past_the_studys_limit(fields: dict[str, Any], side: str, limit: float | None) -> None:
    assert _widened(_range(**fields), side) == limit


@pytest.mark.parametrize(
    ("name", "fields", "side", "limit"),
    [
        ("dropout", {"low": 0.0, "high": 0.5}, "low", None),
        ("dropout", {"low": 0.1, "high": 0.5}, "low", 0.0),
        ("dropout", {"low": 0.1, "high": 0.8}, "high", 0.98),
        ("label_smoothing", {"low": 0.0, "high": 0.2}, "low", None),
        ("momentum", {"low": 0.0, "high": 0.99}, "high", 0.999),
        ("momentum", {"low": 0.0, "high": 0.99}, "low", None),
        ("momentum", {"low": 0.8, "high": 0.99, "scale": "ReverseLog"}, "low", 0.0),
        ("one_minus_momentum", {"low": 1e-3, "high": 1.0, "scale": "Log"}, "high", None),
        ("one_minus_momentum", {"low": 1e-3, "high": 1.0, "scale": "Log"}, "low", 1e-4),
        ("beta2", {"low": 0.9, "high": 0.9999, "scale": "ReverseLog"}, "high", 0.99999),
        ("learning_rate", {"low": 1e-3, "high": 1e-1}, "low", 1e-4),
        ("weight_decay", {"low": 0.0, "high": 0.1}, "low", None),
        ("strength", {"low": 0.0, "high": 0.1, "category": "regularization"}, "low", None),
        ("num_layers", {"low": 1, "high": 8, "type": "Integer"}, "low", None),
        ("warmup_fraction", {"low": 0.0, "high": 0.1}, "high", None),
        ("warmup_fraction", {"low": 0.0, "high": 0.08}, "high", 0.1),
        ("warmup_steps", {"low": 0, "high": 50, "type": "Integer"}, "high", 60),
        ("warmup_steps", {"low": 0, "high": 60, "type": "Integer"}, "high", None),
    ],
)
def test_limits_that_follow_from_what_it_is_need_not_be_said(
    name: str, fields: dict[str, Any], side: str, limit: float | None
) -> None:
    assert _widened(_range(name, **fields), side) == (None if limit is None else pytest.approx(limit, rel=1e-9))


def test_what_is_not_known_by_its_name_may_become_negative() -> None:
    assert _widened(_range(low=0.0, high=1.0), "low") == -0.5


def test_the_study_may_set_how_far_ranges_are_widened() -> None:
    thresholds = Thresholds({"edgeDecades": 2.0, "edgeWidths": 1.0})
    assert _widened(_range(low=1e-4, high=0.1, scale="Log"), "high", thresholds) == 10.0
    assert _widened(_range(low=0.2, high=0.6), "high", thresholds) == 1.0


def test_a_limit_has_no_digits_that_nobody_wrote() -> None:
    assert str(_widened(_range(low=1e-4, high=0.3, scale="Log"), "high")) == "3.0"
    assert str(_widened(_range(low=0.1, high=0.7), "high")) == "1.0"
    assert str(_widened(_range(low=0.9, high=0.999, scale="ReverseLog"), "high")) == "0.9999"
