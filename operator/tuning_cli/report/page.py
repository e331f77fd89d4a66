"""The report as one HTML file that needs nothing else: no network, no server."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tuning_cli.report.contents import LEDGER, Report, evidence_of, thresholds_of, where, winner_text
from tuning_cli.report.drawing.axis import draw_axis
from tuning_cli.report.drawing.comparison import draw_best_so_far, draw_importance, draw_isolation, draw_luck
from tuning_cli.report.drawing.parallel import draw_parallel
from tuning_cli.report.drawing.style import Drawn
from tuning_cli.report.drawing.training import draw_all_curves, draw_curves, draw_gradients, draw_norms, draw_steps
from tuning_cli.report.figures.axis import axis_plots
from tuning_cli.report.figures.curves import all_curves, best_curves, curves_named, norm_curves
from tuning_cli.report.figures.gradients import gradient_histogram
from tuning_cli.report.figures.importance import importance_of
from tuning_cli.report.figures.isolation import isolation_plots
from tuning_cli.report.figures.parallel import parallel_coordinates
from tuning_cli.report.figures.progress import best_so_far, search_luck, step_histogram
from tuning_contract.environment import parameter_text
from tuning_operator.api.findings import Code, ConclusionState, Finding
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.api.study import Direction

BY_CODE: Mapping[Code, Sequence[str]] = {
    Code.OVERFITTING: ("curves",),
    Code.STEP_VARIANCE: ("curves",),
    Code.END_OF_TRAINING: ("curves",),
    Code.STEP_BUDGET: ("best-steps",),
    Code.CLIPPING: ("gradient-norms", "norms-over-steps"),
    Code.SAMPLING: ("luck",),
    Code.FAIR_COMPARISON: ("isolation-0",),
    Code.ADOPTION: ("isolation-0",),
    Code.ROLE: ("importance",),
    Code.EXPLOITATION: ("best-so-far",),
}
"""Which pictures show what a finding is about, beside that of its parameter."""
OF_PARAMETER = (Code.SEARCH_SPACE_EDGE, Code.INFEASIBLE, Code.SAMPLING, Code.INSTABILITY)
BY_CURVES = (Code.INSTABILITY, Code.PIPELINE_BUG, Code.WARMUP)
MOST_CURVES = 6
ANSWER = "isolation-"
"""What the pictures of the question itself begin with."""


@dataclass(frozen=True)
class Card:
    """One finding on the page."""

    finding: Finding
    where: str
    evidence: Sequence[str]
    thresholds: Sequence[str]
    figures: Sequence[Drawn]
    """Those that stand below it: each picture below the first finding that it shows."""
    links: Sequence[Drawn]
    """Those that stand elsewhere."""


def html_report(report: Report) -> str:
    """Return the page."""
    figures = {each.id: each for each in figures_of(report)}
    # ISO-2: the answer's picture comes first once the checklist lets it be one.
    is_allowed = report.analysis.conclusion.state is ConclusionState.ALLOWED
    answer = [each for ident, each in figures.items() if is_allowed and ident.startswith(ANSWER)]
    cards, placed = _cards(report, figures, {each.id for each in answer})
    rest = [each for ident, each in figures.items() if ident not in placed]
    return _template().render(
        report=report,
        study=report.study,
        spec=report.study.spec,
        conclusion=report.analysis.conclusion,
        proposal=report.analysis.next_study,
        winner=winner_text(report.analysis),
        answer=answer,
        cards=cards,
        checklist=[(f, where(f)) for f in report.checklist],
        rest=rest,
        ledger=LEDGER,
        figures=Markup(_script_safe(json.dumps({i: json.loads(f.figure) for i, f in _all(cards, [*answer, *rest])}))),  # noqa: S704
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - the library itself
    )


def figures_of(report: Report) -> list[Drawn]:
    """Return all pictures that the study has data for."""
    study, metric = report.study, report.study.spec.objective.metric
    maximize = study.spec.objective.direction is Direction.MAXIMIZE
    drawn = [draw_isolation(plot, metric, i) for i, plot in enumerate(isolation_plots(study))]
    plots = [plot for plot in axis_plots(study, report.checklist) if plot.series]
    drawn += [draw_axis(plot, metric, maximize=maximize) for plot in plots]
    if curves := best_curves(study):
        drawn.append(draw_curves(curves, metric, "curves", "Training curves of the best trials"))
    if len(everything := all_curves(study)) > len(curves):
        drawn.append(draw_all_curves(everything, metric))
    if parallel := parallel_coordinates(study):
        drawn.append(draw_parallel(parallel, metric))
    if courses := best_so_far(study):
        drawn.append(draw_best_so_far(courses, metric))
    if luck := search_luck(study):
        drawn.append(draw_luck(luck, metric))
    if importance := importance_of(study):
        drawn.append(draw_importance(importance))
    if steps := step_histogram(study):
        drawn.append(draw_steps(steps))
    if gradients := gradient_histogram(study):
        drawn.append(draw_gradients(gradients))
    if norms := norm_curves(study):
        drawn.append(draw_norms(norms))
    return drawn


def _cards(report: Report, figures: dict[str, Drawn], placed: set[str]) -> tuple[list[Card], set[str]]:
    cards: list[Card] = []
    for number, finding in enumerate(report.noteworthy):
        own = _own_curves(report, finding, number)
        wanted = [figures[i] for i in _wanted(report, finding) if i in figures]
        fresh = [f for f in wanted if f.id not in placed]
        placed |= {f.id for f in fresh}
        links = [f for f in wanted if f not in fresh]
        cards.append(Card(finding, where(finding), evidence_of(finding), thresholds_of(finding), [*fresh, *own], links))
    return cards, placed


def _wanted(report: Report, finding: Finding) -> list[str]:
    """Return the pictures that show what a finding is about."""
    names = [
        h.name
        for h in report.study.spec.hyperparameters
        if h.parameter_name == finding.parameter and _exists_in(h, finding.scientific)
    ]
    of_parameter = [f"axis-{name}" for name in names] if finding.code in OF_PARAMETER else []
    return of_parameter + list(BY_CODE.get(finding.code, ()))


def _exists_in(h: Hyperparameter, scientific: Mapping[str, Any]) -> bool:
    """Whether a hyperparameter can exist in an arm; by the one condition that tells hyperparameters of a name apart."""
    return h.when is None or h.when.name not in scientific or parameter_text(scientific[h.when.name]) in h.when.values


def _own_curves(report: Report, finding: Finding, number: int) -> list[Drawn]:
    """Return the curves of the trials that a finding names, where it is about single trials."""
    if finding.code not in BY_CURVES:
        return []
    curves = curves_named(report.study, finding.evidence.trials[:MOST_CURVES])
    metric = report.study.spec.objective.metric
    return [draw_curves(curves, metric, f"finding-{number}", "The trials that show it")] if curves else []


def _all(cards: Sequence[Card], rest: Sequence[Drawn]) -> list[tuple[str, Drawn]]:
    return [(f.id, f) for f in (*(f for card in cards for f in card.figures), *rest)]


def _script_safe(text: str) -> str:
    """Return JSON that cannot end the script element that it stands in."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = files("tuning_cli.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(text)
