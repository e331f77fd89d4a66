"""Whether there is a change to adopt, and the two sides of that question (INC-7, ADP-1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuning_operator.api.hyperparameters import Role
from tuning_operator.api.study import GoalKind
from tuning_operator.playbook.arms import Arm, arm_key, arms, is_infeasible, scientific_of
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord
from tuning_operator.search.space import typed


@dataclass(frozen=True)
class Contender:
    """One side: an arm, its best trial, and what came of training that one again."""

    arm: Arm
    best: TrialRecord | None
    retrains: tuple[TrialRecord, ...]
    """Those of one configuration that have ended, in the order of their numbers, the search's own trial left out."""

    @property
    def results(self) -> tuple[TrialRecord, ...]:
        """The retrains with a result."""
        return tuple(t for t in self.retrains if not is_infeasible(self.arm.study, t))

    @property
    def infeasible(self) -> tuple[TrialRecord, ...]:
        """The retrains that came to nothing."""
        return tuple(t for t in self.retrains if is_infeasible(self.arm.study, t))

    @property
    def losses(self) -> tuple[float, ...]:
        """The results, turned so that smaller is better."""
        return tuple(self.arm.study.loss(t) for t in self.results)


@dataclass(frozen=True)
class Question:
    """Is the candidate to take the baseline's place?"""

    baseline: Contender
    candidate: Contender


def question(study: StudyRecord) -> Question | None:
    """Return what is to be decided; None: the study asks about no change.

    There is a question where the goal is to try a change and `baseline.scientific` names the arm without it: the best
    other arm is the candidate. Where the study has `retrains`, whatever its goal, its author wants a decision: then,
    without a named baseline, the best arm is the candidate and the next best the baseline.
    """
    compared = arms(study)
    if len(compared) < 2:
        return None
    named = baseline_arm(study, compared)
    goal = study.spec.goal
    asks = goal is None or goal.kind is GoalKind.TRY_CHANGE
    if study.spec.retrains is None and not (asks and named is not None):
        return None
    ranked = sorted(compared, key=lambda arm: math.inf if arm.best is None else study.loss(arm.best))
    baseline = named or ranked[1]
    candidate = next(arm for arm in ranked if arm is not baseline)
    return Question(_contender(study, baseline), _contender(study, candidate))


def baseline_arm(study: StudyRecord, compared: Sequence[Arm]) -> Arm | None:
    """Return the arm that `baseline.scientific` names; None: it names none, or not exactly one."""
    baseline = study.spec.baseline
    if baseline is None or not baseline.scientific:
        return None
    scientific = [h for h in study.spec.hyperparameters if h.role is Role.SCIENTIFIC]
    wanted = {}
    for name, text in baseline.scientific.items():
        h = next((h for h in scientific if name in (h.name, h.parameter_name)), None)
        if h is None:
            return None
        try:
            wanted[h.parameter_name] = typed(text, h.effective_value_type)
        except ValueError:
            return None
    named = [arm for arm in compared if all(arm.scientific.get(n) == v for n, v in wanted.items())]
    return named[0] if len(named) == 1 and named[0].scientific else None


def retrains_by_point(study: StudyRecord, arm: Arm) -> dict[str, list[TrialRecord]]:
    """Return an arm's retrains that have ended, by what they were trained with, in the order of their numbers."""
    found: dict[str, list[TrialRecord]] = {}
    for trial in sorted(study.trials, key=lambda t: t.index):
        is_ours = arm_key(scientific_of(study, trial)) == arm_key(arm.scientific)
        if trial.purpose is Purpose.RETRAIN and is_ours and _has_ended(study, trial):
            found.setdefault(arm_key(trial.parameters), []).append(trial)
    return found


def _contender(study: StudyRecord, arm: Arm) -> Contender:
    by_point = retrains_by_point(study, arm)
    chosen = by_point.get(arm_key(arm.best.parameters), []) if arm.best is not None else []
    # Later trials may have become the best one: what was trained again stays what is compared.
    largest = max(by_point.values(), key=len, default=[])
    return Contender(arm, arm.best, tuple(chosen if len(chosen) >= len(largest) else largest))


def _has_ended(study: StudyRecord, trial: TrialRecord) -> bool:
    """Whether the retrain has a result, or shows that the configuration does not always train."""
    if trial.state is State.SUCCEEDED:
        return is_infeasible(study, trial) or math.isfinite(study.loss(trial))
    return is_infeasible(study, trial)
