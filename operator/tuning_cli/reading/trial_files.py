"""Files of trials: JSON Lines, CSV, and what `kubectl get trials -o json` prints, told apart by what is in them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tuning_cli.problems import InputError, Problem, Warnings, shown
from tuning_cli.reading.csv_rows import objects_of_table, table_of
from tuning_cli.reading.curve_files import Points, with_curve
from tuning_cli.reading.fields import FieldError
from tuning_cli.reading.kubernetes_objects import trials_from_list
from tuning_cli.reading.places import read_text, read_yaml, with_whole_characters
from tuning_cli.reading.study_file import StudyFile
from tuning_cli.reading.trial_object import trial_from_object, unknown_names, unknown_parameters
from tuning_operator.playbook.records import StudyRecord, TrialRecord

MAX_PROBLEMS: Final = 20
Placed = tuple[int | None, Mapping[str, Any]]
"""A trial's object, and its line in the file."""


def read_trials(
    study: StudyFile, path: Path, warnings: Warnings, *, earlier: bool = False, curves: Points | None = None
) -> StudyRecord:
    """Return the study with the trials of a file.

    Args:
        study: The study that they belong to.
        path: JSON Lines, CSV, or a list of TuningTrials as JSON or YAML.
        warnings: Where names that mean nothing are told.
        earlier: Whether it is not the study that is analysed: values that its lists do not have are let pass.
        curves: Of the trials in a CSV file, by their names.

    Raises:
        InputError: the file cannot be read, or trials are malformed: each problem names line and field.
    """
    if path.suffix in (".yaml", ".yml"):
        return trials_from_list(study, read_yaml(path).data, str(path), warnings)
    text = read_text(path)
    if path.suffix == ".csv":
        objects = objects_of_table(study.spec, table_of(text, str(path)), warnings)
        placed = ((line, with_curve(data, curves or {})) for line, data in objects)
        return record_of(study, placed, str(path), warnings, earlier)
    whole = _as_one_json(text)
    if isinstance(whole, dict) and ("items" in whole or whole.get("kind") == "TuningTrial"):
        return trials_from_list(study, whole, str(path), warnings)
    if isinstance(whole, list):
        return record_of(study, _objects_of_list(whole, str(path)), str(path), warnings, earlier)
    return record_of(study, _objects_of_lines(text, str(path)), str(path), warnings, earlier)


def record_of(
    study: StudyFile, objects: Iterable[Placed], file: str, warnings: Warnings, earlier: bool = False
) -> StudyRecord:
    """Return the study with the trials that JSON objects describe.

    Raises:
        InputError: some are malformed; the first twenty problems are told.
    """
    problems: list[Problem] = []
    trials: dict[str, TrialRecord] = {}
    for index, (line, data) in enumerate(_until_broken(objects, problems)):
        try:
            trial = trial_from_object(study.spec, data, index, listed=not earlier)
            if trial.name in trials:
                raise FieldError("name", f"{shown(trial.name)} is there twice")
        except FieldError as error:
            problems.append(Problem(error.message, file, line, error.field))
            continue
        trials[trial.name] = trial
        for name in (*unknown_names(data), *unknown_parameters(study.spec, trial.parameters)):
            warnings.add(Problem("is ignored: it is no field of a trial", file, None, name))
    if problems:
        raise InputError(problems[:MAX_PROBLEMS])
    return StudyRecord(study.name, study.spec, tuple(trials.values()))


def _until_broken(objects: Iterable[Placed], problems: list[Problem]) -> Iterator[Placed]:
    """Yield the objects; a line that is no JSON is a problem among the others."""
    for line, data in objects:
        if isinstance(data, _Broken):
            problems.append(data.problem)
        else:
            yield line, data


class _Broken(dict[str, Any]):
    """In the place of an object that could not be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


def _objects_of_lines(text: str, file: str) -> Iterator[Placed]:
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip():
            continue
        try:
            data = json.loads(content, object_pairs_hook=_no_twice)
        except json.JSONDecodeError as error:
            yield line, _Broken(Problem(f"is no JSON: {error.msg} at column {error.colno}", file, line))
        except (ValueError, RecursionError) as error:
            yield line, _Broken(Problem(f"is no JSON: {error}", file, line))
        else:
            yield line, _as_object(with_whole_characters(data), file, line, "")


def _objects_of_list(data: list[Any], file: str) -> Iterator[Placed]:
    for i, each in enumerate(data):
        yield None, _as_object(each, file, None, f"[{i}]")


def _as_object(data: object, file: str, line: int | None, field: str) -> Mapping[str, Any]:
    if isinstance(data, dict):
        return data
    return _Broken(Problem(f"must be an object, not {shown(data)}", file, line, field))


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{shown(next(n for n in names if names.count(n) > 1))} is there twice in one object")
    return found


def _as_one_json(text: str) -> Any:
    """Return the whole text as JSON where it is one value over several lines, or a list; else None."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return with_whole_characters(json.loads(text))
    except (ValueError, RecursionError):
        return None
