"""Unknown names and impossible values are refused at once, with the list of what is known."""

from pathlib import Path

import pytest

from tuning_trainer.metrics import METRICS, metrics_table, require_metric
from tuning_trainer.parameters import ConfigurationError, Interval, Parameters, parameters_table

README = Path(__file__).parents[3] / "trainer_image" / "README.md"


def test_what_is_given_replaces_the_defaults() -> None:
    parameters = Parameters.from_mapping({"optimizer": "adamw", "learning_rate": 1, "batch_size": 32.0})
    assert parameters == Parameters(optimizer="adamw", learning_rate=1.0, batch_size=32)
    # As a float and as an integer, whatever the JSON said: the API server stores 1.0 as 1.
    assert (type(parameters.learning_rate), type(parameters.batch_size)) == (float, int)


def test_the_defaults_are_possible_values() -> None:
    assert Parameters.from_mapping(Parameters().as_dict()) == Parameters()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", 0.1, "unknown parameter 'lr'"),
        ("optimizer", "adam", "must be one of sgd, momentum, nesterov, adamw"),
        ("optimizer", 1, "must be one of"),
        ("learning_rate", 0, r"must lie in \(0, 1e\+06\]"),
        ("learning_rate", -1e-3, "must lie in"),
        ("learning_rate", float("nan"), "must lie in"),
        ("learning_rate", "0.1", "is the text '0.1'; it must be a number"),
        ("momentum", 1.0, r"must lie in \[0, 1\)"),
        ("dropout", True, "must lie in"),
        ("batch_size", 0, r"must lie in \[1, 1024\]"),
        ("batch_size", 32.5, "must be a whole number"),
        ("batch_size", "64", "is the text '64'; it must be a number"),
        ("max_steps", 10**30, "must lie in"),
        ("warmup_steps", 600, "must be less than max_steps"),
    ],
)
def test_refusals(name: str, value: str | float, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Parameters.from_mapping({name: value})


def test_all_mistakes_are_told_at_once_with_the_known_names() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Parameters.from_mapping({"lr": 0.1, "dropout": 2, "wd": 0})
    for part in ("unknown parameter 'lr'", "dropout is 2", "unknown parameter 'wd'", "label_smoothing"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        (Interval(0, 1), [0, 0.5, 1], [-1e-9, 1.0000001]),
        (Interval(0, 1, open_low=True), [1e-300, 1], [0]),
        (Interval(0, 1, open_high=True), [0], [1, float("inf"), float("nan")]),
    ],
)
def test_intervals(interval: Interval, inside: list[float], outside: list[float]) -> None:
    assert all(value in interval for value in inside)
    assert not any(value in interval for value in outside)


def test_only_what_is_measured_can_be_the_objective() -> None:
    for name in METRICS:
        require_metric(name)
    with pytest.raises(ConfigurationError, match=r"'accuracy' is not measured here\. Known metrics: train_loss"):
        require_metric("accuracy")


def test_the_readme_has_both_tables() -> None:
    text = README.read_text(encoding="utf-8")
    assert parameters_table() in text, "put the output of `python -m tuning_trainer --list-parameters` there"
    assert metrics_table() in text
