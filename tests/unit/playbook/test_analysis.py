"""Whole studies, read as a Playbook author would read them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.api.findings import VERDICTS, Code, ConclusionState
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.analysis import Analysis, analyse
from tuning_operator.playbook.checklist import CHECKLIST
from tuning_operator.playbook.records import State, StudyRecord, TrialRecord
from tuning_operator.search.arms import arms_of, trial_index
from tuning_operator.search.sequence import positions
from tuning_operator.search.space import parameters_of
from tuning_operator.search.suggest import suggest

Shape = dict[str, Any]
GOAL = {"question": "Does Adam beat SGD within 600 steps?", "kind": "Understand"}
OPTIMIZER: Shape = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adam", "sgd"]}
STEPS: Shape = {"name": "max_steps", "type": "Integer", "role": "Fixed", "value": "600"}
EVALUATIONS = 30


def rate(optimizer: str, **fields: Any) -> Shape:
    """The learning rate of one optimizer."""
    return {
        "name": f"{optimizer}_rate",
        "parameter": "learning_rate",
        "type": "Float",
        "role": "Nuisance",
        "low": 1e-4,
        "high": 1.0,
        "scale": "Log",
        "when": {"name": "optimizer", "values": [optimizer]},
    } | fields


def spec(*hyperparameters: Shape, **fields: Any) -> TuningStudySpec:
    chosen = hyperparameters or (OPTIMIZER, rate("adam"), rate("sgd"), STEPS)
    return spec_of(chosen, **({"goal": GOAL, "budget": {"maxTrials": 48, "parallelTrials": 4}} | fields))


def trained(
    spec: TuningStudySpec, loss: Callable[[Shape], float], trials: int = 48, noise: float = 0.001
) -> StudyRecord:
    """The study's own points, each trained to `loss(parameters)`: infinite is diverged."""
    rng = np.random.default_rng(1)
    compared = arms_of(spec)
    records = []
    for position in range(trials // len(compared)):
        for arm in (a for a in compared if (points := positions(spec, a)) is None or position < points):
            assignment = suggest(spec, arm, position).assignment
            parameters = parameters_of(spec.hyperparameters, assignment)
            records.append(_trial(spec, trial_index(arm, position), parameters, loss(parameters), rng, noise))
    return study_of(spec, records)


def _trial(
    spec: TuningStudySpec, number: int, parameters: Shape, loss: float, rng: np.random.Generator, noise: float
) -> TrialRecord:
    time = np.arange(1, EVALUATIONS + 1) / EVALUATIONS
    if not math.isfinite(loss):
        gone = [2.0, math.nan]
        return trial_of(spec, number, parameters, state=State.INFEASIBLE, curve=gone, train=gone, reason="Diverged")
    # It is as good as it gets at three quarters of the run and stays there.
    shape = 2 * np.exp(-np.minimum(time, 0.75) / 0.12)
    curve, train = (part + noise * rng.standard_normal(EVALUATIONS) for part in (loss + shape, loss / 2 + shape))
    steps = [600 * (i + 1) // EVALUATIONS for i in range(EVALUATIONS)]
    return trial_of(spec, number, parameters, curve=list(curve), train=list(train), steps=steps, max_steps=600)


def bowl(best: float, floor: float) -> Callable[[float], float]:
    """A smooth optimum of the learning rate."""
    return lambda x: floor + 0.02 * math.log10(x / best) ** 2


def compared(adam: float, sgd: float) -> Callable[[Shape], float]:
    floors = {"adam": bowl(0.005, adam), "sgd": bowl(0.05, sgd)}
    return lambda p: floors[p["optimizer"]](p["learning_rate"])


def verdicts(analysis: Analysis, code: Code) -> set[str]:
    return {f.verdict for f in analysis.findings if f.code is code}


def test_a_fair_comparison_with_a_clear_difference_has_a_winner_and_goes_on_to_exploitation() -> None:
    analysis = analyse(trained(spec(), compared(adam=0.2, sgd=0.3)))
    assert analysis.conclusion.state is ConclusionState.ALLOWED, analysis.conclusion.message
    assert analysis.conclusion.winner == {"optimizer": "adam"}
    assert analysis.conclusion.decision == "None"
    assert analysis.conclusion.difference == pytest.approx(0.1, abs=0.02)
    assert analysis.next_study is not None
    assert "Bayesian" in analysis.next_study.reasons[-1]
    assert any("max_steps = 600" in caveat for caveat in analysis.conclusion.caveats)


def test_two_arms_that_are_alike_are_a_tie_and_nothing_follows() -> None:
    analysis = analyse(trained(spec(), compared(adam=0.2, sgd=0.2)))
    assert (analysis.conclusion.state, analysis.conclusion.reason) == (ConclusionState.ALLOWED, "Tie")
    assert analysis.conclusion.winner is None
    assert analysis.next_study is None


def test_an_optimum_outside_the_range_blocks_and_the_next_study_reaches_it() -> None:
    narrow = spec(rate("adam", name="learning_rate", when=None, low=1e-4, high=1e-2), STEPS)
    analysis = analyse(trained(narrow, lambda p: bowl(0.1, 0.2)(p["learning_rate"]), trials=20))
    assert (analysis.conclusion.state, analysis.conclusion.reason) == (ConclusionState.BLOCKED, "Expand")
    assert analysis.conclusion.winner is None
    assert analysis.next_study is not None
    assert analysis.next_study.manifest is not None
    following = TuningStudySpec.model_validate(analysis.next_study.manifest["spec"])
    assert following.hyperparameters[0].high == pytest.approx(0.1)
    assert following.hyperparameters[0].low == pytest.approx(1e-4)


def test_an_arm_that_is_not_tuned_blocks() -> None:
    fixed = rate("sgd", role="Fixed", value="0.5", low=None, high=None, scale=None)
    unfair = spec(OPTIMIZER, rate("adam"), {k: v for k, v in fixed.items() if v is not None}, STEPS)
    analysis = analyse(trained(unfair, compared(adam=0.2, sgd=0.2)))
    assert analysis.conclusion.state is ConclusionState.BLOCKED
    assert "NotTuned" in verdicts(analysis, Code.FAIR_COMPARISON)
    assert analysis.next_study is not None
    assert any("searched in every arm" in reason for reason in analysis.next_study.reasons)


def test_trials_that_fail_beyond_a_rate_well_above_the_best_do_not_matter() -> None:
    cliff = spec(rate("adam", name="learning_rate", when=None), STEPS)
    loss = lambda p: bowl(0.003, 0.2)(p["learning_rate"]) if p["learning_rate"] < 0.3 else math.inf  # noqa: E731
    analysis = analyse(trained(cliff, loss, trials=40))
    assert analysis.conclusion.state is ConclusionState.ALLOWED, analysis.conclusion.message
    assert analysis.conclusion.winner is not None
    assert analysis.conclusion.winner["max_steps"] == 600


def test_a_study_that_has_only_begun_is_pending() -> None:
    analysis = analyse(trained(spec(), compared(0.2, 0.3), trials=6))
    assert analysis.conclusion.state is ConclusionState.PENDING
    assert analysis.conclusion.winner is None


def test_a_study_without_trials_says_what_would_forbid_a_conclusion() -> None:
    steps = {"name": "max_steps", "type": "Integer", "role": "Nuisance", "low": 100, "high": 1000}
    analysis = analyse(study_of(spec(rate("adam", name="learning_rate", when=None), steps)))
    assert (analysis.conclusion.state, analysis.conclusion.reason) == (ConclusionState.BLOCKED, "MaxStepsSearched")


def test_what_is_acknowledged_becomes_a_caveat() -> None:
    steps = {"name": "max_steps", "type": "Integer", "role": "Nuisance", "low": 100, "high": 1000}
    known = [{"code": "Specification", "verdict": "MaxStepsSearched", "reason": "we pay by the step"}]
    analysis = analyse(study_of(spec(rate("adam", name="learning_rate", when=None), steps, acknowledge=known)))
    assert analysis.conclusion.state is ConclusionState.PENDING
    assert any("we pay by the step" in caveat for caveat in analysis.conclusion.caveats)


def test_each_check_answers_with_its_own_codes_and_known_verdicts() -> None:
    analysis = analyse(trained(spec(), compared(0.2, 0.3)))
    assert {f.code for f in analysis.findings} <= {code for check in CHECKLIST for code in check.codes}
    assert all(f.verdict in {*VERDICTS[f.code], "Ok", "Unknown"} for f in analysis.findings)
    missing = {code for check in CHECKLIST for code in check.codes} - {f.code for f in analysis.findings}
    assert missing <= {Code.ADOPTION}, "a check that has nothing to say says so, except where nothing is adopted"


def test_the_same_study_gives_the_same_analysis() -> None:
    study = trained(spec(), compared(0.2, 0.3))
    assert analyse(study) == analyse(study)
