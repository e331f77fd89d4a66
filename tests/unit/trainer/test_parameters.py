"""Unknown names and impossible values are refused at once, with the list of what is known."""

from pathlib import Path

import pytest

from tuning_contract.environment import ParameterValue
from tuning_trainer.knobs import ConfigurationError, Interval, knobs_of
from tuning_trainer.metrics import METRICS, metrics_table, require_metric
from tuning_trainer.parameters import OTHER_DEFAULTS, WORKLOADS, Parameters, defaults_table, parameters_table

DOCS = Path(__file__).parents[3] / "docs" / "trainer.md"


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
        ("learning_speed", 0.1, r"'learning_speed' \(did you mean 'learning_rate'\?\)"),
        ("optimizer", "lion", "must be one of sgd, momentum, nesterov, rmsprop, adam, adamw, nadam, nadamw"),
        ("workload", "imagenet", "must be one of digits, tabular, characters, regression, or the path of a Python"),
        ("optimizer", 1, "must be one of"),
        ("learning_rate", 0, r"must lie in \(0, 1e\+06\]"),
        ("learning_rate", -1e-3, "must lie in"),
        ("learning_rate", float("nan"), "must lie in"),
        ("learning_rate", "0.1", "is the text '0.1'; it must be a number"),
        ("momentum", 1.0, r"must lie in \[0, 1\)"),
        ("dropout", True, "must lie in"),
        ("batch_size", 0, r"must lie in \[1, 65536\]"),
        ("batch_size", 32.5, "must be a whole number"),
        ("batch_size", "64", "is the text '64'; it must be a number"),
        ("max_steps", 10**30, "must lie in"),
        ("warmup_steps", 600, "must be less than max_steps"),
        ("warmup_fraction", 1.0, "must lie in"),
        ("one_minus_momentum", 0.0, r"must lie in \(0, 1\]"),
        ("dense_loss_steps", 501, r"must lie in \[0, 500\]"),
        ("order_seed", 2**31, r"must lie in \[0, 2\^31\)"),
        ("gradient_accumulation", 3, "batch_size 64 cannot be cut into 3 equal parts"),
        ("normalization", "post", "of transformer blocks, and digits has none"),
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
    ("given", "message"),
    [
        ({"momentum": 0.9, "one_minus_momentum": 0.1}, "momentum and one_minus_momentum say the same thing"),
        ({"beta1": 0.9, "one_minus_beta1": 0.1}, "beta1 and one_minus_beta1 say the same thing"),
        ({"beta2": 0.9, "one_minus_beta2": 0.1}, "beta2 and one_minus_beta2 say the same thing"),
        ({"warmup_steps": 0, "warmup_fraction": 0.1}, "warmup_steps and warmup_fraction say the same thing"),
        ({"optimizer": "adamw", "weight_decay_kind": "coupled"}, "adamw is adam with decoupled weight decay"),
        ({"warmup_fraction": 0.5, "decay_steps": 300}, "together must be less than max_steps"),
    ],
)
def test_values_that_contradict_each_other(given: dict[str, ParameterValue], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Parameters.from_mapping(given)


@pytest.mark.parametrize("name", ["momentum", "beta1", "beta2"])
def test_a_complement_is_the_same_run_as_what_it_complements(name: str) -> None:
    complemented = Parameters.from_mapping({f"one_minus_{name}": 0.25})
    assert complemented == Parameters.from_mapping({name: 0.75})
    assert f"one_minus_{name}" not in complemented.as_dict()


def test_a_fraction_of_the_run_is_as_many_steps_of_warm_up() -> None:
    assert Parameters.from_mapping({"warmup_fraction": 0.05}).warmup_steps == 30


@pytest.mark.parametrize("workload", WORKLOADS)
def test_each_workload_has_possible_defaults_and_what_is_given_wins(workload: str) -> None:
    parameters = Parameters.from_mapping({"workload": workload})
    assert {name: getattr(parameters, name) for name in OTHER_DEFAULTS[workload]} == OTHER_DEFAULTS[workload]
    assert Parameters.from_mapping({"workload": workload, "hidden_width": 3}).hidden_width == 3
    assert Parameters.from_mapping(parameters.as_dict()) == parameters


@pytest.mark.parametrize(
    ("optimizer", "kind", "decoupled"),
    [
        ("adamw", "by_optimizer", True),
        ("nadamw", "by_optimizer", True),
        ("adam", "by_optimizer", False),
        ("nesterov", "by_optimizer", False),
        ("nesterov", "decoupled", True),
        ("adam", "coupled", False),
    ],
)
def test_whether_weight_decay_is_decoupled(optimizer: str, kind: str, decoupled: bool) -> None:
    assert Parameters(optimizer=optimizer, weight_decay_kind=kind).decoupled is decoupled


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


def test_a_workload_without_classes_has_no_errors_to_offer() -> None:
    with pytest.raises(ConfigurationError, match="Known metrics: train_loss, validation_loss"):
        require_metric("validation_error", classification=False)


def test_the_documentation_has_the_tables() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert parameters_table() in text, "put the output of `python -m tuning_trainer --list-parameters` there"
    assert defaults_table() in text
    assert metrics_table() in text


def test_every_parameter_says_what_it_means() -> None:
    assert all(knob.meaning for knob in knobs_of(Parameters).values())
