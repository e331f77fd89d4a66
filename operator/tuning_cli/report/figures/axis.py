"""The objective against one hyperparameter: basic axis plots, with the edges of the range and what was infeasible."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tuning_contract.environment import ParameterValue
from tuning_operator.api.findings import Code, Finding, Side
from tuning_operator.api.hyperparameters import Hyperparameter, Scale
from tuning_operator.playbook.arms import Arm, arms
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.search.space import is_searched, values_of


class Mark(StrEnum):
    """How a trial is drawn."""

    RESULT = "Result"
    INFEASIBLE = "Infeasible"
    """On the rim: it has no value, and where it lies says something about the space."""
    STOPPED = "Stopped"


@dataclass(frozen=True)
class AxisPoint:
    """One trial."""

    trial: str
    x: ParameterValue
    y: float | None
    """The objective as it was measured; None on the rim."""
    mark: Mark
    is_top: bool = False
    """Whether it is one of the best of its arm, which the edge rules look at (BND-4)."""


@dataclass(frozen=True)
class AxisSeries:
    """The trials of one arm."""

    arm: str
    points: tuple[AxisPoint, ...]


@dataclass(frozen=True)
class Edge:
    """An end of the range that a finding is about."""

    side: Side
    verdict: str
    arm: str
    new_limit: float | None = None


@dataclass(frozen=True)
class Cut:
    """A value beyond which most trials are infeasible (INF-2)."""

    side: Side | None
    at: float


@dataclass(frozen=True)
class AxisPlot:
    """The objective against one hyperparameter, a series for each arm that has it."""

    name: str
    """The hyperparameter's."""
    parameter: str
    scale: Scale | None
    """None: a list of values."""
    low: float | None
    high: float | None
    values: tuple[ParameterValue, ...]
    """Of a list, in its order."""
    series: tuple[AxisSeries, ...]
    edges: tuple[Edge, ...] = ()
    cuts: tuple[Cut, ...] = ()


def axis_plots(study: StudyRecord, findings: Sequence[Finding] = ()) -> tuple[AxisPlot, ...]:
    """Return a plot for each hyperparameter that is searched, in the manifest's order; BND-1, BND-4, BND-5."""
    sides = arms(study)
    searched = [h for h in study.spec.hyperparameters if is_searched(h)]
    return tuple(_plot(study, h, sides, findings) for h in searched if not _is_arm(h, sides))


def name_of(scientific: Mapping[str, ParameterValue]) -> str:
    """Return an arm's name for people: `optimizer=adamw, width=64`; empty for the whole study."""
    return ", ".join(f"{name}={text_of(value)}" for name, value in scientific.items())


def text_of(value: object) -> str:
    """Return a parameter's value for people, numbers in five digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _is_arm(hyperparameter: Hyperparameter, sides: Sequence[Arm]) -> bool:
    return any(hyperparameter.parameter_name in arm.scientific for arm in sides)


def _plot(study: StudyRecord, h: Hyperparameter, sides: Sequence[Arm], findings: Sequence[Finding]) -> AxisPlot:
    series = [AxisSeries(name_of(arm.scientific), _points(study, h, arm)) for arm in sides]
    about = _about(h, series, findings)
    return AxisPlot(
        name=h.name,
        parameter=h.parameter_name,
        scale=None if h.type.is_list else (h.scale or Scale.LINEAR),
        low=h.low,
        high=h.high,
        values=tuple(values_of(h)) if h.type.is_list else (),
        series=tuple(each for each in series if each.points),
        edges=tuple(_edges(about)),
        cuts=tuple(Cut(f.side, f.cut) for f in about if f.code is Code.INFEASIBLE and f.cut is not None),
    )


def _points(study: StudyRecord, h: Hyperparameter, arm: Arm) -> tuple[AxisPoint, ...]:
    top = {t.name for t in arm.top}
    marked = (
        [(t, Mark.RESULT) for t in arm.feasible]
        + [(t, Mark.INFEASIBLE) for t in arm.infeasible]
        + [(t, Mark.STOPPED) for t in arm.stopped]
    )
    return tuple(
        AxisPoint(t.name, t.assignment[h.name], _value(study, t, mark), mark, t.name in top)
        for t, mark in marked
        if h.name in t.assignment
    )


def _value(study: StudyRecord, trial: TrialRecord, mark: Mark) -> float | None:
    loss = study.loss(trial)
    return study.shown(loss) if mark is not Mark.INFEASIBLE and math.isfinite(loss) else None


def _about(h: Hyperparameter, series: Sequence[AxisSeries], findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings about a hyperparameter: those of its parameter, in arms that have it."""
    arms_with_points = {each.arm for each in series if each.points}
    return [
        f
        for f in findings
        if f.parameter == h.parameter_name and (not f.scientific or name_of(f.scientific) in arms_with_points)
    ]


def _edges(about: Sequence[Finding]) -> list[Edge]:
    return [
        Edge(f.side, f.verdict, name_of(f.scientific), f.new_limit)
        for f in about
        if f.code is Code.SEARCH_SPACE_EDGE and f.side is not None
    ]
