"""One trial as a JSON object, as each line of trials.jsonl holds one."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tuning_cli.problems import shown
from tuning_cli.reading.fields import (
    FieldError,
    a_list,
    a_name,
    an_object,
    at_least_one,
    duration,
    integer,
    measured,
    moment,
    one_of,
    optional,
    parameter,
    required,
    text,
)
from tuning_contract.diagnostics import Diagnostics
from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, HyperparameterType, Role, ValueType
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.assignment import resolve
from tuning_operator.playbook.records import Curve, Purpose, State, TrialRecord
from tuning_operator.search.space import Assignment, values_of

FIELDS: Final = (
    "name",
    "parameters",
    "state",
    "reason",
    "message",
    "purpose",
    "maxSteps",
    "curve",
    "value",
    "index",
    "seed",
    "startedAt",
    "of",
    "stoppedBy",
    "gpuSeconds",
    "violations",
    "diagnostics",
)
"""All that a trial may have."""
STEP: Final = "step"
DIAGNOSTICS: Final = (
    "gradNormHistogram",
    "denseLoss",
    "fullEvaluation",
    "sampleEvaluation",
    "weightSum",
    "datasetSize",
    "perClass",
    "ranks",
    "throughput",
)

KINDS: Final[Mapping[ValueType, tuple[type, ...]]] = {
    ValueType.STRING: (str,),
    ValueType.INTEGER: (int,),
    ValueType.FLOAT: (int, float),
    ValueType.BOOLEAN: (bool,),
}
SAID: Final[Mapping[ValueType, str]] = {
    ValueType.STRING: "a text",
    ValueType.INTEGER: "an integer",
    ValueType.FLOAT: "a number",
    ValueType.BOOLEAN: "true or false",
}


def trial_from_object(
    spec: TuningStudySpec, data: Mapping[str, Any], index: int, *, listed: bool = True
) -> TrialRecord:
    """Return the trial that a JSON object describes.

    Args:
        spec: The study that it belongs to.
        data: The object.
        index: Its number where it does not say one.
        listed: Whether a value that the study's lists do not have is an error; an earlier study may have had more.

    Raises:
        FieldError: a field is missing or malformed.
    """
    parameters = {
        name: parameter(value, f"parameters.{name}") for name, value in required(data, "parameters", an_object).items()
    }
    curve = curve_of(_points(data.get("curve")), spec.objective.metric)
    stated = optional(data, "index", integer)
    return TrialRecord(
        name=required(data, "name", a_name),
        assignment=_assignment(spec, parameters, listed=listed),
        parameters=parameters,
        state=required(data, "state", one_of(State)),
        reason=optional(data, "reason", text) or "",
        message=optional(data, "message", text) or "",
        purpose=optional(data, "purpose", one_of(Purpose)) or Purpose.SEARCH,
        max_steps=optional(data, "maxSteps", at_least_one),
        curve=curve,
        value=optional(data, "value", measured),
        index=index if stated is None else stated,
        seed=optional(data, "seed", integer),
        started_at=optional(data, "startedAt", moment),
        of=optional(data, "of", a_name),
        stopped_by=optional(data, "stoppedBy", a_name),
        gpu_seconds=optional(data, "gpuSeconds", duration),
        violations=tuple(
            text(each, f"violations[{i}]") for i, each in enumerate(optional(data, "violations", a_list) or ())
        ),
        diagnostics=_diagnostics(data.get("diagnostics")),
    )


def unknown_names(data: Mapping[str, Any]) -> list[str]:
    """Return the fields of a trial's object that mean nothing here."""
    diagnostics = data.get("diagnostics")
    inside = diagnostics if isinstance(diagnostics, dict) else {}
    return [name for name in data if name not in FIELDS] + [
        f"diagnostics.{name}" for name in inside if name not in DIAGNOSTICS
    ]


def unknown_parameters(spec: TuningStudySpec, parameters: Mapping[str, Any]) -> list[str]:
    """Return the parameters that no hyperparameter of the study stands for."""
    known = {h.parameter_name for h in spec.hyperparameters}
    return [f"parameters.{name}" for name in parameters if name not in known]


def curve_of(points: Sequence[Any], objective: str) -> Curve:
    """Return the evaluations of `[{"step": 10, "train_loss": 0.5, …}, …]`.

    The rules look at evaluations of the objective. Points between them, at which only other metrics were measured, are
    joined to the next evaluation: what it lacks it takes from them, the latest first. Points after the last evaluation
    stay where a metric is not finite there, since that is how a run ends that has diverged.

    Raises:
        FieldError: a point is malformed, or steps do not ascend.
    """
    read: list[tuple[int, dict[str, float]]] = []
    for i, point in enumerate(points):
        values = an_object(point, f"curve[{i}]")
        step = _step(values, i, read[-1][0] if read else None)
        metrics = {
            name: measured(value, f"curve[{i}].{name}")
            for name, value in values.items()
            if name != STEP and value is not None
        }
        read.append((step, metrics))
    evaluations = _evaluations(read, objective)
    names = dict.fromkeys(name for _, metrics in evaluations for name in metrics)
    return Curve(
        tuple(step for step, _ in evaluations),
        {name: tuple(metrics.get(name, math.nan) for _, metrics in evaluations) for name in names},
    )


def _points(curve: object) -> Sequence[Any]:
    """Return a curve's points; it may also stand as in a TuningTrial's status: `{"columns": […], "rows": [[…], …]}`."""
    if curve is None:
        return ()
    if not isinstance(curve, dict):
        return a_list(curve, "curve")
    columns, rows = (a_list(_inside(curve, name), f"curve.{name}") for name in ("columns", "rows"))
    return [dict(zip(columns, a_list(row, f"curve.rows[{i}]"), strict=False)) for i, row in enumerate(rows)]


def _inside(curve: Mapping[str, Any], name: str) -> Any:
    if name not in curve:
        raise FieldError("curve", f"must be a list of points, or an object with columns and rows; it has no {name}")
    return curve[name]


def _step(values: Mapping[str, Any], i: int, before: int | None) -> int:
    if values.get(STEP) is None:
        raise FieldError(f"curve[{i}].{STEP}", "is missing")
    step = integer(values[STEP], f"curve[{i}].{STEP}")
    if before is not None and step <= before:
        raise FieldError(f"curve[{i}].{STEP}", f"must be larger than the step before it ({before}), not {step}")
    return step


def _evaluations(
    points: Sequence[tuple[int, Mapping[str, float]]], objective: str
) -> list[tuple[int, Mapping[str, float]]]:
    if not any(objective in metrics for _, metrics in points):
        return list(points)
    evaluations: list[tuple[int, Mapping[str, float]]] = []
    since: dict[str, float] = {}
    for step, metrics in points:
        since.update(metrics)
        if objective in metrics:
            evaluations.append((step, since))
            since = {}
        elif not all(map(math.isfinite, metrics.values())):
            evaluations.append((step, since | {objective: math.nan}))
            since = {}
    return evaluations


def _assignment(spec: TuningStudySpec, parameters: Mapping[str, ParameterValue], *, listed: bool) -> Assignment:
    try:
        assignment = resolve(spec, parameters)
    except ValueError as error:
        field, _, message = str(error).partition(" ")
        raise FieldError(field, message) from None
    by_name = {h.name: h for h in spec.hyperparameters}
    for name, value in assignment.items():
        _check_value(by_name[name], value, listed=listed)
    return assignment


def _check_value(hyperparameter: Hyperparameter, value: ParameterValue, *, listed: bool) -> None:
    field, kind = f"parameters.{hyperparameter.parameter_name}", hyperparameter.effective_value_type
    is_boolean = isinstance(value, bool)
    if not isinstance(value, KINDS[kind]) or (is_boolean and kind is not ValueType.BOOLEAN):
        type_is_stated = hyperparameter.type.is_list or hyperparameter.type is HyperparameterType.INTEGER
        why = f", since the study's {hyperparameter.name} has the type {kind}" if type_is_stated else ""
        raise FieldError(field, f"must be {SAID[kind]}{why}, not {shown(value)}")
    if listed and hyperparameter.type.is_list and hyperparameter.role is not Role.FIXED:
        values = values_of(hyperparameter)
        if value not in values:
            raise FieldError(field, f"must be one of {', '.join(map(shown, values))}, not {shown(value)}")


def _diagnostics(data: object) -> Diagnostics:
    if data is None:
        return Diagnostics()
    try:
        return Diagnostics.from_json(data)
    except ValueError as error:
        field, separator, message = str(error).partition(": ")
        inner = f"diagnostics.{field}" if separator else "diagnostics"
        raise FieldError(inner, message if separator else str(error)) from None
