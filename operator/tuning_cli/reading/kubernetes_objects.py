"""Trials as the API server holds them: what `kubectl get trials -o json` prints, and what the client reads."""

from typing import Any

from tuning_cli.problems import InputError, Problem, Warnings
from tuning_cli.reading.study_file import StudyFile
from tuning_operator.playbook.records import StudyRecord


def trials_from_list(study: StudyFile, data: Any, file: str, warnings: Warnings) -> StudyRecord:
    """Return the study with the TuningTrials of a list that belong to it.

    Raises:
        InputError: the list has something else in it, or a trial cannot be read.
    """
    raise InputError(Problem("kubectl lists are not read yet", file))
