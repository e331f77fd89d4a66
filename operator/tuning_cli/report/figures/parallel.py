"""Parallel coordinates: every trial a line through its hyperparameters to its result."""

from dataclasses import dataclass
from typing import Final

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.playbook.arms import Arm, position, whole
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.search.space import is_range, is_searched, unit_of

MOST_LINES: Final = 200


@dataclass(frozen=True)
class Axis:
    """One hyperparameter, drawn from 0 at the bottom to 1 at the top on its scale."""

    name: str
    low: str
    high: str


@dataclass(frozen=True)
class Line:
    """One trial."""

    trial: str
    positions: tuple[float | None, ...]
    """One for each axis, in [0, 1]; None where the hyperparameter does not exist in the trial."""
    values: tuple[ParameterValue | None, ...]
    quality: float | None
    """1 for the best result, 0 for the worst, by rank; None: infeasible."""
    objective: float | None


@dataclass(frozen=True)
class ParallelCoordinates:
    """All axes, and the lines: the best 200 results, and infeasible trials."""

    axes: tuple[Axis, ...]
    lines: tuple[Line, ...]


def parallel_coordinates(study: StudyRecord) -> ParallelCoordinates | None:
    """Return the picture; None below two searched hyperparameters or two trials."""
    searched = [h for h in study.spec.hyperparameters if is_searched(h)]
    arm = whole(study)
    if len(searched) < 2 or len(arm.feasible) < 2:
        return None
    feasible, infeasible = arm.feasible[:MOST_LINES], arm.infeasible[: MOST_LINES // 2]
    last = max(len(feasible) - 1, 1)
    lines = [_line(study, searched, t, 1 - rank / last) for rank, t in enumerate(feasible)]
    lines += [_line(study, searched, t, None) for t in infeasible]
    return ParallelCoordinates(tuple(_axis(arm, h) for h in searched), tuple(lines))


def _axis(arm: Arm, h: Hyperparameter) -> Axis:
    if is_range(h):
        return Axis(h.name, f"{h.low:.4g}", f"{h.high:.4g}")
    values = h.values or [""]
    return Axis(h.name, values[0], values[-1])


def _line(study: StudyRecord, searched: list[Hyperparameter], trial: TrialRecord, quality: float | None) -> Line:
    return Line(
        trial=trial.name,
        positions=tuple(_position(h, trial) for h in searched),
        values=tuple(trial.assignment.get(h.name) for h in searched),
        quality=quality,
        objective=None if quality is None else study.shown(study.loss(trial)),
    )


def _position(h: Hyperparameter, trial: TrialRecord) -> float | None:
    if is_range(h):
        u = position(h, trial)
        return None if u is None else min(max(u, 0.0), 1.0)
    value = trial.assignment.get(h.name)
    try:
        return None if value is None else unit_of(h, value)
    except ValueError:
        return None
