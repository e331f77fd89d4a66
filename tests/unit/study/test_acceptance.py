"""What a study may not be, beyond what the API server checks; each refusal says what to change."""

from typing import Any

import pytest

from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.views import TEMPLATE_HASH, a_snapshot, a_spec, a_study
from tuning_operator.api.study_status import TuningStudyStatus
from tuning_operator.study.acceptance import Refused, check, check_specification


def only(name: str, *values: str) -> dict[str, Any]:
    return {"when": {"name": name, "values": list(values)}}


def packed(**container: Any) -> dict[str, Any]:
    """Return spec.trial with packs, and one container with these fields."""
    return {"maxPacked": 4, "template": {"spec": {"containers": [{"name": "trainer", **container}]}}}


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        (
            {"hyperparameters": [a_choice("a", **only("b", "x")), a_choice("b", **only("a", "x"))]},
            "SearchSpaceInvalid",
            "spec.hyperparameters: the conditions form a cycle: a -> b -> a",
        ),
        (
            {"stopping": {"rule": "Median", "stepsParameter": "epochs"}},
            "StoppingInvalid",
            "(spec.stopping.stepsParameter) would tell: no hyperparameter sets it",
        ),
        (
            {"search": {"algorithm": "Grid", "pointsPerRange": 100}, "hyperparameters": [a_range(n) for n in "abc"]},
            "GridTooLarge",
            "the grid has 1000000 points, more than 10000: lower spec.search.pointsPerRange",
        ),
        (
            {"search": {"points": [{"rate": "1"}]}},
            "PointInvalid",
            "spec.search.points[0] needs a value of learning_rate",
        ),
        (
            {"trial": {"template": {"spec": {"containers": ["trainer"]}}}},
            "TemplateInvalid",
            "each of spec.trial.template.spec.containers must be an object",
        ),
        (
            {"hyperparameters": [a_choice(f"c{i}") for i in range(11)]},
            "SearchSpaceInvalid",
            "more than 1024 combinations",
        ),
        (
            {"hyperparameters": [a_range("a", parameter="rate"), a_range("b", parameter="rate")]},
            "ParameterAmbiguous",
            "hyperparameters a and b both set the parameter rate",
        ),
        (
            {
                "hyperparameters": [
                    a_choice(),
                    a_range("a", parameter="rate", **only("optimizer", "adamw")),
                    a_range("b", parameter="rate", **only("optimizer", "adamw", "nesterov")),
                ]
            },
            "ParameterAmbiguous",
            "different values",
        ),
        (
            {"hyperparameters": [a_range("a"), a_range("b", parameter="a")]},
            "ParameterAmbiguous",
            "hyperparameters a and b both set the parameter a",
        ),
        (
            {"hyperparameters": [a_range("rate"), a_range("Rate")]},
            "ParameterAmbiguous",
            "hyperparameters rate and Rate both set the variable TUNING_PARAMETER_RATE",
        ),
        ({"trial": {"template": {"spec": {"containers": []}}}}, "TemplateInvalid", "at least one container"),
        ({"trial": {"template": {"spec": {"containers": None}}}}, "TemplateInvalid", "at least one container"),
        (
            {"trial": {"container": "trainr"}},
            "TemplateInvalid",
            "is trainr; the template has trainer",
        ),
        ({"budget": {"maxDuration": "0s"}}, "BudgetInvalid", "longer than nothing"),
        (
            {"training": {"batchSizes": [32, 64]}},
            "SearchSpaceInvalid",
            "no hyperparameter is the batch size: add it",
        ),
        (
            {
                "training": {"batchSizes": [32, 64]},
                "hyperparameters": [a_range(), a_choice("batch_size", values=["small", "large"])],
            },
            "SearchSpaceInvalid",
            "the batch size batch_size has no number: write its values as numbers",
        ),
        (
            {
                "training": {"batchSizes": [32, 64]},
                "hyperparameters": [
                    a_choice("batch_size", values=["32", "64"], valueType="Integer"),
                    a_range(when={"name": "batch_size", "values": ["32"]}),
                ],
            },
            "SearchSpaceInvalid",
            "learning_rate exists at some batch sizes only: remove that `when`",
        ),
        (
            {"trial": packed(args=["--lr=$(TUNING_PARAMETER_LEARNING_RATE)", "--study=$(TUNING_STUDY)"])},
            "TemplateInvalid",
            "the template uses TUNING_PARAMETER_LEARNING_RATE, which only a trial with a process of its own has",
        ),
        (
            {"trial": packed(), "objective": {"constraints": [{"metric": "peak_memory_bytes", "max": 1e9}]}},
            "ObjectiveInvalid",
            "peak_memory_bytes is measured of a whole process: remove maxPacked",
        ),
        (
            {"trial": packed(env=[{"name": "NAME", "value": "run-$(TUNING_TRIAL)"}])},
            "TemplateInvalid",
            "the template uses TUNING_TRIAL, which only",
        ),
    ],
)
def test_a_specification_that_cannot_run_is_refused(spec: dict[str, Any], reason: str, message: str) -> None:
    with pytest.raises(Refused) as refused:
        check_specification(a_spec(**spec))
    assert refused.value.reason == reason
    assert message in refused.value.message


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"trial": {"container": "trainer"}},
        {"budget": {"maxDuration": "1h30m"}},
        {
            "hyperparameters": [
                a_choice(),
                a_range("a", parameter="rate", **only("optimizer", "adamw")),
                a_range("b", parameter="rate", **only("optimizer", "nesterov")),
            ]
        },
        {"hyperparameters": [a_fixed()]},
        {"trial": packed(args=["--study=$(TUNING_STUDY)"])},
        {"training": {"batchSizes": [32, 64]}, "hyperparameters": [a_range(), a_fixed("batch_size", value="64")]},
        {"trial": {**packed(args=["--lr=$(TUNING_PARAMETER_LEARNING_RATE)"]), "maxPacked": 1}},
    ],
)
def test_a_sound_specification_is_accepted(spec: dict[str, Any]) -> None:
    check_specification(a_spec(**spec))


def test_a_template_may_not_change_once_it_was_accepted() -> None:
    accepted = TuningStudyStatus(template_hash=TEMPLATE_HASH)
    check(a_snapshot(a_study(status=accepted)))
    with pytest.raises(Refused, match="restore it, or create a new study") as refused:
        check(a_snapshot(a_study(status=accepted, view={"template_hash": "b" * 64})))
    assert refused.value.reason == "TemplateChanged"


def test_the_api_server_s_word_on_the_rendered_job_is_passed_on() -> None:
    with pytest.raises(Refused, match="unknown field imagee") as refused:
        check(a_snapshot(dry_run_error="unknown field imagee"))
    assert refused.value.reason == "TemplateInvalid"
