"""trials.jsonl: each mistake is told with file, line and field, and never as a traceback."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import a_choice, a_range, a_study
from tests.support.cli import a_line, kubectl_tuning, two_optimizers, written
from tuning_cli.problems import InputError, Warnings
from tuning_cli.reading.places import Document
from tuning_cli.reading.study_file import StudyFile, study_of
from tuning_cli.reading.trial_files import read_trials
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord


def study_file(manifest: dict[str, Any] | None = None) -> StudyFile:
    return study_of(Document("study.yaml", manifest or two_optimizers()), Warnings())


def read(folder: Path, trials: list[Any] | str, manifest: dict[str, Any] | None = None, **options: Any) -> StudyRecord:
    written(folder, {}, trials)
    return read_trials(study_file(manifest), folder / "trials.jsonl", options.pop("warnings", Warnings()), **options)


def one(folder: Path, manifest: dict[str, Any] | None = None, **fields: Any) -> TrialRecord:
    return read(folder, [a_line(**fields)], manifest).trials[0]


def test_all_that_a_line_says_arrives(tmp_path: Path) -> None:
    trial = one(
        tmp_path,
        parameters={"optimizer": "nesterov", "learning_rate": 1, "batch_size": 64},
        state="Stopped",
        reason="Worse",
        purpose="InstabilityProbe",
        maxSteps=100,
        index=7,
        seed=3,
        startedAt="2026-11-27T08:00:00Z",
        of="t-1",
        stoppedBy="Median",
        gpuSeconds=12.5,
        value=0.25,
        violations=["latency"],
        diagnostics={"datasetSize": 500, "denseLoss": [1.0, "NaN"]},
        curve=[
            {"step": 10, "train_loss": 1.5, "validation_loss": "NaN"},
            {"step": 20, "train_loss": "Infinity", "validation_loss": "-Infinity", "grad_norm": 3},
        ],
    )
    assert trial.assignment == {"optimizer": "nesterov", "nesterov_learning_rate": 1.0, "batch_size": 64}
    assert (trial.state, trial.reason, trial.purpose) == (State.STOPPED, "Worse", Purpose.INSTABILITY_PROBE)
    assert (trial.max_steps, trial.index, trial.seed, trial.of) == (100, 7, 3, "t-1")
    assert trial.started_at is not None
    assert trial.started_at.isoformat() == "2026-11-27T08:00:00+00:00"
    assert (trial.stopped_by, trial.gpu_seconds, trial.value, trial.violations) == ("Median", 12.5, 0.25, ("latency",))
    assert trial.diagnostics.dataset_size == 500
    assert math.isnan(trial.diagnostics.dense_loss[1])
    assert trial.curve.steps == (10, 20)
    assert trial.curve.values["train_loss"] == (1.5, math.inf)
    assert math.isnan(trial.curve.values["validation_loss"][0])
    assert trial.curve.values["validation_loss"][1] == -math.inf
    assert math.isnan(trial.curve.values["grad_norm"][0])


def test_the_least_that_a_line_must_say(tmp_path: Path) -> None:
    trial = one(tmp_path, curve=None)
    assert (trial.purpose, trial.index, len(trial.curve), trial.max_steps) == (Purpose.SEARCH, 0, 0, None)


def test_trials_without_a_number_are_numbered_by_their_order(tmp_path: Path) -> None:
    assert [t.index for t in read(tmp_path, [a_line(4), a_line(2)]).trials] == [0, 1]


def test_values_stay_typed(tmp_path: Path) -> None:
    manifest = a_study(
        hyperparameters=[
            a_choice("augment", values=["true", "false"], valueType="Boolean"),
            a_choice("width", role="Nuisance", type="Ordinal", values=["64", "128"], valueType="Integer"),
        ]
    )
    trial = one(tmp_path, manifest, parameters={"augment": True, "width": 128})
    assert trial.assignment == {"augment": True, "width": 128}


MALFORMED = {
    "a step that is a text": (
        {"curve": [{"step": 1}, {"step": 2}, {"step": 3}, {"step": "x"}]},
        'curve[3].step: must be an integer, not "x"',
    ),
    "a step with a fraction": ({"curve": [{"step": 1.5}]}, "curve[0].step: must be an integer, not 1.5"),
    "a step that is true": ({"curve": [{"step": True}]}, "curve[0].step: must be an integer, not true"),
    "a negative step": ({"curve": [{"step": -1}]}, "curve[0].step: must be an integer in [0, 2^53], not -1"),
    "no step": ({"curve": [{"train_loss": 1}]}, "curve[0].step: is missing"),
    "a step twice": (
        {"curve": [{"step": 20}, {"step": 20}]},
        "curve[1].step: must be larger than the step before it (20), not 20",
    ),
    "a metric that is a text": (
        {"curve": [{"step": 1, "train_loss": "nan"}]},
        'curve[0].train_loss: must be a number, or "NaN", "Infinity" or "-Infinity", not "nan"',
    ),
    "a point that is a list": ({"curve": [[1, 2]]}, "curve[0]: must be an object, not [1, 2]"),
    "a curve that is a text": ({"curve": "x"}, 'curve: must be a list, not "x"'),
    "no name": ({"name": None}, "name: is missing"),
    "an empty name": ({"name": " "}, "name: must not be empty"),
    "a name that is a number": ({"name": 3}, "name: must be a text, not 3"),
    "no state": ({"state": None}, "state: is missing"),
    "an unknown state": (
        {"state": "Done"},
        'state: must be one of Succeeded, Infeasible, Failed, Stopped, Lost, Running, not "Done"',
    ),
    "no parameters": ({"parameters": None}, "parameters: is missing"),
    "parameters that are a list": ({"parameters": []}, "parameters: must be an object, not []"),
    "a missing parameter": ({"parameters": {"optimizer": "adamw"}}, "parameters.learning_rate: is missing"),
    "a value that the list does not have": (
        {"parameters": {"optimizer": "sgd", "learning_rate": 0.1}},
        'parameters.optimizer: must be one of "adamw", "nesterov", not "sgd"',
    ),
    "a text for a number": (
        {"parameters": {"optimizer": "adamw", "learning_rate": "0.1"}},
        'parameters.learning_rate: must be a number, not "0.1"',
    ),
    "a fraction for an integer": (
        {"parameters": {"optimizer": "adamw", "learning_rate": 0.1, "batch_size": 64.5}},
        "parameters.batch_size: must be an integer, since the study's batch_size has the type Integer, not 64.5",
    ),
    "a parameter that is a list": (
        {"parameters": {"optimizer": ["adamw"], "learning_rate": 0.1}},
        'parameters.optimizer: must be a text, a finite number or a Boolean, not ["adamw"]',
    ),
    "an unknown purpose": (
        {"purpose": "Fun"},
        "purpose: must be one of Search, Replicate, Retrain, InstabilityProbe, HiddenInstabilityProbe, "
        'BatchSizeProbe, StepSweep, not "Fun"',
    ),
    "no steps at all": ({"maxSteps": 0}, "maxSteps: must be an integer of at least 1, not 0"),
    "a time that is none": (
        {"startedAt": "yesterday"},
        'startedAt: must be a time such as 2026-11-27T08:00:00Z, not "yesterday"',
    ),
    "diagnostics that are a list": ({"diagnostics": []}, "diagnostics: diagnostics must be an object"),
    "a malformed diagnostic": (
        {"diagnostics": {"fullEvaluation": {"error": 2, "examples": 5}}},
        "diagnostics.fullEvaluation: error must lie in [0, 1], not 2",
    ),
    "infinite seconds": ({"gpuSeconds": "NaN"}, 'gpuSeconds: must be a finite number, not "NaN"'),
    "negative seconds": ({"gpuSeconds": -5}, "gpuSeconds: must not be negative, and is -5"),
    "a curve that is a point": (
        {"curve": {"step": 10, "validation_loss": 1.0}},
        "curve: must be a list of points, or an object with columns and rows; it has no columns",
    ),
    "a text among the violations": ({"violations": [1]}, "violations[0]: must be a text, not 1"),
}


@pytest.mark.parametrize(("fields", "said"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_field_is_named_with_its_line(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    arguments = written(tmp_path, two_optimizers(), [a_line(0), a_line(1) | fields])
    text = (tmp_path / "trials.jsonl").read_text().splitlines()
    removed = {k: v for k, v in json.loads(text[1]).items() if v is not None}
    (tmp_path / "trials.jsonl").write_text(f"{text[0]}\n\n{json.dumps(removed)}\n")
    answer = kubectl_tuning("analyze", *arguments, "-o", "json")
    assert (answer.code, answer.out) == (2, "")
    assert answer.errors == (f"error: {tmp_path}/trials.jsonl:3: {said}",)


@pytest.mark.parametrize(
    ("text", "said"),
    {
        "no JSON": ('{"name": }\n', ":1: is no JSON: Expecting value at column 10"),
        "a list": ("1\n", ":1: must be an object, not 1"),
        "half a line": ('{"name": "a"\n', ":1: is no JSON: Expecting ',' delimiter at column 13"),
        "a field twice": ('{"name": "a", "name": "b"}\n', ':1: is no JSON: "name" is there twice in one object'),
    }.values(),
)
def test_a_line_that_is_no_object_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert str(caught.value).endswith(said)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, [a_line(0, state="x"), a_line(1), a_line(2, name="")])
    assert [(p.line, p.field) for p in caught.value.problems] == [(1, "state"), (3, "name")]


def test_a_name_may_stand_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'jsonl:2: name: "t-0" is there twice'):
        read(tmp_path, [a_line(0), a_line(0)])


def test_unknown_fields_and_parameters_are_named_once(tmp_path: Path) -> None:
    warnings = Warnings()
    parameters = {"optimizer": "adamw", "learning_rate": 0.1, "color": 3}
    lines = [a_line(i, parameters=parameters, lr=1, diagnostics={"weights": 1}) for i in range(3)]
    read(tmp_path, lines, warnings=warnings)
    assert [w.split("trials.jsonl: ")[1] for w in warnings] == [
        "lr: is ignored: it is no field of a trial",
        "diagnostics.weights: is ignored: it is no field of a trial",
        "parameters.color: is ignored: it is no field of a trial",
    ]


def test_bare_nan_is_read_as_python_writes_it(tmp_path: Path) -> None:
    line = json.dumps(a_line(curve=[{"step": 1, "validation_loss": math.nan}]))
    assert "NaN}" in line
    assert math.isnan(read(tmp_path, line).trials[0].curve.values["validation_loss"][0])


def test_a_list_of_trials_is_read_as_lines_are(tmp_path: Path) -> None:
    assert len(read(tmp_path, json.dumps([a_line(0), a_line(1)], indent=2)).trials) == 2


def test_an_empty_file_is_a_study_without_trials(tmp_path: Path) -> None:
    assert read(tmp_path, "").trials == ()


def test_earlier_studies_may_have_had_other_values(tmp_path: Path) -> None:
    manifest = a_study(hyperparameters=[a_choice(), a_range()])
    line = a_line(parameters={"optimizer": "sgd", "learning_rate": 0.1})
    assert read(tmp_path, [line], manifest, earlier=True).trials[0].assignment["optimizer"] == "sgd"


def test_metrics_between_evaluations_are_joined_to_the_next_one(tmp_path: Path) -> None:
    points = [
        {"step": 5, "train_loss": 3.0},
        {"step": 8, "train_loss": 2.5, "grad_norm": 4.0},
        {"step": 10, "validation_loss": 1.0},
        {"step": 15, "train_loss": 2.0},
        {"step": 20, "train_loss": 1.5, "validation_loss": 0.9},
        {"step": 25, "train_loss": 1.4},
    ]
    curve = one(tmp_path, curve=points).curve
    assert curve.steps == (10, 20)
    assert curve.values["train_loss"] == (2.5, 1.5)
    assert curve.values["validation_loss"] == (1.0, 0.9)


def test_a_run_that_diverges_between_evaluations_is_seen_to_diverge(tmp_path: Path) -> None:
    points = [{"step": 10, "train_loss": 2.0, "validation_loss": 1.0}, {"step": 15, "train_loss": "NaN"}]
    curve = one(tmp_path, curve=points).curve
    assert curve.steps == (10, 15)
    assert math.isnan(curve.values["train_loss"][1])


def test_a_probe_without_evaluations_keeps_its_training_loss(tmp_path: Path) -> None:
    points = [{"step": s, "train_loss": 1.0 / s} for s in (1, 2, 3)]
    assert one(tmp_path, curve=points, purpose="InstabilityProbe").curve.values["train_loss"] == (1.0, 0.5, 1 / 3)


def test_a_curve_may_stand_as_in_a_trials_status(tmp_path: Path) -> None:
    curve = {"columns": ["step", "validation_loss"], "rows": [[10, 1.0], [20, "NaN"]]}
    found = one(tmp_path, curve=curve).curve
    assert found.steps == (10, 20)
    assert found.values["validation_loss"][0] == 1.0
