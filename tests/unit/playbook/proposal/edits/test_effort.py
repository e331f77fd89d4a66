"""How many trials the next study has, and what is tuned in which arm."""

from collections.abc import Sequence
from typing import Any

from tests.support.findings import finding
from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.api.findings import Code, Severity
from tuning_operator.api.hyperparameters import Role
from tuning_operator.playbook.proposal.change import Change
from tuning_operator.playbook.proposal.edits.effort import balanced, denser, tuned_everywhere, with_baseline
from tuning_operator.playbook.records import StudyRecord

Shape = dict[str, Any]

OPTIMIZER: Shape = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adam", "sgd"]}
RATE: Shape = {"name": "learning_rate", "type": "Float", "role": "Nuisance", "low": 1e-4, "high": 1.0, "scale": "Log"}
BETA: Shape = {"name": "beta2", "type": "Float", "role": "Nuisance", "low": 0.9, "high": 0.99}
SPARSE = finding(Code.SAMPLING, "Sparse")
CAN_FIX = finding(Code.ROLE, "CanFix", Severity.INFO, parameter="beta2", numbers={"bestValue": 0.95})


def study(counts: Sequence[int], hyperparameters: Sequence[Shape] = (OPTIMIZER, RATE)) -> StudyRecord:
    spec = spec_of(hyperparameters, budget={"maxTrials": 20})
    values = [optimizer for optimizer, n in zip(("adam", "sgd"), counts, strict=True) for _ in range(n)]
    parameters = {"learning_rate": 0.01, "beta2": 0.95}
    return study_of(
        spec,
        [trial_of(spec, i, {"optimizer": value, **parameters}, 0.1 + i / 100) for i, value in enumerate(values)],
    )


def test_each_arm_gets_as_many_trials_as_the_fullest_had() -> None:
    uneven = study((16, 6))
    change = balanced(uneven, [finding(Code.FAIR_COMPARISON, "Budget")], Change(uneven.spec))
    assert change.spec.budget.max_trials == 32


def test_a_sparse_space_gets_twice_the_trials() -> None:
    sparse = study((10, 10))
    change = denser(sparse, [SPARSE], Change(sparse.spec))
    assert change.spec.budget.max_trials == 40
    assert "budget.maxTrials: 40 instead of 20" in change.reasons[0]


def test_or_what_hardly_matters_is_fixed_at_the_best_value() -> None:
    sparse = study((10, 10), (OPTIMIZER, RATE, BETA))
    change = denser(sparse, [SPARSE, CAN_FIX], Change(sparse.spec))
    beta = change.hyperparameter("beta2")
    assert change.spec.budget.max_trials == 20
    assert beta is not None
    assert beta.role is Role.FIXED
    assert beta.value == "0.95"
    assert beta.low is None
    assert beta.fixed_reason


def test_the_last_searched_hyperparameter_is_never_fixed() -> None:
    sparse = study((10, 10))
    alone = CAN_FIX.model_copy(update={"parameter": "learning_rate"})
    assert denser(sparse, [SPARSE, alone], Change(sparse.spec)).spec.budget.max_trials == 40


def test_too_few_feasible_trials_ask_for_more() -> None:
    few = study((3, 3))
    assert denser(few, [], Change(few.spec)).spec.budget.max_trials == 40


def test_what_is_fixed_in_one_arm_and_tuned_in_the_other_is_tuned_in_both() -> None:
    rates: list[Shape] = [
        RATE | {"name": "adam_rate", "parameter": "learning_rate", "when": {"name": "optimizer", "values": ["adam"]}},
        {
            "name": "sgd_rate",
            "parameter": "learning_rate",
            "type": "Float",
            "role": "Fixed",
            "value": "0.1",
            "when": {"name": "optimizer", "values": ["sgd"]},
        },
    ]
    unfair = study((10, 10), (OPTIMIZER, *rates))
    found = finding(Code.FAIR_COMPARISON, "NotTuned", parameter="learning_rate", scientific={"optimizer": "sgd"})
    rate = tuned_everywhere(unfair, [found], Change(unfair.spec)).hyperparameter("sgd_rate")
    assert rate is not None
    assert rate.role is Role.NUISANCE
    assert (rate.low, rate.high, rate.value) == (1e-4, 1.0, None)
    assert rate.when is not None
    assert rate.when.values == ["sgd"]


def test_a_missing_baseline_is_added() -> None:
    spec = spec_of([OPTIMIZER, RATE], baseline={"scientific": {"optimizer": "nesterov"}})
    change = with_baseline(study_of(spec), [finding(Code.FAIR_COMPARISON, "NoBaseline")], Change(spec))
    optimizer = change.hyperparameter("optimizer")
    assert optimizer is not None
    assert optimizer.values == ["adam", "sgd", "nesterov"]
