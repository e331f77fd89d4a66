"""CSV with one row a trial: columns named as a trial's fields, as hyperparameters, or as the objective's metric."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tuning_cli.problems import InputError, Problem, Warnings
from tuning_cli.reading.fields import FieldError, measured, moment
from tuning_cli.reading.guessed_study import parameter_name
from tuning_cli.reading.trial_object import FIELDS
from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, ValueType
from tuning_operator.api.study import TuningStudySpec

PREFIXES: Final = ("parameters.", "params.", "params_", "config.", "config/", "param_")
"""What a column of a hyperparameter may begin with, as other tools write them."""
JSON_FIELDS: Final = ("curve", "diagnostics", "violations")
INTEGER_FIELDS: Final = ("maxSteps", "index", "seed")
NUMBER_FIELDS: Final = ("gpuSeconds", "value")
MISSING: Final = ("", "null", "None", "NA")
NON_FINITE: Final[Mapping[str, str]] = {
    "nan": "NaN",
    "inf": "Infinity",
    "+inf": "Infinity",
    "infinity": "Infinity",
    "-inf": "-Infinity",
    "-infinity": "-Infinity",
}
Convert = Callable[[str], Any]
Column = tuple[str, str, Convert]
"""Where a column's cells go (group, name), and how they are read."""


@dataclass(frozen=True)
class Layout:
    """How a tool names its columns and states."""

    names: Mapping[str, str] = field(default_factory=dict)
    """By column, the field of a trial that it holds."""
    states: Mapping[str, str] = field(default_factory=dict)
    """By the tool's word in lower case, the trial's state."""
    metric_prefix: str = ""
    parameter_prefix: str = ""
    """What each column of a hyperparameter begins with; empty: the tool marks them in no way."""
    explains_rest: bool = False
    """Whether the tool writes many columns that mean nothing here, so that nobody is told of each."""


PLAIN: Final = Layout()


@dataclass(frozen=True)
class Table:
    """A CSV file's cells."""

    file: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """Each with its line."""


def table_of(text: str, file: str) -> Table:
    """Read a CSV file with a header.

    Raises:
        InputError: the header is missing or names a column twice, or a row has more cells than it.
    """
    reader = csv.reader(io.StringIO(text), strict=True)
    rows: list[tuple[int, tuple[str, ...]]] = []
    try:
        header = tuple(name.strip() for name in next(reader, []))
        if not any(header):
            raise InputError(Problem("is empty: the first line must name the columns", file, 1))
        twice = next((name for name in header if name and header.count(name) > 1), None)
        if twice is not None:
            raise InputError(Problem("two columns have this name", file, 1, twice))
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) > len(header):
                    message = f"has {len(cells)} cells, more than the header's {len(header)}"
                    raise InputError(Problem(message, file, reader.line_num))
                rows.append((reader.line_num, tuple(cell.strip() for cell in cells)))
    except csv.Error as error:
        raise InputError(Problem(f"is no CSV: {error}", file, reader.line_num)) from None
    return Table(file, header, tuple(rows))


def objects_of_table(
    spec: TuningStudySpec, table: Table, warnings: Warnings, layout: Layout = PLAIN
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield for each row its line and the trial's object, whose fields are then checked as those of JSON Lines.

    A row without `state` is Succeeded where its value is finite or missing, else Infeasible; one without `name` is
    `trial-<row>`, and a name that was there already gets its row's number. A cell that is no number where one must be
    is left as text, so that the check names it.
    """
    columns = _columns(spec, table, warnings, layout)
    seen: set[str] = set()
    for row, (line, cells) in enumerate(table.rows, start=1):
        data = _object(columns, cells)
        _check_value(data.get("value"), columns, table, line)
        state = data.get("state")
        if isinstance(state, str):
            data["state"] = layout.states.get(state.lower(), state)
        else:
            data["state"] = "Infeasible" if data.get("value") in NON_FINITE.values() else "Succeeded"
        data.setdefault("name", f"trial-{row}")
        if layout is not PLAIN:
            _lenient(data, seen, row)
        seen.add(data["name"])
        yield line, data


def _check_value(value: object, columns: Sequence[Column | None], table: Table, line: int) -> None:
    """Name the column of a value that is no number: it is called as the metric, not as the trial's field."""
    try:
        if value is not None:
            measured(value, "value")
    except FieldError as error:
        titles = [title for title, column in zip(table.header, columns, strict=True) if column and column[1] == "value"]
        raise InputError(Problem(error.message, table.file, line, titles[-1])) from None


def _lenient(data: dict[str, Any], seen: set[str], row: int) -> None:
    """Mend what is no mistake of the user's: tools have names that repeat, and moments of their own form."""
    if data["name"] in seen:
        data["name"] = f"{data['name']}-{row}"
    try:
        moment(data.get("startedAt", ""), "startedAt")
    except FieldError:
        data.pop("startedAt", None)


def parameter_of(title: str) -> str | None:
    """Return the hyperparameter that a column with a usual prefix is of; None: it has none."""
    return next((title.removeprefix(p) for p in PREFIXES if title.startswith(p)), None)


def _columns(spec: TuningStudySpec, table: Table, warnings: Warnings, layout: Layout) -> list[Column | None]:
    by_parameter: dict[str, list[Hyperparameter]] = {}
    for hyperparameter in spec.hyperparameters:
        by_parameter.setdefault(hyperparameter.parameter_name, []).append(hyperparameter)
    columns: list[Column | None] = []
    for title in table.header:
        bare = parameter_name(parameter_of(title) or title)
        name = layout.names.get(title, title)
        if bare in by_parameter:
            columns.append(("parameters", bare, _parameter_reader(by_parameter[bare])))
        elif parameter_name(title.removeprefix(layout.metric_prefix)) == spec.objective.metric:
            columns.append(("", "value", number))
        elif name in FIELDS:
            columns.append(("", name, _field_reader(name)))
        else:
            columns.append(None)
            if title and not layout.explains_rest:
                warnings.add(Problem("is ignored: it is no field of a trial", table.file, 1, title))
    return columns


def _object(columns: Sequence[Column | None], cells: Sequence[str]) -> dict[str, Any]:
    data: dict[str, Any] = {"parameters": {}}
    for column, cell in zip(columns, cells, strict=False):
        if column is not None and cell not in MISSING:
            group, name, read = column
            (data[group] if group else data)[name] = read(cell)
    return data


def number(cell: str) -> Any:
    """Return a cell as an integer, a float or the name of a number that is not finite; else the text as it is."""
    if re.fullmatch(r"[-+]?\d{1,16}", cell):
        return int(cell)
    if cell.lower() in NON_FINITE:
        return NON_FINITE[cell.lower()]
    try:
        value = float(cell)
    except ValueError:
        return cell
    return value if math.isfinite(value) else cell


def whole(cell: str) -> Any:
    """Return a cell as an integer, as pandas writes one too (`64.0`); else the text as it is."""
    value = number(cell)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def boolean(cell: str) -> Any:
    """Return a cell as a Boolean; else the text as it is."""
    return {"true": True, "false": False}.get(cell.lower(), cell)


def guessed(cell: str) -> ParameterValue:
    """Return a cell as the Boolean or finite number that it looks like, else as text."""
    value = boolean(cell) if isinstance(boolean(cell), bool) else number(cell)
    if isinstance(value, bool | int | float):
        return value
    return cell


def _from_json(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _field_reader(title: str) -> Convert:
    if title in JSON_FIELDS:
        return _from_json
    if title in INTEGER_FIELDS:
        return whole
    return number if title in NUMBER_FIELDS else str


def _parameter_reader(hyperparameters: list[Hyperparameter]) -> Convert:
    """Return how a cell is read: as the hyperparameter's type; several that share a parameter rarely differ in it."""
    readers: Mapping[ValueType, Convert] = {
        ValueType.STRING: str,
        ValueType.INTEGER: whole,
        ValueType.FLOAT: number,
        ValueType.BOOLEAN: boolean,
    }
    types = {h.effective_value_type for h in hyperparameters}
    if len(types) == 1:
        return readers[types.pop()]
    return number
