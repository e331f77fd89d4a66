"""The commands of `kubectl tuning`: doors, each of which reads, analyses and writes."""

import shutil
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tuning_cli.inputs import Sources, StudyWithEarlier, read_sources
from tuning_cli.json_form import json_text
from tuning_cli.problems import InputError, Problem, Warnings
from tuning_cli.reading.places import to_yaml
from tuning_cli.report.contents import report_of
from tuning_cli.report.text import text_report
from tuning_operator.playbook.analysis import Analysis, analyse

BAD_INPUT = 2
FAILED = 1
WIDTH, NARROWEST, WIDEST = 110, 60, 160
"""Of the text, in columns: where no terminal says, at least and at most."""

app = typer.Typer(
    help="Reads tuning studies as the Deep Learning Tuning Playbook would.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Output(StrEnum):
    """How an analysis is written."""

    JSON = "json"
    TEXT = "text"
    HTML = "html"


class ReportOutput(StrEnum):
    """How a report is written."""

    HTML = "html"
    TEXT = "text"


class Source(StrEnum):
    """Where trials come from."""

    FILES = "files"
    OPTUNA = "optuna"
    WANDB = "wandb"
    MLFLOW = "mlflow"


Studies = Annotated[
    list[Path] | None,
    typer.Option("--study", help="A TuningStudy in YAML; earlier studies first, the analysed one last."),
]
Trials = Annotated[
    list[Path] | None,
    typer.Option(
        "--trials", help="The trials of each --study: JSON Lines, CSV, or what kubectl get trials -o json prints."
    ),
]
Namespace = Annotated[str | None, typer.Option("-n", "--namespace", help="The study's namespace.")]
OutputFile = Annotated[Path | None, typer.Option("--output", help="Write to this file.")]


@app.command()
def analyze(
    export: Annotated[Path | None, typer.Argument(help="The CSV export, with --from wandb or mlflow.")] = None,
    study: Studies = None,
    trials: Trials = None,
    output: Annotated[Output, typer.Option("-o", help="How to write the analysis.")] = Output.TEXT,
    to: OutputFile = None,
    source: Annotated[Source, typer.Option("--from", help="Where the trials come from.")] = Source.FILES,
    storage: Annotated[str | None, typer.Option(help="Optuna's storage URL, such as sqlite:///optuna.db.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Optuna's study; else the name of the study that is assumed.")
    ] = None,
    curves: Annotated[list[Path] | None, typer.Option(help="CSV with training curves, for tables of trials.")] = None,
    metric: Annotated[str | None, typer.Option(help="The objective, where no --study says it.")] = None,
    parameters: Annotated[str | None, typer.Option(help="The columns that are hyperparameters: a,b,c.")] = None,
    scientific: Annotated[str | None, typer.Option(help="The hyperparameters that the question is about: a,b.")] = None,
    maximize: Annotated[bool, typer.Option(help="Larger is better, where no --study says it.")] = False,
) -> None:
    """Analyse trials that are in files: no cluster is needed."""

    def act(warnings: Warnings) -> str:
        sources = Sources(
            studies=study or (),
            trials=trials or (),
            source=source.value,
            export=export,
            storage=storage,
            name=name,
            curves=curves or (),
            metric=metric,
            parameters=_listed(parameters),
            scientific=_listed(scientific),
            maximize=maximize,
        )
        read = read_sources(sources, warnings)
        if read.assumed is not None:
            _say("No --study was given. This one is assumed; save it, correct it, and give it by --study:")
            _say(to_yaml(read.assumed))
        return _written(read, output, to)

    _told(act, to)


@app.command()
def report(
    study: Annotated[str, typer.Argument(help="The TuningStudy's name.")],
    namespace: Namespace = None,
    output: Annotated[ReportOutput, typer.Option("-o", help="How to write the report.")] = ReportOutput.HTML,
    to: OutputFile = None,
) -> None:
    """Write the report of a study in the cluster: one HTML file, or text."""

    def act(warnings: Warnings) -> str:
        from tuning_cli.cluster import read_study_of_cluster

        return _written(read_study_of_cluster(study, namespace, warnings), Output(output.value), to)

    target = to or (Path(f"{study}.html") if output is ReportOutput.HTML and sys.stdout.isatty() else None)
    _told(act, target)


@app.command("next")
def next_study(
    study_name: Annotated[str | None, typer.Argument(metavar="STUDY", help="The TuningStudy's name.")] = None,
    namespace: Namespace = None,
    study: Studies = None,
    trials: Trials = None,
    to: OutputFile = None,
) -> None:
    """Print the study that should follow, for `kubectl apply -f -`."""

    def act(warnings: Warnings) -> str:
        if study_name is not None:
            from tuning_cli.cluster import proposed_manifest

            manifest = proposed_manifest(study_name, namespace, warnings)
        else:
            read = read_sources(Sources(studies=study or (), trials=trials or ()), warnings)
            proposal = analyse(read.study, read.earlier).next_study
            manifest = None if proposal is None else proposal.manifest
        if manifest is None:
            raise InputError(Problem("no next study is proposed: nothing is to be done, or no conclusion is near"))
        return to_yaml(manifest)

    _told(act, to)


def main() -> None:
    """Run the command line."""
    app(prog_name="kubectl tuning")


def _written(read: StudyWithEarlier, output: Output, to: Path | None = None) -> str:
    analysis: Analysis = analyse(read.study, read.earlier)
    if output is Output.JSON:
        return json_text(analysis)
    contents = report_of(read.study, analysis)
    if output is Output.TEXT:
        width = min(max(shutil.get_terminal_size((WIDTH, 0)).columns, NARROWEST), WIDEST)
        return text_report(contents, width=width, colour=sys.stdout.isatty() and to is None)
    from tuning_cli.report.page import html_report  # plotly takes a while, and text needs none of it

    return html_report(contents)


def _told(act: Callable[[Warnings], str], to: Path | None) -> None:
    """Run a command: the answer goes to the file or to standard output, warnings and problems to standard error."""
    warnings = Warnings()
    try:
        text = act(warnings)
    except InputError as error:
        _warn(warnings)
        for problem in error.problems:
            _say(f"error: {problem}")
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    _warn(warnings)
    # Half a character, as a file may have one, has no place in UTF-8.
    text = text.encode("utf-8", "replace").decode() + ("" if text.endswith("\n") else "\n")
    if to is None:
        sys.stdout.write(text)
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        _say(f"error: {to}: cannot be written: {error.strerror or error}")
        raise typer.Exit(FAILED) from None
    _say(f"wrote {to}")


def _warn(warnings: Warnings) -> None:
    for text in warnings:
        _say(f"warning: {text}")


def _say(text: str) -> None:
    sys.stderr.write(text if text.endswith("\n") else text + "\n")


def _listed(text: str | None) -> Sequence[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
