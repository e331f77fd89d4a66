"""Curves from tables: what a chart of W&B exports, a long table, and MLflow's metric history."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tuning_cli.problems import InputError, Problem
from tuning_cli.reading.csv_rows import MISSING, Table, number, whole

TRIAL_COLUMNS: Final = ("name", "trial", "run", "run_id", "Name")
STEP_COLUMNS: Final = ("step", "Step", "_step", "trainer/global_step")
SEPARATOR: Final = " - "
"""Of W&B's charts: a column is `<run> - <metric>`; beside it stand `…__MIN` and `…__MAX`."""

Points = dict[str, list[dict[str, Any]]]


def curves_of(table: Table) -> Points:
    """Return the points of each trial's curve, by its name, in ascending steps.

    Raises:
        InputError: the table is of no known form, or a step is no integer.
    """
    step = next((i for i, t in enumerate(table.header) if t in STEP_COLUMNS), None)
    if step is None:
        raise InputError(Problem(f"has no column {' or '.join(STEP_COLUMNS[:2])}", table.file, 1))
    trial = next((i for i, t in enumerate(table.header) if t in TRIAL_COLUMNS), None)
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for line, cells in table.rows:
        padded = cells + ("",) * (len(table.header) - len(cells))
        at = _step(table, line, padded[step])
        for name, metric, cell in _cells(table, padded, step, trial):
            if cell not in MISSING:
                found.setdefault(name, {}).setdefault(at, {})[metric] = number(cell)
    if not found:
        wanted = "`step` with `name` and a column for each metric, or `<run> - <metric>` columns as W&B's charts have"
        raise InputError(Problem(f"has no curves: it needs {wanted}", table.file, 1))
    return {name: [{"step": s, **points[s]} for s in sorted(points)] for name, points in found.items()}


def with_curve(data: Mapping[str, Any], curves: Points) -> dict[str, Any]:
    """Return a trial's object with its curve."""
    points = curves.get(str(data.get("name")))
    return dict(data) if points is None else {**data, "curve": points}


def _step(table: Table, line: int, cell: str) -> int:
    value = whole(cell)
    if not isinstance(value, int) or value < 0:
        raise InputError(Problem(f"must be an integer, not {cell!r}", table.file, line, "step"))
    return value


def _cells(table: Table, cells: tuple[str, ...], step: int, trial: int | None) -> Iterator[tuple[str, str, str]]:
    """Yield (trial, metric, cell) of a row."""
    titles = table.header
    if trial is None:
        for title, cell in zip(titles, cells, strict=True):
            run, separator, metric = title.rpartition(SEPARATOR)
            if separator and not metric.endswith(("__MIN", "__MAX")):
                yield run, metric, cell
    elif "key" in titles and "value" in titles:
        yield cells[trial], cells[titles.index("key")], cells[titles.index("value")]
    else:
        for i, (title, cell) in enumerate(zip(titles, cells, strict=True)):
            if i not in (step, trial):
                yield cells[trial], title, cell
