"""From figures as values to Plotly's JSON. Colours that depend on light or dark are left to the page."""

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import plotly.graph_objects as go

from tuning_cli.report.figures.axis import AxisPlot, AxisPoint, Edge, Mark, text_of
from tuning_cli.report.figures.curves import CurveSeries
from tuning_cli.report.figures.gradients import GradientHistogram
from tuning_cli.report.figures.importance import Importance
from tuning_cli.report.figures.isolation import IsolationPlot
from tuning_cli.report.figures.parallel import Line, ParallelCoordinates
from tuning_cli.report.figures.progress import BestSoFar, Luck, StepHistogram
from tuning_operator.api.findings import Side
from tuning_operator.api.hyperparameters import Scale

COLOURS: Final = ("#3b7dd8", "#d9822b", "#2a9d6f", "#b455c0", "#c9a227", "#3aa6b9", "#d64f6a", "#7a8594")
"""Of the arms; each is readable on white and on black."""
BAD: Final = "#d64f4f"
NEUTRAL: Final = "#8a8f98"
RAMP: Final = ("#9db4d3", "#6f9bd1", "#3b7dd8", "#2a9d6f", "#d9822b")
"""Of results in five groups, the worst first."""
HEIGHT: Final = 340
SPREAD_FOR_LOG: Final = 30.0
"""Objectives that differ by more than this factor are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Drawn:
    """One picture of the page."""

    id: str
    title: str
    caption: str
    figure: str
    """Plotly's JSON."""
    wide: bool = False
    """Whether it needs the page's whole width."""


def draw_axis(plot: AxisPlot, objective: str, *, maximize: bool) -> Drawn:
    """Draw the objective against one hyperparameter."""
    figure = go.Figure()
    values = [p.y for s in plot.series for p in s.points if p.y is not None]
    rim = _rim(values, maximize)
    for i, series in enumerate(plot.series):
        colour = COLOURS[i % len(COLOURS)]
        for mark, symbol, name in (
            (Mark.RESULT, "circle", series.arm or "result"),
            (Mark.STOPPED, "triangle-down-open", f"{series.arm} stopped early".strip()),
            (Mark.INFEASIBLE, "x", f"{series.arm} infeasible".strip()),
        ):
            points = [p for p in series.points if p.mark is mark]
            if points:
                figure.add_trace(
                    _axis_trace(plot, points, name, symbol, BAD if mark is Mark.INFEASIBLE else colour, rim)
                )
    figure.update_layout(_layout(plot.name, objective, _is_wide(values)))
    figure.update_xaxes(_x_axis(plot))
    _mark_ends(figure, plot)
    said = "; ".join(f"{e.arm + ': ' if e.arm else ''}{e.verdict} ({e.side.value})" for e in plot.edges)
    caption = (
        "Each point is a trial; the best of each arm are larger"
        + ("" if plot.scale is None else ". Dashed lines are the ends of the range")
        + (", crosses on the rim are infeasible trials" if _has(plot, Mark.INFEASIBLE) else "")
        + (f". Edges: {said}." if said else ".")
    )
    return _drawn(f"axis-{plot.name}", f"{objective} against {plot.name}", caption, figure)


def draw_isolation(plot: IsolationPlot, objective: str, number: int) -> Drawn:
    """Draw the best objective for each scientific value."""
    known = [p for p in plot.points if p.value is not None]
    x = [p.label if plot.scale is None else _middle(p.low, p.high, plot.scale) for p in known]
    figure = go.Figure(
        go.Scatter(
            x=[_escaped(v) for v in x],
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
                _escaped(f"{p.trial}: best of {p.trials}, {p.infeasible} infeasible")
                + "".join(f"<br>{_escaped(n)} = {_escaped(text_of(v))}" for n, v in p.nuisance.items())
                for p in known
            ],
            hovertemplate="%{text}<br>%{y:.5g}<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_layout(_layout(plot.name, objective, False))
    if plot.scale is Scale.LOG:
        figure.update_xaxes(type="log", tickformat="~g")
    if plot.scale is None:
        figure.update_xaxes(range=[-0.5, len(known) - 0.5])
    empty = [p.label for p in plot.points if p.value is None]
    caption = (
        "Each point is the best trial over all nuisance hyperparameters; hollow: the best of fewer than three. The "
        "interval (95 %) shows where it would lie with other luck of the search and of training."
        + (f" Without any result: {', '.join(empty)}." if empty else "")
    )
    return _drawn(f"isolation-{number}", f"Best {objective} for each {plot.name}", caption, figure)


def draw_curves(series: Sequence[CurveSeries], objective: str, ident: str, title: str) -> Drawn:
    """Draw training curves: the objective solid, the training loss dotted."""
    figure = go.Figure()
    groups = list(dict.fromkeys(s.arm or s.trial for s in series))
    for curve in series:
        colour = COLOURS[groups.index(curve.arm or curve.trial) % len(COLOURS)]
        name = f"{curve.trial} {curve.arm}".strip()
        line = {"color": colour, "width": 2.5 if curve.rank == 1 else 1.3}
        for values, dash, what in ((curve.objective, "solid", objective), (curve.train_loss, "dot", "training loss")):
            if values:
                figure.add_trace(
                    go.Scatter(
                        x=curve.steps,
                        y=values,
                        mode="lines",
                        line={**line, "dash": dash},
                        name=_escaped(name),
                        legendgroup=_escaped(curve.trial),
                        showlegend=dash == "solid",
                        hovertemplate=f"{_escaped(name)}<br>{_escaped(what)} %{{y:.5g}} at step %{{x}}<extra></extra>",
                    )
                )
    everything = [v for s in series for v in (*s.objective, *s.train_loss) if v is not None]
    figure.update_layout(_layout("step", "", _is_wide(everything)))
    caption = f"Solid: {objective}. Dotted: the training loss."
    return _drawn(ident, title, caption, figure, wide=True)


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
                text=[_escaped(t) for t in arm.trials],
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
                name=_escaped(arm.arm or "best so far"),
            )
        )
    values = [v for arm in series for v in arm.values if v is not None]
    figure.update_layout(_layout("trials of the arm", objective, _is_wide(values)))
    return _drawn("best-so-far", "Best so far", "Lines: the best result of the arm until this trial.", figure)


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
                fillcolor=_faint(colour),
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
                name=_escaped(arm.arm or "median"),
                hovertemplate="best of %{x}: %{y:.5g}<extra></extra>",
            )
        )
    values = [v for arm in series for pair in arm.quartiles for v in pair]
    figure.update_layout(_layout("number of trials", objective, _is_wide(values)))
    caption = "Median and quartiles of the best of so many trials, drawn again and again from those that were run."
    return _drawn("luck", "Luck of the search", caption, figure)


def draw_steps(histogram: StepHistogram) -> Drawn:
    """Draw at which fraction of training the best evaluations lie."""
    width = 1 / len(histogram.counts)
    figure = go.Figure(
        go.Bar(
            x=[(i + 0.5) * width for i in range(len(histogram.counts))],
            y=histogram.counts,
            width=width * 0.92,
            marker={"color": COLOURS[0]},
            hovertemplate="%{y} trials<extra></extra>",
        )
    )
    figure.update_layout(_layout("fraction of the run at which the best evaluation was", "trials", False))
    figure.update_xaxes(range=[0, 1])
    caption = "Of the best trials. All at the left: training is too long; most at the right: too short."
    return _drawn("best-steps", "Where the best steps lie", caption, figure)


def draw_gradients(histogram: GradientHistogram) -> Drawn:
    """Draw the gradient norms."""
    middles = [edge * 10**0.05 for edge in histogram.edges]
    figure = go.Figure(
        go.Bar(
            x=middles,
            y=histogram.counts,
            width=[edge * (10**0.1 - 1) * 0.92 for edge in histogram.edges],
            marker={"color": COLOURS[0]},
            hovertemplate="%{y} steps around %{x:.3g}<extra></extra>",
        )
    )
    figure.update_layout(_layout("gradient norm before clipping", "steps", False))
    figure.update_xaxes(type="log", tickformat="~g", dtick="D2")
    _vertical(figure, histogram.percentile, COLOURS[1], "90th percentile", log=True, dash="dash")
    if histogram.clipped_at is not None:
        _vertical(figure, histogram.clipped_at, BAD, f"clipped at {histogram.clipped_at:.3g}", log=True, dash="solid")
    return _drawn("gradient-norms", "Gradient norms", f"Of {', '.join(histogram.trials)}: every step.", figure)


def draw_importance(importance: Sequence[Importance]) -> Drawn:
    """Draw how much of the results' variance each hyperparameter explains."""
    figure = go.Figure()
    for i, arm in enumerate(dict.fromkeys(each.arm for each in importance)):
        mine = [each for each in importance if each.arm == arm]
        figure.add_trace(
            go.Bar(
                y=[_escaped(each.parameter) for each in mine],
                x=[each.share for each in mine],
                orientation="h",
                marker={"color": COLOURS[i % len(COLOURS)]},
                name=_escaped(arm or "share"),
                hovertemplate="%{y}: %{x:.1%}<extra></extra>",
            )
        )
    figure.update_layout(_layout("share of the variance", "", False), barmode="group")
    figure.update_layout(height=min(HEIGHT, 140 + 34 * len(importance)))
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(autorange="reversed")
    caption = "How much of the results' variance a quadratic fit loses without the hyperparameter."
    return _drawn("importance", "Which hyperparameters matter", caption, figure)


def draw_parallel(picture: ParallelCoordinates, objective: str) -> Drawn:
    """Draw every trial as a line through its hyperparameters."""
    figure = go.Figure()
    groups = [("infeasible", BAD, [x for x in picture.lines if x.quality is None])]
    for i, colour in enumerate(RAMP):
        inside = [x for x in picture.lines if x.quality is not None and min(int(x.quality * 5), 4) == i]
        groups.append((("worst fifth", "", "middle", "", "best fifth")[i] or f"fifth {i + 1}", colour, inside))
    for name, colour, lines in groups:
        if lines:
            figure.add_trace(_lines(picture, lines, name, colour, objective))
    figure.update_layout(_layout("", "", False))
    names = [
        f"{_escaped(a.name)}<br><span style='font-size:10px'>{_escaped(a.low)} … {_escaped(a.high)}</span>"
        for a in picture.axes
    ]
    names.append(f"{_escaped(objective)}<br><span style='font-size:10px'>worst … best</span>")
    figure.update_xaxes(tickvals=list(range(len(names))), ticktext=names, showgrid=True, tickangle=0)
    figure.update_yaxes(range=[-0.03, 1.03], tickvals=[0, 1], ticktext=["low", "high"])
    caption = (
        "Each line is a trial through its hyperparameters, on their scales, to the rank of its result: the best above."
    )
    return _drawn("parallel-coordinates", "Parallel coordinates", caption, figure, wide=True)


def _lines(picture: ParallelCoordinates, lines: Sequence[Line], name: str, colour: str, objective: str) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for line in lines:
        result = "infeasible" if line.objective is None else f"{objective} {line.objective:.5g}"
        for i, axis in enumerate(picture.axes):
            value = line.values[i]
            if value is None:
                continue  # the line goes straight on to the next hyperparameter that the trial has
            x.append(i)
            y.append(line.positions[i])
            text.append(_escaped(f"{line.trial}: {result}") + f"<br>{_escaped(axis.name)} = {_escaped(text_of(value))}")
        if line.quality is not None:
            x.append(len(picture.axes))
            y.append(line.quality)
            text.append(_escaped(f"{line.trial}: {result}"))
        x.append(None)
        y.append(None)
        text.append("")
    best = name == "best fifth"
    return go.Scatter(
        x=x,
        y=y,
        text=text,
        mode="lines+markers",
        marker={"size": 4},
        line={"color": colour, "width": 2.2 if best else 1, "dash": "dot" if name == "infeasible" else "solid"},
        opacity=1 if best else 0.55,
        name=name,
        hovertemplate="%{text}<extra></extra>",
    )


def _axis_trace(
    plot: AxisPlot, points: Sequence[AxisPoint], name: str, symbol: str, colour: str, rim: float | None
) -> go.Scatter:
    return go.Scatter(
        x=[_x(plot, p.x) for p in points],
        y=[rim if p.y is None else p.y for p in points],
        mode="markers",
        marker={
            "color": colour,
            "symbol": symbol,
            "size": [12 if p.is_top else 8 for p in points],
            "opacity": [1.0 if p.is_top else 0.75 for p in points],
            "line": {"width": 1.5 if symbol.endswith("open") else 0.5, "color": colour},
        },
        text=[_escaped(f"{p.trial}: {plot.name} = {text_of(p.x)}") for p in points],
        hovertemplate="%{text}<br>%{y:.5g}<extra></extra>" if points[0].y is not None else "%{text}<extra></extra>",
        name=_escaped(name),
    )


def _x(plot: AxisPlot, value: Any) -> Any:
    """Return where a value is drawn: near one, its distance from one; a value of a list by its name."""
    if plot.scale is None:
        return _escaped(text_of(value))
    return 1 - value if plot.scale is Scale.REVERSE_LOG else value


def _x_axis(plot: AxisPlot) -> dict[str, Any]:
    if plot.scale is None:
        order = [_escaped(text_of(v)) for v in plot.values]
        return {"type": "category", "categoryorder": "array", "categoryarray": order}
    if plot.scale is Scale.LOG:
        decades = math.log10(plot.high / plot.low) if plot.low and plot.high else 0
        return {"type": "log", "tickformat": "~g"} | ({"dtick": 1} if decades >= 2 else {})
    if plot.scale is Scale.LINEAR:
        return {}
    distances = [k * 10.0**-e for e in range(8) for k in (5, 2, 1)]
    ticks = {"tickvals": distances, "ticktext": [f"{1 - d:.7g}" for d in distances]}
    return {"type": "log", "autorange": "reversed", **ticks}


def _mark_ends(figure: go.Figure, plot: AxisPlot) -> None:
    if plot.scale is None or plot.low is None or plot.high is None:
        return
    for end in (plot.low, plot.high):
        figure.add_vline(x=_x(plot, end), line_dash="dash", line_width=1, line_color=NEUTRAL)
    for edge in plot.edges:
        colour = COLOURS[1] if edge.verdict != "NaturalLimit" else NEUTRAL
        place = plot.low if edge.side is Side.LOW else plot.high
        figure.add_vline(x=_x(plot, place), line_width=3, line_color=colour, opacity=0.6)
        _mark_new_limit(figure, plot, edge)
    _mark_cuts(figure, plot)


def _mark_cuts(figure: go.Figure, plot: AxisPlot) -> None:
    for cut in plot.cuts:
        if plot.scale is not Scale.LOG or cut.at > 0:
            side = "below" if cut.side is Side.LOW else "above"
            text = f"infeasible {side} {cut.at:.3g}"
            _vertical(figure, _x(plot, cut.at), BAD, text, log=plot.scale is not Scale.LINEAR)


def _mark_new_limit(figure: go.Figure, plot: AxisPlot, edge: Edge) -> None:
    if edge.new_limit is None or (plot.scale is Scale.LOG and edge.new_limit <= 0):
        return
    if plot.scale is Scale.REVERSE_LOG and edge.new_limit >= 1:
        return
    text = f"widen to {edge.new_limit:.3g}"
    _vertical(figure, _x(plot, edge.new_limit), COLOURS[1], text, log=plot.scale is not Scale.LINEAR)


def _vertical(figure: go.Figure, x: float, colour: str, text: str, *, log: bool, dash: str = "dot") -> None:
    """Draw a line with a word beside it; an annotation of a logarithmic axis is placed by its logarithm."""
    figure.add_vline(x=x, line_dash=dash, line_width=2, line_color=colour)
    figure.add_annotation(
        x=math.log10(x) if log else x,
        y=1,
        yref="paper",
        yanchor="bottom",
        text=_escaped(text),
        showarrow=False,
        font={"color": colour},
    )


def _rim(values: Sequence[float], maximize: bool) -> float | None:
    """Return where infeasible trials are drawn: just outside the worst result."""
    if not values:
        return 0.0
    worst, best = (min(values), max(values)) if maximize else (max(values), min(values))
    if _is_wide(values):
        return float(worst * (worst / best) ** 0.08)
    return worst + 0.08 * ((worst - best) or (0.1 if not maximize else -0.1))


def _is_wide(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) > SPREAD_FOR_LOG


def _has(plot: AxisPlot, mark: Mark) -> bool:
    return any(p.mark is mark for s in plot.series for p in s.points)


def _middle(low: float | None, high: float | None, scale: Scale) -> float:
    assert low is not None
    assert high is not None
    return math.sqrt(low * high) if scale is Scale.LOG and low > 0 else (low + high) / 2


def _above(interval: tuple[float, float] | None, value: float | None) -> float:
    return 0.0 if interval is None or value is None else max(interval[1] - value, 0.0)


def _below(interval: tuple[float, float] | None, value: float | None) -> float:
    return 0.0 if interval is None or value is None else max(value - interval[0], 0.0)


def _layout(x: str, y: str, log: bool) -> dict[str, Any]:
    axis: Mapping[str, Any] = {"zeroline": False, "automargin": True, "exponentformat": "power"}
    return {
        "template": "none",
        "height": HEIGHT,
        "margin": {"l": 62, "r": 16, "t": 28, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {**axis, "title": {"text": _escaped(x)}},
        "yaxis": {**axis, "title": {"text": _escaped(y)}} | ({"type": "log", "tickformat": "~g"} if log else {}),
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hovermode": "closest",
    }


def _escaped(text: object) -> Any:
    """Return a text that Plotly shows as it is: it reads some HTML. Numbers stay numbers."""
    return html.escape(text, quote=False) if isinstance(text, str) else text


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def _drawn(ident: str, title: str, caption: str, figure: go.Figure, *, wide: bool = False) -> Drawn:
    data = json.loads(figure.to_json())
    data["layout"].pop("template", None)
    return Drawn(ident, title, caption, json.dumps(data), wide)
