"""Every trial as a line through its hyperparameters."""

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from tuning_cli.report.drawing.style import BAD, Drawn, drawn, escaped, layout
from tuning_cli.report.figures.axis import text_of
from tuning_cli.report.figures.parallel import Line, ParallelCoordinates

RAMP: Final = ("#9db4d3", "#6f9bd1", "#3b7dd8", "#2a9d6f", "#d9822b")
"""Of results in five groups, the worst first."""


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
    figure.update_layout(layout("", "", False))
    names = [
        f"{escaped(a.name)}<br><span style='font-size:10px'>{escaped(a.low)} … {escaped(a.high)}</span>"
        for a in picture.axes
    ]
    names.append(f"{escaped(objective)}<br><span style='font-size:10px'>worst … best</span>")
    figure.update_xaxes(tickvals=list(range(len(names))), ticktext=names, showgrid=True, tickangle=0)
    figure.update_yaxes(range=[-0.03, 1.03], tickvals=[0, 1], ticktext=["low", "high"])
    caption = (
        "Each line is a trial through its hyperparameters, on their scales, to the rank of its result: the best above."
    )
    return drawn("parallel-coordinates", "Parallel coordinates", caption, figure, wide=True)


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
            text.append(escaped(f"{line.trial}: {result}") + f"<br>{escaped(axis.name)} = {escaped(text_of(value))}")
        if line.quality is not None:
            x.append(len(picture.axes))
            y.append(line.quality)
            text.append(escaped(f"{line.trial}: {result}"))
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
