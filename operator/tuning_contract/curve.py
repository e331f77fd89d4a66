"""A trial's evaluations: several metrics over the steps, in JSON as in Python.

In JSON `{"columns": ["step", "<objective>", "train_loss", …], "rows": [[20, 1.5, 1.25], …]}`: in records, in statuses
and wherever a curve travels. A value that is not finite is one of the strings NaN, Infinity and -Infinity; a metric
that was not measured at an evaluation is null there.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tuning_contract.environment import Direction
from tuning_contract.numbers import decode_number, encode_number

STEP: Final = "step"
MAX_COLUMNS: Final = 32
MAX_STEP: Final = 2**53
LATE_FRACTION: Final = 0.1
"""`LateMedian` is the median over the last tenth of the evaluations, at least one of them."""

T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    """The objective at one evaluation."""

    step: int
    value: float
    """May be NaN or infinite."""

    def to_json(self) -> list[Any]:
        """Return `[step, value]`, a non-finite value by its name."""
        return [self.step, encode_number(self.value)]

    @classmethod
    def from_json(cls, data: object) -> "Point":
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no such pair, or the step is not an integer in [0, 2**53].
        """
        if not isinstance(data, list) or len(data) != 2:
            raise ValueError("a point must be [step, value]")
        return cls(step_from_json(data[0]), decode_number(data[1]))


@dataclass(frozen=True)
class Row:
    """All metrics at one evaluation."""

    step: int
    values: tuple[float | None, ...]
    """In the curve's order; NaN or infinite where a metric was, None where it was not measured."""


@dataclass(frozen=True)
class Curve:
    """A trial's evaluations, by ascending steps."""

    metrics: tuple[str, ...] = ()
    """The objective first, which each evaluation has."""
    rows: tuple[Row, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, metric: str, points: Sequence[Point]) -> "Curve":
        """Return a curve of the objective alone."""
        return cls((metric,), tuple(Row(point.step, (point.value,)) for point in points))

    @property
    def points(self) -> tuple[Point, ...]:
        """The objective."""
        return tuple(Point(row.step, row.values[0]) for row in self.rows if row.values and row.values[0] is not None)

    def series(self, metric: str) -> tuple[float | None, ...]:
        """Return one metric's values, a None for each evaluation at which it was not measured."""
        if metric not in self.metrics:
            return (None,) * len(self.rows)
        place = self.metrics.index(metric)
        return tuple(row.values[place] for row in self.rows)

    def with_columns(self, number: int) -> "Curve":
        """Return the curve of the first `number` metrics."""
        return Curve(self.metrics[:number], tuple(Row(row.step, row.values[:number]) for row in self.rows))

    def thinned(self, keep: int) -> "Curve":
        """Return at most `keep` of the evaluations, as `thinned` chooses them."""
        return Curve(self.metrics, thinned(self.rows, keep))

    def rounded(self, objective_digits: int, other_digits: int) -> "Curve":
        """Return the curve with as many significant digits of each value."""
        digits = (objective_digits, *[other_digits] * (len(self.metrics) - 1))
        return Curve(
            self.metrics,
            tuple(
                Row(row.step, tuple(significant(v, d) for v, d in zip(row.values, digits, strict=True)))
                for row in self.rows
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Return `{"columns": ["step", …], "rows": [[step, value, …], …]}`."""
        return {
            "columns": [STEP, *self.metrics],
            "rows": [[row.step, *(None if v is None else encode_number(v) for v in row.values)] for row in self.rows],
        }

    @classmethod
    def from_json(cls, data: object) -> "Curve":
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no such object; a row is of another length, has no objective, or its step is not after
                the one before it. The message says which.
        """
        if not isinstance(data, dict) or data.keys() != {"columns", "rows"}:
            raise ValueError('a curve must be {"columns": ["step", "<metric>", …], "rows": [[<step>, <value>, …], …]}')
        columns, rows = data["columns"], data["rows"]
        if not isinstance(columns, list) or not 1 <= len(columns) <= MAX_COLUMNS or columns[0] != STEP:
            raise ValueError(f"a curve's columns must be a list of at most {MAX_COLUMNS} names that begins with step")
        if not all(isinstance(name, str) for name in columns) or len(set(columns)) < len(columns):
            raise ValueError("a curve's columns must be texts, each another one")
        if not isinstance(rows, list) or (rows and len(columns) < 2):
            raise ValueError("a curve's rows must be a list, and have a column beside the step")
        curve = cls(tuple(columns[1:]), tuple(_row(row, len(columns), number) for number, row in enumerate(rows)))
        for before, after in zip(curve.rows, curve.rows[1:], strict=False):
            if after.step <= before.step:
                raise ValueError(f"a curve's steps must ascend: {after.step} after {before.step}")
        return curve


@dataclass(frozen=True)
class MetricValues:
    """A further metric where the objective counts; None: it was not measured there."""

    best: float | None = None
    """At the evaluation at which the objective is best, so of the checkpoint that is kept."""
    last: float | None = None
    """At the last evaluation."""
    late_median: float | None = None
    """The median over the last tenth of the evaluations; NaN where one is not finite."""

    def to_json(self) -> list[Any]:
        """Return `[best, last, late median]`."""
        return [None if v is None else encode_number(v) for v in (self.best, self.last, self.late_median)]

    @classmethod
    def from_json(cls, data: object) -> "MetricValues":
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no such list.
        """
        if not isinstance(data, list) or len(data) != 3:
            raise ValueError("a metric's values must be [best, last, late median]")
        return cls(*(None if value is None else decode_number(value) for value in data))


def values_of(curve: Curve, metric: str, direction: Direction) -> MetricValues:
    """Return what a further metric was where the objective counts.

    Args:
        curve: all evaluations, none left out.
        metric: another one than the objective, or the objective itself.
        direction: the objective's.
    """
    series = curve.series(metric)
    if not series:
        return MetricValues()
    best = best_of(curve.points, direction)
    by_step = {row.step: value for row, value in zip(curve.rows, series, strict=True)}
    late = _late(series)
    measured = [value for value in late if value is not None]
    return MetricValues(
        best=None if best is None else by_step[best.step],
        last=series[-1],
        late_median=_median(measured) if len(measured) == len(late) else None,
    )


def thinned(items: Sequence[T], keep: int) -> tuple[T, ...]:
    """Return at most `keep` of the evaluations, evenly spread, the first and the last among them where two fit."""
    if keep >= len(items):
        return tuple(items)
    if keep <= 0:
        return ()
    if keep == 1:
        return (items[-1],)
    stride = (len(items) - 1) / (keep - 1)
    return tuple(items[round(i * stride)] for i in range(keep))


def best_of(points: Sequence[Point], direction: Direction) -> Point | None:
    """Return the best finite point, the earliest of equals; None where no value is finite."""
    return next(iter(best_few_of(points, direction, 1)), None)


def best_few_of(points: Sequence[Point], direction: Direction, count: int) -> tuple[Point, ...]:
    """Return the best finite points, at most `count`, the best first and the earliest of equals before the others."""
    sign = 1.0 if direction == "Minimize" else -1.0
    finite = [point for point in points if math.isfinite(point.value)]
    return tuple(sorted(finite, key=lambda point: sign * point.value)[:count])


def late_median_of(points: Sequence[Point]) -> float | None:
    """Return the median over the last tenth of the evaluations: less lucky than the best, steadier than the last.

    NaN where one of them is not finite; None where there are no points (playbook: step-to-step variance).
    """
    return _median([point.value for point in _late(points)]) if points else None


def significant(value: float | None, digits: int) -> float | None:
    """Return a value rounded to so many significant digits; what is not finite stays.

    >>> significant(0.0123456789, 4), significant(123456.0, 2)
    (0.01235, 120000.0)
    """
    return value if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")


def step_from_json(data: object) -> int:
    """Read a training step.

    Raises:
        ValueError: it is not an integer in [0, 2**53].
    """
    if isinstance(data, bool) or not isinstance(data, int) or not 0 <= data <= MAX_STEP:
        raise ValueError(f"a step must be an integer in [0, 2**53], not {data!r:.60}")
    return data


def by_metric(curve: Curve) -> Mapping[str, tuple[float, ...]]:
    """Return each metric's values, NaN where it was not measured; metrics that never were are left out."""
    found = {}
    for metric in curve.metrics:
        series = curve.series(metric)
        if any(value is not None for value in series):
            found[metric] = tuple(math.nan if value is None else value for value in series)
    return found


def _late(items: Sequence[T]) -> Sequence[T]:
    return items[-max(1, math.ceil(len(items) * LATE_FRACTION)) :]


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if all(map(math.isfinite, values)) else math.nan


def _row(data: object, length: int, number: int) -> Row:
    if not isinstance(data, list) or len(data) != length:
        raise ValueError(f"row {number} of a curve must be a list of {length} values, one for each column")
    step, *values = data
    if values[0] is None:
        raise ValueError(f"row {number} of a curve has no objective")
    return Row(step_from_json(step), tuple(None if value is None else decode_number(value) for value in values))
