"""How many trials each of Adam's hyperparameters is worth (K19)."""

import pytest

from tests.support.specifications import a_fixed, a_float, a_list, a_log, found, only, verdicts, when
from tuning_operator.api.findings import UNKNOWN

RANGES = {
    "lr": a_log("learning_rate", 1e-5, 1e-1),
    "beta1": a_float("one_minus_beta1", 0.01, 0.5, scale="Log"),
    "epsilon": a_log("eps", 1e-9, 1e-3),
    "beta2": a_float("beta2", 0.9, 0.999, scale="ReverseLog"),
}
ADAM = a_fixed("optimizer", "AdamW", "Categorical")
LR, BETA1, EPSILON, BETA2 = ("lr",), ("lr", "beta1"), ("lr", "beta1", "epsilon"), ("lr", "beta1", "epsilon", "beta2")


def said(trials: int, searched: tuple[str, ...]) -> set[str]:
    """Return what is said of one arm of Adam with so many trials."""
    space = [ADAM, *(RANGES[name] for name in searched)]
    return {v for v in verdicts(found(*space, of=[], budget={"maxTrials": trials})) if v.startswith("Adam")}


@pytest.mark.parametrize(
    ("trials", "searched", "verdict"),
    [
        (9, LR, set()),
        (9, BETA1, {"AdamTooMany"}),
        (10, BETA1, set()),
        (10, LR, {"AdamRoomFor"}),
        (24, BETA1, set()),
        (24, EPSILON, {"AdamTooMany"}),
        (25, EPSILON, set()),
        (25, BETA1, {"AdamRoomFor"}),
        (49, EPSILON, set()),
        (49, BETA2, {"AdamTooMany"}),
        (50, BETA2, set()),
        (50, EPSILON, {"AdamRoomFor"}),
        (50, ("beta1",), {"AdamLearningRateMissing"}),
        (9, ("beta1",), {"AdamLearningRateMissing", "AdamTooMany"}),
    ],
)
def test_brackets(trials: int, searched: tuple[str, ...], verdict: set[str]) -> None:
    assert said(trials, searched) == verdict


def test_each_hyperparameter_that_is_too_many_is_named() -> None:
    findings = found(ADAM, *(RANGES[name] for name in BETA2), of=[], budget={"maxTrials": 30})
    assert only(findings, "AdamTooMany").parameter == "beta2"
    fewer = found(ADAM, *(RANGES[name] for name in BETA2), of=[], budget={"maxTrials": 12})
    assert {f.parameter for f in fewer if f.verdict == "AdamTooMany"} == {"eps", "beta2"}


def test_trials_are_counted_for_the_arm_of_adam_and_not_in_total() -> None:
    space = [
        a_list("optimizer", "adam", "sgd"),
        a_log("adam_rate", 1e-5, 0.1, parameter="learning_rate", **when("optimizer", "adam")),
        a_log("sgd_rate", 1e-4, 1.0, parameter="learning_rate", **when("optimizer", "sgd")),
        {**RANGES["beta1"], **when("optimizer", "adam")},
    ]
    it = only(found(*space, of=[], budget={"maxTrials": 18}), "AdamTooMany")
    assert it.scientific == {"optimizer": "adam"}
    assert it.evidence.numbers == {"trials": 9}
    assert "AdamTooMany" not in verdicts(found(*space, of=[], budget={"maxTrials": 20}))


def test_another_optimizer_has_no_brackets_and_a_beta_without_an_optimizer_is_adam_s() -> None:
    lion = a_fixed("optimizer", "lion", "Categorical")
    assert "AdamTooMany" not in verdicts(found(lion, RANGES["lr"], RANGES["beta2"], of=[], budget={"maxTrials": 9}))
    assert "AdamTooMany" in verdicts(found(RANGES["lr"], RANGES["beta2"], of=[], budget={"maxTrials": 9}))
    assert "AdamRoomFor" not in verdicts(found(RANGES["lr"], of=[], budget={"maxTrials": 30}))


def test_room_is_not_offered_for_what_is_fixed_with_a_reason_or_where_it_would_spread_trials_thin() -> None:
    fixed = a_fixed("beta1", "0.9", fixedReason="an earlier study")
    assert "AdamRoomFor" not in verdicts(found(ADAM, RANGES["lr"], fixed, of=[], budget={"maxTrials": 20}))
    others = [a_float(name, 0.0, 0.5) for name in ("dropout", "label_smoothing")]
    assert "AdamRoomFor" not in verdicts(found(ADAM, RANGES["lr"], *others, of=[], budget={"maxTrials": 19}))
    assert "AdamRoomFor" in verdicts(found(ADAM, RANGES["lr"], *others, of=[], budget={"maxTrials": 20}))


def test_a_hyperparameter_that_may_be_the_learning_rate_is_asked_about() -> None:
    steps = a_fixed("max_steps", "1000", "Integer")
    findings = found(ADAM, RANGES["beta1"], a_log("alpha", 1e-5, 0.1), steps, of=[], budget={"maxTrials": 20})
    assert "AdamLearningRateMissing" not in verdicts(findings)
    assert "meaning learningRate" in only(findings, UNKNOWN).action
