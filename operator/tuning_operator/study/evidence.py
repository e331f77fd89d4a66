"""What a study's trials have shown, and those of the studies before it, as the search sees it."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Role
from tuning_operator.api.study import SecondObjective, TuningStudySpec
from tuning_operator.api.study_status import PreviousEvidence
from tuning_operator.api.trial import TrialResult, TrialState
from tuning_operator.search.arms import Arm, arms_of
from tuning_operator.search.observation import Observation
from tuning_operator.search.space import Assignment, exists, fixed_value, typed, values_of
from tuning_operator.search.stopping.diverged import RULE as DIVERGED
from tuning_operator.study.snapshot import PreviousStudy, Snapshot, TrialView


def observations_of(spec: TuningStudySpec, trials: Iterable[TrialView]) -> list[Observation]:
    """Return the trials as observations, in the order of their numbers."""
    searched = (trial for trial in trials if trial.spec.purpose.is_search)
    return [_observation(spec, trial) for trial in sorted(searched, key=lambda trial: trial.spec.index)]


@dataclass(frozen=True)
class Evidence:
    """What the studies before this one contribute."""

    observations: tuple[Observation, ...] = ()
    """In this study's arms, at negative positions: they are none of its own trials."""
    summary: tuple[PreviousEvidence, ...] = ()
    """For the status."""


def previous_evidence(snapshot: Snapshot) -> Evidence:
    """Return what can be learnt from the studies that this one names."""
    spec = snapshot.study.spec
    if not snapshot.previous:
        return Evidence()
    arms = arms_of(spec)
    found: list[Observation] = []
    summary = []
    for previous in snapshot.previous:
        theirs, note = _of_previous(spec, arms, previous)
        found += theirs
        summary.append(PreviousEvidence(study=previous.name, trials=len(theirs), note=note))
    numbered = [replace(o, position=i - len(found)) for i, o in enumerate(found)]
    return Evidence(tuple(numbered), tuple(summary))


def _of_previous(
    spec: TuningStudySpec, arms: Sequence[Arm], previous: PreviousStudy
) -> tuple[list[Observation], str | None]:
    if previous.study is None:
        return [], "there is no study of this name in the namespace"
    ours, theirs = spec.objective, previous.study.spec.objective
    if (ours.metric, ours.direction, ours.at) != (theirs.metric, theirs.direction, theirs.at):
        return [], "it has another objective"
    # What they must keep to, and what they are weighed by, is this study's to say: the metrics are theirs.
    asked = previous.study.spec.model_copy(
        update={
            "objective": theirs.model_copy(update={"constraints": ours.constraints}),
            "second_objective": spec.second_objective,
        }
    )
    searched = (trial for trial in previous.trials if trial.spec.purpose.is_search)
    seen = [(trial, _observation(asked, trial)) for trial in searched]
    ended = [(trial, observation) for trial, observation in seen if _tells(observation)]
    placed = [
        replace(observation, arm=place[0].number, assignment=place[1])
        for trial, observation in ended
        if (place := _place(arms, json.loads(trial.spec.parameters))) is not None
    ]
    outside = len(ended) - len(placed)
    return placed, f"{outside} more have parameters that this search space does not have" if outside else None


def _tells(observation: Observation) -> bool:
    return observation.loss is not None or observation.infeasible


def _place(arms: Sequence[Arm], parameters: Mapping[str, ParameterValue]) -> tuple[Arm, Assignment] | None:
    """Return where a container's parameters stand among this study's arms; None: nowhere."""
    for arm in arms:
        assignment = _assigned(arm, parameters)
        if assignment is not None:
            return arm, assignment
    return None


def _assigned(arm: Arm, parameters: Mapping[str, ParameterValue]) -> Assignment | None:
    assignment: Assignment = {}
    used = set()
    for hyperparameter in arm.space:
        if not exists(hyperparameter, assignment):
            continue
        name = hyperparameter.parameter_name
        value = parameters.get(name)
        if hyperparameter.name in arm.scientific:
            fits = value == arm.scientific[hyperparameter.name]
        elif hyperparameter.role is Role.FIXED:
            fits = value == fixed_value(hyperparameter)
        elif hyperparameter.type.is_list:
            fits = value in values_of(hyperparameter)
        else:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        if value is None or not fits:
            return None
        assignment[hyperparameter.name] = value
        used.add(name)
    # A parameter that this study does not set may have had any value there.
    return assignment if used == parameters.keys() else None


def _observation(spec: TuningStudySpec, trial: TrialView) -> Observation:
    state, result, stop = trial.status.state, trial.status.result, trial.status.stop
    # One that was stopped by comparison would have come further: its value so far is no better than its result, and
    # says more than nothing.
    counts = state is TrialState.SUCCEEDED or (stop is not None and stop.rule != DIVERGED and state.is_finished)
    value = result.value if counts and result is not None else None
    loss = spec.objective.direction.sign * value if value is not None and math.isfinite(value) else None
    further = result if counts else None
    second = None if spec.second_objective is None else _second_loss(spec, spec.second_objective, further)
    infeasible = state is TrialState.INFEASIBLE or (stop is not None and stop.rule == DIVERGED)
    return Observation(
        arm=trial.spec.arm,
        position=trial.spec.position,
        assignment=_assignment(spec, trial),
        loss=loss,
        second_loss=None if loss is None else second,
        constrained=_constrained(spec, further),
        infeasible=infeasible,
        failed=state.is_finished and loss is None and not infeasible,
    )


def _second_loss(spec: TuningStudySpec, second: SecondObjective, result: TrialResult | None) -> float | None:
    value = None if result is None else result.measured(second.metric, spec.objective.at)
    return second.direction.sign * value if value is not None and math.isfinite(value) else None


def _constrained(spec: TuningStudySpec, result: TrialResult | None) -> tuple[float | None, ...]:
    constraints = spec.objective.constraints or ()
    return tuple(None if result is None else result.measured(c.metric, c.at or spec.objective.at) for c in constraints)


def _assignment(spec: TuningStudySpec, trial: TrialView) -> Assignment:
    types = {h.name: h.effective_value_type for h in spec.hyperparameters}
    return {a.name: typed(a.value, types[a.name]) for a in trial.spec.assignments if a.name in types}
