"""What is better, by how much, and with how much luck."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from tuning_cli.report.drawing.style import COLOURS, HEIGHT, NEUTRAL, Drawn, drawn, escaped, faint, is_wide, layout
from tuning_cli.report.figures.axis import text_of
from tuning_cli.report.figures.importance import Importance
from tuning_cli.report.figures.isolation import IsolationPlot
from tuning_cli.report.figures.progress import BestSoFar, Luck
from tuning_operator.api.hyperparameters import Scale


def draw_isolation(plot: IsolationPlot, objective: str, number: int) -> Drawn:
    """Draw the best objective for each scientific value."""
    known = [p for p in plot.points if p.value is not None]
    x = [p.label if plot.scale is None else _middle(p.low, p.high, plot.scale) for p in known]
    figure = go.Figure(
        go.Scatter(
            x=[escaped(v) for v in x],
            y=[p.value for p in known],
            mode="markers",
            marker={
                "size": 12,
                "color": COLOURS[0],
                "symbol": ["circle" if p.is_solid else "circle-open" for p in known],
                "line": {"width": 2, "color": COLOURS[0]},
            },
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [_above(p.interval, p.value) for p in known],
                "arrayminus": [_below(p.interval, p.value) for p in known],
                "color": NEUTRAL,
            },
            text=[
                escaped(f"{p.trial}: best of {p.trials}, {p.infeasible} infeasible")
                + "".join(f"<br>{escaped(n)} = {escaped(text_of(v))}" for n, v in p.nuisance.items())
                for p in known
            ],
            hovertemplate="%{text}<br>%{y:.5g}<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_layout(layout(plot.name, objective, False))
    if plot.scale is Scale.LOG:
        figure.update_xaxes(type="log", tickformat="~g", dtick=1)
    if plot.scale is None:
        # Numbers written as text would else be taken for numbers.
        figure.update_xaxes(type="category", range=[-0.5, len(known) - 0.5])
    empty = [p.label for p in plot.points if p.value is None]
    caption = (
        "Each point is the best trial over all nuisance hyperparameters; hollow: the best of fewer than three. The "
        "interval (95 %) shows where it would lie with other luck of the search and of training."
        + (f" Without any result: {', '.join(empty)}." if empty else "")
    )
    return drawn(f"isolation-{number}", f"Best {objective} for each {plot.name}", caption, figure)


def draw_best_so_far(series: Sequence[BestSoFar], objective: str) -> Drawn:
    """Draw the results in the order of the trials with the best until each."""
    figure = go.Figure()
    for i, arm in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        x = list(range(1, len(arm.trials) + 1))
        figure.add_trace(
            go.Scatter(
                x=x,
                y=arm.values,
                mode="markers",
                marker={"color": colour, "size": 6, "opacity": 0.55},
                text=[escaped(t) for t in arm.trials],
                hovertemplate="%{text}<br>%{y:.5g}<extra></extra>",
                showlegend=False,
            )
        )
        figure.add_trace(
            go.Scatter(
                x=x,
                y=arm.best,
                mode="lines",
                line={"color": colour, "shape": "hv"},
                name=escaped(arm.arm or "best so far"),
            )
        )
    values = [v for arm in series for v in arm.values if v is not None]
    figure.update_layout(layout("trials of the arm", objective, is_wide(values)))
    return drawn("best-so-far", "Best so far", "Lines: the best result of the arm until this trial.", figure)


def draw_luck(series: Sequence[Luck], objective: str) -> Drawn:
    """Draw what the best of so many trials would have been."""
    figure = go.Figure()
    for i, arm in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        figure.add_trace(
            go.Scatter(
                x=[*arm.trials, *reversed(arm.trials)],
                y=[*(low for low, _ in arm.quartiles), *(high for _, high in reversed(arm.quartiles))],
                fill="toself",
                fillcolor=faint(colour),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
            )
        )
        figure.add_trace(
            go.Scatter(
                x=arm.trials,
                y=arm.median,
                mode="lines",
                line={"color": colour},
                name=escaped(arm.arm or "median"),
                hovertemplate="best of %{x}: %{y:.5g}<extra></extra>",
            )
        )
    values = [v for arm in series for pair in arm.quartiles for v in pair]
    figure.update_layout(layout("number of trials", objective, is_wide(values)))
    caption = "Median and quartiles of the best of so many trials, drawn again and again from those that were run."
    return drawn("luck", "Luck of the search", caption, figure)


def draw_importance(importance: Sequence[Importance]) -> Drawn:
    """Draw how much of the results' variance each hyperparameter explains."""
    figure = go.Figure()
    for i, arm in enumerate(dict.fromkeys(each.arm for each in importance)):
        mine = [each for each in importance if each.arm == arm]
        figure.add_trace(
            go.Bar(
                y=[escaped(each.parameter) for each in mine],
                x=[each.share for each in mine],
                orientation="h",
                marker={"color": COLOURS[i % len(COLOURS)]},
                name=escaped(arm or "share"),
                hovertemplate="%{y}: %{x:.1%}<extra></extra>",
            )
        )
    figure.update_layout(layout("share of the variance", "", False), barmode="group")
    figure.update_layout(height=min(HEIGHT, 140 + 34 * len(importance)))
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(autorange="reversed")
    caption = "How much of the results' variance a quadratic fit loses without the hyperparameter."
    return drawn("importance", "Which hyperparameters matter", caption, figure)


def _middle(low: float | None, high: float | None, scale: Scale) -> float:
    assert low is not None
    assert high is not None
    return math.sqrt(low * high) if scale is Scale.LOG and low > 0 else (low + high) / 2


def _above(interval: tuple[float, float] | None, value: float | None) -> float:
    return 0.0 if interval is None or value is None else max(interval[1] - value, 0.0)


def _below(interval: tuple[float, float] | None, value: float | None) -> float:
    return 0.0 if interval is None or value is None else max(value - interval[0], 0.0)
