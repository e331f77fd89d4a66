"""How a study is shown: pure functions from the API server's objects to text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

Raw = dict[str, Any]
Seen = tuple[Raw, list[Raw]]
"""A study, and its trials by index."""

COLOURS = {"Succeeded": "green", "Running": "cyan", "Infeasible": "yellow", "Failed": "red", "Stopped": "magenta"}


def is_over(seen: Seen) -> bool:
    """Whether the study has ended, well or badly."""
    status = seen[0].get("status", {})
    current = status.get("observedGeneration") == seen[0]["metadata"]["generation"]
    return current and status.get("state") in ("Succeeded", "Failed", "Rejected")


def problem(study: Raw) -> str | None:
    """Return why the study did not succeed; None: it did."""
    status = study.get("status", {})
    if status.get("state") == "Succeeded":
        return None
    wanted = {"Failed": "Failed", "Rejected": "Accepted"}.get(status.get("state", ""), "Progressing")
    message = next((c["message"] for c in status.get("conditions", []) if c["type"] == wanted), "no status was written")
    return f"the study {study['metadata']['name']} did not succeed: {message}"


def progress(study: Raw, trials: Sequence[Raw]) -> RenderableType:
    """Return the live view: what is being done now, the counts, the best so far and the trials."""
    status = study.get("status", {})
    counts = status.get("trials", {})
    done = sum(counts.get(state, 0) for state in ("succeeded", "infeasible", "stoppedEarly"))
    bar = ProgressBar(total=study["spec"]["budget"]["maxTrials"], completed=done, width=40)
    return Panel(
        Group(Text(_headline(study)), bar, Text(_best(status)), _table(study, trials)),
        title=_title(study),
        border_style="cyan",
    )


def news(study: Raw, trials: Sequence[Raw]) -> Iterator[str]:
    """Yield lines for a log: each trial once as it starts and once as it ends, each new best."""
    status = study.get("status", {})
    yield f"Study {study['metadata']['name']}: {_question(study)}"
    for condition in status.get("conditions", []):
        if condition["type"] in ("Accepted", "TrialsStarting") and condition["status"] == "False":
            yield f"{condition['type']}: {condition['reason']}: {condition['message']}"
    for trial in trials:
        state = trial.get("status", {}).get("state", "Pending")
        if state != "Pending":
            yield f"Trial {trial['metadata']['name']} is running: {_parameters(study, trial)}"
        if state not in ("Pending", "Running"):
            yield f"Trial {trial['metadata']['name']} {state.lower()}: {trial['status'].get('message', '')}"
    if "best" in status:
        yield f"{_headline(study)}. {_best(status)}"


def result(study: Raw, trials: Sequence[Raw]) -> RenderableType:
    """Return the study's result: its best trial, what may be concluded, what follows, and all trials."""
    status = study.get("status", {})
    lines: list[RenderableType] = [Text(_question(study)), Text(_headline(study))]
    best = status.get("best")
    if best is not None:
        objective = study["spec"]["objective"]
        lines.append(Text(f"Best trial: {best['trial']}", style="bold green"))
        step = f" at step {best['step']}" if "step" in best else ""
        lines.append(Text(f"  {objective['metric']} = {best['value']:.6g}{step} ({best['source']})"))
        lines += [Text(f"  {p['name']} = {_short(p['value'])}") for p in best.get("parameters", [])]
    lines += _conclusion(status)
    return Panel(Group(*lines, _table(study, trials)), title=_title(study), border_style="green" if best else "red")


def _conclusion(status: Raw) -> list[RenderableType]:
    """Return what the Playbook says: the conclusion, each finding in a line, and the study that should follow."""
    conclusion, following = status.get("conclusion"), status.get("nextStudy")
    if conclusion is None:
        return []
    style = {"Allowed": "bold green", "Blocked": "bold red"}.get(conclusion["state"], "bold yellow")
    lines: list[RenderableType] = [Text(f"Conclusion: {conclusion['state']}, {conclusion['reason']}", style=style)]
    lines.append(Text(f"  {conclusion.get('message', '')}"))
    lines += [
        Text(f"  {f['severity']}: {f['code']} {f['verdict']}. {f['message']}") for f in status.get("findings", [])
    ]
    if following is not None:
        verb = "follows" if following.get("applied") else "is proposed"
        lines.append(Text(f"Next study: {following['name']} {verb}", style="bold"))
        lines += [Text(f"  {reason}") for reason in following.get("reasons", [])]
    return lines


def _title(study: Raw) -> str:
    return f"TuningStudy {study['metadata']['namespace']}/{study['metadata']['name']}"


def _question(study: Raw) -> str:
    return str(study["spec"].get("goal", {}).get("question", "No goal is stated."))


def _headline(study: Raw) -> str:
    status = study.get("status", {})
    counts = status.get("trials", {})
    numbers = ", ".join(
        f"{counts.get(state, 0)} {state}"
        for state in ("running", "pending", "paused", "infeasible", "stopped", "failed")
        if counts.get(state)
    )
    return f"{status.get('state', 'Pending')}: {status.get('progress', '0')} trials done" + (
        f", {numbers}" if numbers else ""
    )


def _best(status: Raw) -> str:
    best = status.get("best")
    return "No trial has a result yet" if best is None else f"Best so far: {best['value']:.6g} by {best['trial']}"


def _table(study: Raw, trials: Sequence[Raw]) -> Table:
    searched = [h["name"] for h in study["spec"]["hyperparameters"] if h["role"] != "Fixed"]
    table = Table(box=None, pad_edge=False)
    for name in ("trial", "state", study["spec"]["objective"]["metric"], "step", *searched):
        table.add_column(name, justify="left" if name in ("trial", "state") else "right", no_wrap=name == "trial")
    best = study.get("status", {}).get("best", {}).get("trial")
    for trial in trials:
        status = trial.get("status", {})
        state = status.get("state", "Pending")
        measured = status.get("result") or status.get("progress") or {}
        value = measured.get("value", measured.get("nonFinite", ""))
        assigned = {a["name"]: _short(a["value"]) for a in trial["spec"]["assignments"]}
        table.add_row(
            # Their names differ in this number alone, and would take half of a narrow terminal.
            _number(trial),
            Text(state, style=COLOURS.get(state, "")),
            f"{value:.6g}" if isinstance(value, int | float) else value,
            str(measured.get("step", "")),
            *(assigned.get(name, "-") for name in searched),
            style="bold" if trial["metadata"]["name"] == best else "",
        )
    return table


def _number(trial: Raw) -> str:
    purpose = trial["spec"].get("purpose", "Search")
    number = str(trial["spec"]["index"])
    return number if purpose in ("Search", "Replicate") else f"{purpose} {number}"


def _parameters(study: Raw, trial: Raw) -> str:
    fixed = {h["name"] for h in study["spec"]["hyperparameters"] if h["role"] == "Fixed"}
    return ", ".join(
        f"{a['name']}={_short(a['value'])}" for a in trial["spec"]["assignments"] if a["name"] not in fixed
    )


def _short(text: str) -> str:
    """Shorten a float of seventeen digits for people; leave every other value alone."""
    try:
        return f"{float(text):.4g}" if "." in text or "e" in text else text
    except ValueError:
        return text
