"""A change is adopted on trainings that were not chosen for their luck."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_operator.api.findings import Finding
from tuning_operator.playbook.comparison.adoption import check
from tuning_operator.playbook.comparison.question import question
from tuning_operator.playbook.comparison.superiority import signs
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord

VARIANT = {"name": "variant", "type": "Categorical", "role": "Scientific", "values": ["old", "new"]}
TRY = {"question": "Is new better?", "kind": "TryChange"}
BASELINE = {"scientific": {"variant": "old"}}
B = [1.00, 1.02, 0.98]


def study(
    old: Sequence[float | None],
    new: Sequence[float | None],
    seeds: tuple[Sequence[int] | None, Sequence[int] | None] = (None, None),
    **fields: Any,
) -> StudyRecord:
    """Return a study of two arms with retrains of the best trial of each; None: it came to nothing."""
    spec = spec_of([VARIANT, LEARNING_RATE], **({"goal": TRY, "baseline": BASELINE} | fields))
    sign = spec.objective.direction.sign
    trials: list[TrialRecord] = []
    for arm, best, results, own_seeds in (("old", 0.95, old, seeds[0]), ("new", 0.88, new, seeds[1])):
        first = len(trials)
        for i in range(4):
            rate = 0.1 + 0.1 * i
            trials.append(trial_of(spec, first + i, {"variant": arm, "learning_rate": rate}, sign * (best + 0.1 * i)))
        for i, result in enumerate(results):
            trials.append(
                trial_of(
                    spec,
                    first + 4 + i,
                    {"variant": arm, "learning_rate": 0.1},
                    None if result is None else sign * result,
                    state=State.INFEASIBLE if result is None else State.SUCCEEDED,
                    purpose=Purpose.RETRAIN,
                    of=f"t-{first}",
                    seed=own_seeds[i] if own_seeds else None,
                )
            )
    return study_of(spec, trials)


def the(study: StudyRecord, earlier: Sequence[StudyRecord] = ()) -> Finding:
    (found,) = check(study, earlier)
    return found


@pytest.mark.parametrize(
    ("candidate", "fields", "verdict"),
    [
        ([0.90, 0.91, 0.89], {}, "Adopt"),
        ([0.99, 1.01, 1.00], {}, "KeepBaseline"),
        ([1.20, 1.21, 1.19], {}, "KeepBaseline"),
        ([], {}, "NeedRetrains"),
        ([0.90, 0.91], {}, "NeedRetrains"),
        ([0.90, 0.91, 0.89], {"retrains": {"count": 3, "complexityCost": 0.2}}, "KeepBaseline"),
        ([0.90, 0.91, 0.89], {"retrains": {"count": 3, "complexityCost": 0.05}}, "Adopt"),
        ([0.90, 0.91, 0.89], {"retrains": {"count": 4}}, "NeedRetrains"),
        ([0.970, 0.975, 0.965], {"retrains": {"count": 3}}, "Adopt"),
        ([0.970, 0.975, 0.965], {"retrains": {"count": 3, "addsComplexity": True}}, "KeepBaseline"),
        ([0.90, None, 0.89], {}, "KeepBaseline"),
    ],
)
def test_the_candidate_must_be_better_given_the_variance_of_both(
    candidate: list[float | None], fields: dict[str, Any], verdict: str
) -> None:
    found = the(study(B, candidate, **fields))
    assert found.verdict == verdict
    assert found.scientific == {"variant": "new"}


def test_it_says_how_many_retrains_are_missing_on_each_side() -> None:
    numbers = the(study(B, [])).evidence.numbers
    assert (numbers["baselineMissing"], numbers["candidateMissing"]) == (2, 5)
    numbers = the(study([], [0.9], retrains={"count": 4})).evidence.numbers
    assert (numbers["baselineMissing"], numbers["candidateMissing"], numbers["missing"]) == (4, 3, 7)


def test_a_budget_that_does_not_reach_is_named() -> None:
    assert "budget.maxRetrains to 58" in the(study([], [], retrains={"confirm": True})).action


def test_only_the_number_that_was_fixed_is_looked_at() -> None:
    # With the lucky fourth one, fetched after a look, it would be adopted.
    found = the(study([1.0, 1.02, 0.98], [0.999, 1.019, 0.979, 0.2], retrains={"count": 3}))
    assert found.verdict == "KeepBaseline"


def test_the_best_result_of_the_search_is_no_evidence() -> None:
    found = the(study(B, [1.00, 1.01, 0.99]))
    assert found.evidence.numbers["selectionBias"] == pytest.approx(0.12)
    assert found.verdict == "KeepBaseline"


def test_a_maximised_objective_is_adopted_where_it_is_larger() -> None:
    objective = {"metric": "accuracy", "direction": "Maximize"}
    found = the(study(B, [0.90, 0.91, 0.89], objective=objective))
    assert found.verdict == "Adopt"
    assert found.evidence.numbers["difference"] == pytest.approx(0.1)
    assert found.evidence.numbers["candidateMean"] == pytest.approx(-0.9)


def test_seeds_that_both_sides_had_are_pairs() -> None:
    # Each seed is worth more than the change is: only pairs show it.
    old, new = [1.0, 1.5, 0.6, 2.0, 1.2], [0.98, 1.47, 0.58, 1.98, 1.18]
    seeds = [1, 2, 3, 4, 5]
    assert the(study(old, new, (seeds, seeds))).verdict == "Adopt"
    assert the(study(old, new[::-1], (seeds, seeds[::-1]))).verdict == "Adopt"
    assert the(study(old, new, (seeds, [6, 7, 8, 9, 10]))).verdict == "KeepBaseline"


def test_a_known_deviation_is_reused() -> None:
    baseline = BASELINE | {"retrainDeviation": 0.01}
    assert the(study([1.0], [0.9], baseline=baseline)).verdict == "Adopt"
    assert the(study([1.0], [0.995], baseline=baseline)).verdict == "KeepBaseline"
    assert the(study([1.0], [], baseline=baseline)).verdict == "NeedRetrains"


def test_each_later_study_of_the_question_is_another_look() -> None:
    old, new = B, [0.970, 0.975, 0.965]
    first = study(old, new)
    again = replace(first, name="again")
    assert the(first).evidence.numbers["level"] == pytest.approx(0.15)
    found = the(again, [first])
    assert found.evidence.numbers["level"] == pytest.approx(0.075)
    assert found.evidence.numbers["looks"] == 2
    assert (the(first).verdict, the(again, [first, replace(first, name="x")]).verdict) == ("Adopt", "KeepBaseline")
    other = replace(study(old, new, goal=TRY | {"question": "Is it faster?"}), name="other")
    undecided = replace(study(old, []), name="undecided")
    assert the(again, [other, undecided, again]).evidence.numbers["looks"] == 1


def test_the_confirming_test_takes_29_pairs_and_counts_those_won() -> None:
    retrains = {"confirm": True}
    budget = {"maxTrials": 8, "maxRetrains": 58}
    rng = np.random.default_rng(3)
    old = list(rng.normal(1.0, 0.02, 29))
    won = [o - (0.01 if i < 20 else -0.01) for i, o in enumerate(old)]
    lost = [o - (0.01 if i < 19 else -0.01) for i, o in enumerate(old)]
    seeds = list(range(29))
    assert the(study(old, won, (seeds, seeds), retrains=retrains, budget=budget)).verdict == "Adopt"
    assert the(study(old, lost, (seeds, seeds), retrains=retrains, budget=budget)).verdict == "KeepBaseline"
    assert the(study(old[:28], won[:28], retrains=retrains, budget=budget)).verdict == "NeedRetrains"


def test_29_pairs_have_the_error_and_the_power_that_they_promise() -> None:
    rng = np.random.default_rng(5)

    def adopted(gain: float) -> float:
        """Return how often a candidate is adopted whose losses are smaller by so much."""
        pairs = [(list(rng.normal(size=29)), list(rng.normal(-gain, size=29))) for _ in range(1000)]
        return float(np.mean([signs(old, new, 0.0).p_value <= 0.05 for old, new in pairs]))

    assert adopted(0.0) <= 0.05
    # Three of four pairs are won.
    assert adopted(2**0.5 * 0.6745) >= 0.8


@pytest.mark.parametrize(
    ("fields", "is_asked"),
    [
        ({}, True),
        ({"baseline": None}, False),
        ({"goal": TRY | {"kind": "Understand"}}, False),
        ({"goal": TRY | {"kind": "Minimise"}}, False),
        ({"goal": TRY | {"kind": "Understand"}, "baseline": None, "retrains": {}}, True),
    ],
)
def test_there_is_a_question_where_a_change_is_tried(fields: dict[str, Any], is_asked: bool) -> None:
    asked = question(study([], [], **fields))
    assert (asked is not None) == is_asked
    if asked is not None:
        assert asked.baseline.arm.scientific == {"variant": "old"}
        assert asked.candidate.arm.scientific == {"variant": "new"}


def test_without_arms_nothing_is_asked() -> None:
    assert check(study_of(spec_of(goal=TRY))) == []


def test_a_change_that_brings_nothing_is_adopted_as_seldom_as_promised() -> None:
    rng = np.random.default_rng(11)
    found = []
    for _ in range(150):
        found.append(the(study(list(rng.normal(1, 0.02, 5)), list(rng.normal(1, 0.02, 5)), retrains={})).verdict)
    assert 0.06 < found.count("Adopt") / 150 < 0.24
