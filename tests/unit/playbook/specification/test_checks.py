"""What the Playbook says of a study before it runs: one specification for each item, and one much like it of which
nothing is said."""

from typing import Any

import pytest

from tests.support.specifications import (
    DECAY,
    LAYERS,
    OPTIMIZERS,
    RATE,
    a_count,
    a_fixed,
    a_float,
    a_list,
    a_log,
    found,
    only,
    verdicts,
    when,
)
from tests.support.studies import spec_of, study_of
from tuning_operator.api.findings import OK, UNKNOWN, VERDICTS, Code, Severity
from tuning_operator.playbook.specification import check

BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO
Change = tuple[tuple[Any, ...], dict[str, Any]]


def c(*changed: Any, **fields: Any) -> Change:
    """A change of the clean specification."""
    return changed, fields


MINIMISE = {"question": "How low does it get?", "kind": "Minimise"}
JOINT = {"design": "Joint"}
ADAM = [a_fixed("optimizer", "adam", "Categorical"), *(a_fixed(n, "0.9") for n in ("beta2", "epsilon"))]
RATE_LIST = a_list("learning_rate", "0.1", "0.01", valueType="Float")
SHARED_RATE = c(RATE, of=OPTIMIZERS, without=["adamw_rate", "nesterov_rate"])

ITEMS: list[tuple[str, Severity, Change, Change]] = [
    ("MissingGoal", BLOCK, c(goal=None), c()),
    ("MissingGoal", BLOCK, c(goal={"question": " "}), c(goal={"question": "?"})),
    ("MaxStepsSearched", BLOCK, c(a_count("max_steps", 100, 1000)), c(a_count("patience", 100, 1000))),
    ("MaxStepsSearched", BLOCK, c(a_list("n", "9", "99", meaning="maxSteps", role="Nuisance")), c(a_fixed("n", "9"))),
    ("MaxStepsSearched", BLOCK, c(a_count("budget", 10, 50), stopping={"stepsParameter": "budget"}),
     c(a_count("budget", 10, 50))),
    ("BatchSizeSearched", BLOCK, c(a_list("batch_size", "32", "64", role="Nuisance", valueType="Integer")),
     c(a_fixed("batch_size", "64", "Integer"))),
    ("BatchSizeSearched", BLOCK, c(a_list("bs", "32", "64", valueType="Integer"), without=["num_layers"]),
     c(a_list("bs", "32", "64", valueType="Integer"), objective={"metric": "examples_per_second"},
       without=["num_layers"])),
    ("SharedHyperparameter", BLOCK, SHARED_RATE, c(of=OPTIMIZERS)),
    ("SharedHyperparameter", BLOCK, c(a_list("optimizer", "adam", "sgd", role="Nuisance")), c()),
    ("SharedHyperparameter", BLOCK, c(a_log("wd", 1e-6, 0.1, **when("optimizer", "adamw", "nesterov")), of=OPTIMIZERS),
     c(a_log("wd", 1e-6, 0.1), of=OPTIMIZERS)),
    ("JointWithConditions", BLOCK, c(a_log("extra", 1e-3, 1, **when("num_layers", "4")), search=JOINT),
     c(a_log("extra", 1e-3, 1, **when("num_layers", "4")))),
    ("JointWithConditions", BLOCK, c(a_float("width", 1, 2, "Scientific"), a_log("x", 1, 2, **when("num_layers", "4"))),
     c(a_float("width", 1, 2, "Scientific"))),
    ("JointAdaptive", BLOCK, c(search={**JOINT, "algorithm": "Bayesian"}),
     c(search={**JOINT, "algorithm": "Bayesian"}, goal=MINIMISE)),
    ("JointAdaptive", BLOCK, c(search={**JOINT, "switchTo": {"algorithm": "Bayesian", "afterTrials": 9}}),
     c(search={"switchTo": {"algorithm": "Bayesian", "afterTrials": 9}})),
    ("WarmupTooLong", BLOCK, c(a_count("warmup_steps", 0, 101)), c(a_count("warmup_steps", 0, 100))),
    ("WarmupTooLong", BLOCK, c(a_float("warmup_ratio", 0, 0.2)), c(a_float("warmup_ratio", 0, 0.1))),
    ("WarmupTooLong", WARN, c(a_fixed("warmup_steps", "200", "Integer")), c(a_fixed("warmup_steps", "0", "Integer"))),
    ("WarmupTooLong", WARN, c(training={"schedule": {"warmupSteps": 101}}),
     c(training={"schedule": {"warmupSteps": 9}})),
    ("TimeBasedEvaluation", BLOCK, c(training={"evaluateEverySeconds": 60}), c(training={"evaluateEverySteps": 10})),
    ("InvalidRange", BLOCK, c(a_log("learning_rate", 1.0, 1e-4)), c(RATE)),
    ("InvalidRange", BLOCK, c(a_log("learning_rate", 0.0, 1.0)), c(a_float("learning_rate", 0.0, 1.0))),
    ("InvalidRange", BLOCK, c(a_float("momentum", 0.5, 1.0, scale="ReverseLog")),
     c(a_float("momentum", 0.5, 0.99, scale="ReverseLog"))),
    ("InvalidRange", BLOCK, c(a_float("dropout", 0.0, 0.5, hardLow=0.1)), c(a_float("dropout", 0.0, 0.5, hardLow=0.0))),
    ("InvalidRange", BLOCK, c(a_count("k", 1, 1)), c(a_count("k", 1, 2))),
    ("InvalidRange", WARN, c(a_float("momentum", 0.5, 1.5)), c(a_float("momentum", 0.5, 1.0))),
    ("InvalidRange", WARN, c(a_float("dropout", 0, 50)), c(a_float("dropout", 0, 50, meaning="other"))),
    ("OptimizerFixed", WARN, c(a_fixed("learning_rate", "0.1")),
     c(a_fixed("learning_rate", "0.1", fixedReason="an earlier study"))),
    ("OptimizerFixed", WARN, c(a_fixed("learning_rate", "0.1")),
     c(a_fixed("learning_rate", "0.1"), without=["num_layers"])),
    ("OptimizerFixed", WARN, c(without=["learning_rate"]), c()),
    ("LearningRateScientific", WARN, c(RATE_LIST, without=["num_layers"]), c(RATE, without=["num_layers"])),
    ("OptimizerChoiceNuisance", WARN, c(a_list("optimizer", "a", "b", role="Nuisance")), c(of=OPTIMIZERS)),
    ("RegularizationSwitchNuisance", WARN, c(a_list("dropout", "true", "false", role="Nuisance", valueType="Boolean")),
     c(a_float("dropout", 0.0, 0.5))),
    ("ArchitectureNuisance", WARN, c(a_list("norm_layer", "batch", "layer", role="Nuisance")),
     c(a_list("activation", "relu", "tanh", role="Nuisance"))),
    ("RegularizationFixed", WARN, c(a_fixed("weight_decay", "1e-4")), c(a_fixed("weight_decay", "0"))),
    ("RegularizationFixed", WARN, c(a_fixed("weight_decay", "1e-4")),
     c(a_fixed("weight_decay", "1e-4", fixedReason="hardly matters"))),
    ("RegularizationFixed", WARN, c(a_fixed("weight_decay", "1e-4")),
     c(a_fixed("weight_decay", "1e-4"), a_list("activation", "relu", "tanh"), without=["num_layers"])),
    ("SeveralScientific", WARN, c(a_list("activation", "relu", "tanh")),
     c(a_list("activation", "relu", "tanh", role="Nuisance"))),
    ("SeveralScientific", WARN, c(a_list("activation", "relu", "tanh"), search=JOINT), c(search=JOINT)),
    ("GridDimensions", WARN, c(a_float("dropout", 0, 0.5), search={"algorithm": "Grid"}),
     c(search={"algorithm": "Grid"})),
    ("GradientAccumulation", WARN, c(a_fixed("accumulation_steps", "4", "Integer")),
     c(a_fixed("accumulation_steps", "1", "Integer"))),
    ("GradientAccumulation", WARN, c(a_count("accumulation_steps", 1, 8)), c()),
    ("EvaluationBatchSmall", WARN,
     c(a_fixed("batch_size", "64", "Integer"), a_fixed("eval_batch_size", "32", "Integer")),
     c(a_fixed("batch_size", "64", "Integer"), a_fixed("eval_batch_size", "64", "Integer"))),
    ("FewEvaluations", WARN, c(training={"evaluateEverySteps": 51}), c(training={"evaluateEverySteps": 50})),
    ("LinearScale", WARN, c(a_float("weight_decay", 1e-6, 1e-2)), c(a_float("weight_decay", 1e-4, 1e-2))),
    ("LinearScale", WARN, c(a_float("beta2", 0.9, 0.9999)), c(a_float("beta2", 0.9, 0.999))),
    ("LinearScale", WARN, c(a_float("weight_decay", 1e-6, 1e-2)), c(a_float("dropout", 0.001, 0.5))),
    ("LinearScale", WARN, c(a_count("units_of_head", 1, 101)), c(a_count("units_of_head", 1, 100))),
    ("EarlyStopping", WARN, c(stopping={"rule": "Median"}), c(stopping={"rule": "Median"}, goal=MINIMISE)),
    ("EarlyStopping", WARN, c(stopping={"rule": "SuccessiveHalving"}), c(stopping={"rule": "DivergedOnly"})),
    ("AdamTooMany", WARN, c(*ADAM, a_float("beta1", 0.5, 0.9), budget={"maxTrials": 18}),
     c(*ADAM, a_float("beta1", 0.5, 0.9), budget={"maxTrials": 20})),
    ("AdamLearningRateMissing", WARN, c(*ADAM, a_float("beta1", 0.5, 0.9), a_fixed("learning_rate", "0.1")),
     c(*ADAM, a_fixed("beta1", "0.9"), a_fixed("learning_rate", "0.1"))),
    ("AdamRoomFor", INFO, c(*ADAM, a_fixed("beta1", "0.9"), budget={"maxTrials": 30}),
     c(*ADAM, a_fixed("beta1", "0.9"), budget={"maxTrials": 28})),
    ("TooManyRounds", WARN, c(training={"rounds": 4}), c(training={"rounds": 3})),
    ("PiecewiseSchedule", WARN, c(training={"schedule": {"family": "Piecewise"}}),
     c(training={"schedule": {"family": "Step"}})),
    ("PiecewiseSchedule", WARN, c(a_fixed("lr_schedule", "piecewise_constant", "Categorical")),
     c(a_fixed("lr_schedule", "cosine", "Categorical"))),
    ("TooFewTrials", WARN, c(budget={"maxTrials": 18}), c(budget={"maxTrials": 20})),
    ("LowParallelism", INFO, c(budget={"parallelTrials": 1}),
     c(budget={"parallelTrials": 1}, search={"algorithm": "Bayesian"})),
    ("UnattendedOptimizer", INFO, c(without=["momentum"]), c()),
    ("UnattendedOptimizer", INFO, c(without=["momentum"]),
     c(a_fixed("optimizer", "lion", "Categorical"), without=["momentum"])),
    ("UnattendedOptimizer", INFO, c(without=["momentum"]),
     c(a_fixed("one_minus_momentum", "0.1"), without=["momentum"])),
]  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "severity", "change", "_"), ITEMS, ids=[f"{i}-{x[0]}" for i, x in enumerate(ITEMS)]
)
def test_an_item_of_the_list_is_found(verdict: str, severity: Severity, change: Change, _: Change) -> None:
    changed, fields = change
    it = only(found(*changed, **fields), verdict)
    assert it.severity is severity
    assert it.code is Code.SPECIFICATION
    assert it.message.endswith((".", ")."))
    assert it.action.endswith(".")
    assert it.scientific == {}


@pytest.mark.parametrize(("verdict", "_", "__", "control"), ITEMS, ids=[f"{i}-{x[0]}" for i, x in enumerate(ITEMS)])
def test_what_is_nearly_the_same_is_left_alone(verdict: str, _: Severity, __: Change, control: Change) -> None:
    changed, fields = control
    assert verdict not in verdicts(found(*changed, **fields))


def test_each_verdict_has_its_specification() -> None:
    assert {item[0] for item in ITEMS} == set(VERDICTS[Code.SPECIFICATION])


@pytest.mark.parametrize("space", [c(), c(of=OPTIMIZERS)], ids=["layers", "optimizers"])
def test_of_a_clean_specification_one_finding_says_that_all_is_well(space: Change) -> None:
    changed, fields = space
    assert [(f.verdict, f.severity) for f in found(*changed, **fields)] == [(OK, INFO)]


def test_the_ok_stands_beside_what_is_only_worth_knowing_and_not_beside_a_doubt() -> None:
    assert {f.verdict for f in found(without=["momentum"])} == {"UnattendedOptimizer", OK}
    in_doubt = found(
        a_count("warmup_steps", 0, 10),
        without=["max_steps"],
        training={"evaluateEverySteps": None},
        budget={"maxTrials": 30},
    )
    assert [f.verdict for f in in_doubt] == [UNKNOWN]


def test_the_gravest_comes_first() -> None:
    severities = [f.severity for f in found(a_list("activation", "a", "b"), goal=None, budget={"parallelTrials": 1})]
    assert severities == sorted(severities, key=[BLOCK, WARN, INFO].index)
    assert set(severities) == {BLOCK, WARN, INFO}


def test_a_study_whose_conditions_form_a_cycle_is_not_judged_and_the_rest_still_is() -> None:
    a, b = a_list("a", "x", "y", **when("b", "x")), a_list("b", "x", "y", **when("a", "x"))
    findings = check(study_of(spec_of([a, b])))
    assert "cycle" in only(findings, UNKNOWN).message
    assert "MissingGoal" in verdicts(findings)
    assert OK not in {f.verdict for f in findings}


def test_a_range_without_an_end_is_named() -> None:
    open_ended = {k: v for k, v in RATE.items() if k != "high"}
    it = only(found(open_ended), "InvalidRange")
    assert (it.parameter, it.severity) == ("learning_rate", BLOCK)


@pytest.mark.parametrize("search", [{}, JOINT])
def test_a_choice_without_values_is_named_and_the_rest_still_judged(search: Any) -> None:
    empty = {k: v for k, v in LAYERS.items() if k != "values"}
    findings = found(empty, search=search, goal=None)
    assert only(findings, "InvalidRange").parameter == "num_layers"
    assert "MissingGoal" in verdicts(findings)


@pytest.mark.parametrize("role", ["optimizer", "num_layers", "norm_layer"])
def test_where_only_the_best_value_counts_a_choice_among_the_nuisances_is_only_worth_knowing(role: str) -> None:
    findings = found(a_list(role, "4", "8", role="Nuisance"), goal=MINIMISE, without=["momentum", "learning_rate"])
    assert {f.severity for f in findings if f.verdict.endswith("Nuisance")} == {INFO}


def test_what_the_names_do_not_tell_the_meanings_do() -> None:
    space = [
        a_list("depth_of_net", "2", "4", meaning="modelSize"),
        a_fixed("alpha", "0.1", meaning="learningRate"),
        a_fixed("lambda_", "1e-4", category="regularization"),
        a_list("tokens", "8", "16", role="Nuisance", meaning="batchSize", valueType="Integer"),
    ]
    said = verdicts(found(*space, of=[]))
    assert {"OptimizerFixed", "RegularizationFixed", "BatchSizeSearched"} <= said


def test_a_name_that_means_something_else_here_is_believed() -> None:
    said = verdicts(
        found(a_list("batch_size", "1", "2", meaning="other", role="Nuisance"), a_count("steps", 1, 9, meaning="other"))
    )
    assert not said & {"BatchSizeSearched", "MaxStepsSearched"}


def test_without_a_known_learning_rate_nobody_says_whether_it_is_tuned() -> None:
    it = only(found(a_log("alpha", 1e-4, 1.0), without=["learning_rate", "momentum", "optimizer"]), UNKNOWN)
    assert "meaning learningRate" in it.action


@pytest.mark.parametrize("of", [LAYERS, DECAY])
def test_a_warm_up_in_a_run_of_unknown_length_is_a_question_that_names_the_field(of: Any) -> None:
    it = only(
        found(of, a_count("warmup_steps", 0, 10), without=["max_steps"], training={"evaluateEverySteps": None}), UNKNOWN
    )
    assert (it.parameter, it.action) == ("warmup_steps", "Set spec.training.maxSteps.")


def test_epochs_are_no_steps() -> None:
    epochs = a_fixed("num_epochs", "90", "Integer")
    findings = found(epochs, a_count("warmup_steps", 0, 500), without=["max_steps"], budget={"maxTrials": 30})
    assert verdicts(findings) == {UNKNOWN}
    assert all("told in epochs" in f.message for f in findings)
    told = found(
        epochs,
        a_count("warmup_steps", 0, 500),
        without=["max_steps"],
        training={"maxSteps": 100000},
        budget={"maxTrials": 40},
    )
    assert verdicts(told) == set()


def test_batch_sizes_compared_over_epochs_get_fewer_steps_the_larger_they_are() -> None:
    sizes = a_list("batch_size", "32", "64", valueType="Integer")
    in_steps, in_epochs = (
        only(found(sizes, without=["num_layers"], training={"unit": unit, "maxSteps": 1000}), "BatchSizeSearched")
        for unit in ("Steps", "Epochs")
    )
    assert "BAT-19" in in_epochs.message
    assert "BAT-19" not in in_steps.message
    assert "compared" in in_steps.message


def test_a_learning_rate_that_is_fixed_for_one_optimizer_alone_is_told_of_that_arm() -> None:
    fixed = a_fixed("nesterov_rate", "0.1", parameter="learning_rate", **when("optimizer", "nesterov"))
    it = only(found(fixed, of=OPTIMIZERS), "OptimizerFixed")
    assert (it.parameter, it.scientific) == ("learning_rate", {"optimizer": "nesterov"})


def test_hyperparameters_of_optimizers_that_lie_under_different_models_are_not_shared() -> None:
    space = [
        a_list("model", "mlp", "cnn"),
        a_list("optimizer", "adam", "sgd", **when("model", "cnn")),
        a_log("rate", 1e-4, 1.0, parameter="learning_rate", **when("model", "mlp")),
    ]
    assert "SharedHyperparameter" not in verdicts(found(*space, of=[]))
    assert "SharedHyperparameter" in verdicts(found(*space[:2], {**space[2], **when("model", "cnn")}, of=[]))


@pytest.mark.parametrize(
    ("budget", "search", "said"),
    [
        ({"maxTrials": 20}, {"replicates": 2}, True),
        ({"maxTrials": 40}, {"replicates": 2}, False),
        ({"maxTrials": 19}, JOINT, True),
        ({"maxTrials": 20}, JOINT, False),
    ],
)
def test_trials_are_counted_by_arm_and_replicates_of_a_point_once(budget: Any, search: Any, said: bool) -> None:
    assert ("TooFewTrials" in verdicts(found(budget=budget, search=search))) is said


def test_a_space_that_is_tried_whole_needs_no_more_trials() -> None:
    few = [a_list("optimizer", "a", "b"), a_list("activation", "relu", "tanh", "gelu", role="Nuisance")]
    assert "TooFewTrials" not in verdicts(found(*few, of=[], budget={"maxTrials": 6}))
    assert "TooFewTrials" in verdicts(found(*few, of=[], budget={"maxTrials": 5}))


def test_what_is_different_in_every_arm_is_told_of_every_arm() -> None:
    findings = found(of=OPTIMIZERS, without=["momentum", "beta1"])
    arms = [f.scientific for f in findings if f.verdict == "UnattendedOptimizer"]
    assert arms == [{"optimizer": "adamw"}, {"optimizer": "nesterov"}]


def test_a_study_sets_its_own_numbers_and_the_evidence_says_so() -> None:
    it = only(found(thresholds={"trialsPerDimension": 20}), "TooFewTrials")
    (used, *_) = it.evidence.thresholds
    assert (used.name, used.value, used.origin) == ("trialsPerDimension", 20, "Study")
