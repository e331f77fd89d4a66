"""Studies and trials as the Playbook's rules see them, in a line each."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support import builders
from tuning_contract.diagnostics import TRAIN_LOSS, Diagnostics
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.assignment import resolve
from tuning_operator.playbook.records import Curve, Purpose, State, StudyRecord, TrialRecord

LEARNING_RATE = {"name": "learning_rate", "type": "Float", "role": "Nuisance", "low": 1e-4, "high": 1.0, "scale": "Log"}
"""A usual nuisance hyperparameter."""


def spec_of(hyperparameters: Sequence[Mapping[str, Any]] = (LEARNING_RATE,), **fields: Any) -> TuningStudySpec:
    """Return a complete spec; `fields` are merged into it, by the manifest's names.

    The objective is `validation_loss`, the smaller the better, where `fields` say nothing else.
    """
    spec = builders.a_study(**fields)["spec"] | {"hyperparameters": [dict(h) for h in hyperparameters]}
    return TuningStudySpec.model_validate(spec)


def trial_of(
    spec: TuningStudySpec,
    number: int,
    parameters: Mapping[str, Any],
    value: float | None = None,
    *,
    state: State = State.SUCCEEDED,
    curve: Sequence[float] | None = None,
    train: Sequence[float] | None = None,
    steps: Sequence[int] | None = None,
    purpose: Purpose = Purpose.SEARCH,
    diagnostics: Diagnostics | None = None,
    **fields: Any,
) -> TrialRecord:
    """Return a trial named `t-<number>`.

    Args:
        spec: Its study's.
        number: Its index.
        parameters: What the container received.
        value: Its result, as the objective is measured; else it follows from `curve`.
        state: How it ended.
        curve: The objective at each evaluation.
        train: The training loss at each evaluation.
        steps: The evaluations' steps; default: every 10.
        purpose: Why it ran.
        diagnostics: What else it measured.
        fields: More of `TrialRecord`, such as `reason`, `of`, `max_steps`, `seed`.
    """
    values = {n: tuple(s) for n, s in ((spec.objective.metric, curve), (TRAIN_LOSS, train)) if s is not None}
    length = max((len(s) for s in values.values()), default=0)
    return TrialRecord(
        name=f"t-{number}",
        assignment=resolve(spec, parameters),
        parameters=dict(parameters),
        state=state,
        value=value,
        curve=Curve(tuple(steps or range(10, 10 * length + 1, 10)), values),
        purpose=purpose,
        index=number,
        diagnostics=diagnostics or Diagnostics(),
        **fields,
    )


def study_of(spec: TuningStudySpec, trials: Sequence[TrialRecord] = (), name: str = "study") -> StudyRecord:
    """Return a study with its trials."""
    return StudyRecord(name, spec, tuple(trials))
