"""What restricts a conclusion."""

from typing import Any

from tests.support.findings import finding
from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_operator.api.findings import UNKNOWN, Code, Severity
from tuning_operator.playbook.conclusion.caveats import MAX_CAVEATS, caveats, trained_steps


def steps(value: str) -> dict[str, Any]:
    return {"name": "max_steps", "type": "Integer", "role": "Fixed", "value": value}


def test_each_fixed_value_is_one_with_its_reason_where_there_is_one() -> None:
    width = {"name": "width", "type": "Integer", "role": "Fixed", "value": "64", "fixedReason": "it fits the phone"}
    assert caveats(study_of(spec_of([LEARNING_RATE, steps("600"), width])), []) == [
        "Holds for max_steps = 600, which was fixed.",
        "Holds for width = 64, which was fixed: it fits the phone",
    ]


def test_a_seed_that_all_trials_share_is_one_of_its_own_kind() -> None:
    shared = {"name": "order_seed", "type": "Integer", "role": "Fixed", "value": "7"}
    assert caveats(study_of(spec_of([LEARNING_RATE, shared])), []) == [
        "All trials of the search share order_seed = 7; what another one would change is not in them."
    ]


def test_short_runs_say_how_short_they_are() -> None:
    short = study_of(spec_of([LEARNING_RATE, steps("600")], training={"productionSteps": 6000}))
    assert "600 of 6,000 steps (10%)" in caveats(short, [])[0]
    whole = study_of(spec_of([LEARNING_RATE, steps("6000")], training={"productionSteps": 6000}))
    assert not any("rank differently" in caveat for caveat in caveats(whole, []))


def test_what_was_acknowledged_and_warned_of_comes_first_and_what_was_not_checked_last() -> None:
    found = [
        finding(Code.CLIPPING, UNKNOWN, Severity.INFO),
        finding(Code.BATCH_SIZE, UNKNOWN, Severity.INFO),
        finding(Code.OVERFITTING, "Elsewhere", Severity.WARN, message="Others overfit."),
        finding(Code.ROLE, "CanFix", Severity.INFO, message="Not a restriction."),
    ]
    assert caveats(study_of(spec_of([LEARNING_RATE])), found, ["We know."]) == [
        "We know.",
        "Others overfit.",
        "Not checked for lack of data: Clipping, BatchSize.",
    ]


def test_there_are_never_more_than_the_api_takes() -> None:
    many = [finding(Code.ROLE, "CanFix", Severity.WARN, message=f"{i} " + "x" * 1000) for i in range(50)]
    found = caveats(study_of(spec_of([LEARNING_RATE])), many)
    assert len(found) == MAX_CAVEATS
    assert max(map(len, found)) <= 512


def test_the_length_of_training_is_known_from_the_study_or_from_its_trials() -> None:
    spec = spec_of([LEARNING_RATE])
    alike = [trial_of(spec, i, {"learning_rate": 0.1}, 0.3, max_steps=500) for i in range(2)]
    assert trained_steps(study_of(spec_of([LEARNING_RATE], training={"maxSteps": 400}))) == 400
    assert trained_steps(study_of(spec_of([LEARNING_RATE, steps("600")]))) == 600
    assert trained_steps(study_of(spec, alike)) == 500
    assert trained_steps(study_of(spec)) is None
