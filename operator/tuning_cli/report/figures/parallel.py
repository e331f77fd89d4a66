"""Parallel coordinates: every trial a line through its hyperparameters to its result."""

from dataclasses import dataclass
from typing import Final

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.playbook.arms import position, whole
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.search.space import is_range, is_searched, unit_of

MOST_LINES: Final = 200


@dataclass(frozen=True)
class Axis:
    """One parameter, drawn from 0 at the bottom to 1 at the top on its scale."""

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
    """Return the picture; None below two searched parameters or two trials.

    Hyperparameters that share a parameter under different conditions share an axis, each on its own range.
    """
    searched = [h for h in study.spec.hyperparameters if is_searched(h)]
    axes: dict[str, list[Hyperparameter]] = {}
    for h in searched:
        axes.setdefault(h.parameter_name, []).append(h)
    arm = whole(study)
    if len(axes) < 2 or len(arm.feasible) < 2:
        return None
    feasible, infeasible = arm.feasible[:MOST_LINES], arm.infeasible[: MOST_LINES // 2]
    last = max(len(feasible) - 1, 1)
    lines = [_line(study, list(axes.values()), t, 1 - rank / last) for rank, t in enumerate(feasible)]
    lines += [_line(study, list(axes.values()), t, None) for t in infeasible]
    return ParallelCoordinates(tuple(_axis(name, own) for name, own in axes.items()), tuple(lines))


def _axis(name: str, own: list[Hyperparameter]) -> Axis:
    if len({(h.low, h.high, tuple(h.values or ())) for h in own}) > 1:
        return Axis(name, "low", "high")
    if is_range(own[0]):
        return Axis(name, f"{own[0].low:.4g}", f"{own[0].high:.4g}")
    values = own[0].values or [""]
    return Axis(name, values[0], values[-1])


def _line(study: StudyRecord, axes: list[list[Hyperparameter]], trial: TrialRecord, quality: float | None) -> Line:
    existing = [next((h for h in own if h.name in trial.assignment), None) for own in axes]
    return Line(
        trial=trial.name,
        positions=tuple(None if h is None else _position(h, trial) for h in existing),
        values=tuple(None if h is None else trial.assignment[h.name] for h in existing),
        quality=quality,
        objective=None if quality is None else study.shown(study.loss(trial)),
    )


def _position(h: Hyperparameter, trial: TrialRecord) -> float | None:
    if is_range(h):
        u = position(h, trial)
        return None if u is None else min(max(u, 0.0), 1.0)
    try:
        return unit_of(h, trial.assignment[h.name])
    except ValueError:
        return None
