"""From the objects of the API to the values that the rules look at."""

import json
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tuning_contract.curve import Curve as WrittenCurve
from tuning_contract.curve import by_metric
from tuning_contract.diagnostics import Diagnostics
from tuning_operator.api.hyperparameters import Meaning
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.api.trial import TrialResult, TrialState, TuningTrialSpec, TuningTrialStatus
from tuning_operator.playbook.assignment import resolve
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import (
    INFRASTRUCTURE_REASONS,
    Curve,
    Purpose,
    State,
    StudyRecord,
    TrialRecord,
)
from tuning_operator.search.space import Assignment

STATES: Final[Mapping[TrialState, State]] = {
    TrialState.SUCCEEDED: State.SUCCEEDED,
    TrialState.INFEASIBLE: State.INFEASIBLE,
    TrialState.FAILED: State.FAILED,
    TrialState.STOPPED: State.STOPPED,
}
"""All others have not ended."""


class Trial(Protocol):
    """A TuningTrial, wherever it was read from."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def spec(self) -> TuningTrialSpec:
        """What is trained."""

    @property
    def status(self) -> TuningTrialStatus:
        """What came of it."""


class Study(Protocol):
    """A TuningStudy, wherever it was read from."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def spec(self) -> TuningStudySpec:
        """The question, the search space and the budget."""


@dataclass(frozen=True)
class WrittenTrial:
    """A TuningTrial as `kubectl get trials -o json` gives it."""

    name: str
    spec: TuningTrialSpec
    status: TuningTrialStatus

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "WrittenTrial":
        """Read a TuningTrial's manifest.

        Raises:
            KeyError: it has no name or no spec.
            pydantic.ValidationError: a field is malformed; the message names it.
        """
        return cls(
            name=data["metadata"]["name"],
            spec=TuningTrialSpec.model_validate(data["spec"]),
            status=TuningTrialStatus.model_validate(data.get("status") or {}),
        )


def study_record(study: Study, trials: Iterable[Trial], number: int = 1) -> StudyRecord:
    """Return a study and its trials, by their numbers, as the rules look at them.

    Args:
        study: The study.
        trials: Its trials.
        number: Which study of a chain it is.

    Raises:
        ValueError: as `trial_record`.
    """
    ordered = sorted(trials, key=lambda trial: trial.spec.index)
    return StudyRecord(study.name, study.spec, tuple(trial_record(study.spec, trial) for trial in ordered), number)


def trial_record(spec: TuningStudySpec, trial: Trial) -> TrialRecord:
    """Return a TuningTrial as the rules look at it.

    Its curve is what its status holds; the operator's own views of ended trials may have been read without it.

    Args:
        spec: its study's.
        trial: the operator's view, or a `WrittenTrial`.

    Raises:
        ValueError: it lacks a parameter of its study, or its curve or diagnostics are malformed; the message begins
            with its name.
    """
    status, result = trial.status, trial.status.result
    parameters = json.loads(trial.spec.parameters)
    try:
        assignment = resolve(spec, parameters)
        curve, diagnostics = _curve(result), _diagnostics(result)
    except ValueError as error:
        raise ValueError(f"{trial.name}: {error}") from None
    return TrialRecord(
        name=trial.name,
        assignment=assignment,
        parameters=parameters,
        state=state_of(status),
        reason=status.reason or "",
        message=status.message or "",
        purpose=Purpose(trial.spec.purpose.value),
        max_steps=max_steps_of(spec, assignment),
        curve=curve,
        value=_value(result),
        index=trial.spec.index,
        seed=trial.spec.seed,
        started_at=status.start_time,
        of=trial.spec.of,
        stopped_by=None if status.stop is None else status.stop.rule,
        violations=() if result is None else tuple(result.violations),
        diagnostics=diagnostics,
    )


def state_of(status: TuningTrialStatus) -> State:
    """Return how a trial ended; one that the infrastructure has ended is lost, and has not failed."""
    state = STATES.get(status.state, State.RUNNING)
    return State.LOST if state is State.FAILED and status.reason in INFRASTRUCTURE_REASONS else state


def max_steps_of(spec: TuningStudySpec, assignment: Assignment) -> int | None:
    """Return how many steps a trial was to train: by its parameter of that meaning, else as `spec.training` says."""
    for hyperparameter in spec.hyperparameters:
        value = assignment.get(hyperparameter.name)
        if meaning_of(hyperparameter) is Meaning.MAX_STEPS and isinstance(value, int | float):
            return int(value)
    return spec.training.max_steps


def _value(result: TrialResult | None) -> float | None:
    if result is None:
        return None
    return float(result.non_finite.value) if result.non_finite is not None else result.value


def _curve(result: TrialResult | None) -> Curve:
    if result is None or result.curve is None:
        return Curve()
    written = WrittenCurve.from_json(json.loads(result.curve))
    # As doubles in a row: as objects, the numbers of ten thousand curves would fill the operator's memory.
    values = {metric: array("d", series) for metric, series in by_metric(written).items()}
    return Curve(tuple(row.step for row in written.rows), values)


def _diagnostics(result: TrialResult | None) -> Diagnostics:
    if result is None or result.diagnostics is None:
        return Diagnostics()
    return Diagnostics.from_json(json.loads(result.diagnostics))
