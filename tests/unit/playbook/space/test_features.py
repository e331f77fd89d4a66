"""Which features do not help? (K23)"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.api.findings import Finding, Severity
from tuning_operator.playbook.space import roles
from tuning_operator.playbook.space.features import check

A = {"name": "a", "type": "Float", "role": "Nuisance", "low": 0.0, "high": 1.0}
VARIANT = {"name": "variant", "type": "Categorical", "role": "Scientific", "values": ["v0", "v1"]}


def _feature(
    with_: float, without: float, hyperparameter: Mapping[str, Any], noise: float | None = 0.01, number: int = 10
) -> Finding:
    name, values = str(hyperparameter["name"]), hyperparameter["values"]
    typed = {"true": True, "false": False} if hyperparameter.get("valueType") == "Boolean" else {v: v for v in values}
    baseline = {"baseline": {"scientific": {name: values[0]}} | ({"retrainDeviation": noise} if noise else {})}
    spec = spec_of([hyperparameter, A], **baseline)
    trials = [
        trial_of(spec, 100 * k + i, {name: typed[v], "a": a}, loss + (a - 0.5) ** 2)
        for k, (v, loss) in enumerate(zip(values, (without, with_), strict=True))
        for i, a in enumerate(np.linspace(0, 1, number))
    ]
    (found,) = check(study_of(spec, trials))
    return found


SWITCH = {
    "name": "use_mixup",
    "type": "Categorical",
    "role": "Scientific",
    "values": ["false", "true"],
    "valueType": "Boolean",
}


@pytest.mark.parametrize(
    "hyperparameter", [SWITCH, SWITCH | {"values": ["off", "on"], "valueType": "String"}, SWITCH | {"name": "dropout"}]
)
@pytest.mark.parametrize(
    ("with_", "verdict"), [(0.30, "RemoveFeature"), (0.285, "RemoveFeature"), (0.4, "RemoveFeature"), (0.27, "Ok")]
)
def test_a_feature_that_does_not_help_is_left_out(
    hyperparameter: Mapping[str, Any], with_: float, verdict: str
) -> None:
    finding = _feature(with_, 0.30, hyperparameter)
    assert (finding.verdict, finding.severity) == (verdict, Severity.INFO)
    assert finding.parameter == hyperparameter["name"]
    on = True if hyperparameter["valueType"] == "Boolean" else "on"
    assert finding.scientific == {hyperparameter["name"]: on}


def test_a_feature_is_not_judged_without_noise_or_with_few_trials() -> None:
    assert _feature(0.3, 0.3, SWITCH, noise=None).verdict == "Unknown"
    assert _feature(0.3, 0.3, SWITCH, number=7).verdict == "Unknown"


def test_a_choice_between_two_things_is_no_feature() -> None:
    spec = spec_of([VARIANT, A])
    assert check(study_of(spec, [trial_of(spec, 0, {"variant": "v0", "a": 0.5}, 0.3)])) == []


def test_a_feature_that_helps_in_one_of_several_arms_stays() -> None:
    spec = spec_of([SWITCH, VARIANT, A], baseline={"scientific": {"variant": "v0"}, "retrainDeviation": 0.01})
    trials = [
        trial_of(
            spec,
            1000 * on + 100 * v + i,
            {"use_mixup": bool(on), "variant": f"v{v}", "a": a},
            0.3 - 0.1 * on * v + (a - 0.5) ** 2,
        )
        for on in range(2)
        for v in range(2)
        for i, a in enumerate(np.linspace(0, 1, 10))
    ]
    (found,) = check(study_of(spec, trials))
    assert found.verdict == "Ok"


def test_features_are_among_the_answers_about_roles() -> None:
    spec = spec_of([SWITCH, A])
    found = roles.check(study_of(spec, [trial_of(spec, 0, {"use_mixup": True, "a": 0.5}, 0.3)]))
    assert [(f.parameter, f.rule, f.verdict) for f in found] == [
        ("a", "EXP-3", "Unknown"),
        ("use_mixup", "EXP-5", "Unknown"),
    ]
