"""The objective against one hyperparameter."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from tuning_cli.report.drawing.style import BAD, COLOURS, NEUTRAL, Drawn, drawn, escaped, is_wide, layout, vertical
from tuning_cli.report.figures.axis import AxisPlot, AxisPoint, Edge, Mark, text_of
from tuning_operator.api.findings import Side
from tuning_operator.api.hyperparameters import Scale


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
    figure.update_layout(layout(plot.name, objective, is_wide(values)))
    figure.update_xaxes(_x_axis(plot))
    _mark_ends(figure, plot)
    said = "; ".join(f"{e.arm + ': ' if e.arm else ''}{e.verdict} ({e.side.value})" for e in plot.edges)
    caption = (
        "Each point is a trial; the best of each arm are larger"
        + ("" if plot.scale is None else ". Dashed lines are the ends of the range")
        + (", crosses on the rim are infeasible trials" if _has(plot, Mark.INFEASIBLE) else "")
        + (f". Edges: {said}." if said else ".")
    )
    return drawn(f"axis-{plot.name}", f"{objective} against {plot.name}", caption, figure)


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
        text=[escaped(f"{p.trial}: {plot.name} = {text_of(p.x)}") for p in points],
        hovertemplate="%{text}<br>%{y:.5g}<extra></extra>" if points[0].y is not None else "%{text}<extra></extra>",
        name=escaped(name),
    )


def _x(plot: AxisPlot, value: Any) -> Any:
    """Return where a value is drawn: near one, its distance from one; a value of a list by its name."""
    if plot.scale is None:
        return escaped(text_of(value))
    return 1 - value if plot.scale is Scale.REVERSE_LOG else value


def _x_axis(plot: AxisPlot) -> dict[str, Any]:
    if plot.scale is None:
        order = [escaped(text_of(v)) for v in plot.values]
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
            vertical(figure, _x(plot, cut.at), BAD, text, log=plot.scale is not Scale.LINEAR)


def _mark_new_limit(figure: go.Figure, plot: AxisPlot, edge: Edge) -> None:
    if edge.new_limit is None or (plot.scale is Scale.LOG and edge.new_limit <= 0):
        return
    if plot.scale is Scale.REVERSE_LOG and edge.new_limit >= 1:
        return
    text = f"widen to {edge.new_limit:.3g}"
    vertical(figure, _x(plot, edge.new_limit), COLOURS[1], text, log=plot.scale is not Scale.LINEAR)


def _rim(values: Sequence[float], maximize: bool) -> float | None:
    """Return where infeasible trials are drawn: just outside the worst result."""
    if not values:
        return 0.0
    worst, best = (min(values), max(values)) if maximize else (max(values), min(values))
    if is_wide(values):
        return float(worst * (worst / best) ** 0.08)
    return worst + 0.08 * ((worst - best) or (0.1 if not maximize else -0.1))


def _has(plot: AxisPlot, mark: Mark) -> bool:
    return any(p.mark is mark for s in plot.series for p in s.points)
