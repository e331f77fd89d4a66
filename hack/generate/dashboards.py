"""The Grafana dashboards: one about a study, one about the operator's health.

They ask only what Prometheus 2.42 and 3 both answer. `queries` returns what a dashboard asks, so that the end-to-end
tests can put every question to a real Prometheus and demand an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries, xychart
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.xychart import SeriesMapping

from hack.generate.files import Files, yaml_text
from hack.generate.rbac import OPERATOR, labels
from tuning_contract.metrics import TRIAL_OBJECTIVE, TRIAL_STEP, series_of
from tuning_operator.api.trial import TrialState

SOURCE: Final = "hack/generate/dashboards.py"
CHART_FOLDER: Final = Path("charts/tuning-operator/dashboards")
SIDECAR_LABELS: Final = {"grafana_dashboard": "1"}

GRID: Final = 24
"""The columns of Grafana's grid."""

DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")

STUDY: Final = 'namespace="$namespace", study="$study"'
WITH_RESULT: Final = tuple(state for state in TrialState if state.has_result)
OPERATORS: Final = 'instance=~"$instance"'
QUANTILES: Final = (0.5, 0.95, 0.99)

Panel = stat.Panel | timeseries.Panel | xychart.Panel


@dataclass(frozen=True)
class Query:
    """A question in PromQL, and how the lines of its answer are named."""

    expression: str
    legend: str = ""


def of_study(metric: str, more: str = "") -> str:
    """Return the selector of a metric's series of the chosen study.

    >>> of_study("tuning_trial_step")
    'tuning_trial_step{namespace="$namespace", study="$study"}'
    """
    return f"{metric}{{{STUDY}{', ' + more if more else ''}}}"


def trials(*states: TrialState) -> str:
    """Return the selector of how many of the chosen study's trials are in these states.

    >>> trials(TrialState.FAILED)
    'tuning_study_trials{namespace="$namespace", study="$study", state=~"Failed"}'
    """
    return of_study("tuning_study_trials", f'state=~"{"|".join(states)}"')


def by_trial(metric: str) -> Query:
    """Ask for one line for each trial: a retry goes on where its predecessor stopped, in the same line."""
    return Query(f"max by (trial) ({of_study(metric)})", "{{trial}}")


def rate_by(metric: str, *by: str) -> Query:
    """Ask for events a second of the operator, one line for each value of the labels."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    return Query(f"sum by ({', '.join(by)}) (rate({metric}{{{OPERATORS}}}[$__rate_interval]))", legend)


def quantiles(metric: str) -> list[Query]:
    """Ask for the median and the tail of one of the operator's histograms."""
    rates = f"sum by (le) (rate({metric}_bucket{{{OPERATORS}}}[$__rate_interval]))"
    return [Query(f"histogram_quantile({quantile}, {rates})", f"p{quantile * 100:.0f}") for quantile in QUANTILES]


def study_dashboard() -> Dashboard:
    """Return the dashboard of one study."""
    results = f"sum({trials(*WITH_RESULT)})"
    wanted = f"sum({of_study('tuning_study_max_trials')})"
    hourly = f"clamp_min(sum(deriv({trials(*WITH_RESULT)}[10m])), 0) * 3600"
    best = Query(f"max({of_study('tuning_study_best_objective')})", "best")
    builder = (
        _dashboard("Tuning study", "tuning-operator-study", "How a study goes: progress, best value, curves.")
        .with_variable(_query_variable("namespace", "label_values(tuning_study_max_trials, namespace)"))
        .with_variable(_query_variable("study", 'label_values(tuning_study_max_trials{namespace="$namespace"}, study)'))
        .with_row(dashboard.Row("Progress"))
    )
    panels: list[Panel | str] = [
        _number("Progress", "Trials with a result, of those wanted.", "percentunit", Query(f"{results} / {wanted}"), 5),
        _number("Trials with a result", "Infeasible ones are results, too.", "short", Query(results), 5),
        _number("Best objective", "Of all trials so far.", "sishort", best, 5),
        _number("Running", "Trials in training now.", "short", _in_state(TrialState.RUNNING), 3),
        _number("Failed", "Trials that count towards maxFailedTrials.", "short", _in_state(TrialState.FAILED), 3),
        _number("Trials an hour", "By the last ten minutes.", "short", Query(hourly), 3),
        _graph(
            "Trials by state",
            "All trials that were ever created.",
            "short",
            [Query(f"sum by (state) ({of_study('tuning_study_trials')})", "{{state}}"), Query(wanted, "wanted")],
            stacked_but="wanted",
        ),
        _graph("Best so far", "The best objective of all trials.", "sishort", [best]),
        "Objective",
        _graph("Objective over time", "Each line is a trial.", "sishort", [by_trial(TRIAL_OBJECTIVE)]),
        _objective_by_step(),
        "Training",
        _graph("Current step", "Each line is a trial.", "short", [by_trial(TRIAL_STEP)]),
        _graph(
            "Throughput",
            "Training examples a second, all trials together and each.",
            "short",
            [
                Query(f"sum({of_study(series_of('examples_per_second'))})", "all"),
                by_trial(series_of("examples_per_second")),
            ],
        ),
        _graph("Training loss", "Each line is a trial.", "sishort", [by_trial(series_of("train_loss"))]),
        _graph("Validation loss", "Each line is a trial.", "sishort", [by_trial(series_of("validation_loss"))]),
        _graph("Validation error", "Each line is a trial.", "percentunit", [by_trial(series_of("validation_error"))]),
        _graph("Learning rate", "", "sishort", [by_trial(series_of("learning_rate"))], logarithmic=True),
    ]
    return _finished(builder, panels)


def health_dashboard() -> Dashboard:
    """Return the dashboard of the operator's health."""
    builder = (
        _dashboard("Tuning operator health", "tuning-operator-health", "Whether the operator keeps up, and why not.")
        .with_variable(
            _query_variable("instance", "label_values(tuning_operator_queue_depth, instance)")
            .multi(True)
            .include_all(True)
        )
        .with_row(dashboard.Row("At a glance"))
    )
    panels: list[Panel | str] = [
        _number("API server", "Whether it answers.", "bool_yes_no", _least("tuning_operator_api_server_up"), 4),
        _number("Prometheus", "Whether it answers.", "bool_yes_no", _least("tuning_operator_prometheus_up"), 4),
        _number("Queue", "Studies that wait for their turn.", "short", _total("tuning_operator_queue_depth"), 4),
        _number(
            "Oldest in the queue",
            "How long the first has waited.",
            "s",
            _most("tuning_operator_queue_oldest_seconds"),
            4,
        ),
        _number("Memory", "Resident.", "bytes", _most("process_resident_memory_bytes"), 4),
        _number("Studies", "That the operator knows.", "short", Query("count(tuning_study_max_trials)"), 4),
        "Work",
        _graph("Reconciles", "A second, by result.", "ops", [rate_by("tuning_operator_reconciles_total", "result")]),
        _graph("Duration of a reconcile", "", "s", quantiles("tuning_operator_reconcile_seconds")),
        _graph(
            "Queue",
            "Studies that wait, and how long the first has waited.",
            "short",
            [
                Query(f"sum(tuning_operator_queue_depth{{{OPERATORS}}})", "waiting"),
                Query(f"max(tuning_operator_queue_oldest_seconds{{{OPERATORS}}})", "seconds of the oldest"),
            ],
        ),
        _graph(
            "Gap between trials",
            "From a trial's end to the creation of the next trial's Job: the time that a GPU stands idle.",
            "s",
            quantiles("tuning_operator_trial_gap_seconds"),
        ),
        _graph(
            "Results by source",
            "Exact from the final record, or the last sample that Prometheus had.",
            "short",
            [Query(f"sum by (source) (tuning_operator_results_total{{{OPERATORS}}})", "{{source}}")],
        ),
        _graph(
            "Trials by state",
            "Of all studies.",
            "short",
            [Query("sum by (state) (tuning_study_trials)", "{{state}}")],
            stacked_but="",
        ),
        "API server",
        _graph("Requests by code", "A second.", "ops", [rate_by("tuning_operator_api_requests_total", "code")]),
        _graph(
            "Requests by kind", "A second.", "ops", [rate_by("tuning_operator_api_requests_total", "verb", "resource")]
        ),
        _graph("Latency", "", "s", quantiles("tuning_operator_api_request_seconds")),
        _graph(
            "Latency by verb",
            "The 95th percentile.",
            "s",
            [
                Query(
                    "histogram_quantile(0.95, sum by (verb, le) "
                    f"(rate(tuning_operator_api_request_seconds_bucket{{{OPERATORS}}}[$__rate_interval])))",
                    "{{verb}}",
                )
            ],
        ),
        "Prometheus",
        _graph(
            "Queries by result", "A second.", "ops", [rate_by("tuning_operator_prometheus_queries_total", "result")]
        ),
        _graph("Latency of a query", "", "s", quantiles("tuning_operator_prometheus_query_seconds")),
        "Process",
        _graph("Memory", "Resident.", "bytes", [_most("process_resident_memory_bytes", "{{instance}}", "instance")]),
        _graph("CPU", "Cores in use.", "short", [rate_by("process_cpu_seconds_total", "instance")]),
    ]
    return _finished(builder, panels)


def queries(dashboard_json: str, values: Mapping[str, str] | None = None) -> list[str]:
    """Return what a dashboard's panels ask, with values in place of its variables.

    >>> asked = '{"panels": [{"targets": [{"expr": "rate(up{job=\\\\"$job\\\\"}[$__rate_interval])"}]}]}'
    >>> queries(asked, {"job": "me"})
    ['rate(up{job="me"}[1m])']
    """
    known = {"__rate_interval": "1m", "instance": ".*", **(values or {})}
    return [
        re.sub(r"\$(\w+)", lambda match: known.get(match[1], match[0]), target["expr"])
        for panel in json.loads(dashboard_json)["panels"]
        for target in panel.get("targets", ())
    ]


def dashboards() -> Files:
    """Return the chart's dashboards, and the ConfigMap that carries them in the kustomize base."""
    made = {"study.json": study_dashboard(), "operator-health.json": health_dashboard()}
    texts = {name: JSONEncoder(sort_keys=True, indent=2).encode(board) + "\n" for name, board in made.items()}
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{OPERATOR}-dashboards", "labels": {**labels("dashboards"), **SIDECAR_LABELS}},
        "data": texts,
    }
    return {
        **{CHART_FOLDER / name: text for name, text in texts.items()},
        Path("manifests/manager/dashboards.yaml"): yaml_text([config_map], SOURCE),
    }


def _dashboard(title: str, uid: str, description: str) -> dashboard.Dashboard:
    return (
        dashboard.Dashboard(title)
        .uid(uid)  # fixed, so that links to it last
        .description(description)
        .tags(["tuning-operator"])
        .refresh("15s")
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )


def _query_variable(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _finished(builder: dashboard.Dashboard, panels: Sequence[Panel | str]) -> Dashboard:
    """Add the panels (a text begins a row) and number them: Grafana wants ids that differ."""
    for panel in panels:
        builder = builder.with_row(dashboard.Row(panel)) if isinstance(panel, str) else builder.with_panel(panel)
    made = builder.build()
    for number, panel_or_row in enumerate(made.panels or [], start=1):
        panel_or_row.id_val = number
    return made


def _number(title: str, description: str, unit: str, query: Query, columns: int) -> stat.Panel:
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .span(columns)
        .height(4)
        .graph_mode(BigValueGraphMode.NONE)
        .with_target(_target(query, "A").instant())
    )


def _graph(
    title: str,
    description: str,
    unit: str,
    asked: Sequence[Query],
    *,
    stacked_but: str | None = None,
    logarithmic: bool = False,
) -> timeseries.Panel:
    """Return a panel over time; with `stacked_but`, its lines are stacked except the one of that name."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .span(GRID // 2)
        .height(8)
        .show_points(VisibilityMode.AUTO)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if logarithmic:
        panel = panel.scale_distribution(common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10))
    if stacked_but is not None:
        panel = panel.fill_opacity(30).stacking(common.StackingConfig().group("A").mode(StackingMode.NORMAL))
    if stacked_but:
        panel = panel.override_by_name(stacked_but, _line_of_its_own())
    for letter, query in zip("ABCDEFGH", asked, strict=False):
        panel = panel.with_target(_target(query, letter))
    return panel


def _objective_by_step() -> xychart.Panel:
    """Pair the step and the objective of one scrape, which share a timestamp, and draw a curve for each trial."""
    step, value = by_trial(TRIAL_STEP), by_trial(TRIAL_OBJECTIVE)
    return (
        xychart.Panel()
        .title("Objective by step")
        .description("Each series is a trial; the steps are those at which Prometheus happened to look.")
        .datasource(DATASOURCE)
        .span(GRID // 2)
        .height(8)
        .with_target(_target(step, "A").format(PromQueryFormat.TABLE))
        .with_target(_target(value, "B").format(PromQueryFormat.TABLE))
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            DataTransformerConfig(
                id_val="organize", options={"renameByName": {"Value #A": "step", "Value #B": "objective"}}
            )
        )
        .with_transformation(DataTransformerConfig(id_val="partitionByValues", options={"fields": ["trial"]}))
        .series_mapping(SeriesMapping.AUTO)
        .dims(xychart.XYDimensionConfig().frame(0).x("step").exclude(["Time"]))
    )


def _line_of_its_own() -> list[DynamicConfigValue]:
    return [
        DynamicConfigValue(id_val="custom.stacking", value={"mode": StackingMode.NONE, "group": "A"}),
        DynamicConfigValue(id_val="custom.fillOpacity", value=0),
        DynamicConfigValue(id_val="custom.drawStyle", value=GraphDrawStyle.LINE),
    ]


def _target(query: Query, letter: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().datasource(DATASOURCE).expr(query.expression).ref_id(letter)
    return target.legend_format(query.legend) if query.legend else target


def _in_state(state: TrialState) -> Query:
    return Query(f"sum({trials(state)}) or vector(0)")


def _least(metric: str) -> Query:
    return Query(f"min({metric}{{{OPERATORS}}})")


def _most(metric: str, legend: str = "", by: str = "") -> Query:
    return Query(f"max{f' by ({by}) ' if by else ''}({metric}{{{OPERATORS}}})", legend)


def _total(metric: str) -> Query:
    return Query(f"sum({metric}{{{OPERATORS}}})")
