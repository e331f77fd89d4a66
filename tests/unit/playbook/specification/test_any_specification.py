"""Whatever the models read, the checks answer: `kubectl tuning analyze` meets studies that no API server has seen."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.studies import spec_of, study_of
from tuning_operator.api.findings import OK, UNKNOWN, VERDICTS, Code, Severity
from tuning_operator.api.hyperparameters import Category, HyperparameterType, Meaning, Role, Scale, ValueType
from tuning_operator.playbook.specification import check

NAMES = ("learning_rate", "optimizer", "batch_size", "warmup_steps", "beta1", "x")
TEXTS = st.sampled_from(["adam", "nesterov", "0", "64", "1e-3", "true", "nan", ""])
NUMBERS = st.sampled_from([-1.0, 0.0, 0.5, 0.999, 1.0, 2.5, 1e6, float("inf"), float("nan")])


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def hyperparameters(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "name": st.just(name),
            "type": st.sampled_from(HyperparameterType),
            "role": st.sampled_from(Role),
            "low": maybe(NUMBERS),
            "high": maybe(NUMBERS),
            "scale": maybe(st.sampled_from(Scale)),
            "values": maybe(st.lists(TEXTS, min_size=1, max_size=3, unique=True)),
            "value": maybe(TEXTS),
            "valueType": maybe(st.sampled_from(ValueType)),
            "category": maybe(st.sampled_from(Category)),
            "meaning": maybe(st.sampled_from(Meaning)),
            "parameter": maybe(st.sampled_from(NAMES)),
            "when": maybe(
                st.fixed_dictionaries(
                    {"name": st.sampled_from(NAMES), "values": st.lists(TEXTS, min_size=1, max_size=2)}
                )
            ),
        }
    )


SPACES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True).flatmap(
    lambda names: st.tuples(*(hyperparameters(name) for name in names))
)
SEARCHES = st.fixed_dictionaries(
    {
        "algorithm": st.sampled_from(["QuasiRandom", "Bayesian", "Grid", "List"]),
        "design": maybe(st.sampled_from(["Arms", "Joint"])),
        "replicates": st.integers(1, 3),
    }
)
TRAININGS = st.fixed_dictionaries(
    {
        "unit": st.sampled_from(["Steps", "Epochs"]),
        "maxSteps": maybe(st.integers(1, 100)),
        "evaluateEverySteps": maybe(st.integers(1, 100)),
        "schedule": maybe(st.fixed_dictionaries({"warmupSteps": st.integers(0, 20)})),
    }
)


@settings(max_examples=100)
@given(space=SPACES, search=SEARCHES, training=TRAININGS, trials=st.integers(1, 60))
def test_each_study_gets_an_answer(space: Any, search: Any, training: Any, trials: int) -> None:
    findings = check(study_of(spec_of(space, search=search, training=training, budget={"maxTrials": trials})))
    assert "MissingGoal" in {finding.verdict for finding in findings}
    assert {finding.verdict for finding in findings} <= {*VERDICTS[Code.SPECIFICATION], UNKNOWN}
    assert findings == check(study_of(spec_of(space, search=search, training=training, budget={"maxTrials": trials})))
    severities = [finding.severity for finding in findings]
    assert severities == sorted(severities, key=list(Severity).index)
    assert OK not in {finding.verdict for finding in findings}
    assert all(finding.action for finding in findings)
