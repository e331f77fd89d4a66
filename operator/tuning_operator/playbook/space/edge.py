"""The trials of an arm along one of its ranges, and which of them lie at its edges."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from scipy import stats

from tuning_operator.api.findings import Side
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.api.search import Algorithm
from tuning_operator.playbook.arms import Arm, position
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.space.limits import Limit, limits_of
from tuning_operator.playbook.space.surface import ranked
from tuning_operator.playbook.thresholds import Origin, Threshold

BAND: Final = Threshold("edgeBand", 0.1, Origin.DEFAULT, "The outer part of a range that is its edge", 0.0, 0.5)
BAND_TRIALS: Final = Threshold(
    "edgeBandTrials", 1.5, Origin.DEFAULT, "The edge is at least as wide as so many trials, evenly spread, are apart"
)
WIDEST: Final = Threshold(
    "edgeClusterBand",
    0.3,
    Origin.DEFAULT,
    "The largest part of a range that can count as one cluster at its edge",
    0.0,
    0.5,
)
FEW_VALUES: Final = Threshold(
    "edgeFewValues", 10, Origin.DEFAULT, "Where a range was tried at so few values, only the last one is its edge"
)


@dataclass(frozen=True)
class Edge:
    """The feasible trials of an arm along one of its ranges."""

    arm: Arm
    hyperparameter: Hyperparameter

    @cached_property
    def along(self) -> dict[str, float]:
        """Where each launched trial stands, by its name."""
        found = {t.name: position(self.hyperparameter, t) for t in self.arm.launched}
        return {name: u for name, u in found.items() if u is not None}

    @cached_property
    def feasible(self) -> tuple[TrialRecord, ...]:
        return tuple(t for t in self.arm.feasible if t.name in self.along)

    @cached_property
    def top(self) -> tuple[TrialRecord, ...]:
        return tuple(t for t in self.arm.top if t.name in self.along)

    @cached_property
    def values(self) -> frozenset[float]:
        """Which different places were tried."""
        return frozenset(round(self.along[t.name], 9) for t in self.feasible)

    @property
    def study(self) -> StudyRecord:
        return self.arm.study

    @cached_property
    def band(self) -> float:
        t = self.study.thresholds
        return max(t[BAND], t[BAND_TRIALS] / len(self.feasible))

    @cached_property
    def has_few_values(self) -> bool:
        is_grid = self.study.spec.search.algorithm is Algorithm.GRID
        return is_grid or len(self.values) <= self.study.thresholds[FEW_VALUES]

    def is_last(self, trial: TrialRecord, side: Side) -> bool:
        """Whether no feasible trial lies further out."""
        return round(self.along[trial.name], 9) == (min(self.values) if side is Side.LOW else max(self.values))

    def is_near(self, trial: TrialRecord, side: Side) -> bool:
        """Whether the trial lies so far out on that side that the top trials would just have room there.

        In the edge itself a study of 20 trials has but two, and the best three could never all lie in it.
        """
        room = min((len(self.top) + 1) / len(self.feasible), self.study.thresholds[WIDEST])
        return self.is_within(trial, side, max(self.band, room)) or self.is_last(trial, side)

    def side(self) -> Side | None:
        """The edge at which the best trial lies; None: it lies inside."""
        best = self.feasible[0]
        is_at = self.is_last if self.has_few_values else self.is_in_band
        return next((side for side in Side if is_at(best, side)), None)

    def is_in_band(self, trial: TrialRecord, side: Side) -> bool:
        return self.is_within(trial, side, self.band)

    def is_within(self, trial: TrialRecord, side: Side, band: float) -> bool:
        u = self.along[trial.name]
        return u <= band if side is Side.LOW else u >= 1 - band

    def beyond(self, side: Side) -> list[TrialRecord]:
        """The infeasible trials further out than the best one; none where a feasible one is there, too."""
        limit = self.along[self.feasible[0].name]

        def is_beyond(t: TrialRecord) -> bool:
            u = self.along.get(t.name, limit)
            return u < limit if side is Side.LOW else u > limit

        if any(map(is_beyond, self.feasible)):
            return []
        return [t for t in self.arm.infeasible if is_beyond(t)]

    def gap(self, side: Side) -> float:
        """By how much the best trial is better than the best of those that do not lie near this edge.

        Near, and not in the band alone: the luck of one training makes a neighbour as good on the steepest slope, and
        no edge flat.
        """
        losses = self.study.loss
        inside = [losses(t) for t in self.feasible if not self.is_near(t, side)]
        return (min(inside) if inside else float("inf")) - losses(self.feasible[0])

    def chance_of_trend(self, side: Side) -> float:
        """How probable it is, were the range of no effect, that losses fall so steadily towards the side."""
        u = [self.along[t.name] for t in self.feasible]
        losses = [self.study.loss(t) for t in self.feasible]
        if len(set(losses)) == 1:
            return 1.0
        wanted: Literal["less", "greater"] = "less" if side is Side.HIGH else "greater"
        return float(stats.spearmanr(u, losses, alternative=wanted).pvalue)

    def optimum(self) -> float | None:
        """Where in the range a smooth surface through the ranks of all results is best; None: too few trials for one.

        It sees through other hyperparameters that happen to be good or bad near the edge.
        """
        fit = ranked(self.arm)
        return None if fit is None else fit.optima[self.hyperparameter.name]

    def limit(self, side: Side) -> Limit | None:
        spec = self.study.spec
        low, high = limits_of(self.hyperparameter, self.study.thresholds, spec.hyperparameters, spec.training.max_steps)
        return low if side is Side.LOW else high
