"""The study that decides on a change: both sides trained again, with paired seeds (K06, ADP-7)."""

from collections.abc import Mapping, Sequence
from typing import Any

from tuning_contract.environment import parameter_text
from tuning_operator.api.findings import AdoptionDecision, Code, Conclusion, Finding
from tuning_operator.api.procedure import Retrains
from tuning_operator.api.search import Algorithm
from tuning_operator.playbook.arms import Arm, arm_key, arms
from tuning_operator.playbook.proposal.change import Change, of, updated
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.search.space import is_searched, typed


def confirming(study: StudyRecord, findings: Sequence[Finding], conclusion: Conclusion, change: Change) -> Change:
    """Train the winner's and the baseline's best points anew, each as often as `retrains` says, and nothing else.

    A study that has retrains of its own runs them itself; where they do not suffice, its budget is what must grow.
    """
    needed = of(findings, Code.ADOPTION, "NeedRetrains")
    sides = _sides(study, conclusion.winner)
    if conclusion.decision is not AdoptionDecision.NEED_RETRAINS or not needed or len(sides) < 2:
        return change
    retrains = study.spec.retrains or Retrains()
    each = 29 if retrains.confirm else retrains.count
    points = [_point(study, trial) for trial in sides]
    search = updated(study.spec.search, algorithm=Algorithm.LIST, points=points, switch_to=None, replicates=None)
    budget = updated(
        study.spec.budget,
        max_trials=len(points),
        max_retrains=max(study.spec.budget.max_retrains, len(points) * each),
    )
    return change.with_spec(
        {"search": search, "budget": budget, "retrains": retrains},
        f"retrains: {each} of each side, with paired seeds, of {' and '.join(t.name for t in sides)}. "
        f"{needed[0].message}",
    )


def _sides(study: StudyRecord, winner: Mapping[str, Any] | None) -> list[TrialRecord]:
    """Return the best trials of the baseline's arm and of the winner's."""
    baseline = study.spec.baseline
    wanted = [_baseline_values(study, baseline.scientific or {}) if baseline is not None else None, winner]
    found: list[Arm | None] = [
        next((arm for arm in arms(study) if w is not None and arm_key(arm.scientific) == arm_key(w)), None)
        for w in wanted
    ]
    return [arm.best for arm in found if arm is not None and arm.best is not None]


def _baseline_values(study: StudyRecord, texts: Mapping[str, str]) -> dict[str, Any]:
    return {
        h.parameter_name: typed(texts[h.name], h.effective_value_type)
        for h in study.spec.hyperparameters
        if h.name in texts
    }


def _point(study: StudyRecord, trial: TrialRecord) -> dict[str, str]:
    return {
        h.name: parameter_text(trial.assignment[h.name])
        for h in study.spec.hyperparameters
        if is_searched(h) and h.name in trial.assignment
    }
