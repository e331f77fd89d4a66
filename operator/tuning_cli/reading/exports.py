"""CSV exports of W&B and MLflow: which column is what, and a study where none is given."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tuning_cli.problems import InputError, Problem, Warnings
from tuning_cli.reading.csv_rows import MISSING, PLAIN, Layout, Table, guessed, parameter_of
from tuning_cli.reading.guessed_study import Guess, conditions_of, manifest_of, observed_domain, parameter_name
from tuning_contract.environment import ParameterValue

WANDB: Final = Layout(
    names={
        "Name": "name",
        "State": "state",
        "Created": "startedAt",
        "name": "name",
        "state": "state",
        "created_at": "startedAt",
    },
    states={
        "finished": "Succeeded",
        "crashed": "Failed",
        "failed": "Failed",
        "killed": "Stopped",
        "preempting": "Lost",
        "preempted": "Lost",
        "running": "Running",
        "pending": "Running",
    },
    explains_rest=True,
)
MLFLOW: Final = Layout(
    names={
        "tags.mlflow.runName": "name",
        "Name": "name",
        "Run ID": "name",
        "run_id": "name",
        "status": "state",
        "Status": "state",
        "start_time": "startedAt",
        "Start Time": "startedAt",
    },
    states={
        "finished": "Succeeded",
        "failed": "Failed",
        "killed": "Stopped",
        "running": "Running",
        "scheduled": "Running",
    },
    metric_prefix="metrics.",
    parameter_prefix="params.",
    explains_rest=True,
)
LAYOUTS: Final[Mapping[str, Layout]] = {"wandb": WANDB, "mlflow": MLFLOW, "csv": PLAIN}


def guessed_manifest(
    table: Table,
    layout: Layout,
    warnings: Warnings,
    *,
    name: str,
    metric: str | None,
    parameters: Sequence[str] = (),
    scientific: Sequence[str] = (),
    maximize: bool = False,
) -> dict[str, Any]:
    """Return a TuningStudy's manifest for a table of runs.

    Args:
        table: One row a run.
        layout: Whose export it is.
        warnings: Told what a table cannot say.
        name: The study's name.
        metric: The objective's column; None: the only column of a metric.
        parameters: The columns that are hyperparameters; none: those that the tool marks as such.
        scientific: Which of them the question is about.
        maximize: Whether larger is better.

    Raises:
        InputError: it is not said, and cannot be seen, which columns are hyperparameters or the objective.
    """
    columns = _parameter_columns(table, layout, parameters)
    metric = _metric_column(table, layout, metric)
    runs = [
        {name: guessed(cells[i]) for i, name in columns.items() if i < len(cells) and cells[i] not in MISSING}
        for _, cells in table.rows
    ]
    values: dict[str, list[ParameterValue]] = {n: [run[n] for run in runs if n in run] for n in columns.values()}
    domains = {n: observed_domain(found) for n, found in values.items() if found}
    having = [run for run in runs if run]
    conditions = conditions_of(list(domains), having, domains)
    for left_out in [n for n in domains if n not in conditions and not all(n in run for run in having)]:
        warnings.add(
            Problem("is empty in some runs, and no list decides in which: it is left out", table.file, 1, left_out)
        )
        del domains[left_out]
    if any(not d.values for d in domains.values()):
        warnings.add(
            Problem(
                "the ranges are those of the runs, since a table does not say which were searched: what is found about "
                "their edges holds only after you have corrected low and high in the study",
                table.file,
            )
        )
    return manifest_of(
        Guess(
            name=name,
            metric=parameter_name(metric.removeprefix(layout.metric_prefix)),
            domains=domains,
            maximize=maximize,
            trials=len(table.rows),
            algorithm="Random",
            scientific=scientific,
            conditions=conditions,
        )
    )


def _parameter_columns(table: Table, layout: Layout, wanted: Sequence[str]) -> dict[int, str]:
    """Return the name of the hyperparameter in each column that holds one, by the column's number."""
    columns = {}
    for i, title in enumerate(table.header):
        bare = parameter_of(title)
        marked = bare is not None and (not layout.parameter_prefix or title.startswith(layout.parameter_prefix))
        if (title in wanted or bare in wanted) if wanted else marked:
            columns[i] = parameter_name(bare or title)
    missing = [n for n in wanted if parameter_name(parameter_of(n) or n) not in columns.values()]
    if missing:
        raise InputError(Problem(f"has no column {', '.join(missing)}; it has {_listed(table.header)}", table.file, 1))
    if not columns:
        message = (
            "it cannot be seen which columns are hyperparameters: name them by --parameters a,b,c, or give a --study"
        )
        raise InputError(Problem(f"{message}; there are {_listed(table.header)}", table.file, 1))
    return columns


def _metric_column(table: Table, layout: Layout, wanted: str | None) -> str:
    if wanted is not None:
        if not {wanted, layout.metric_prefix + wanted} & set(table.header):
            raise InputError(Problem(f"has no column {wanted}; it has {_listed(table.header)}", table.file, 1))
        return wanted
    metrics = [t for t in table.header if layout.metric_prefix and t.startswith(layout.metric_prefix)]
    if len(metrics) != 1:
        there = f"; there are {_listed(metrics or table.header)}"
        raise InputError(Problem(f"name the objective's column by --metric, or give a --study{there}", table.file, 1))
    return metrics[0]


def _listed(names: Sequence[str]) -> str:
    shown = [n for n in names if n]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "")
