"""What the API server refuses, in the words that a user of kubectl reads.

The tables are the specification: an invalid study on the left, the answer on the right.
"""

from typing import Any

import pytest

from hack.control_plane import ControlPlane
from tests.cluster.conftest import Cluster
from tests.support.builders import Manifest, a_choice, a_fixed, a_range, a_study, a_trial, merged

ANY_OPTIMIZER = ["adamw", "nesterov"]
SPACE = "spec.hyperparameters"
FIRST = f"{SPACE}[0]"
INVALID = 'Invalid value: "object"'
# Where the schema is violated, rules are not asked.
REST = (
    "\n* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
LIST_INVALID = 'Invalid value: "array"'


def space(*hyperparameters: Manifest, **spec: Any) -> Manifest:
    """Return a study with these hyperparameters."""
    return a_study(hyperparameters=list(hyperparameters), **spec)


def under(name: str, *values: str) -> Manifest:
    """Return the condition that another hyperparameter has one of these values."""
    return {"name": name, "values": list(values)}


RANGES = {
    "low above high": (
        space(a_range(low=1.0, high=0.1)),
        f"{FIRST}.high: {INVALID}: learning_rate: low must be smaller than high; "
        "for a single value use role Fixed with value",
    ),
    "low equal to high": (
        space(a_range(low=1.0, high=1.0)),
        f"{FIRST}.high: {INVALID}: learning_rate: low must be smaller than high; "
        "for a single value use role Fixed with value",
    ),
    "low without high": (
        space(a_range(high=None)),
        f"{FIRST}: Required value: learning_rate: low and high belong together: set both or neither",
    ),
    "high without low": (
        space(a_range(low=None)),
        f"{FIRST}: Required value: learning_rate: low and high belong together: set both or neither",
    ),
    "no range at all": (
        space(a_range(low=None, high=None)),
        f"{FIRST}: Required value: learning_rate: types Float and Integer need low and high; "
        "or use role Fixed with value",
    ),
    "a logarithm of zero": (
        space(a_range(low=0.0, scale="Log")),
        f"{FIRST}.low: {INVALID}: learning_rate: scale Log needs low > 0: raise low, or use scale Linear",
    ),
    "a logarithm of one minus one": (
        space(a_range("momentum", low=0.9, high=1.0, scale="ReverseLog")),
        f"{FIRST}.high: {INVALID}: momentum: scale ReverseLog needs high < 1, since it is the logarithm of 1 - x: "
        "lower high, or use scale Linear",
    ),
    "a reversed logarithm of integers": (
        space(a_range("layers", type="Integer", low=-8, high=0, scale="ReverseLog")),
        f"{FIRST}.scale: {INVALID}: layers: scale ReverseLog is for type Float",
    ),
    "an integer with fractions": (
        space(a_range("layers", type="Integer", low=1, high=2.5)),
        f"{FIRST}.high: {INVALID}: layers: high of an Integer must be a whole number between -2^53 and 2^53; "
        "for fractions use type Float",
    ),
    "an integer that a double cannot hold": (
        space(a_range("layers", type="Integer", low=-1e17, high=1)),
        f"{FIRST}.low: {INVALID}: layers: low of an Integer must be a whole number between -2^53 and 2^53; "
        "for fractions use type Float",
    ),
    "a width that a double cannot hold": (
        space(a_range(low=-1.5e308, high=1.5e308)),
        f"{FIRST}: {INVALID}: learning_rate: low and high must lie between -1e300 and 1e300",
    ),
}

DOMAINS = {
    "fixed without a value": (
        space(a_fixed(value=None)),
        f"{FIRST}.value: Required value: max_steps: role Fixed needs value: the value that it has in every trial, "
        "as a string",
    ),
    "fixed with a range": (
        space(a_fixed(low=1, high=2)),
        f"{FIRST}.role: Forbidden: max_steps: role Fixed goes with value alone: remove low, high, scale and values, "
        "or use role Nuisance or Scientific",
    ),
    "fixed with a scale": (
        space(a_fixed(scale="Log")),
        f"{FIRST}.role: Forbidden: max_steps: role Fixed goes with value alone: remove low, high, scale and values, "
        "or use role Nuisance or Scientific",
    ),
    "a value, but not fixed": (
        space(a_range(value="1")),
        f"{FIRST}.value: Forbidden: learning_rate: value belongs to role Fixed: use that role, or give low and high "
        "(Float, Integer) or values (Categorical, Ordinal)",
    ),
    "a choice of nothing": (
        space(a_choice(values=None)),
        f"{FIRST}.values: Required value: optimizer: types Categorical and Ordinal need values; "
        "or use role Fixed with value",
    ),
    "a comparison of one": (
        space(a_choice(values=["adamw"])),
        f"{FIRST}.values: {INVALID}: optimizer: role Scientific needs at least two values to compare; "
        "a single one has role Fixed",
    ),
    "a choice with a range": (
        space(a_choice(low=1, high=2)),
        f"{FIRST}.type: Forbidden: optimizer: types Categorical and Ordinal have values, no range: "
        "remove low, high and scale, or use type Float or Integer",
    ),
    "a range of listed values": (
        space(a_range(low=None, high=None, values=["0.1", "0.2"])),
        f"{FIRST}.values: Forbidden: learning_rate: values belong to types Categorical and Ordinal; for a list "
        "of numbers use Ordinal with valueType",
    ),
}

TEXTS = {
    "valueType of a number": (
        space(a_range(valueType="Integer")),
        f"{FIRST}.valueType: Forbidden: learning_rate: valueType is for types Categorical and Ordinal; Float and "
        "Integer imply theirs: remove it",
    ),
    "not an integer": (
        space(a_choice("batch_size", valueType="Integer", values=["16", "32.0"])),
        f"{FIRST}.values: {INVALID}: batch_size: each of values must be a whole number between -2^53 and 2^53, "
        "such as 16; not 32.0",
    ),
    "an integer with leading zeros": (
        space(a_choice("batch_size", valueType="Integer", values=["016", "32"])),
        f"{FIRST}.values: {INVALID}: batch_size: each of values must be a whole number between -2^53 and 2^53, "
        "such as 16; not 016",
    ),
    "an integer beyond 2^53": (
        space(a_fixed(value="9007199254740993")),
        f"{FIRST}.value: {INVALID}: max_steps: value must be a whole number between -2^53 and 2^53, such as 16; "
        "not 9007199254740993",
    ),
    "a fixed integer with a fraction": (
        space(a_fixed(value="1.5")),
        f"{FIRST}.value: {INVALID}: max_steps: value must be a whole number between -2^53 and 2^53, such as 16; "
        "not 1.5",
    ),
    "a comma for a point": (
        space(a_fixed("dropout", type="Float", value="0,5")),
        f"{FIRST}.value: {INVALID}: dropout: value must be a finite number, such as 0.5 or 1e-4; not 0,5",
    ),
    "not a finite number": (
        space(a_choice("clip_norm", valueType="Float", values=["1.0", "inf"])),
        f"{FIRST}.values: {INVALID}: clip_norm: each of values must be a finite number, such as 0.5 or 1e-4; not inf",
    ),
    "a number that becomes infinite": (
        space(a_fixed("clip_norm", type="Float", value="1e999")),
        f"{FIRST}.value: {INVALID}: clip_norm: value must be a finite number, such as 0.5 or 1e-4; not 1e999",
    ),
    "a Boolean of YAML 1.1": (
        space(a_choice("nesterov", valueType="Boolean", values=["true", "on"])),
        f"{FIRST}.values: {INVALID}: nesterov: each of values must be true or false; not on",
    ),
    "one number in two spellings": (
        space(a_choice("momentum", valueType="Float", values=["0.9", "9e-1"])),
        f"{FIRST}.values: {INVALID}: momentum: each number may stand once in values, however it is written; "
        "0.9 is there twice",
    ),
    "a value twice": (
        space(a_choice(values=["adamw", "adamw"])),
        f'{FIRST}.values[1]: Duplicate value: "adamw"',
    ),
}

CONDITIONS = {
    "two of one name": (
        space(a_choice(), a_choice()),
        f'{SPACE}[1]: Duplicate value: {{"name":"optimizer"}}',
    ),
    "a condition on itself": (
        space(a_choice(when=under("optimizer", "adamw"))),
        f"{FIRST}.when: {INVALID}: optimizer: when must name another hyperparameter",
    ),
    "a condition on a stranger": (
        space(a_choice(), a_range(when=under("optimiser", "adamw"))),
        f"{SPACE}: {LIST_INVALID}: learning_rate: when.name must be a hyperparameter of this study of type "
        "Categorical or Ordinal",
    ),
    "a condition on a range": (
        space(a_range("dropout"), a_range(when=under("dropout", "0.1"))),
        f"{SPACE}: {LIST_INVALID}: learning_rate: when.name must be a hyperparameter of this study of type "
        "Categorical or Ordinal",
    ),
    "a condition on a value that is not there": (
        space(a_choice(), a_range(when=under("optimizer", "adam"))),
        f"{SPACE}: {LIST_INVALID}: learning_rate: when.values must be values that the hyperparameter in when.name "
        "can have",
    ),
    "a condition on another value than the fixed one": (
        space(a_choice(role="Fixed", values=None, value="adamw"), a_range(when=under("optimizer", "nesterov"))),
        f"{SPACE}: {LIST_INVALID}: learning_rate: when.values must be values that the hyperparameter in when.name "
        "can have",
    ),
    "a cycle of two": (
        space(a_choice("a", when=under("b", "adamw")), a_choice("b", when=under("a", "adamw"))),
        f"{SPACE}: {LIST_INVALID}: a: its when leads back to itself: remove one of the conditions",
    ),
    "a cycle of three": (
        space(
            a_choice("a", when=under("b", "adamw")),
            a_choice("b", when=under("c", "adamw")),
            a_choice("c", when=under("a", "adamw")),
        ),
        f"{SPACE}: {LIST_INVALID}: a: its when leads back to itself: remove one of the conditions",
    ),
    "one parameter, always twice": (
        space(a_choice(), a_range("sgd_rate", parameter="rate"), a_range("adam_rate", parameter="rate")),
        f"{SPACE}: {LIST_INVALID}: sgd_rate: another hyperparameter has the same parameter: give both a when on one "
        "hyperparameter, with different values, or change parameter",
    ),
    "one parameter, sometimes twice": (
        space(
            a_choice(),
            a_range("sgd_rate", parameter="rate", when=under("optimizer", "nesterov")),
            a_range("adam_rate", parameter="rate", when=under("optimizer", *ANY_OPTIMIZER)),
        ),
        f"{SPACE}: {LIST_INVALID}: sgd_rate: another hyperparameter has the same parameter: give both a when on one "
        "hyperparameter, with different values, or change parameter",
    ),
    "a parameter that is another one's name": (
        space(a_range("rate"), a_range("adam_rate", parameter="rate")),
        f"{SPACE}: {LIST_INVALID}: rate: another hyperparameter has the same parameter: give both a when on one "
        "hyperparameter, with different values, or change parameter",
    ),
}

JOINT = (
    "design Joint (which a scientific range implies) is one space without conditions: remove every when, "
    "or list the scientific values as a Categorical and use design Arms"
)

DESIGNS = {
    "arms of a range": (
        space(a_range(role="Scientific"), search={"design": "Arms"}),
        f"spec.search.design: {INVALID}: design Arms needs scientific values that can be listed: for a scientific "
        "range use design Joint, or make it a Categorical with values",
    ),
    "a joint space with conditions": (
        space(a_choice(), a_range(when=under("optimizer", "adamw")), search={"design": "Joint"}),
        f"{SPACE}: {INVALID}: {JOINT}",
    ),
    "an implied joint space with conditions": (
        space(a_choice(), a_range(when=under("optimizer", "adamw")), a_range("depth", role="Scientific")),
        f"{SPACE}: {INVALID}: {JOINT}",
    ),
}

TWO_OBJECTIVES = {
    "a constraint without a limit": (
        a_study(objective={"constraints": [{"metric": "latency"}]}),
        "spec.objective.constraints[0]: Required value: a constraint needs max, min or both: what the metric must not "
        "be above or below",
    ),
    "limits that exclude each other": (
        a_study(objective={"constraints": [{"metric": "latency", "min": 2.0, "max": 1.0}]}),
        f"spec.objective.constraints[0].min: {INVALID}: min must not be larger than max, or no trial can keep to the "
        "constraint",
    ),
    "a constraint on the objective": (
        a_study(objective={"constraints": [{"metric": "validation_loss", "max": 1.0}]}),
        f"spec.objective.constraints: {INVALID}: a constraint is about another metric than the objective: remove it, "
        "or make that metric the objective",
    ),
    "two constraints on one metric": (
        a_study(objective={"constraints": [{"metric": "latency", "max": 1.0}, {"metric": "latency", "min": 0.5}]}),
        'spec.objective.constraints[1]: Duplicate value: {"metric":"latency"}',
    ),
    "the objective a second time": (
        a_study(secondObjective={"metric": "validation_loss"}),
        f"spec.secondObjective.metric: {INVALID}: secondObjective.metric must be another one than objective.metric",
    ),
    "a batch size that is named twice": (
        a_study(training={"batchSizes": [32, 64, 32]}),
        "spec.training.batchSizes[2]: Duplicate value: 32",
    ),
    "a single batch size": (
        a_study(training={"batchSizes": [32]}),
        "spec.training.batchSizes: Invalid value: 1: spec.training.batchSizes in body should have at least 2 items",
    ),
    "two objectives compared by one": (
        a_study(secondObjective={"metric": "latency"}, stopping={"rule": "Median"}),
        f"spec.stopping.rule: {INVALID}: rules Median and SuccessiveHalving compare trials by the objective alone: "
        "with a secondObjective use DivergedOnly or None",
    ),
}

SEARCHES = {
    "a list without points": (
        a_study(search={"algorithm": "List"}),
        "spec.search.points: Required value: algorithm List needs points: the ones to try",
    ),
    "a number of points per range, but no grid": (
        a_study(search={"pointsPerRange": 3}),
        "spec.search.pointsPerRange: Forbidden: pointsPerRange belongs to algorithm Grid: remove it, "
        "or use that algorithm",
    ),
    "from exploiting to exploring": (
        a_study(search={"algorithm": "Bayesian", "switchTo": {"algorithm": "QuasiRandom", "afterTrials": 4}}),
        f"spec.search.switchTo.algorithm: {INVALID}: switchTo.algorithm must be Bayesian: what explores comes first, "
        "what exploits the results last",
    ),
    "from one algorithm to itself": (
        a_study(search={"algorithm": "Bayesian", "switchTo": {"algorithm": "Bayesian", "afterTrials": 4}}),
        f"spec.search.switchTo.algorithm: {INVALID}: switchTo.algorithm must be another one than algorithm",
    ),
    "a switch that never comes": (
        a_study(search={"switchTo": {"algorithm": "Bayesian", "afterTrials": 8}}),
        f"spec.search.switchTo.afterTrials: {INVALID}: switchTo.afterTrials must be smaller than budget.maxTrials, "
        "or the switch never comes",
    ),
    "a point of numbers": (
        a_study(search={"points": [{"learning_rate": 0.1}]}),
        '\n* spec.search.points[0].learning_rate: Invalid value: "number": spec.search.points[0].learning_rate in body '
        f'must be of type string: "number"{REST}',
    ),
}

STOPPINGS = {
    "halving of trials that share a process": (
        a_study(stopping={"rule": "SuccessiveHalving"}, trial={"maxPacked": 4, "checkpoint": {"claimName": "c"}}),
        f"spec.trial.maxPacked: {INVALID}: rules Median and SuccessiveHalving end one trial before the others, and "
        "trials that share a process end together: with trial.maxPacked above 1 use DivergedOnly or None",
    ),
    "halving without a checkpoint": (
        a_study(stopping={"rule": "SuccessiveHalving"}),
        f"spec.stopping.rule: {INVALID}: rule SuccessiveHalving pauses trials and goes on with them: "
        "it needs trial.checkpoint",
    ),
    "a grace period for a rule without one": (
        a_study(stopping={"graceFraction": 0.5}),
        "spec.stopping.graceFraction: Forbidden: graceFraction belongs to rule Median: remove it, or use such a rule",
    ),
    "rungs for a rule without them": (
        a_study(stopping={"rule": "Median", "eta": 2}),
        "spec.stopping.eta: Forbidden: eta belongs to rule SuccessiveHalving: remove it, or use such a rule",
    ),
    "a comparison by a rule that makes none": (
        a_study(stopping={"minTrials": 3}),
        "spec.stopping.minTrials: Forbidden: minTrials belongs to rule Median and SuccessiveHalving: remove it, "
        "or use such a rule",
    ),
}

DURATION = "maxDuration must be longer than nothing and at most a year (8784h)"
TIME = "spec.budget.maxDuration"

BUDGETS = {
    "no time": (a_study(budget={"maxDuration": "0s"}), f'{TIME}: Invalid value: "string": {DURATION}'),
    "more than a year": (a_study(budget={"maxDuration": "8785h"}), f'{TIME}: Invalid value: "string": {DURATION}'),
    "more than a clock can hold": (
        a_study(budget={"maxDuration": "99999999999999h"}),
        f"{TIME}: Invalid value: \"string\": type conversion error from 'string' to 'google.protobuf.Duration' "
        f"evaluating rule: {DURATION}",
    ),
    "too many at once": (
        a_study(budget={"parallelTrials": 1001}),
        "spec.budget.parallelTrials: Invalid value: 1001: spec.budget.parallelTrials in body should be less than "
        "or equal to 1000",
    ),
    "none at once": (
        a_study(budget={"parallelTrials": 0}),
        "spec.budget.parallelTrials: Invalid value: 0: spec.budget.parallelTrials in body should be greater than "
        "or equal to 1",
    ),
    "a name with a dash": (
        space(a_range("learning-rate")),
        f"{FIRST}.name: Invalid value: \"learning-rate\": {FIRST}.name in body should match '^[a-zA-Z_][a-zA-Z0-9_]*$'",
    ),
    "an unknown type": (
        space(a_range(type="Double")),
        f'\n* {FIRST}.type: Unsupported value: "Double": supported values: "Float", "Integer", "Categorical", '
        f'"Ordinal"{REST}',
    ),
}

REJECTED = RANGES | DOMAINS | TEXTS | CONDITIONS | DESIGNS | SEARCHES | STOPPINGS | TWO_OBJECTIVES | BUDGETS


@pytest.mark.parametrize(("study", "answer"), REJECTED.values(), ids=REJECTED.keys())
def test_refuses(dry: Cluster, study: Manifest, answer: str) -> None:
    assert dry.refusal(study) == f'The TuningStudy "digits" is invalid: {answer}'


UNQUOTED = {"a number for a text": ("16", "integer"), "a Boolean for a text": ("on", "boolean")}


@pytest.mark.parametrize(("value", "found"), UNQUOTED.values(), ids=UNQUOTED.keys())
def test_refuses_a_value_without_quotes(dry: Cluster, value: str, found: str) -> None:
    text = f"""
apiVersion: tuning-operator.dev/v1alpha1
kind: TuningStudy
metadata: {{name: digits}}
spec:
  objective: {{metric: validation_loss}}
  hyperparameters:
  - {{name: optimizer, type: Categorical, role: Scientific, values: [adamw, {value}]}}
  budget: {{maxTrials: 8}}
  trial: {{template: {{spec: {{containers: [{{name: trainer}}]}}}}}}
"""
    field = f"{FIRST}.values[1]"
    assert dry.refusal(text) == (
        f'The TuningStudy "digits" is invalid: \n* {field}: Invalid value: "{found}": '
        f'{field} in body must be of type string: "{found}"{REST}'
    )


LEARNING_RATE = a_range()
BATCH_SIZE = a_choice("batch_size", valueType="Integer", values=["16", "32"])
BEFORE = space(LEARNING_RATE, BATCH_SIZE)
RUNNING = {"trials": {"total": 6, "running": 2, "pending": 0, "succeeded": 2, "infeasible": 1, "failed": 1}}

ORDER = (
    "the order of hyperparameters and of their values cannot be changed, since it decides which trials are drawn: "
    "create another study"
)

CHANGES = {
    "another search space": (
        {"hyperparameters": [a_range(high=2.0), BATCH_SIZE]},
        "spec.hyperparameters: Forbidden: hyperparameters cannot be changed, since trials of different search spaces "
        "are not comparable: create another study",
    ),
    "another order of hyperparameters": (
        {"hyperparameters": [BATCH_SIZE, LEARNING_RATE]},
        f"spec.hyperparameters: Forbidden: {ORDER}",
    ),
    "another order of values": (
        {"hyperparameters": [LEARNING_RATE, {**BATCH_SIZE, "values": ["32", "16"]}]},
        f"spec.hyperparameters: Forbidden: {ORDER}",
    ),
    "another seed": (
        {"search": {"seed": 8}},
        "spec.search: Forbidden: search cannot be changed, since trials of different designs are not comparable: "
        "create another study",
    ),
    "another port": (
        {"metrics": {"port": 9000}},
        "spec.metrics: Forbidden: metrics cannot be changed, since trials of different measurements are not "
        "comparable: create another study",
    ),
    "another image": (
        {"trial": {"template": {"spec": {"containers": [{"name": "trainer", "image": "localhost/other"}]}}}},
        "spec.trial: Forbidden: trial cannot be changed, since trials of different templates are not comparable: "
        "create another study",
    ),
    "another objective": (
        {"objective": {"metric": "accuracy"}},
        "spec.objective: Forbidden: objective cannot be changed, since trials of different objectives are not "
        "comparable: create another study",
    ),
    "a second objective that comes later": (
        {"secondObjective": {"metric": "latency"}},
        "spec.secondObjective: Forbidden: secondObjective cannot be changed, since trials of different objectives are "
        "not comparable: create another study",
    ),
    "fewer trials than were started": (
        {"budget": {"maxTrials": 4}},
        f"spec.budget.maxTrials: {INVALID}: maxTrials cannot be lowered below the number of trials that were "
        "started: 5",
    ),
}


@pytest.fixture(scope="module")
def running_study(control_plane: ControlPlane) -> Cluster:
    """A namespace in which the study of the table below runs."""
    control_plane.kubectl("create", "namespace", "rejected")
    cluster = Cluster(control_plane, "rejected")
    cluster.apply(BEFORE)
    cluster.patch_status("tuningstudy", "digits", {"observedGeneration": 1, **RUNNING})
    return cluster


@pytest.mark.parametrize(("change", "answer"), CHANGES.values(), ids=CHANGES.keys())
def test_refuses_the_change(running_study: Cluster, change: dict[str, Any], answer: str) -> None:
    after = merged(BEFORE, {"spec": change})
    assert running_study.refusal(after) == f'The TuningStudy "digits" is invalid: {answer}'


def test_refuses_to_change_a_trial(cluster: Cluster) -> None:
    operator = "system:serviceaccount:tuning-operator-system:tuning-operator"
    cluster.apply(a_trial(), user=operator)
    answer = cluster.apply(a_trial(seed=8), user=operator)
    assert answer == (
        'The TuningTrial "digits-0a1b2c3d-0" is invalid: spec: Forbidden: a trial is written once: '
        "change the study instead"
    )
