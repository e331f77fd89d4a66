"""How all pictures look. Colours that depend on light or dark are left to the page."""

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import plotly.graph_objects as go

COLOURS: Final = ("#3b7dd8", "#d9822b", "#2a9d6f", "#b455c0", "#c9a227", "#3aa6b9", "#d64f6a", "#7a8594")
"""Of the arms; each is readable on white and on black."""
BAD: Final = "#d64f4f"
NEUTRAL: Final = "#8a8f98"
HEIGHT: Final = 340
LOG_AXIS: Final[Mapping[str, Any]] = {"type": "log", "tickformat": "~g", "dtick": "D2"}
"""With 1, 2 and 5 of each decade."""
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


def layout(x: str, y: str, log: bool) -> dict[str, Any]:
    axis: Mapping[str, Any] = {"zeroline": False, "automargin": True, "exponentformat": "power"}
    return {
        "template": "none",
        "height": HEIGHT,
        "margin": {"l": 62, "r": 16, "t": 28, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {**axis, "title": {"text": escaped(x)}},
        "yaxis": {**axis, "title": {"text": escaped(y)}, **(LOG_AXIS if log else {})},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hovermode": "closest",
    }


def vertical(figure: go.Figure, x: float, colour: str, text: str, *, log: bool, dash: str = "dot") -> None:
    """Draw a line with a word beside it; an annotation of a logarithmic axis is placed by its logarithm."""
    figure.add_vline(x=x, line_dash=dash, line_width=2, line_color=colour)
    figure.add_annotation(
        x=math.log10(x) if log else x,
        y=1,
        yref="paper",
        yanchor="bottom",
        text=escaped(text),
        showarrow=False,
        font={"color": colour},
    )


def is_wide(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) > SPREAD_FOR_LOG


def escaped(text: object) -> Any:
    """Return a text that Plotly shows as it is: it reads some HTML. Numbers stay numbers."""
    return html.escape(text, quote=False) if isinstance(text, str) else text


def faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def drawn(ident: str, title: str, caption: str, figure: go.Figure, *, wide: bool = False) -> Drawn:
    data = json.loads(figure.to_json())
    data["layout"].pop("template", None)
    return Drawn(ident, title, caption, json.dumps(data), wide)
