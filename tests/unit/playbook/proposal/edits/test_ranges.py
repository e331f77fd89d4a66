"""How findings move the limits of the next study's ranges."""

from tests.support.findings import finding
from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.api.findings import Code, Side
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.proposal.change import Change
from tuning_operator.playbook.proposal.edits.ranges import boxed, cut, widened
from tuning_operator.playbook.records import StudyRecord

RATE = {"name": "learning_rate", "type": "Float", "role": "Nuisance", "low": 1e-4, "high": 1e-2, "scale": "Log"}
MOMENTUM = {"name": "one_minus_momentum", "type": "Float", "role": "Nuisance", "low": 1e-3, "high": 1.0, "scale": "Log"}
EXPAND = finding(Code.SEARCH_SPACE_EDGE, "Expand", parameter="learning_rate", side=Side.HIGH, new_limit=0.1)


def bounds(spec: TuningStudySpec, name: str = "learning_rate") -> tuple[float | None, float | None]:
    found = next(h for h in spec.hyperparameters if h.name == name)
    return found.low, found.high


def simple(**fields: object) -> StudyRecord:
    return study_of(spec_of([RATE | fields]))


def test_a_range_is_widened_on_the_side_that_the_finding_names_and_the_reason_is_given() -> None:
    study = simple()
    change = widened(study, [EXPAND], Change(study.spec))
    assert bounds(change.spec) == (1e-4, 0.1)
    assert change.reasons == (f"learning_rate: widened on the high side from 0.01 to 0.1. {EXPAND.message}",)


def test_no_range_is_widened_past_a_hard_limit() -> None:
    study = simple(hardHigh=0.05)
    assert bounds(widened(study, [EXPAND], Change(study.spec)).spec) == (1e-4, 0.05)


def test_an_edge_that_is_only_suspicious_changes_nothing() -> None:
    study = simple()
    suspicious = finding(Code.SEARCH_SPACE_EDGE, "Suspicious", parameter="learning_rate", side=Side.HIGH, new_limit=0.1)
    assert widened(study, [suspicious], Change(study.spec)) == Change(study.spec)


def test_of_two_arms_the_one_that_needs_most_decides() -> None:
    study = simple()
    further = EXPAND.model_copy(update={"new_limit": 1.0})
    assert bounds(widened(study, [further, EXPAND], Change(study.spec)).spec) == (1e-4, 1.0)


def test_only_the_entry_that_exists_in_the_arm_is_widened() -> None:
    study = study_of(
        spec_of(
            [
                {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adam", "sgd"]},
                *(
                    RATE | {"name": f"{o}_rate", "parameter": "lr", "when": {"name": "optimizer", "values": [o]}}
                    for o in ("adam", "sgd")
                ),
            ]
        )
    )
    found = EXPAND.model_copy(update={"parameter": "lr", "scientific": {"optimizer": "sgd"}})
    spec = widened(study, [found], Change(study.spec)).spec
    assert bounds(spec, "sgd_rate") == (1e-4, 0.1)
    assert bounds(spec, "adam_rate") == (1e-4, 1e-2)


def test_a_range_is_cut_where_trials_beyond_are_infeasible() -> None:
    study = simple()
    found = finding(Code.INFEASIBLE, "AdjustRange", parameter="learning_rate", side=Side.HIGH, cut=4e-3)
    assert bounds(cut(study, [found], Change(study.spec)).spec) == (1e-4, 4e-3)


def test_a_range_is_not_cut_where_warm_ups_may_give_access_to_what_lies_beyond() -> None:
    study = simple()
    found = finding(Code.INFEASIBLE, "AdjustRange", parameter="learning_rate", side=Side.HIGH, cut=4e-3)
    for parameter, rate, high in (("learning_rate", 0.05, 1e-2), ("learning_rate", 3e-3, 4e-3), ("other", 0.05, 4e-3)):
        plan = finding(Code.WARMUP, "Plan", parameter=parameter, numbers={"baseLearningRate": rate})
        assert bounds(cut(study, [found, plan], Change(study.spec)).spec) == (1e-4, high)


def test_a_ratio_is_kept_below_its_cut_with_the_best_trial_inside() -> None:
    spec = spec_of([RATE, MOMENTUM])
    best = {"learning_rate": 3e-3, "one_minus_momentum": 0.2}
    study = study_of(spec, [trial_of(spec, i, best, 0.1) for i in range(3)])
    found = finding(Code.INFEASIBLE, "Reparameterise", expression="learning_rate/one_minus_momentum", cut=0.05)
    changed = boxed(study, [found], Change(spec)).spec
    (low_rate, high_rate), (low_momentum, high_momentum) = bounds(changed), bounds(changed, "one_minus_momentum")
    assert high_rate is not None
    assert low_momentum is not None
    assert high_momentum is not None
    assert low_rate is not None
    assert high_rate / low_momentum <= 0.05 * (1 + 1e-9)
    assert low_rate <= best["learning_rate"] <= high_rate
    assert low_momentum <= best["one_minus_momentum"] <= high_momentum


def test_a_product_is_kept_below_its_cut_with_the_best_trial_inside() -> None:
    spec = spec_of([RATE, MOMENTUM])
    best = {"learning_rate": 3e-3, "one_minus_momentum": 0.02}
    study = study_of(spec, [trial_of(spec, i, best, 0.1) for i in range(3)])
    found = finding(Code.INFEASIBLE, "Reparameterise", expression="learning_rate*one_minus_momentum", cut=1e-4)
    changed = boxed(study, [found], Change(spec)).spec
    (_, high_rate), (_, high_momentum) = bounds(changed), bounds(changed, "one_minus_momentum")
    assert high_rate is not None
    assert high_momentum is not None
    assert high_rate * high_momentum <= 1e-4 * (1 + 1e-9)
    assert best["learning_rate"] <= high_rate
    assert best["one_minus_momentum"] <= high_momentum
