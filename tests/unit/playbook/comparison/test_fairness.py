"""A comparison is fair where every arm had the same chances."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from benchmarks.findings.landscapes import LANDSCAPES
from benchmarks.findings.studies import OWN, SHARED, Plan, drawn
from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.answers import answer
from tuning_operator.playbook.comparison.fairness import check
from tuning_operator.playbook.records import State, StudyRecord, TrialRecord
from tuning_operator.search.stopping.diverged import RULE as DIVERGED

OPTIMIZER = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["a", "b"]}
TRY = {"question": "Does b help?", "kind": "TryChange"}


def trials_of(
    spec: TuningStudySpec, arm: str, rates: Sequence[float], first: int, state: State = State.SUCCEEDED, **more: Any
) -> list[TrialRecord]:
    return [
        trial_of(
            spec,
            first + i,
            {"optimizer": arm, "learning_rate": float(rate)},
            0.3 if state is State.SUCCEEDED else None,
            state=state,
            **more,
        )
        for i, rate in enumerate(rates)
    ]


def study(a: Sequence[float], b: Sequence[float], **fields: Any) -> StudyRecord:
    spec = spec_of([OPTIMIZER, LEARNING_RATE], **fields)
    return study_of(spec, [*trials_of(spec, "a", a, 0), *trials_of(spec, "b", b, 100)])


def rates(number: int, low: float = 2e-4, high: float = 0.8) -> list[float]:
    return [float(r) for r in np.geomspace(low, high, number)]


def verdicts(found: Sequence[Finding]) -> list[tuple[str, str | None, dict[str, Any]]]:
    return [(f.verdict, f.parameter, f.scientific) for f in found]


def test_arms_tuned_alike_are_compared_fairly() -> None:
    (found,) = check(study(rates(10), rates(10)), [])
    assert (found.code, found.verdict, found.severity) == (Code.FAIR_COMPARISON, "Ok", Severity.INFO)
    assert found.evidence.thresholds


def test_an_arm_with_one_learning_rate_was_not_tuned() -> None:
    found = check(study(rates(10), [0.1] * 10))
    assert verdicts(found) == [("NotTuned", "learning_rate", {"optimizer": "b"})]
    assert found[0].severity is Severity.BLOCK
    assert found[0].evidence.numbers["values"] == 1


def test_an_arm_with_a_fixed_learning_rate_was_not_tuned() -> None:
    when = [{"name": "optimizer", "values": [v]} for v in "ab"]
    rate_a = LEARNING_RATE | {"name": "a_rate", "parameter": "learning_rate", "when": when[0]}
    rate_b = {"name": "b_rate", "parameter": "learning_rate", "type": "Float", "role": "Fixed", "value": "0.1"}
    spec = spec_of([OPTIMIZER, rate_a, rate_b | {"when": when[1]}])
    found = check(study_of(spec, [*trials_of(spec, "a", rates(10), 0), *trials_of(spec, "b", [0.1] * 10, 100)]))
    assert ("NotTuned", "learning_rate", {"optimizer": "b"}) in verdicts(found)


def test_two_learning_rates_are_tuned_each_in_its_own_arm() -> None:
    when = [{"name": "optimizer", "values": [v]} for v in "ab"]
    rate_a = LEARNING_RATE | {"name": "a_rate", "parameter": "learning_rate", "when": when[0]}
    rate_b = LEARNING_RATE | {"name": "b_rate", "parameter": "lr", "low": 1e-5, "high": 0.01, "when": when[1]}
    momentum = {"name": "momentum", "type": "Float", "role": "Nuisance", "low": 0.5, "high": 0.99, "when": when[0]}
    spec = spec_of([OPTIMIZER, rate_a, rate_b, momentum])
    trials = [
        trial_of(spec, i, {"optimizer": "a", "learning_rate": r, "momentum": 0.5 + 0.04 * i}, 0.3)
        for i, r in enumerate(rates(10))
    ]
    trials += [trial_of(spec, 50 + i, {"optimizer": "b", "lr": r}, 0.3) for i, r in enumerate(rates(10, 1e-5, 0.01))]
    assert [f.verdict for f in check(study_of(spec, trials))] == ["Ok"]


def test_an_optimizer_hyperparameter_that_nobody_tuned_is_a_caveat() -> None:
    beta = {"name": "beta1", "type": "Float", "role": "Fixed", "value": "0.9"}
    for reason, severity in ((None, Severity.WARN), ("it hardly matters", Severity.INFO)):
        spec = spec_of([OPTIMIZER, LEARNING_RATE, beta | ({"fixedReason": reason} if reason else {})])
        trials = [*trials_of(spec, "a", rates(10), 0), *trials_of(spec, "b", rates(10), 50)]
        found = check(study_of(spec, trials))
        assert [(f.verdict, f.parameter, f.severity) for f in found if f.verdict != "Ok"] == [
            ("Fixed", "beta1", severity)
        ]


def test_a_list_of_two_values_is_tuned_by_both() -> None:
    decay = {"name": "weight_decay", "type": "Categorical", "role": "Nuisance", "valueType": "Float"}
    spec = spec_of([OPTIMIZER, LEARNING_RATE, decay | {"values": ["0", "0.1"]}])
    trials = [
        trial_of(spec, 50 * k + i, {"optimizer": arm, "learning_rate": r, "weight_decay": 0.1 * (i % 2)}, 0.3)
        for k, arm in enumerate("ab")
        for i, r in enumerate(rates(10))
    ]
    assert [f.verdict for f in check(study_of(spec, trials))] == ["Ok"]


@pytest.mark.parametrize(
    ("a", "b", "is_unequal"), [(40, 5, True), (10, 7, True), (10, 8, False), (4, 3, False), (20, 20, False)]
)
def test_clearly_fewer_trials_are_less_effort(a: int, b: int, is_unequal: bool) -> None:
    found = [f for f in check(study(rates(a), rates(b))) if f.verdict == "Budget"]
    assert [f.scientific for f in found] == ([{"optimizer": "b"}] if is_unequal else [])
    assert all(f.severity is Severity.BLOCK for f in found)


def test_an_arm_that_covered_less_of_a_range_is_named() -> None:
    found = check(study(rates(20), rates(20, high=0.03)))
    assert verdicts(found) == [("Range", "learning_rate", {"optimizer": "b"})]


def test_a_change_needs_an_arm_without_it() -> None:
    assert "NoBaseline" in [f.verdict for f in check(study(rates(10), rates(10), goal=TRY))]
    named = study(rates(10), rates(10), goal=TRY, baseline={"scientific": {"optimizer": "a"}})
    assert [f.verdict for f in check(named)] == ["Ok"]
    wrong = study(rates(10), rates(10), goal=TRY, baseline={"scientific": {"optimizer": "c"}})
    assert "NoBaseline" in [f.verdict for f in check(wrong)]
    assert "NoBaseline" not in [
        f.verdict for f in check(study(rates(10), rates(10), goal=TRY | {"kind": "Understand"}))
    ]


def test_an_arm_that_a_rule_has_cut_short_is_not_compared() -> None:
    spec = spec_of([OPTIMIZER, LEARNING_RATE])
    stopped = trials_of(spec, "a", rates(5), 50, State.STOPPED, stopped_by="Median")
    trials = [*trials_of(spec, "a", rates(10), 0), *stopped, *trials_of(spec, "b", rates(15), 100)]
    found = check(study_of(spec, trials))
    assert [(f.verdict, f.severity, f.scientific) for f in found] == [
        ("Censored", Severity.WARN, {"optimizer": "a"}),
    ]
    diverged = trials_of(spec, "a", rates(5), 50, State.STOPPED, stopped_by=DIVERGED)
    trials = [*trials_of(spec, "a", rates(10), 0), *diverged, *trials_of(spec, "b", rates(15), 100)]
    assert [f.verdict for f in check(study_of(spec, trials))] == ["Ok"]


@pytest.mark.parametrize("number", [0, 1, 2, 4])
def test_few_trials_say_nothing_about_fairness(number: int) -> None:
    found = check(study(rates(number), rates(number)))
    assert [f.verdict for f in found] == ["Unknown"]
    assert found[0].action


def test_without_arms_there_is_no_comparison() -> None:
    spec = spec_of()
    assert check(study_of(spec, [trial_of(spec, i, {"learning_rate": 0.1}, 0.3) for i in range(9)])) == []


def test_what_other_rules_have_found_is_named_and_not_found_twice() -> None:
    fair = study(rates(10), rates(10))
    other = answer(fair, Code.SEARCH_SPACE_EDGE, "Expand", Severity.BLOCK, "BND-4", "At the edge.")
    (found,) = check(fair, [other])
    assert found.severity is Severity.INFO
    assert found.evidence.notes == ["the best trials of an arm lie at the edge of a range"]


@pytest.mark.parametrize("space", [SHARED, OWN])
def test_the_operators_own_designs_are_always_fair(space: str) -> None:
    for dimensions, trials in ((1, 6), (2, 10), (3, 20)):
        spec = Plan(3, trials, (dimensions,), space).spec()
        for seed in range(15):
            found = check(drawn(spec, trials, LANDSCAPES[0], 0.1, 0.0, seed))
            assert [f.verdict for f in found] == ["Ok"]
