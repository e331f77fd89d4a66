"""CSV with one row a trial, and what W&B and MLflow export."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import a_choice, a_fixed, a_range, a_study
from tests.support.cli import Said, kubectl_tuning
from tuning_cli.inputs import Sources, StudyWithEarlier, read_sources
from tuning_cli.problems import InputError, Warnings
from tuning_operator.api.hyperparameters import Role
from tuning_operator.playbook.records import State

STUDY = a_study(
    hyperparameters=[
        a_choice("optimizer"),
        a_range("learning_rate", low=1e-5, high=1.0, scale="Log"),
        a_choice("augment", role="Nuisance", values=["true", "false"], valueType="Boolean"),
        a_range("layers", type="Integer", low=1, high=8),
        a_fixed("max_steps"),
    ]
)


def study(folder: Path, manifest: dict[str, Any] = STUDY) -> Path:
    (folder / "study.yaml").write_text(json.dumps(manifest))
    return folder / "study.yaml"


def file(folder: Path, text: str, name: str = "trials.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def read(folder: Path, text: str, warnings: Warnings | None = None) -> StudyWithEarlier:
    sources = Sources(studies=[study(folder)], trials=[file(folder, text)])
    return read_sources(sources, Warnings() if warnings is None else warnings)


def test_cells_have_the_types_of_the_study(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "name,state,optimizer,learning_rate,augment,layers,max_steps,validation_loss,seed\n"
        "a,Succeeded,adamw,1e-3,True,4.0,600,0.25,7\n"
        "b,Infeasible,nesterov,1,false,2,600,,8\n",
    ).study
    first, second = found.trials
    assert first.parameters == {
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "augment": True,
        "layers": 4,
        "max_steps": 600,
    }
    assert (first.value, first.seed, first.state) == (0.25, 7, State.SUCCEEDED)
    assert (second.state, second.value, second.assignment["learning_rate"]) == (State.INFEASIBLE, None, 1.0)


def test_a_table_may_say_no_more_than_values(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "params.optimizer,params.learning_rate,params.augment,params.layers,validation_loss\n"
        "adamw,0.1,true,1,0.5\n"
        "adamw,0.2,true,1,nan\n",
    ).study
    assert [(t.name, t.state) for t in found.trials] == [
        ("trial-1", State.SUCCEEDED),
        ("trial-2", State.INFEASIBLE),
    ]


def test_curves_may_stand_in_a_cell_or_in_a_file_of_their_own(tmp_path: Path) -> None:
    header = "name,optimizer,learning_rate,augment,layers"
    cell = '"[{""step"": 1, ""validation_loss"": 0.5}]"'
    inside = read(tmp_path, f"{header},curve\na,adamw,0.1,true,1,{cell}\n").study
    assert inside.trials[0].curve.steps == (1,)
    curves = file(tmp_path, "name,step,validation_loss,train_loss\na,20,0.4,0.3\na,10,0.5,\n", "curves.csv")
    table = file(tmp_path, f"{header}\na,adamw,0.1,true,1\n")
    outside = read_sources(Sources(studies=[study(tmp_path)], trials=[table], curves=[curves]), Warnings()).study
    assert outside.trials[0].curve.steps == (10, 20)
    assert outside.trials[0].curve.values["validation_loss"] == (0.5, 0.4)


@pytest.mark.parametrize(
    ("text", "said"),
    {
        "empty": ("", ":1: is empty: the first line must name the columns"),
        "a column twice": ("name,name\n", ":1: name: two columns have this name"),
        "too many cells": ("name,state\na,b,c\n", ":2: has 3 cells, more than the header's 2"),
        "no number": (
            "optimizer,learning_rate,augment,layers\nadamw,fast,true,1\n",
            ':2: parameters.learning_rate: must be a number, not "fast"',
        ),
        "no value": (
            "name,optimizer,learning_rate,augment,layers,validation_loss\na,adamw,1,true,1,low\n",
            ':2: validation_loss: must be a number, or "NaN", "Infinity" or "-Infinity", not "low"',
        ),
        "no Boolean": (
            "optimizer,learning_rate,augment,layers\nadamw,1,maybe,1\n",
            ":2: parameters.augment: must be true or false, since the study's augment has the type Boolean, "
            'not "maybe"',
        ),
        "no integer": (
            "optimizer,learning_rate,augment,layers\nadamw,1,true,1.5\n",
            ":2: parameters.layers: must be an integer, since the study's layers has the type Integer, not 1.5",
        ),
        "a missing value": (
            "optimizer,learning_rate,augment,layers\n\nadamw,,true,1\n",
            ":3: parameters.learning_rate: is missing",
        ),
        "an unknown state": (
            "optimizer,learning_rate,augment,layers,state\nadamw,1,true,1,ok\n",
            ':2: state: must be one of Succeeded, Infeasible, Failed, Stopped, Lost, Running, not "ok"',
        ),
        "a curve that is no JSON": (
            "optimizer,learning_rate,augment,layers,curve\nadamw,1,true,1,up\n",
            ':2: curve: must be a list, not "up"',
        ),
        "an open quote": ('name\n"a\n', ":2: is no CSV: unexpected end of data"),
    }.values(),
)
def test_a_malformed_cell_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"{tmp_path}/trials.csv{said}"


def test_columns_that_mean_nothing_are_named(tmp_path: Path) -> None:
    warnings = Warnings()
    read(tmp_path, "optimizer,learning_rate,augment,layers,color\nadamw,1,true,1,red\n", warnings)
    assert [w.rpartition("csv:")[2] for w in warnings] == ["1: color: is ignored: it is no field of a trial"]


WANDB = """\
"Name","State","Notes","User","Tags","Created","Runtime","Sweep","batch_size","learning_rate","optimizer","val_loss"
"zany-1","finished","-","me","","2024-05-01T10:00:00.000Z","10","s","64","0.001","adamw","0.5"
"zany-2","finished","-","me","","2024-05-01T10:00:00.000Z","10","s","64","0.1","sgd","0.25"
"zany-2","crashed","-","me","","2024-05-01T10:00:00.000Z","10","s","64","0.00001","sgd",""
"zany-4","killed","-","me","","two days ago","10","s","64","0.01","adamw","0.75"
"""
MLFLOW = """\
run_id,experiment_id,status,artifact_uri,start_time,end_time,metrics.val_loss,params.lr,params.aug,tags.mlflow.runName
f0,0,FINISHED,s3://x,2024-05-01 10:00:00+00:00,2024-05-01 11:00:00+00:00,0.5,0.001,True,calm-1
f1,0,FAILED,s3://x,2024-05-01 10:00:00+00:00,,,0.1,False,calm-2
f2,0,FINISHED,s3://x,2024-05-01 10:00:00+00:00,2024-05-01 11:00:00+00:00,0.25,0.01,True,calm-3
"""


def exported(folder: Path, text: str, source: str, **options: Any) -> StudyWithEarlier:
    return read_sources(Sources(source=source, export=file(folder, text, "runs.csv"), **options), Warnings())


def test_runs_of_wandb_become_trials(tmp_path: Path) -> None:
    options = {"metric": "val_loss", "parameters": ["learning_rate", "optimizer", "batch_size"]}
    found = exported(tmp_path, WANDB, "wandb", scientific=["optimizer"], **options)
    assert [(t.name, t.state) for t in found.study.trials] == [
        ("zany-1", State.SUCCEEDED),
        ("zany-2", State.SUCCEEDED),
        ("zany-2-3", State.FAILED),
        ("zany-4", State.STOPPED),
    ]
    by_name = {h.name: h for h in found.study.spec.hyperparameters}
    rate = by_name["learning_rate"]
    assert (rate.low, rate.high, rate.scale) == (1e-5, 0.1, "Log")
    assert (by_name["optimizer"].role, by_name["optimizer"].values) == (Role.SCIENTIFIC, ["adamw", "sgd"])
    assert (by_name["batch_size"].role, by_name["batch_size"].value) == (Role.FIXED, "64")


def test_runs_of_mlflow_become_trials(tmp_path: Path) -> None:
    found = exported(tmp_path, MLFLOW, "mlflow")
    assert found.assumed is not None
    assert found.study.spec.objective.metric == "val_loss"
    assert [(t.name, t.state, t.value) for t in found.study.trials] == [
        ("calm-1", State.SUCCEEDED, 0.5),
        ("calm-2", State.FAILED, None),
        ("calm-3", State.SUCCEEDED, 0.25),
    ]
    assert found.study.trials[0].parameters == {"lr": 0.001, "aug": True}


def test_an_export_goes_with_a_study_of_the_users_own(tmp_path: Path) -> None:
    manifest = a_study(objective={"metric": "val_loss"}, hyperparameters=[a_range("lr", low=1e-6, high=1.0)])
    found = exported(tmp_path, MLFLOW, "mlflow", studies=[study(tmp_path, manifest)])
    assert found.assumed is None
    assert found.study.spec.hyperparameters[0].low == 1e-6


@pytest.mark.parametrize(
    ("options", "said"),
    {
        "no metric": ({"parameters": ["learning_rate"]}, "name the objective's column by --metric"),
        "no parameters": ({"metric": "val_loss"}, "it cannot be seen which columns are hyperparameters"),
        "a column that is not there": ({"metric": "val_loss", "parameters": ["lr"]}, "has no column lr; it has Name"),
        "a metric that is not there": ({"metric": "loss", "parameters": ["optimizer"]}, "has no column loss"),
        "an unknown question": (
            {"metric": "val_loss", "parameters": ["optimizer"], "scientific": ["model"]},
            "--scientific: model cannot be scientific: the parameters are optimizer",
        ),
    }.values(),
)
def test_what_an_export_does_not_say_is_asked_for(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        exported(tmp_path, WANDB, "wandb", **options)
    assert said in str(caught.value)


def test_charts_of_wandb_become_curves(tmp_path: Path) -> None:
    chart = (
        '"Step","zany-1 - val_loss","zany-1 - val_loss__MIN","zany-1 - val_loss__MAX","zany-4 - val_loss"\n'
        "10,0.6,0.6,0.6,0.8\n20,0.5,0.5,0.5,\n"
    )
    curves = [file(tmp_path, chart, "chart.csv")]
    options = {"metric": "val_loss", "parameters": ["learning_rate"], "curves": curves}
    trials = {t.name: t for t in exported(tmp_path, WANDB, "wandb", **options).study.trials}
    assert trials["zany-1"].curve.values == {"val_loss": (0.6, 0.5)}
    assert trials["zany-4"].curve.steps == (10,)


def test_histories_of_mlflow_become_curves(tmp_path: Path) -> None:
    history = (
        "run_id,key,value,step,timestamp\ncalm-1,val_loss,0.9,1,0\ncalm-1,train_loss,0.8,1,0\ncalm-1,val_loss,0.5,2,0\n"
    )
    curves = [file(tmp_path, history, "history.csv")]
    trial = exported(tmp_path, MLFLOW, "mlflow", curves=curves).study.trials[0]
    assert trial.curve.values["val_loss"] == (0.9, 0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    {
        "no steps": ("name,val_loss\na,1\n", "has no column step or Step"),
        "no curves": ("step,val_loss\n1,1\n", "has no curves: it needs"),
        "a step that is none": ("name,step,val_loss\na,x,1\n", ":2: step: must be an integer, not 'x'"),
    }.values(),
)
def test_a_file_without_curves_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        exported(tmp_path, MLFLOW, "mlflow", curves=[file(tmp_path, text, "curves.csv")])
    assert said in str(caught.value)


def test_the_assumed_study_is_shown_to_be_corrected(tmp_path: Path) -> None:
    answer: Said = kubectl_tuning("analyze", file(tmp_path, MLFLOW, "runs.csv"), "--from", "mlflow", "-o", "json")
    assert answer.code == 0
    assert answer.json["conclusion"]["state"] in ("Allowed", "Blocked", "Pending")
    assert answer.errors[0].startswith("No --study was given.")
    assert "kind: TuningStudy" in answer.errors
    assert any("corrected low and high" in line for line in answer.errors)
