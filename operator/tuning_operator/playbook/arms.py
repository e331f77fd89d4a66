"""The trials of a study, sorted: by the scientific values that they had, and by how they ended."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, Role
from tuning_operator.api.search import Design
from tuning_operator.playbook.endings import is_infeasible as is_infeasible
from tuning_operator.playbook.endings import is_lost as is_lost
from tuning_operator.playbook.endings import outliers
from tuning_operator.playbook.records import (
    Purpose,
    State,
    StudyRecord,
    TrialRecord,
)
from tuning_operator.playbook.series import late_deviation
from tuning_operator.playbook.thresholds import Origin, Threshold
from tuning_operator.search.arms import arms_of
from tuning_operator.search.space import in_dependency_order, is_range, is_searched, unit_of
from tuning_operator.search.stopping.diverged import RULE as DIVERGED

TOP_SHARE: Final = Threshold("topShare", 0.1, Origin.DEFAULT, "The share of an arm's trials that are its top trials")
TOP_LEAST: Final = Threshold("topLeast", 3, Origin.FIGURE, "The smallest number of an arm's top trials")
DIFFERENT: Final = Threshold(
    "differenceDeviations", 2.0, Origin.DEFAULT, "Two results differ when they are this many standard deviations apart"
)

FEWEST_POINTS: Final = 3
"""Below so many evaluations a curve shows no step-to-step deviation."""


@dataclass(frozen=True)
class Arm:
    """The trials of one combination of scientific values; of the whole study where there are none."""

    study: StudyRecord
    scientific: Mapping[str, ParameterValue]
    """By the parameter's name; empty: the whole study."""
    dimensions: tuple[Hyperparameter, ...]
    """What is searched in it: its nuisance hyperparameters, and a scientific range."""
    trials: tuple[TrialRecord, ...]
    """Of purpose Search, those that are still running left out."""

    @cached_property
    def feasible(self) -> tuple[TrialRecord, ...]:
        """Complete trials with a result that keep to the constraints, the best first: F(a)."""
        far_off = {t.name for t in outliers(self.study, self._with_result)}
        return tuple(sorted((t for t in self._with_result if t.name not in far_off), key=self.study.loss))

    @cached_property
    def infeasible(self) -> tuple[TrialRecord, ...]:
        """Trials that diverged, ran out of memory or came to nothing: evidence about the space, I(a)."""
        known = tuple(t for t in self.trials if is_infeasible(self.study, t))
        return known + outliers(self.study, self._with_result)

    @property
    def violating(self) -> tuple[TrialRecord, ...]:
        """Complete trials that violate a constraint: results that can never be the best, and no infeasible ones."""
        return tuple(
            t for t in self.trials if t.state is State.SUCCEEDED and t.violations and not is_infeasible(self.study, t)
        )

    @property
    def stopped(self) -> tuple[TrialRecord, ...]:
        """Trials that a comparing rule ended: their results are at least as good as they got, and never counted."""
        return tuple(t for t in self.trials if t.state is State.STOPPED and t.stopped_by != DIVERGED)

    @property
    def failed(self) -> tuple[TrialRecord, ...]:
        """Trials that ended by an error of their own: perhaps a bug, never evidence about a range."""
        return tuple(
            t for t in self.trials if t.state is State.FAILED and not is_lost(t) and not is_infeasible(self.study, t)
        )

    @property
    def lost(self) -> tuple[TrialRecord, ...]:
        """Trials that the infrastructure has ended: no results at all."""
        return tuple(t for t in self.trials if is_lost(t))

    @property
    def launched(self) -> tuple[TrialRecord, ...]:
        """All that were tried, those lost to the infrastructure left out."""
        return tuple(t for t in self.trials if not is_lost(t))

    @property
    def best(self) -> TrialRecord | None:
        """The best trial; None where none is feasible."""
        return self.feasible[0] if self.feasible else None

    @property
    def top(self) -> tuple[TrialRecord, ...]:
        """The best tenth of the feasible trials, at least three of them."""
        t = self.study.thresholds
        return self.feasible[: max(int(t[TOP_LEAST]), math.ceil(t[TOP_SHARE] * len(self.feasible)))]

    @property
    def losses(self) -> tuple[float, ...]:
        """The feasible trials' results, ascending; smaller is better."""
        return tuple(self.study.loss(t) for t in self.feasible)

    @cached_property
    def _with_result(self) -> tuple[TrialRecord, ...]:
        """Complete trials with a number that keep to the constraints, outliers among them."""
        found = [t for t in self.trials if t.state is State.SUCCEEDED and not t.violations]
        return tuple(t for t in found if not is_infeasible(self.study, t) and math.isfinite(self.study.loss(t)))

    @property
    def numeric(self) -> tuple[Hyperparameter, ...]:
        """The dimensions that are ranges."""
        return tuple(h for h in self.dimensions if is_range(h))


def scientific_of(study: StudyRecord, trial: TrialRecord) -> dict[str, ParameterValue]:
    """Return a trial's scientific values by parameter name; ranges are no arms and are left out."""
    return {
        h.parameter_name: trial.assignment[h.name]
        for h in study.spec.hyperparameters
        if h.role is Role.SCIENTIFIC and h.type.is_list and h.name in trial.assignment
    }


def arms(study: StudyRecord) -> tuple[Arm, ...]:
    """Return the study's arms in the order of the manifest's values, those without any trial too; at least one."""
    return study.once("arms", lambda: _arms(study))


def _arms(study: StudyRecord) -> tuple[Arm, ...]:
    by_arm: dict[str, list[TrialRecord]] = {}
    for trial in _searched(study):
        by_arm.setdefault(arm_key(scientific_of(study, trial)), []).append(trial)
    return tuple(
        Arm(study, scientific, dimensions, tuple(by_arm.get(arm_key(scientific), ())))
        for scientific, dimensions in _combinations(study)
    )


def whole(study: StudyRecord) -> Arm:
    """Return all of a study's Search trials as one arm, whatever their scientific values."""
    dimensions = tuple(h for h in in_dependency_order(study.spec.hyperparameters) if is_searched(h))
    return study.once("whole", lambda: Arm(study, {}, dimensions, _searched(study)))


def _searched(study: StudyRecord) -> tuple[TrialRecord, ...]:
    return tuple(t for t in study.trials if t.purpose is Purpose.SEARCH and t.state is not State.RUNNING)


def arm_key(scientific: Mapping[str, ParameterValue]) -> str:
    """Return a text that names an arm."""
    return json.dumps(dict(scientific), sort_keys=True)


def position(hyperparameter: Hyperparameter, trial: TrialRecord) -> float | None:
    """Return where a trial stands in a range on its scale: `u` in [0, 1], outside where an earlier study went there.

    None where the hyperparameter does not exist in the trial, or the scale does not reach its value.
    """
    value = trial.assignment.get(hyperparameter.name)
    if value is None:
        return None
    try:
        return unit_of(hyperparameter, value)
    except (ValueError, ZeroDivisionError):
        return None


def noise(study: StudyRecord, among: Sequence[TrialRecord]) -> float:
    """Return the standard deviation of a result: of retrains where there are some, else late in the curves given.

    Of the study's own retrains the pooled deviation over retrained trials; else `baseline.retrainDeviation`; else the
    median of the late step-to-step deviation of the trials; 0 where nothing is known.
    """
    retrained = retrain_noise(study)
    if retrained is not None:
        return retrained
    curves = [losses[np.isfinite(losses)] for losses in map(study.losses, among)]
    late = [late_deviation(losses) for losses in curves if len(losses) >= FEWEST_POINTS]
    return float(np.median(late)) if late else 0.0


def retrain_noise(study: StudyRecord) -> float | None:
    """Return the deviation of retrains: of the study's own, else `baseline.retrainDeviation`; None: not known."""
    own = _retrain_deviation(study)
    if own is not None:
        return own
    return study.spec.baseline.retrain_deviation if study.spec.baseline is not None else None


def _retrain_deviation(study: StudyRecord) -> float | None:
    """Return the pooled deviation within groups of trials that differ in their seeds alone; None: too few to say."""
    if all(trial.purpose is Purpose.SEARCH for trial in study.trials):
        return None
    repeated: dict[str, list[float]] = {}
    first: dict[str, list[float]] = {}
    replicated = set()
    for trial in study.trials:
        loss = study.loss(trial)
        if trial.state is not State.SUCCEEDED or is_infeasible(study, trial) or not math.isfinite(loss):
            continue
        key = arm_key(trial.parameters)
        if trial.purpose in (Purpose.RETRAIN, Purpose.REPLICATE):
            repeated.setdefault(key, []).append(loss)
        if trial.purpose is Purpose.REPLICATE:
            replicated.add(key)
        if trial.purpose is Purpose.SEARCH:
            first.setdefault(key, []).append(loss)
    # A retrained trial was chosen for its luck, and its own result is left out. Replicates are of every point.
    groups = [g + (first.get(key, []) if key in replicated else []) for key, g in repeated.items()]
    freedom = sum(len(g) - 1 for g in groups)
    if freedom < 2:
        return None
    squares = sum(float(np.var(g)) * len(g) for g in groups)
    return math.sqrt(squares / freedom)


def _combinations(
    study: StudyRecord,
) -> list[tuple[dict[str, ParameterValue], tuple[Hyperparameter, ...]]]:
    """Return the scientific values of each arm, and what is searched in it."""
    spec = study.spec
    names = {h.name: h.parameter_name for h in spec.hyperparameters}
    known = {h.name: h for h in spec.hyperparameters}
    # A joint design is one sequence; its trials still belong to the scientific values that they had.
    designed = arms_of(
        spec.model_copy(
            update={
                "hyperparameters": [_without_ranges(h) for h in spec.hyperparameters],
                "search": spec.search.model_copy(update={"design": Design.ARMS}),
            }
        )
    )
    return [
        ({names[n]: v for n, v in arm.scientific.items()}, tuple(known[h.name] for h in arm.dimensions))
        for arm in designed
    ]


def _without_ranges(hyperparameter: Hyperparameter) -> Hyperparameter:
    """Return a scientific range as a nuisance one: it divides no trials into arms."""
    if hyperparameter.role is Role.SCIENTIFIC and is_range(hyperparameter):
        return hyperparameter.model_copy(update={"role": Role.NUISANCE})
    return hyperparameter
