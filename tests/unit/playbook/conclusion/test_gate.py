"""When the Playbook lets a study be concluded."""

import pytest

from tests.support.findings import finding
from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.api.findings import OK, UNKNOWN, Code, ConclusionState, Finding, Severity
from tuning_operator.playbook.conclusion.gate import blocking, in_order, lacking, state_of
from tuning_operator.playbook.records import StudyRecord

INFO, WARN, BLOCK = Severity.INFO, Severity.WARN, Severity.BLOCK
OPTIMIZER = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adam", "sgd"]}
RATE = {"name": "learning_rate", "type": "Float", "role": "Nuisance", "low": 1e-4, "high": 1.0, "scale": "Log"}


def study(adam: int, sgd: int, curve_length: int = 0, algorithm: str = "QuasiRandom") -> StudyRecord:
    """A comparison with so many feasible trials in each arm."""
    points = {"points": [{"optimizer": "adam", "learning_rate": "0.1"}]} if algorithm == "List" else {}
    spec = spec_of([OPTIMIZER, RATE], search={"algorithm": algorithm, **points})
    curve = [1.0 / (1 + i) for i in range(curve_length)] or None
    return study_of(
        spec,
        [
            trial_of(
                spec, i, {"optimizer": "adam" if i < adam else "sgd", "learning_rate": 0.01}, 0.1 + i / 100, curve=curve
            )
            for i in range(adam + sgd)
        ],
    )


PASSED = [finding(Code.SEARCH_SPACE_EDGE, OK, INFO), finding(Code.SAMPLING, OK, INFO)]


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([], ConclusionState.ALLOWED),
        ([finding(Code.SEARCH_SPACE_EDGE, "Expand")], ConclusionState.BLOCKED),
        ([finding(Code.FAIR_COMPARISON, "Budget")], ConclusionState.BLOCKED),
        ([finding(Code.OVERFITTING, "Exempt", INFO)], ConclusionState.ALLOWED),
        ([finding(Code.INSTABILITY, "Suspected", WARN)], ConclusionState.ALLOWED),
        ([finding(Code.SAMPLING, UNKNOWN, INFO)], ConclusionState.PENDING),
        ([finding(Code.FAIR_COMPARISON, UNKNOWN, INFO)], ConclusionState.PENDING),
        # What the data cannot support, or what does not apply, is a caveat.
        ([finding(Code.PIPELINE_BUG, UNKNOWN, INFO)], ConclusionState.ALLOWED),
        ([finding(Code.OVERFITTING, UNKNOWN, INFO)], ConclusionState.ALLOWED),
    ],
)
def test_each_finding_has_its_effect(found: list[Finding], state: ConclusionState) -> None:
    assert state_of(study(20, 20), PASSED + found) is state


def test_fewer_than_five_feasible_trials_in_an_arm_are_too_few() -> None:
    few = study(20, 4)
    assert state_of(few, PASSED) is ConclusionState.PENDING
    assert lacking(few, PASSED) == ["The arm optimizer=sgd has 4 feasible trials; at least 5 are needed"]
    assert state_of(few, [finding(Code.SEARCH_SPACE_EDGE, "Expand")]) is ConclusionState.PENDING


def test_five_are_enough_to_be_blocked() -> None:
    assert state_of(study(40, 5), [finding(Code.FAIR_COMPARISON, "Budget")]) is ConclusionState.BLOCKED


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (Code.SPECIFICATION, "BatchSizeSearched"),
        (Code.PIPELINE_BUG, "TrainLossRises"),
        (Code.INFEASIBLE, "PossibleBug"),
        (Code.FAIR_COMPARISON, "NotTuned"),
        (Code.FAIR_COMPARISON, "NoBaseline"),
    ],
)
def test_what_more_trials_would_not_cure_blocks_from_the_start(code: Code, verdict: str) -> None:
    assert state_of(study(0, 0), [finding(code, verdict)]) is ConclusionState.BLOCKED


def test_points_chosen_by_hand_have_no_space_to_judge() -> None:
    chosen = study(1, 1, algorithm="List")
    assert state_of(chosen, [finding(Code.SAMPLING, UNKNOWN, INFO)]) is ConclusionState.ALLOWED


def test_curves_that_are_too_short_make_it_pending_and_missing_ones_do_not() -> None:
    unknown = [finding(Code.OVERFITTING, UNKNOWN, INFO)]
    assert state_of(study(8, 8, curve_length=5), unknown) is ConclusionState.PENDING
    assert state_of(study(8, 8, curve_length=1), unknown) is ConclusionState.ALLOWED
    assert state_of(study(8, 8, curve_length=20), unknown) is ConclusionState.ALLOWED


def test_what_spoils_most_comes_first() -> None:
    found = [
        finding(Code.ROLE, "CanFix", INFO),
        finding(Code.SAMPLING, "Sparse", WARN),
        finding(Code.SEARCH_SPACE_EDGE, "Expand"),
        finding(Code.INSTABILITY, "ConfirmedEarly"),
    ]
    assert [f.code for f in in_order(found)] == [Code.INSTABILITY, Code.SEARCH_SPACE_EDGE, Code.SAMPLING, Code.ROLE]
    assert [f.code for f in blocking(found)] == [Code.INSTABILITY, Code.SEARCH_SPACE_EDGE]
