"""Many infeasible trials: a range too wide, a space cut the wrong way, or a bug? (K07)"""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tests.support.synthetic import a_centre, a_synthetic_study, bowl
from tuning_operator.api.findings import Finding, Severity, Side
from tuning_operator.playbook.records import State, StudyRecord, TrialRecord
from tuning_operator.playbook.space.infeasible import check

RATE = {"name": "learning_rate", "type": "Float", "role": "Nuisance", "low": 1.0, "high": 10.0}
LOGARITHMIC = {"type": "Float", "role": "Nuisance", "low": 1e-3, "high": 1e3, "scale": "Log"}
OPTIMIZER = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["sgd", "adam"]}
DECADES = [10.0**k for k in range(-3, 4)]


def _study(
    hyperparameters: Sequence[Mapping[str, Any]],
    points: Sequence[Mapping[str, Any]],
    fails: Callable[[Mapping[str, Any]], bool],
    **fields: Any,
) -> StudyRecord:
    spec = spec_of(hyperparameters, **fields)
    return study_of(
        spec,
        [
            trial_of(spec, i, p, state=State.INFEASIBLE, reason="NonFiniteObjective", message=f"NaN at step {i % 2}")
            if fails(p)
            else trial_of(spec, i, p, 0.3 + i / 1000)
            for i, p in enumerate(points)
        ],
    )


def _only(study: StudyRecord) -> Finding:
    (finding,) = check(study)
    return finding


def _rates(rates: Sequence[float], fails: Callable[[float], bool], rate: Mapping[str, Any] = RATE) -> StudyRecord:
    return _study([rate], [{"learning_rate": r} for r in rates], lambda p: fails(p["learning_rate"]))


ONE_TO_TEN = [float(r) for r in range(1, 11)]


@pytest.mark.parametrize("rate", [RATE, RATE | {"scale": "Log"}])
def test_rates_that_fail_above_one_value_ask_for_a_shorter_range(rate: Mapping[str, Any]) -> None:
    finding = _only(_rates(ONE_TO_TEN, lambda r: r >= 5, rate))
    assert (finding.verdict, finding.parameter, finding.side, finding.cut) == (
        "AdjustRange",
        "learning_rate",
        Side.HIGH,
        4.5,
    )
    assert finding.severity is Severity.BLOCK
    assert finding.evidence.numbers["infeasibleShare"] == 0.6
    assert "4.5" in finding.action


def test_rates_that_fail_below_one_value_name_the_low_side() -> None:
    finding = _only(_rates(ONE_TO_TEN, lambda r: r <= 6))
    assert (finding.verdict, finding.side, finding.cut) == ("AdjustRange", Side.LOW, 6.5)
    assert "begin at 6.5" in finding.action


def test_trials_that_fail_at_random_may_be_a_bug_and_the_commonest_message_is_shown() -> None:
    rng = np.random.default_rng(3)
    rates = list(rng.uniform(1, 10, 60))
    failing = set(rng.permutation(rates)[:36])
    finding = _only(_rates(rates, lambda r: r in failing))
    assert (finding.verdict, finding.severity) == ("PossibleBug", Severity.BLOCK)
    assert any("NaN at step" in note for note in finding.evidence.notes)
    assert finding.evidence.trials


@pytest.mark.parametrize(
    ("hyperparameters", "names", "fails", "expression", "side"),
    [
        (({"name": "a"}, {"name": "b"}), ("a", "b"), lambda a, b: a / b > 1, "a/b", Side.HIGH),
        (({"name": "a"}, {"name": "b"}), ("a", "b"), lambda a, b: b / a > 1, "b/a", Side.HIGH),
        (({"name": "a"}, {"name": "b"}), ("a", "b"), lambda a, b: a * b > 0.5, "a*b", Side.HIGH),
        (({"name": "a"}, {"name": "b"}), ("a", "b"), lambda a, b: a * b < 5, "a*b", Side.LOW),
        (
            ({"name": "one_minus_momentum"}, {"name": "learning_rate"}),
            ("one_minus_momentum", "learning_rate"),
            lambda m, r: r / m > 1,
            "learning_rate/one_minus_momentum",
            Side.HIGH,
        ),
        (
            ({"name": "weight_decay"}, {"name": "lr"}),
            ("weight_decay", "lr"),
            lambda d, r: r / d < 1,
            "lr/weight_decay",
            Side.LOW,
        ),
    ],
)
def test_trials_that_fail_beyond_a_ratio_or_product_ask_for_another_coordinate(
    hyperparameters: Sequence[Mapping[str, Any]],
    names: tuple[str, str],
    fails: Callable[[float, float], bool],
    expression: str,
    side: Side,
) -> None:
    space = [LOGARITHMIC | dict(h) for h in hyperparameters]
    points = [dict(zip(names, pair, strict=True)) for pair in itertools.product(DECADES, DECADES)]
    share = sum(fails(*p.values()) for p in points) / len(points)
    # Some of those that train are left out, so that most of the rest fail.
    kept = [p for i, p in enumerate(points) if fails(*p.values()) or i % 4] if share < 0.5 else points
    finding = _only(_study(space, kept, lambda p: fails(*p.values())))
    assert (finding.verdict, finding.expression, finding.side) == ("Reparameterise", expression, side)
    assert finding.cut is not None
    inside = {fails(*p.values()) for p in kept if (_value(expression, p) > finding.cut) == (side is Side.HIGH)}
    assert inside == {True}
    assert finding.parameter is None


def _value(expression: str, point: Mapping[str, float]) -> float:
    if "*" in expression:
        a, b = expression.split("*")
        return point[a] * point[b]
    a, b = expression.split("/")
    return point[a] / point[b]


def test_momentum_enters_a_ratio_as_its_distance_from_one() -> None:
    space = [
        LOGARITHMIC | {"name": "learning_rate"},
        {"name": "momentum", "type": "Float", "role": "Nuisance", "low": 0.0, "high": 0.999, "scale": "ReverseLog"},
    ]
    points = [{"learning_rate": r, "momentum": 1 - m} for r in DECADES for m in (1.0, 0.1, 0.01, 0.001)]
    finding = _only(_study(space, points, lambda p: p["learning_rate"] / (1 - p["momentum"]) > 20))
    assert finding.expression == "learning_rate/one_minus_momentum"


def test_a_region_that_no_cut_describes_is_still_shown_to_be_one() -> None:
    rates = list(np.linspace(1, 10, 60))
    finding = _only(_rates(rates, lambda r: r > 7 or 2 < r < 4.2))
    assert (finding.verdict, finding.severity) == ("AdjustSpace", Severity.BLOCK)
    assert "learning_rate" in finding.message


@pytest.mark.parametrize("failing", [19, 20])
def test_when_nearly_all_fail_it_may_be_a_bug_wherever_they_lie(failing: int) -> None:
    rates = list(np.linspace(1, 10, 20))
    assert _only(_rates(rates, lambda r: r >= rates[20 - failing])).verdict == "PossibleBug"


@pytest.mark.parametrize(
    ("failing", "verdict"), [(0, "Ok"), (3, "Ok"), (4, "Note"), (9, "Note"), (10, "AdjustRange"), (18, "AdjustRange")]
)
def test_the_share_decides_how_much_is_said(failing: int, verdict: str) -> None:
    rates = list(np.linspace(1, 10, 20))
    finding = _only(_rates(rates, lambda r: r >= rates[19 - failing + 1] if failing else False))
    assert finding.verdict == verdict
    assert finding.severity is (Severity.BLOCK if verdict == "AdjustRange" else Severity.INFO)


def _with(states: Sequence[tuple[State, str]], good: int = 10) -> StudyRecord:
    spec = spec_of([RATE])
    trials: list[TrialRecord] = [trial_of(spec, i, {"learning_rate": 1 + i / 10}, 0.3) for i in range(good)]
    trials += [
        trial_of(spec, 100 + i, {"learning_rate": 6 + i / 10}, state=s, reason=r) for i, (s, r) in enumerate(states)
    ]
    return study_of(spec, trials)


def test_half_the_pods_preempted_say_nothing_about_the_space() -> None:
    lost, rest = check(_with([(State.FAILED, "Preempted")] * 6 + [(State.LOST, "NodeLost")] * 4))
    assert (lost.verdict, lost.severity) == ("InfrastructureLoss", Severity.INFO)
    assert lost.evidence.numbers == {"lost": 10}
    assert "Preempted 6, NodeLost 4" in lost.message
    assert len(lost.evidence.trials) == 10
    assert (rest.verdict, rest.evidence.numbers["infeasibleShare"]) == ("Ok", 0)


def test_failed_trials_never_cut_a_range_and_may_show_a_bug() -> None:
    finding = _only(_with([(State.FAILED, "Error")] * 15))
    assert (finding.verdict, finding.cut, finding.parameter) == ("PossibleBug", None, None)
    assert _only(_with([(State.FAILED, "Error")] * 3)).verdict == "Ok"


def test_trials_that_ran_out_of_memory_cut_a_range() -> None:
    assert _only(_with([(State.FAILED, "OOMKilled")] * 15)).verdict == "AdjustRange"
    assert _only(_with([(State.INFEASIBLE, "OutOfMemory")] * 15)).verdict == "AdjustRange"


def test_stopped_trials_are_feasible() -> None:
    spec = spec_of([RATE])
    trials = [trial_of(spec, i, {"learning_rate": r}, state=State.STOPPED) for i, r in enumerate(ONE_TO_TEN)]
    assert _only(study_of(spec, trials)).verdict == "Ok"


@pytest.mark.parametrize("number", [0, 1, 4])
def test_too_few_trials_are_no_pass(number: int) -> None:
    finding = _only(_rates(ONE_TO_TEN[:number], lambda _: False))
    assert finding.verdict == "Unknown"
    assert finding.action


def test_running_trials_do_not_count() -> None:
    spec = spec_of([RATE])
    trials = [trial_of(spec, i, {"learning_rate": r}, state=State.RUNNING) for i, r in enumerate(ONE_TO_TEN)]
    assert _only(study_of(spec, trials)).verdict == "Unknown"


def _arms(fails: Callable[[Mapping[str, Any]], bool], shared: bool) -> StudyRecord:
    own = [
        RATE | {"name": f"{o}_rate", "parameter": "learning_rate", "when": {"name": "optimizer", "values": [o]}}
        for o in ("sgd", "adam")
    ]
    space: list[Mapping[str, Any]] = [OPTIMIZER, RATE] if shared else [OPTIMIZER, *own]
    points = [{"optimizer": o, "learning_rate": r} for o in ("sgd", "adam") for r in map(float, np.linspace(1, 10, 20))]
    return _study(space, points, fails)


def _adam_fails(point: Mapping[str, Any]) -> bool:
    return bool(point["optimizer"] == "adam" and point["learning_rate"] > 3)


def test_conditional_hyperparameters_are_judged_arm_by_arm() -> None:
    found = check(_arms(_adam_fails, shared=False))
    assert [(f.verdict, f.scientific, f.parameter) for f in found] == [
        ("Ok", {"optimizer": "sgd"}, None),
        ("AdjustRange", {"optimizer": "adam"}, "learning_rate"),
    ]


def test_an_arm_that_holds_all_infeasible_trials_is_named_beside_the_whole() -> None:
    found = check(_arms(_adam_fails, shared=True))
    assert [(f.verdict, f.scientific) for f in found] == [
        ("Note", {}),
        ("AdjustRange", {"optimizer": "adam"}),
    ]


def test_arms_that_fail_alike_are_judged_together() -> None:
    found = check(_arms(lambda p: bool(p["learning_rate"] > 3), shared=True))
    assert [(f.verdict, f.scientific) for f in found] == [("AdjustRange", {})]


def test_a_cut_is_reproducible() -> None:
    study = _rates(ONE_TO_TEN, lambda r: r >= 5)
    assert check(study) == check(study)


@pytest.mark.parametrize("dimensions", [1, 2, 4])
@pytest.mark.parametrize("trials", [10, 20, 40])
def test_a_tenth_that_fails_at_random_cuts_nothing(dimensions: int, trials: int) -> None:
    found: Counter[str] = Counter()
    for seed in range(20):
        objective = bowl(a_centre(seed, dimensions))
        study = a_synthetic_study(
            seed, trials, objective, dimensions=dimensions, fails=lambda _, rng: bool(rng.random() < 0.1)
        )
        found.update(f.verdict for f in check(study))
    assert set(found) <= {"Ok", "Note"}


@pytest.mark.parametrize("dimensions", [1, 4])
def test_many_that_fail_at_random_rarely_cut_anything(dimensions: int) -> None:
    found: Counter[str] = Counter()
    for seed in range(20):
        objective = bowl(a_centre(seed, dimensions))
        study = a_synthetic_study(
            seed, 20, objective, dimensions=dimensions, fails=lambda _, rng: bool(rng.random() < 0.6)
        )
        found.update(f.verdict for f in check(study))
    assert found["AdjustRange"] + found["Reparameterise"] <= 1
    assert found["PossibleBug"] >= 14


def test_results_that_violate_a_constraint_are_not_infeasible_and_show_where_training_works() -> None:
    spec = spec_of([RATE])
    good = [trial_of(spec, i, {"learning_rate": r}, 0.3, violations=("latency",)) for i, r in enumerate(ONE_TO_TEN[:4])]
    bad = [trial_of(spec, 10 + i, {"learning_rate": r}, state=State.INFEASIBLE) for i, r in enumerate(ONE_TO_TEN[4:])]
    finding = _only(study_of(spec, [*good, *bad]))
    assert (finding.verdict, finding.cut) == ("AdjustRange", 4.5)
