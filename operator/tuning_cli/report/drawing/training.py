"""What happened during training."""

from collections.abc import Sequence

import plotly.graph_objects as go

from tuning_cli.report.drawing.style import BAD, COLOURS, Drawn, drawn, escaped, is_wide, layout, vertical
from tuning_cli.report.figures.curves import CurveSeries, NormSeries
from tuning_cli.report.figures.gradients import GradientHistogram
from tuning_cli.report.figures.progress import StepHistogram


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
                        name=escaped(name),
                        legendgroup=escaped(curve.trial),
                        showlegend=dash == "solid",
                        hovertemplate=f"{escaped(name)}<br>{escaped(what)} %{{y:.5g}} at step %{{x}}<extra></extra>",
                    )
                )
    everything = [v for s in series for v in (*s.objective, *s.train_loss) if v is not None]
    figure.update_layout(layout("step", "", is_wide(everything)))
    caption = f"Solid: {objective}. Dotted: the training loss."
    return drawn(ident, title, caption, figure, wide=True)


def draw_all_curves(series: Sequence[CurveSeries], objective: str) -> Drawn:
    """Draw the objective of all trials, the best of each arm before the others (PLT-3)."""
    figure = go.Figure()
    groups = list(dict.fromkeys(s.arm for s in series))
    for curve in reversed(series):
        is_best = curve.rank == 1
        figure.add_trace(
            go.Scatter(
                x=curve.steps,
                y=curve.objective,
                mode="lines",
                line={"color": COLOURS[groups.index(curve.arm) % len(COLOURS)], "width": 2.5 if is_best else 0.8},
                opacity=1 if is_best else 0.4,
                name=escaped(f"best {curve.arm}".strip()),
                showlegend=is_best,
                hovertemplate=f"{escaped(curve.trial)}<br>%{{y:.5g}} at step %{{x}}<extra></extra>",
            )
        )
    values = [v for s in series for v in s.objective if v is not None]
    figure.update_layout(layout("step", objective, is_wide(values)))
    caption = f"The {objective} of {len(series)} trials; bold: the best of each arm."
    return drawn("all-curves", "Training curves of all trials", caption, figure, wide=True)


def draw_norms(series: Sequence[NormSeries]) -> Drawn:
    """Draw the gradient norm over the steps, on a logarithmic axis."""
    figure = go.Figure()
    for i, curve in enumerate(series):
        figure.add_trace(
            go.Scatter(
                x=curve.steps,
                y=curve.norms,
                mode="lines",
                line={"color": COLOURS[i % len(COLOURS)]},
                name=escaped(f"{curve.trial} {curve.arm}".strip()),
                hovertemplate="%{y:.4g} at step %{x}<extra></extra>",
            )
        )
    figure.update_layout(layout("step", "gradient norm", True))
    return drawn("norms-over-steps", "Gradient norms over the steps", "Of the best trial of each arm.", figure)


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
    figure.update_layout(layout("fraction of the run at which the best evaluation was", "trials", False))
    figure.update_xaxes(range=[0, 1])
    caption = "Of the best trials. All at the left: training is too long; most at the right: too short."
    return drawn("best-steps", "Where the best steps lie", caption, figure)


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
    figure.update_layout(layout("gradient norm before clipping", "steps", False))
    figure.update_xaxes(type="log", tickformat="~g", dtick="D2")
    vertical(figure, histogram.percentile, COLOURS[1], "90th percentile", log=True, dash="dash")
    if histogram.clipped_at is not None:
        vertical(figure, histogram.clipped_at, BAD, f"clipped at {histogram.clipped_at:.3g}", log=True, dash="solid")
    return drawn("gradient-norms", "Gradient norms", f"Of {', '.join(histogram.trials)}: every step.", figure)
