"""What the rules look at: the trials of a study as values, wherever they were read from."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, TypeVar, cast

from tuning_contract.curve import Point, best_of, late_median_of
from tuning_contract.diagnostics import TRAIN_LOSS, Diagnostics
from tuning_contract.environment import ParameterValue
from tuning_operator.api.study import ObjectiveAt, TuningStudySpec
from tuning_operator.playbook.series import Series, as_series, is_gone
from tuning_operator.playbook.thresholds import DEFAULTS, Thresholds
from tuning_operator.search.space import Assignment

INFRASTRUCTURE_REASONS: Final = frozenset(
    {
        "Preempted",
        "Preemption",
        "PreemptionByScheduler",
        "Evicted",
        "Eviction",
        "EvictionByEvictionAPI",
        "DisruptionTarget",
        "DeletionByTaintManager",
        "DeletionByPodGC",
        "TerminationByKubelet",
        "NodeLost",
        "NodeShutdown",
        "PodLost",
        "InfrastructureRetriesExceeded",
        "ImagePullFailed",
        "ImagePullBackOff",
        "ErrImagePull",
        "FailedMount",
        "ResultLost",
    }
)
"""Reasons for which a trial was lost and has not failed: they say nothing about its parameters (K07)."""
_INFRASTRUCTURE_WORDS: Final = frozenset(
    {reason.lower() for reason in INFRASTRUCTURE_REASONS} | {"imagepull", "volumemount", "mountfailed"}
)
OUT_OF_MEMORY: Final = frozenset({"OutOfMemory", "OOMKilled"})


def is_infrastructure(reason: str) -> bool:
    """Whether a reason is the infrastructure's, however it is written: `NodeLost`, `node lost` and `node_lost` are."""
    return "".join(filter(str.isalpha, reason)).lower() in _INFRASTRUCTURE_WORDS


T = TypeVar("T")


class State(StrEnum):
    """How a trial ended."""

    SUCCEEDED = "Succeeded"
    INFEASIBLE = "Infeasible"
    FAILED = "Failed"
    STOPPED = "Stopped"
    LOST = "Lost"
    RUNNING = "Running"
    """It has not."""


class Purpose(StrEnum):
    """Why a trial ran. Only those of Search enter arms, best, edges, density and fair comparison."""

    SEARCH = "Search"
    REPLICATE = "Replicate"
    RETRAIN = "Retrain"
    INSTABILITY_PROBE = "InstabilityProbe"
    HIDDEN_INSTABILITY_PROBE = "HiddenInstabilityProbe"
    BATCH_SIZE_PROBE = "BatchSizeProbe"
    STEP_SWEEP = "StepSweep"


@dataclass(frozen=True)
class Curve:
    """A trial's evaluations, in ascending steps."""

    steps: tuple[int, ...] = ()
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """By metric, one for each step; NaN where it was not measured there, or is NaN."""

    def __len__(self) -> int:
        return len(self.steps)

    def series(self, metric: str) -> Series:
        """Return a metric's values as an array; empty where it was never measured."""
        return as_series(self.values.get(metric, ()))


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study."""

    name: str
    assignment: Assignment
    """The value of each hyperparameter that exists in it, by the hyperparameter's name."""
    parameters: Mapping[str, ParameterValue]
    """What the container received."""
    state: State
    reason: str = ""
    message: str = ""
    purpose: Purpose = Purpose.SEARCH
    max_steps: int | None = None
    """How many steps it was to train."""
    curve: Curve = Curve()
    value: float | None = None
    """The objective as the study counts it, where it is known apart from the curve; may be NaN."""
    index: int = 0
    seed: int | None = None
    started_at: datetime | None = None
    of: str | None = None
    """The trial that this one retrains or probes."""
    stopped_by: str | None = None
    """The stopping rule that ended it."""
    gpu_seconds: float | None = None
    violations: tuple[str, ...] = ()
    """The metrics of the constraints that it violates."""
    diagnostics: Diagnostics = field(default_factory=Diagnostics)


@dataclass(frozen=True)
class StudyRecord:
    """A study with its trials, as far as they are known."""

    name: str
    spec: TuningStudySpec
    trials: tuple[TrialRecord, ...] = ()
    round: int = 1
    """Which study of a chain it is: one more than the study that it follows."""

    @cached_property
    def thresholds(self) -> Thresholds:
        """The study's thresholds."""
        return Thresholds(self.spec.thresholds) if self.spec.thresholds else DEFAULTS

    @property
    def sign(self) -> float:
        """1 or -1: times this, a smaller objective is the better."""
        return self.spec.objective.direction.sign

    def losses(self, trial: TrialRecord) -> Series:
        """Return the objective over a trial's evaluations, turned so that smaller is better."""
        return self.sign * trial.curve.series(self.spec.objective.metric)

    def train_losses(self, trial: TrialRecord) -> Series:
        """Return the training loss over a trial's evaluations; empty where it was not measured."""
        return trial.curve.series(TRAIN_LOSS)

    def loss(self, trial: TrialRecord) -> float:
        """Return the trial's result, turned so that smaller is better.

        As `spec.objective.at` says, so by default the best evaluation (BND-3). NaN where there is none, and where the
        last ones count and are not finite; evaluations that did not measure the objective do not count.
        """
        known = self._results.get(trial.name)
        if known is None or known[0] is not trial:
            known = self._results[trial.name] = (trial, self._loss(trial))
        return known[1]

    def once(self, what: str, compute: Callable[[], T]) -> T:
        """Return what was computed under this name, computed now where it was not: checks share what all of them need.

        It stays as long as the study does, and is a function of the study alone.
        """
        if what not in self._known:
            self._known[what] = compute()
        return cast("T", self._known[what])

    @cached_property
    def _known(self) -> dict[str, Any]:
        return {}

    @cached_property
    def _results(self) -> dict[str, tuple[TrialRecord, float]]:
        """What was computed once: rules ask for the same results again and again."""
        return {}

    def _loss(self, trial: TrialRecord) -> float:
        if trial.value is not None:
            return self.sign * trial.value
        losses = self.losses(trial)
        points = [Point(i, float(loss)) for i, loss in enumerate(losses) if not math.isnan(loss)]
        if self.spec.objective.at is ObjectiveAt.BEST:
            best = best_of(points, "Minimize")
            return math.nan if best is None else best.value
        if not points or is_gone(losses):
            return math.nan
        if self.spec.objective.at is ObjectiveAt.LAST:
            return points[-1].value
        late = late_median_of(points)
        return math.nan if late is None else late

    def is_measured(self, trial: TrialRecord) -> bool:
        """Whether anything at all is known of the trial's objective, were it only that it is NaN."""
        return trial.value is not None or len(self.losses(trial)) > 0

    def shown(self, loss: float) -> float:
        """Return a loss as the objective that people know: turned back."""
        return self.sign * loss
