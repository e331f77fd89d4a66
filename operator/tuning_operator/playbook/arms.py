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
from tuning_operator.playbook.records import (
    INFRASTRUCTURE_REASONS,
    OUT_OF_MEMORY,
    Purpose,
    State,
    StudyRecord,
    TrialRecord,
)
from tuning_operator.playbook.series import MAD_TO_DEVIATION, late_deviation
from tuning_operator.playbook.thresholds import Origin, Threshold
from tuning_operator.search.arms import arms_of
from tuning_operator.search.space import in_dependency_order, is_range, is_searched, unit_of
from tuning_operator.search.stopping.diverged import RULE as DIVERGED

OUTLIER: Final = Threshold(
    "infeasibleDeviations",
    10.0,
    Origin.DEFAULT,
    "A result this many robust standard deviations worse than the median, whose training loss has not fallen either, "
    "is infeasible",
)
NO_PROGRESS: Final = Threshold(
    "infeasibleProgress", 0.02, Origin.DEFAULT, "A training loss that fell by less than this fraction has not fallen"
)
TOP_SHARE: Final = Threshold("topShare", 0.1, Origin.DEFAULT, "The share of an arm's trials that are its top trials")
TOP_LEAST: Final = Threshold("topLeast", 3, Origin.FIGURE, "The smallest number of an arm's top trials")
DIFFERENT: Final = Threshold(
    "differenceDeviations", 2.0, Origin.DEFAULT, "Two results differ when they are this many standard deviations apart"
)


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
        """Complete trials with a result, the best first: F(a)."""
        found = [t for t in self.trials if t.state is State.SUCCEEDED and not is_infeasible(self.study, t)]
        outliers = {t.name for t in _outliers(self.study, found)}
        return tuple(sorted((t for t in found if t.name not in outliers), key=self.study.loss))

    @cached_property
    def infeasible(self) -> tuple[TrialRecord, ...]:
        """Trials that diverged, ran out of memory or came to nothing: evidence about the space, I(a)."""
        succeeded = [t for t in self.trials if t.state is State.SUCCEEDED]
        known = [t for t in self.trials if is_infeasible(self.study, t)]
        names = {t.name for t in known}
        return tuple(known) + _outliers(self.study, [t for t in succeeded if t.name not in names])

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
    trials = [t for t in study.trials if t.purpose is Purpose.SEARCH and t.state is not State.RUNNING]
    by_arm: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        by_arm.setdefault(arm_key(scientific_of(study, trial)), []).append(trial)
    return tuple(
        Arm(study, scientific, dimensions, tuple(by_arm.get(arm_key(scientific), ())))
        for scientific, dimensions in _combinations(study)
    )


def whole(study: StudyRecord) -> Arm:
    """Return all of a study's Search trials as one arm, whatever their scientific values."""
    dimensions = tuple(h for h in in_dependency_order(study.spec.hyperparameters) if is_searched(h))
    return Arm(study, {}, dimensions, tuple(t for arm in arms(study) for t in arm.trials))


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
    except ValueError:
        return None


def is_lost(trial: TrialRecord) -> bool:
    """Whether the infrastructure, and nothing in the trial, has ended it."""
    return trial.state is State.LOST or (trial.state is State.FAILED and trial.reason in INFRASTRUCTURE_REASONS)


def is_infeasible(study: StudyRecord, trial: TrialRecord) -> bool:
    """Whether the trial's parameters cannot be trained with: by its state, or by a loss that is not finite."""
    if is_lost(trial) or trial.state is State.RUNNING:
        return False
    if trial.state is State.INFEASIBLE or (trial.state is State.STOPPED and trial.stopped_by == DIVERGED):
        return True
    if trial.state is State.FAILED:
        return trial.reason in OUT_OF_MEMORY
    if trial.state is State.STOPPED:
        return False
    losses, train = study.losses(trial), study.train_losses(trial)
    # A metric that is measured at some evaluations only is NaN at the others; a loss that has gone stays away.
    gone = any(len(v) and not math.isfinite(v[-1]) for v in (losses, train))
    return gone or not math.isfinite(study.loss(trial))


def noise(study: StudyRecord, among: Sequence[TrialRecord]) -> float:
    """Return the standard deviation of a result: of retrains where there are some, else late in the curves given.

    Of the study's own retrains the pooled deviation over retrained trials; else `baseline.retrainDeviation`; else the
    median of the late step-to-step deviation of the trials (shared/playbook 2.0); 0 where nothing is known.
    """
    retrained = _retrain_deviation(study)
    if retrained is not None:
        return retrained
    baseline = study.spec.baseline
    if baseline is not None and baseline.retrain_deviation is not None:
        return baseline.retrain_deviation
    late = [late_deviation(study.losses(t)) for t in among if len(t.curve)]
    return float(np.median(late)) if late else 0.0


def _retrain_deviation(study: StudyRecord) -> float | None:
    groups: dict[str, list[float]] = {}
    for trial in study.trials:
        if trial.purpose in (Purpose.RETRAIN, Purpose.REPLICATE) and trial.state is State.SUCCEEDED:
            loss = study.loss(trial)
            if math.isfinite(loss):
                groups.setdefault(json.dumps(dict(trial.parameters), sort_keys=True), []).append(loss)
    freedom = sum(len(g) - 1 for g in groups.values())
    if freedom < 2:
        return None
    squares = sum(float(np.var(g)) * len(g) for g in groups.values())
    return math.sqrt(squares / freedom)


def _combinations(
    study: StudyRecord,
) -> list[tuple[dict[str, ParameterValue], tuple[Hyperparameter, ...]]]:
    """Return the scientific values of each arm, and what is searched in it."""
    names = {h.name: h.parameter_name for h in study.spec.hyperparameters}
    designed = arms_of(study.spec)
    if any(arm.scientific for arm in designed) or not _listed_scientific(study):
        return [({names[n]: v for n, v in arm.scientific.items()}, arm.dimensions) for arm in designed]
    # A joint design is one sequence; the trials still belong to the scientific values that they had.
    dimensions = tuple(h for h in designed[0].dimensions if h not in _listed_scientific(study))
    seen = {arm_key(found): found for t in study.trials if (found := scientific_of(study, t))}
    return [(seen[key], dimensions) for key in sorted(seen)] or [({}, dimensions)]


def _listed_scientific(study: StudyRecord) -> list[Hyperparameter]:
    return [h for h in study.spec.hyperparameters if h.role is Role.SCIENTIFIC and h.type.is_list]


def _outliers(study: StudyRecord, trials: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Return those far worse than the others whose training has not begun to work (shared/playbook 2.0, C-18)."""
    losses = [study.loss(t) for t in trials]
    if len(losses) < 4:
        return ()
    middle = float(np.median(losses))
    spread = MAD_TO_DEVIATION * float(np.median(np.abs(np.asarray(losses) - middle)))
    limit = middle + study.thresholds[OUTLIER] * spread
    return tuple(t for t, loss in zip(trials, losses, strict=True) if loss > limit and not _has_learnt(study, t))


def _has_learnt(study: StudyRecord, trial: TrialRecord) -> bool:
    """Whether the training loss has fallen; without one, whether the objective has improved."""
    series = study.train_losses(trial)
    if not len(series):
        series = study.losses(trial)
    finite = series[np.isfinite(series)]
    if len(finite) < 2:
        return False
    return bool(finite[0] - finite.min() >= study.thresholds[NO_PROGRESS] * abs(finite[0]))
