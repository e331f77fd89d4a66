"""The report for a terminal."""

import io
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tuning_cli.report.contents import Report, evidence_of, where, winner_text
from tuning_operator.api.findings import OK, UNKNOWN, ConclusionState, Finding, Severity

COLOURS = {Severity.BLOCK: "bold red", Severity.WARN: "yellow", Severity.INFO: "cyan"}
STATES = {ConclusionState.ALLOWED: "green", ConclusionState.BLOCKED: "red", ConclusionState.PENDING: "yellow"}
MOST_TRIALS = 15


def text_report(report: Report, *, width: int = 110, colour: bool = False) -> str:
    """Return the report as text, with ANSI colours where they are wanted."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=colour, no_color=not colour, highlight=False)
    for part in _parts(report):
        console.print(part)
        console.print()
    if report.next_yaml is not None:
        console.print(Text(report.next_yaml), soft_wrap=True)  # to be copied: no line is broken
    return stream.getvalue()


def _parts(report: Report) -> Iterator[RenderableType]:
    yield _conclusion(report)
    if report.noteworthy:
        yield Group(_heading("Findings"), *(_finding(f) for f in report.noteworthy))
    yield Group(_heading(f"Checklist: {report.counts}"), _checklist(report))
    yield Group(_heading("Trials"), _trials(report))
    yield Group(_heading("What was not tested"), *(Text(f"- {line}") for line in report.not_tested))
    if report.recipe is not None:
        title = "Recipe of the winner" if report.recipe.is_conclusion else "Best trial so far (no winner)"
        yield Group(_heading(f"{title}: {report.recipe.trial}"), Text(report.recipe.parameters))
    yield _next_study(report)


def _conclusion(report: Report) -> RenderableType:
    conclusion = report.analysis.conclusion
    lines = [
        Text(report.question, style="bold"),
        Text.assemble(
            (conclusion.state.value, f"bold {STATES[conclusion.state]}"),
            f" ({conclusion.reason})  winner: {winner_text(report.analysis)}  decision: {conclusion.decision.value}",
        ),
    ]
    if conclusion.message:
        lines.append(Text(conclusion.message))
    if conclusion.difference is not None and conclusion.winner is not None:
        error = "" if conclusion.uncertainty is None else f" ± {conclusion.uncertainty:.4g}"
        lines.append(Text(f"Difference to the next best: {conclusion.difference:.4g}{error}"))
    lines += [Text(f"- {caveat}") for caveat in conclusion.caveats]
    return Panel(Group(*lines), title=Text(f"TuningStudy {report.study.name}"), border_style=STATES[conclusion.state])


def _finding(finding: Finding) -> RenderableType:
    head = Text.assemble(
        (f"{finding.severity.value:5} ", COLOURS[finding.severity]),
        (f"{finding.code.value}/{finding.verdict}", "bold"),
        f" [{finding.rule}] {where(finding)}",
    )
    lines = [Text(finding.message)]
    if finding.action:
        lines.append(Text(f"→ {finding.action}", style="bold"))
    if evidence_of(finding):
        lines.append(Text("; ".join(evidence_of(finding)), style="dim"))
    return Group(head, Padding(Group(*lines), (0, 0, 0, 6)))


def _checklist(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("", "check", "verdict", "where", "rule"):
        table.add_column(name, no_wrap=name in ("", "check"))
    for finding in report.checklist:
        mark = {OK: Text("✓", style="green"), UNKNOWN: Text("?", style="dim")}.get(
            finding.verdict, Text("!", style=COLOURS[finding.severity])
        )
        table.add_row(mark, finding.code.value, finding.verdict, Text(where(finding)), finding.rule)
    return table


def _trials(report: Report) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for name in ("trial", "state", report.study.spec.objective.metric, *report.columns):
        table.add_column(Text(name), justify="left" if name in ("trial", "state") else "right", overflow="fold")
    for row in report.rows[:MOST_TRIALS]:
        value = "" if row.value is None else f"{row.value:.6g}"
        cells = [Text(p or "-") for p in row.parameters]
        table.add_row(Text(row.trial), row.state, value, *cells, style="bold" if row.is_best else "")
    rest = len(report.rows) - MOST_TRIALS
    return Group(table, Text(f"and {rest} more", style="dim")) if rest > 0 else table


def _next_study(report: Report) -> RenderableType:
    proposal = report.analysis.next_study
    if proposal is None:
        return Group(_heading("Next study"), Text("Nothing is proposed."))
    lines = [Text(proposal.goal), *(Text(f"- {reason}") for reason in proposal.reasons)]
    return Group(_heading(f"Next study: {proposal.name}"), *lines)


def _heading(text: str) -> Text:
    return Text(text, style="bold underline")
