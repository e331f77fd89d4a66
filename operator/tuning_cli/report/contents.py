"""What a report says, as values: the HTML page and the terminal's text are two ways to write the same."""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tuning_cli.reading.places import to_yaml
from tuning_cli.report.figures.axis import name_of, text_of
from tuning_contract.environment import ParameterValue, parameters_json
from tuning_operator.api.findings import OK, UNKNOWN, Finding, Severity
from tuning_operator.api.hyperparameters import Hyperparameter, Role
from tuning_operator.playbook.analysis import Analysis
from tuning_operator.playbook.arms import Arm, arms, is_infeasible, is_lost, whole
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord
from tuning_operator.search.space import fixed_value, is_range, is_searched

LEDGER: Final = ("Study", "Question", "Conclusion", "Trials", "Best result", "To reproduce it")
"""The columns of a table of studies (TRK-2)."""
WEIGHT: Final = {Severity.BLOCK: 0, Severity.WARN: 1, Severity.INFO: 2}


@dataclass(frozen=True)
class Row:
    """One trial in the table."""

    trial: str
    state: str
    reason: str
    purpose: str
    arm: str
    value: float | None
    parameters: tuple[str, ...]
    """In the order of `Report.columns`; empty where the hyperparameter does not exist."""
    is_best: bool
    evaluations: int


@dataclass(frozen=True)
class Recipe:
    """How to train the winner again."""

    trial: str
    parameters: str
    """The JSON text that the container receives."""
    command: str
    """For a shell."""
    is_conclusion: bool
    """Whether the conclusion is allowed; else it is only the best trial so far."""


@dataclass(frozen=True)
class Report:
    """Everything that is written, in the order in which it is read."""

    study: StudyRecord
    analysis: Analysis
    noteworthy: tuple[Finding, ...]
    """What a person must see, the most important first."""
    checklist: tuple[Finding, ...]
    """Everything, what has passed and what is unknown too."""
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    not_tested: tuple[str, ...]
    recipe: Recipe | None
    next_yaml: str | None
    ledger: tuple[str, ...]
    """A row of a table of studies (TRK-2): name, question, trials, best result, how to reproduce it."""

    @property
    def question(self) -> str:
        """What the study is to answer."""
        goal = self.study.spec.goal
        return goal.question if goal is not None else "The study states no goal."

    @property
    def counts(self) -> str:
        """How many of the checks have passed, say something, or could not be made."""
        passed = sum(f.verdict == OK for f in self.checklist)
        unknown = sum(f.verdict == UNKNOWN for f in self.checklist)
        return f"{passed} passed, {len(self.checklist) - passed - unknown} with something to say, {unknown} unknown"


def report_of(study: StudyRecord, analysis: Analysis) -> Report:
    """Return the report of a study."""
    noteworthy = sorted(
        (f for f in analysis.findings if f.severity is not Severity.INFO or f.verdict not in (OK, UNKNOWN)),
        key=lambda f: WEIGHT[f.severity],
    )
    columns = tuple(dict.fromkeys(h.parameter_name for h in study.spec.hyperparameters if is_searched(h)))
    proposal, recipe = analysis.next_study, recipe_of(study, analysis)
    return Report(
        study=study,
        analysis=analysis,
        noteworthy=tuple(noteworthy),
        checklist=analysis.findings,
        columns=columns,
        rows=_rows(study, columns),
        not_tested=tuple(not_tested(study)),
        recipe=recipe,
        next_yaml=None if proposal is None or proposal.manifest is None else to_yaml(proposal.manifest),
        ledger=_ledger(study, analysis, recipe),
    )


def winning_arm(study: StudyRecord, analysis: Analysis) -> Arm | None:
    """Return the arm that the conclusion names; the whole study where nothing is scientific; None without a winner."""
    winner = analysis.conclusion.winner
    if winner is None:
        return None
    for arm in arms(study):
        if arm.scientific and all(winner.get(name) == value for name, value in arm.scientific.items()):
            return arm
    return whole(study)


def recipe_of(study: StudyRecord, analysis: Analysis) -> Recipe | None:
    """Return the best trial of the winner; of the whole study where there is none; None where no trial has a result."""
    arm = winning_arm(study, analysis)
    best = (arm or whole(study)).best
    if best is None:
        return None
    text = parameters_json(best.parameters)
    return Recipe(best.name, text, _command(study, best, text), is_conclusion=arm is not None)


def not_tested(study: StudyRecord) -> list[str]:
    """Return what the conclusion holds for and no further, a sentence each (playbook: fixed hyperparameters)."""
    said = []
    for h in study.spec.hyperparameters:
        if h.role is Role.FIXED:
            why = f" ({h.fixed_reason})" if h.fixed_reason else ""
            said.append(f"{h.name} was {text_of(fixed_value(h))} throughout{why}: nothing is known of other values.")
        elif is_range(h):
            said.append(f"{h.name} was searched from {h.low:.6g} to {h.high:.6g}{_condition(h)}, and not beyond.")
        else:
            said.append(f"{h.name} had the values {', '.join(h.values or [])}{_condition(h)}, and no others.")
    empty = [name_of(arm.scientific) for arm in arms(study) if arm.scientific and not arm.trials]
    said += [f"{name} has no trial." for name in empty]
    if not any(t.purpose is Purpose.RETRAIN for t in study.trials):
        said.append("No trial was trained again with another seed: the luck of single runs is in every figure.")
    return said + _uncounted(study)


def _ledger(study: StudyRecord, analysis: Analysis, recipe: Recipe | None) -> tuple[str, ...]:
    best = whole(study).best
    return (
        study.name,
        study.spec.goal.question if study.spec.goal is not None else "",
        f"{analysis.conclusion.state.value}: {analysis.conclusion.reason}",
        str(len(study.trials)),
        "" if best is None else f"{study.shown(study.loss(best)):.6g}",
        "" if recipe is None else recipe.command,
    )


def _uncounted(study: StudyRecord) -> list[str]:
    kinds = (
        ("Lost to the infrastructure", [t for t in study.trials if is_lost(t)]),
        (
            "Failed by an error of their own",
            [t for t in study.trials if t.state is State.FAILED and not is_lost(t) and not is_infeasible(study, t)],
        ),
        ("Still running", [t for t in study.trials if t.state is State.RUNNING]),
    )
    return [
        f"{what}: {len(trials)} of {len(study.trials)} trials, which do not count." for what, trials in kinds if trials
    ]


def _condition(h: Hyperparameter) -> str:
    return f", where {h.when.name} is {' or '.join(h.when.values)}" if h.when is not None else ""


def _rows(study: StudyRecord, columns: Sequence[str]) -> tuple[Row, ...]:
    """Return the trials, the best results first, then those without one in their order."""
    arm = whole(study)
    results = {t.name: study.loss(t) for t in study.trials if not _is_without_result(study, t)}
    ordered = sorted(study.trials, key=lambda t: (t.name not in results, results.get(t.name, 0.0), t.index))
    return tuple(_row(study, t, columns, arm.best, results.get(t.name)) for t in ordered)


def _is_without_result(study: StudyRecord, trial: TrialRecord) -> bool:
    ended_well = trial.state in (State.SUCCEEDED, State.STOPPED) and not is_infeasible(study, trial)
    return not ended_well or not math.isfinite(study.loss(trial))


def _row(
    study: StudyRecord, trial: TrialRecord, columns: Sequence[str], best: TrialRecord | None, loss: float | None
) -> Row:
    scientific = {
        h.parameter_name: trial.assignment[h.name]
        for h in study.spec.hyperparameters
        if h.role is Role.SCIENTIFIC and h.name in trial.assignment
    }
    return Row(
        trial=trial.name,
        state=trial.state.value,
        reason=trial.reason or (trial.stopped_by or ""),
        purpose=trial.purpose.value,
        arm=name_of(scientific),
        value=None if loss is None else study.shown(loss),
        parameters=tuple(_cell(trial.parameters, name) for name in columns),
        is_best=best is not None and trial.name == best.name,
        evaluations=len(trial.curve),
    )


def _cell(parameters: Mapping[str, ParameterValue], name: str) -> str:
    return text_of(parameters[name]) if name in parameters else ""


def _command(study: StudyRecord, trial: TrialRecord, text: str) -> str:
    """Return a shell command that trains with these parameters in the study's image."""
    container = _container(study)
    seed = "" if trial.seed is None else f" -e TUNING_SEED={trial.seed}"
    parameters = shlex.quote(f"TUNING_PARAMETERS={text}")
    words = [*map(str, container.get("command") or ()), *map(str, container.get("args") or ())]
    image = str(container.get("image") or "TRAINER_IMAGE")
    return f"docker run --rm -e {parameters}{seed} {shlex.quote(image)} {shlex.join(words)}".rstrip()


def _container(study: StudyRecord) -> Mapping[str, Any]:
    containers = study.spec.trial.template.spec.get("containers") or [{}]
    named = [c for c in containers if c.get("name") == study.spec.trial.container]
    return dict((named or containers)[0])


def evidence_of(finding: Finding) -> list[str]:
    """Return the numbers that a finding rests on."""
    return [f"{name} = {value:.5g}" for name, value in finding.evidence.numbers.items()]


def thresholds_of(finding: Finding) -> list[str]:
    """Return the thresholds that a verdict rests on, each once, with its origin."""
    return list(dict.fromkeys(f"{t.name} = {t.value:.5g} ({t.origin})" for t in finding.evidence.thresholds))


def where(finding: Finding) -> str:
    """Return what a finding is about: parameter, side and arm."""
    parts = [finding.parameter or "", finding.side.value if finding.side is not None else ""]
    return " ".join(part for part in (*parts, name_of(finding.scientific)) if part)


def winner_text(analysis: Analysis) -> str:
    """Return the winner for people."""
    winner = analysis.conclusion.winner
    return "none" if winner is None else name_of(winner) or json.dumps(winner)
