"""What was named on the command line, read: the study that is analysed, and the ones before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning_cli.problems import InputError, Problem, Warnings
from tuning_cli.reading import optuna_storage
from tuning_cli.reading.csv_rows import objects_of_table, table_of
from tuning_cli.reading.curve_files import Points, curves_of, with_curve
from tuning_cli.reading.exports import LAYOUTS, guessed_manifest
from tuning_cli.reading.places import Document, read_text
from tuning_cli.reading.study_file import StudyFile, read_study, study_of
from tuning_cli.reading.trial_files import read_trials, record_of
from tuning_operator.playbook.records import StudyRecord


@dataclass(frozen=True)
class Sources:
    """The files and storages that the user named."""

    studies: Sequence[Path] = ()
    trials: Sequence[Path] = ()
    source: str = "files"
    export: Path | None = None
    storage: str | None = None
    name: str | None = None
    curves: Sequence[Path] = ()
    metric: str | None = None
    parameters: Sequence[str] = ()
    scientific: Sequence[str] = ()
    maximize: bool = False


@dataclass(frozen=True)
class StudyWithEarlier:
    """What an analysis looks at."""

    study: StudyRecord
    earlier: tuple[StudyRecord, ...] = ()
    assumed: Mapping[str, Any] | None = None
    """The manifest, where the user gave none."""


def read_sources(sources: Sources, warnings: Warnings) -> StudyWithEarlier:
    """Read everything.

    Raises:
        InputError: something is missing, or malformed.
    """
    match sources.source:
        case "optuna":
            return _from_optuna(sources, warnings)
        case "wandb" | "mlflow":
            return _from_export(sources, warnings)
        case _:
            return _from_files(sources, warnings)


def _from_files(sources: Sources, warnings: Warnings) -> StudyWithEarlier:
    studies, trials = sources.studies, sources.trials
    if not trials:
        raise InputError(Problem("give --study STUDY.yaml and --trials TRIALS.jsonl, or --from a tool"))
    if not studies and len(trials) == 1 and trials[0].suffix == ".csv":
        return _from_export(Sources(**{**vars(sources), "source": "csv", "export": trials[0]}), warnings)
    if len(studies) != len(trials):
        raise InputError(
            Problem(f"each --study needs its --trials, in the same order: there are {len(studies)} and {len(trials)}")
        )
    curves = _curves(sources)
    records = [
        read_trials(read_study(study, warnings), path, warnings, earlier=i < len(studies) - 1, curves=curves)
        for i, (study, path) in enumerate(zip(studies, trials, strict=True))
    ]
    return StudyWithEarlier(records[-1], tuple(records[:-1]))


def _from_export(sources: Sources, warnings: Warnings) -> StudyWithEarlier:
    path = sources.export or (sources.trials[0] if len(sources.trials) == 1 else None)
    if path is None:
        raise InputError(Problem(f"--from {sources.source} needs the CSV file that the tool has exported"))
    layout = LAYOUTS[sources.source]
    table = table_of(read_text(path), str(path))
    assumed = None
    if not sources.studies:
        assumed = guessed_manifest(
            table,
            layout,
            warnings,
            name=sources.name or path.stem,
            metric=sources.metric,
            parameters=sources.parameters,
            scientific=sources.scientific,
            maximize=sources.maximize,
        )
    study = _study(sources, assumed, warnings)
    curves = _curves(sources)
    objects = [(line, with_curve(o, curves)) for line, o in objects_of_table(study.spec, table, warnings, layout)]
    return StudyWithEarlier(record_of(study, objects, str(path), warnings), assumed=assumed)


def _from_optuna(sources: Sources, warnings: Warnings) -> StudyWithEarlier:
    if sources.storage is None:
        raise InputError(Problem("--from optuna needs --storage URL, such as sqlite:///optuna.db"))
    found = optuna_storage.load(sources.storage, sources.name)
    assumed = None
    if not sources.studies:
        assumed = optuna_storage.manifest_from(found, sources.metric, sources.scientific, warnings)
    study = _study(sources, assumed, warnings)
    objects = optuna_storage.objects_from(found, study.spec.objective.metric)
    return StudyWithEarlier(
        record_of(study, ((None, o) for o in objects), optuna_storage.without_password(sources.storage), warnings),
        assumed=assumed,
    )


def _study(sources: Sources, assumed: Mapping[str, Any] | None, warnings: Warnings) -> StudyFile:
    if assumed is not None:
        return study_of(Document("the assumed study", assumed), warnings)
    if len(sources.studies) != 1:
        raise InputError(Problem(f"--from {sources.source} goes with one --study"))
    return read_study(sources.studies[0], warnings)


def _curves(sources: Sources) -> Points:
    curves: Points = {}
    for path in sources.curves:
        for name, points in curves_of(table_of(read_text(path), str(path))).items():
            curves[name] = _joined(curves.get(name, []), points)
    return curves


def _joined(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the points of two files, such as a chart of the training loss and one of the objective."""
    by_step: dict[int, dict[str, Any]] = {}
    for point in (*one, *other):
        by_step.setdefault(point["step"], {}).update(point)
    return [by_step[step] for step in sorted(by_step)]
