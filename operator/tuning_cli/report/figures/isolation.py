"""Isolation plots: each point is the best trial of a scientific value over all nuisance parameters (ISO-1 to ISO-5)."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuning_cli.report.figures.axis import text_of
from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, Role, Scale
from tuning_operator.playbook.comparison.isolation import Bucket, isolation
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.search.space import is_range


@dataclass(frozen=True)
class IsolationPoint:
    """One scientific value, or one part of a scientific range."""

    label: str
    low: float | None
    high: float | None
    """The ends of the part; None for a value of a list."""
    value: float | None
    """The best trial's objective; None where no trial of it is feasible."""
    trial: str | None
    nuisance: Mapping[str, ParameterValue]
    """What that trial had beside the scientific value."""
    trials: int
    """How many feasible ones it is the best of."""
    infeasible: int
    interval: tuple[float, float] | None
    """In which the value would lie with other luck of the search and of training, at 95 %."""
    is_solid: bool
    """Whether it is the best of enough trials; else its marker is hollow."""


@dataclass(frozen=True)
class IsolationPlot:
    """The best objective for each value of what the question is about."""

    name: str
    scale: Scale | None
    """None: a list of values."""
    points: tuple[IsolationPoint, ...]


def isolation_plots(study: StudyRecord) -> tuple[IsolationPlot, ...]:
    """Return a plot for each scientific hyperparameter; none where nothing is scientific."""
    scientific = [h for h in study.spec.hyperparameters if h.role is Role.SCIENTIFIC]
    return tuple(_plot(study, h) for h in scientific)


def _plot(study: StudyRecord, h: Hyperparameter) -> IsolationPlot:
    points = tuple(_point(h, bucket) for bucket in isolation(study, h.name))
    return IsolationPlot(h.parameter_name, (h.scale or Scale.LINEAR) if is_range(h) else None, points)


def _point(h: Hyperparameter, bucket: Bucket) -> IsolationPoint:
    best = bucket.best
    label = f"{bucket.low:.3g} to {bucket.high:.3g}" if bucket.value is None else text_of(bucket.value)
    return IsolationPoint(
        label=label,
        low=bucket.low,
        high=bucket.high,
        value=bucket.result,
        trial=None if best is None else best.name,
        nuisance={} if best is None else {n: v for n, v in best.parameters.items() if n != h.parameter_name},
        trials=len(bucket.trials),
        infeasible=len(bucket.infeasible),
        interval=bucket.interval,
        is_solid=not bucket.is_uncertain,
    )
