"""Do the best trials lie at the edge of a range? Then a better one may lie beyond (K02; BND-1 to BND-5, QMC-5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from scipy import stats

from tuning_operator.api.findings import Code, Finding, Severity, Side
from tuning_operator.api.hyperparameters import Category, Hyperparameter
from tuning_operator.api.search import Algorithm
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import DIFFERENT, TOP_LEAST, TOP_SHARE, Arm, arms, noise, position, whole
from tuning_operator.playbook.meaning import category_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.space.limits import DECADES, WIDTHS, Limit, limits_of, widened
from tuning_operator.playbook.space.wording import arm_text, counted
from tuning_operator.playbook.thresholds import Origin, Threshold

LEAST: Final = Threshold("edgeTrials", 5, Origin.DEFAULT, "The fewest feasible trials of an arm that show an edge")
BAND: Final = Threshold("edgeBand", 0.1, Origin.DEFAULT, "The outer part of a range that is its edge", 0.0, 0.5)
BAND_TRIALS: Final = Threshold(
    "edgeBandTrials", 1.5, Origin.DEFAULT, "The edge is at least as wide as so many trials, evenly spread, are apart"
)
CLUSTER: Final = Threshold(
    "edgeCluster", 0.5, Origin.DEFAULT, "The share of the top trials at an edge from which on they cluster there"
)
FEW_VALUES: Final = Threshold(
    "edgeFewValues", 10, Origin.DEFAULT, "Where a range was tried at so few values, only the last one is its edge"
)
TREND: Final = Threshold(
    "edgeTrend",
    0.1,
    Origin.DEFAULT,
    "How probable a trend towards the edge may be, by chance, among all trials of the arm",
    0.0,
    1.0,
)
CLIFF: Final = Threshold("edgeCliff", 2, Origin.DEFAULT, "The fewest infeasible trials that show where training fails")
FEWEST_VALUES: Final = 3
"""Of two values each is an edge."""


def check(study: StudyRecord) -> list[Finding]:
    """Return for each arm and each range that is searched in it whether the best trials lie at its edge.

    Every arm is looked at by itself: a range that several arms share can be too narrow for one of them (ROL-23).
    """
    return [_of_range(_Edge(arm, h)) for arm in arms(study) for h in arm.numeric]


@dataclass(frozen=True)
class _Edge:
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
        room = (len(self.top) + 1) / len(self.feasible)
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
        """By how much the best trial is better than the best of those that do not lie at this edge."""
        is_at = self.is_last if self.has_few_values else self.is_in_band
        losses = self.study.loss
        inside = [losses(t) for t in self.feasible if not is_at(t, side)]
        return (min(inside) if inside else float("inf")) - losses(self.feasible[0])

    def chance_of_trend(self, side: Side) -> float:
        """How probable it is, were the range of no effect, that losses fall so steadily towards the side."""
        u = [self.along[t.name] for t in self.feasible]
        losses = [self.study.loss(t) for t in self.feasible]
        if len(set(losses)) == 1:
            return 1.0
        wanted: Literal["less", "greater"] = "less" if side is Side.HIGH else "greater"
        return float(stats.spearmanr(u, losses, alternative=wanted).pvalue)

    def limit(self, side: Side) -> Limit | None:
        spec = self.study.spec
        low, high = limits_of(self.hyperparameter, self.study.thresholds, spec.hyperparameters, spec.training.max_steps)
        return low if side is Side.LOW else high


def _of_range(edge: _Edge) -> Finding:
    study, name = edge.study, edge.hyperparameter.parameter_name
    where: dict[str, Any] = {"parameter": name, "scientific": edge.arm.scientific}
    text, n = arm_text(edge.arm.scientific), len(edge.feasible)
    least = int(study.thresholds[LEAST])
    if n < max(least, 1):
        return unknown(
            study,
            Code.SEARCH_SPACE_EDGE,
            "BND-1",
            f"{name}{text}: {counted(n, 'feasible trial')} cannot show whether its range is wide enough.",
            action=f"Run until at least {least} trials are feasible.",
            numbers={"feasible": n},
            thresholds=[LEAST],
            trials=edge.feasible,
            **where,
        )
    if len(edge.values) < FEWEST_VALUES:
        return unknown(
            study,
            Code.SEARCH_SPACE_EDGE,
            "BND-1",
            f"{name}{text} was tried at {counted(len(edge.values), 'value')}: each of them is an edge.",
            action="Try more values of it, or give its values as a Categorical.",
            numbers={"feasible": n, "values": len(edge.values)},
            trials=edge.top,
            **where,
        )
    side = edge.side()
    if side is None:
        u = edge.along[edge.feasible[0].name]
        return passed(
            study,
            Code.SEARCH_SPACE_EDGE,
            "BND-1",
            f"{name}{text}: the best trial lies inside the range, at {u:.0%} of it.",
            numbers={"position": u, "feasible": n},
            thresholds=_band_thresholds(edge),
            trials=edge.top,
            **where,
        )
    return _at_edge(edge, side, where | {"side": side})


def _at_edge(edge: _Edge, side: Side, where: Mapping[str, Any]) -> Finding:
    study, t = edge.study, edge.study.thresholds
    name = f"{edge.hyperparameter.parameter_name}{arm_text(edge.arm.scientific)}"
    code, end = Code.SEARCH_SPACE_EDGE, f"the {side.value} end of its range"
    u = edge.along[edge.feasible[0].name]
    failed = edge.beyond(side)
    if len(failed) >= t[CLIFF]:
        return answer(
            study,
            code,
            "FeasibilityEdge",
            Severity.WARN,
            "BND-5",
            f"{name}: the best trial lies at {end}, and the {len(failed)} trials beyond it are all infeasible.",
            action="Do not widen the range; look at the training's stability first.",
            numbers={"position": u, "infeasibleBeyond": len(failed)},
            thresholds=[*_band_thresholds(edge), CLIFF],
            trials=[edge.feasible[0], *failed],
            **where,
        )
    limit = edge.limit(side)
    new_limit = widened(edge.hyperparameter, side, t, limit)
    if new_limit is None:
        regulariser = category_of(edge.hyperparameter) is Category.REGULARIZATION and side is Side.LOW
        return answer(
            study,
            code,
            "NaturalLimit",
            Severity.INFO,
            "BND-1",
            f"{name}: the best trial lies at {end}, beyond which it makes no sense.",
            action="Consider removing the regulariser." if regulariser else "",
            numbers={"position": u} | ({"limit": limit.value} if limit else {}),
            thresholds=_band_thresholds(edge),
            trials=edge.top,
            **where,
        )
    gap, sigma = edge.gap(side), noise(study, edge.arm.top)
    if gap <= t[DIFFERENT] * sigma:
        return answer(
            study,
            code,
            "Flat",
            Severity.INFO,
            "BND-1",
            f"{name}: the best trial lies at {end}, and a trial inside is as good within noise "
            f"({gap:.3g} worse, noise {sigma:.3g}).",
            numbers={"position": u, "gap": gap, "noise": sigma},
            thresholds=[*_band_thresholds(edge), DIFFERENT],
            trials=edge.top,
            **where,
        )
    return _clustered(edge, side, new_limit, {"position": u, "gap": gap, "noise": sigma}, where)


def _clustered(
    edge: _Edge, side: Side, new_limit: float, numbers: Mapping[str, float], where: Mapping[str, Any]
) -> Finding:
    study, t = edge.study, edge.study.thresholds
    name = f"{edge.hyperparameter.parameter_name}{arm_text(edge.arm.scientific)}"
    near = sum(edge.is_near(trial, side) for trial in edge.top)
    share, chance = near / len(edge.top), edge.chance_of_trend(side)
    numbers = {**numbers, "clustered": share, "trendByChance": chance}
    used = [*_band_thresholds(edge), DIFFERENT, CLUSTER, TREND, TOP_SHARE, TOP_LEAST]
    found = f"{near} of the {len(edge.top)} best trials lie at the {side.value} end of its range"
    doubts = []
    if share < t[CLUSTER]:
        doubts.append("the other best trials lie elsewhere")
    if chance > t[TREND]:
        doubts.append("over the whole range the results show no trend towards it")
    if is_adaptive(study):
        # QMC-5: an adaptive algorithm may have neglected the middle.
        doubts.append("the algorithm is adaptive and may have neglected the rest")
    if doubts:
        return answer(
            study,
            Code.SEARCH_SPACE_EDGE,
            "Suspicious",
            Severity.WARN,
            "QMC-5" if is_adaptive(study) else "BND-1",
            f"{name}: {found}, but {' and '.join(doubts)}.",
            action=f"Look at the plot; if in doubt, let the range end at {new_limit:g}.",
            numbers=numbers,
            thresholds=used,
            trials=edge.top,
            **where,
        )
    return answer(
        study,
        Code.SEARCH_SPACE_EDGE,
        "Expand",
        Severity.BLOCK,
        "BND-4",
        f"{name}: {found}, and the best of them is {numbers['gap']:.3g} better than any inside: a better value may "
        "lie beyond.",
        action=f"Let the range end at {new_limit:g}, and repeat the study until the best trial lies inside. If it "
        f"cannot, set hard{side.value.capitalize()}.",
        numbers=numbers,
        thresholds=[*used, DECADES, WIDTHS],
        trials=edge.top,
        new_limit=new_limit,
        **where,
    )


def is_adaptive(study: StudyRecord) -> bool:
    """Whether trials of the study were chosen by the results of others."""
    search = study.spec.search
    if search.algorithm is Algorithm.BAYESIAN:
        return True
    switch = search.switch_to
    return (
        switch is not None and switch.algorithm is Algorithm.BAYESIAN and len(whole(study).trials) > switch.after_trials
    )


def _band_thresholds(edge: _Edge) -> Sequence[Threshold]:
    return [FEW_VALUES] if edge.has_few_values else [BAND, BAND_TRIALS]
