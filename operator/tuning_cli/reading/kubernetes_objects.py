"""Trials as the API server holds them: what `kubectl get trials -o json` prints, and what a client reads."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tuning_cli.problems import InputError, Problem, Warnings, shown
from tuning_cli.reading.places import dotted
from tuning_cli.reading.study_file import StudyFile
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.trials import WrittenTrial, study_record, trial_record

KIND = "TuningTrial"
UNREADABLE = "the trial cannot be read"


def trials_from_list(study: StudyFile, data: Any, file: str, warnings: Warnings) -> StudyRecord:
    """Return the study with the TuningTrials of a list that belong to it.

    Args:
        study: The study.
        data: A List of TuningTrials, or a single one.
        file: Where it was read from.
        warnings: Told how many trials belong to other studies.

    Raises:
        InputError: the list has something else in it, or a trial cannot be read.
    """
    items = data.get("items") if isinstance(data, dict) and "items" in data else [data]
    if not isinstance(items, list):
        raise InputError(Problem(f"must be a list, not {shown(items)}", file, field="items"))
    problems: list[Problem] = []
    trials: list[WrittenTrial] = []
    others = 0
    for i, item in enumerate(items):
        try:
            trial = _trial(item)
            if belongs_to(trial, study):
                trial_record(study.spec, trial)
                trials.append(trial)
            else:
                others += 1
        except _MalformedError as error:
            problems.append(Problem(error.message, file, field=dotted(("items", i, *error.path))))
        except ValueError as error:
            problems.append(Problem(str(error), file, field=f"items[{i}]"))
    if problems:
        raise InputError(problems)
    if others:
        warnings.add(Problem(f"{others} of {len(items)} trials belong to other studies than {study.name}", file))
    return study_record(study, trials)


def belongs_to(trial: WrittenTrial, study: StudyFile) -> bool:
    """Whether a trial is the study's: by the study's uid where its manifest has one, else by its name."""
    uid = (study.manifest.get("metadata") or {}).get("uid")
    reference = trial.spec.study_ref
    return reference.uid == uid if uid else reference.name == study.name


class _MalformedError(Exception):
    def __init__(self, path: Sequence[str | int], message: str) -> None:
        super().__init__(message)
        self.path = tuple(path)
        self.message = message


def _trial(item: Any) -> WrittenTrial:
    if not isinstance(item, Mapping):
        raise _MalformedError((), f"must be a {KIND}, not {shown(item)}")
    if item.get("kind", KIND) != KIND:
        raise _MalformedError(("kind",), f"must be {KIND}, not {shown(item['kind'])}")
    try:
        return WrittenTrial.from_json(item)
    except (KeyError, TypeError) as error:
        raise _MalformedError((), f"{UNREADABLE}: {error} is missing") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise _MalformedError(first["loc"], f"{first['msg']}, not {shown(first['input'])}") from None
