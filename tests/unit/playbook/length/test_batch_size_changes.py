"""What a comparison of batch sizes needs, and what a change of the batch size ends (K18)."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_operator.api.findings import Finding, Severity
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.length.batch_size_changes import compared, stale
from tuning_operator.playbook.records import StudyRecord

SIZES = {
    "name": "batch_size",
    "type": "Ordinal",
    "role": "Scientific",
    "values": ["64", "512"],
    "valueType": "Integer",
}
MOMENTUM = {"name": "momentum", "type": "Float", "role": "Nuisance", "low": 0.5, "high": 0.99, "scale": "ReverseLog"}
DECAY = {"name": "weight_decay", "type": "Float", "role": "Nuisance", "low": 1e-6, "high": 1e-2, "scale": "Log"}


def fixed(of: Mapping[str, Any], value: str) -> dict[str, Any]:
    return {"name": of["name"], "type": of["type"], "role": "Fixed", "value": value} | (
        {"valueType": of["valueType"]} if "valueType" in of else {}
    )


def compare(*hyperparameters: Mapping[str, Any], curves: bool = True, **fields: Any) -> list[Finding]:
    spec = spec_of([SIZES, *hyperparameters], **fields)
    searched = {h["name"]: h["low"] for h in hyperparameters if h["role"] == "Nuisance"}
    curve = {"curve": [2.0, 1.0]} if curves else {"value": 1.0}
    trials = [trial_of(spec, n, {"batch_size": size, **searched}, **curve) for n, size in enumerate((64, 512))]
    return compared(study_of(spec, trials))


def test_sizes_that_are_tuned_each_and_compared_at_equal_steps_pass() -> None:
    (found,) = compare(LEARNING_RATE, MOMENTUM, DECAY)
    assert (found.verdict, "not explained by tuning" in found.message) == ("Ok", True)


@pytest.mark.parametrize(
    ("hyperparameters", "missing"),
    [
        ([fixed(LEARNING_RATE, "0.1"), MOMENTUM, DECAY], ["the learning rate"]),
        ([LEARNING_RATE, fixed(MOMENTUM, "0.9"), DECAY], ["momentum"]),
        ([LEARNING_RATE, MOMENTUM], ["a strength of regularisation"]),
        ([LEARNING_RATE, DECAY], []),
        ([LEARNING_RATE, fixed(DECAY, "0.0")], ["a strength of regularisation"]),
    ],
    ids=["a shared rate", "a shared momentum", "nothing regularises", "no momentum is used", "a shared decay"],
)
def test_what_is_shared_between_sizes_makes_the_comparison_unfair(
    hyperparameters: list[dict[str, Any]], missing: list[str]
) -> None:
    found = [f for f in compare(*hyperparameters) if f.verdict == "NotTuned"]
    assert [f.scientific for f in found] == ([{"batch_size": 64}, {"batch_size": 512}] if missing else [])
    assert all((f.severity, f.evidence.notes) == (Severity.BLOCK, missing) for f in found)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [({"training": {"unit": "Epochs"}}, "BAT-19"), ({"curves": False}, "BSF-4")],
    ids=["epochs", "steps not examined"],
)
def test_what_restricts_the_comparison_is_a_caveat(fields: dict[str, Any], rule: str) -> None:
    (found,) = compare(LEARNING_RATE, MOMENTUM, DECAY, **fields)
    assert (found.verdict, found.rule, found.severity) == ("Caveat", rule, Severity.WARN)


@pytest.mark.parametrize(("norm", "verdict"), [("batch_norm", "Caveat"), ("layer_norm", "Ok")])
def test_batch_norm_is_a_caveat(norm: str, verdict: str) -> None:
    normalization = {"name": "normalization", "type": "Categorical", "role": "Fixed", "value": norm}
    assert [f.verdict for f in compare(LEARNING_RATE, MOMENTUM, DECAY, normalization)] == [verdict]


def test_a_study_that_compares_no_batch_sizes_says_nothing() -> None:
    assert compared(study_of(spec_of([LEARNING_RATE, fixed(SIZES, "64")]))) == []
    assert compared(study_of(spec_of([LEARNING_RATE, SIZES | {"values": ["64"]}]))) == []


# From one study to the next.


def study(size: str, *hyperparameters: Mapping[str, Any]) -> StudyRecord:
    return study_of(spec(size, *hyperparameters), name=f"size-{size}")


def spec(size: str, *hyperparameters: Mapping[str, Any]) -> TuningStudySpec:
    return spec_of([fixed(SIZES, size), *hyperparameters])


OLD_OPTIMUM = (fixed(DECAY, "1e-4"), fixed(MOMENTUM, "0.9"), fixed(LEARNING_RATE, "0.1"))
WIDTH = {"name": "width", "type": "Integer", "role": "Nuisance", "low": 8, "high": 64}


def notes(found: Sequence[Finding]) -> tuple[str, list[str]]:
    (one,) = found
    return one.verdict, one.evidence.notes


def test_another_batch_size_ends_the_old_optimum_in_the_order_of_how_much_it_depends() -> None:
    before = study("128", WIDTH, DECAY, LEARNING_RATE, MOMENTUM)
    after = study("512", *OLD_OPTIMUM, fixed(WIDTH, "32"))
    assert notes(stale(after, [before])) == ("Stale", ["learning_rate", "momentum", "weight_decay", "width"])


def test_an_optimum_that_was_taken_over_twice_is_stale_too() -> None:
    before = study("128", *OLD_OPTIMUM, WIDTH)
    after = study("512", *OLD_OPTIMUM, WIDTH)
    assert notes(stale(after, [before])) == ("Stale", ["momentum", "learning_rate", "weight_decay"])


@pytest.mark.parametrize(
    "after",
    [
        study("128", *OLD_OPTIMUM),
        study("512", LEARNING_RATE, MOMENTUM, DECAY),
        study("512", LEARNING_RATE, MOMENTUM, fixed(DECAY, "0.0") | {"fixedReason": "hardly matters"}),
    ],
    ids=["the same size", "all is searched again", "one is fixed for a reason"],
)
def test_nothing_is_stale_without_a_change_or_where_all_is_searched_again(after: StudyRecord) -> None:
    assert [f.verdict for f in stale(after, [study("128", LEARNING_RATE, MOMENTUM, DECAY)])] == ["Ok"]


def test_a_batch_size_that_nobody_declared_is_not_known() -> None:
    assert [f.verdict for f in stale(study_of(spec_of()), [study("128", DECAY)])] == ["Unknown"]
    assert stale(study("128", DECAY), []) == []
