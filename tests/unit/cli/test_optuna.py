"""Optuna's studies: distributions become the space, states and intermediate values the trials."""

import builtins
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.cli import kubectl_tuning
from tuning_cli.problems import InputError, Warnings
from tuning_cli.reading.optuna_storage import manifest_from, objects_from, without_password
from tuning_cli.reading.places import Document
from tuning_cli.reading.study_file import study_of
from tuning_cli.reading.trial_files import record_of
from tuning_operator.api.hyperparameters import Meaning
from tuning_operator.playbook.records import State, StudyRecord

Thing = SimpleNamespace


def floats(low: float, high: float, log: bool = False) -> Thing:
    return Thing(low=low, high=high, log=log, step=None)


def integers(low: int, high: int, log: bool = False) -> Thing:
    return Thing(low=low, high=high, log=log, step=1)


def choices(*values: Any) -> Thing:
    return Thing(choices=values)


SPACE = {
    "optimizer": choices("sgd", "adam"),
    "optim/lr": floats(1e-5, 0.1, log=True),
    "momentum": floats(0.0, 0.99),
    "layers": integers(1, 8),
    "batch": choices(32, 64),
    "augment": choices(True, False),
    "norm": choices(None, "batch"),
    "beta": floats(0.9, 0.9),
}
PARAMETERS = {
    "optimizer": "adam",
    "optim/lr": 0.01,
    "layers": 3,
    "batch": 64,
    "augment": True,
    "norm": None,
    "beta": 0.9,
}


def a_trial(number: int, state: str = "COMPLETE", value: float | None = 0.5, **fields: Any) -> Thing:
    params = {**PARAMETERS, **fields.pop("params", {})}
    valid = {
        "number": number,
        "state": Thing(name=state),
        "values": None if value is None else [value],
        "params": params,
        "distributions": {name: SPACE[name] for name in params},
        "intermediate_values": {2: 0.5, 1: 0.9},
        "datetime_start": datetime(2026, 11, 27),
        "system_attrs": {},
    }
    return Thing(**{**valid, **fields})


def a_study(*trials: Thing, directions: tuple[str, ...] = ("MINIMIZE",)) -> Thing:
    return Thing(
        study_name="My study",
        directions=directions,
        direction=Thing(name=directions[0]),
        metric_names=None,
        get_trials=lambda deepcopy: list(trials),
    )


def read(study: Thing, warnings: Warnings | None = None, **options: Any) -> StudyRecord:
    warnings = Warnings() if warnings is None else warnings
    manifest = manifest_from(study, options.get("metric"), options.get("scientific", ()), warnings)
    file = study_of(Document("assumed", manifest), warnings)
    objects = objects_from(study, file.spec.objective.metric)
    return record_of(file, ((None, o) for o in objects), "optuna", warnings)


SGD = {"optimizer": "sgd", "momentum": 0.9}


def test_distributions_become_the_space() -> None:
    spec = read(a_study(a_trial(0), a_trial(1, params=SGD)), scientific=["optimizer"]).spec
    by_name = {h.name: h for h in spec.hyperparameters}
    rate = by_name["optim_lr"]
    assert (rate.type, rate.low, rate.high, rate.scale) == ("Float", 1e-5, 0.1, "Log")
    assert rate.meaning is Meaning.LEARNING_RATE
    assert (by_name["layers"].type, by_name["layers"].high) == ("Integer", 8)
    assert (by_name["batch"].values, by_name["batch"].value_type) == (["32", "64"], "Integer")
    assert (by_name["augment"].values, by_name["augment"].value_type) == (["true", "false"], "Boolean")
    assert by_name["norm"].values == ["None", "batch"]
    assert (by_name["beta"].role, by_name["beta"].value) == ("Fixed", "0.9")
    assert by_name["optimizer"].role == "Scientific"


def test_a_parameter_that_only_some_trials_have_gets_its_condition() -> None:
    spec = read(a_study(a_trial(0), a_trial(1, params=SGD))).spec
    momentum = next(h for h in spec.hyperparameters if h.name == "momentum")
    assert momentum.when is not None
    assert (momentum.when.name, momentum.when.values) == ("optimizer", ["sgd"])


def test_a_parameter_whose_condition_is_unknown_is_left_out_and_named() -> None:
    warnings = Warnings()
    study = read(a_study(a_trial(0), a_trial(1, params={"momentum": 0.5})), warnings)
    assert "momentum" not in {h.name for h in study.spec.hyperparameters}
    assert any("momentum: exists in some trials only" in w for w in warnings)


def test_states_and_values_become_trials() -> None:
    trials = read(
        a_study(
            a_trial(0),
            a_trial(1, "PRUNED", None),
            a_trial(2, "FAIL", None),
            a_trial(3, "RUNNING", None),
            a_trial(4, "WAITING", None),
        )
    ).trials
    assert [t.state for t in trials] == [State.SUCCEEDED, State.STOPPED, State.FAILED, State.RUNNING]
    assert trials[0].curve.steps == (1, 2)
    assert (trials[0].value, trials[0].name, trials[1].stopped_by) == (0.5, "trial-0", "Pruner")
    assert trials[0].parameters == {
        "optimizer": "adam",
        "optim_lr": 0.01,
        "layers": 3,
        "batch": 64,
        "augment": True,
        "norm": "None",
        "beta": 0.9,
    }


def test_whether_the_last_or_the_best_evaluation_counts_is_seen_from_the_values() -> None:
    worse_at_the_end: dict[str, Any] = {"intermediate_values": {1: 0.4, 2: 0.5}}
    last = [a_trial(i, value=0.5, **worse_at_the_end) for i in range(3)]
    best = [a_trial(i, value=0.4, **worse_at_the_end) for i in range(3)]
    assert read(a_study(*last)).spec.objective.at == "Last"
    assert read(a_study(*best)).spec.objective.at == "Best"


def test_the_sampler_is_asked_for_since_optuna_does_not_store_it() -> None:
    warnings = Warnings()
    assert read(a_study(a_trial(0)), warnings).spec.search.algorithm == "Bayesian"
    assert any("spec.search.algorithm" in w for w in warnings)
    grid = a_trial(0, system_attrs={"grid_id": 0})
    assert read(a_study(grid)).spec.search.algorithm == "Grid"


def test_constraints_become_violations() -> None:
    trials = read(a_study(a_trial(0, system_attrs={"constraints": [-1.0, 0.5]}))).trials
    assert trials[0].violations == ("constraint_1",)


def test_maximised_objectives_stay_so() -> None:
    assert read(a_study(a_trial(0), directions=("MAXIMIZE",))).spec.objective.direction == "Maximize"


def test_several_objectives_are_refused() -> None:
    with pytest.raises(InputError, match="My study has 2 objectives; one can be analysed"):
        read(a_study(a_trial(0), directions=("MINIMIZE", "MINIMIZE")))


def test_a_study_without_trials_is_refused() -> None:
    with pytest.raises(InputError, match="My study has no trial with parameters"):
        read(a_study())


def test_a_missing_optuna_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_optuna(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "optuna":
            raise ImportError(name)
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_optuna)
    answer = kubectl_tuning("analyze", "--from", "optuna", "--storage", "sqlite:///o.db")
    assert answer.code == 2
    assert answer.errors == (
        "error: --from optuna needs the package optuna: pip install optuna (beside kubectl-tuning)",
    )


def test_a_storage_is_asked_for() -> None:
    answer = kubectl_tuning("analyze", "--from", "optuna")
    assert answer.errors == ("error: --from optuna needs --storage URL, such as sqlite:///optuna.db",)


def test_passwords_stay_out_of_messages() -> None:
    assert without_password("mysql://me:secret@host/db") == "mysql://me:***@host/db"
    assert without_password("sqlite:///o.db") == "sqlite:///o.db"
