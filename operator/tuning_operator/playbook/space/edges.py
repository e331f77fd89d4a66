"""Do the best trials lie at the edge of a range? Then a better one may lie beyond (K02; BND-1 to BND-5, QMC-5)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tuning_operator.api.findings import Code, Finding, Severity, Side
from tuning_operator.api.hyperparameters import Category
from tuning_operator.api.search import Algorithm
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import DIFFERENT, TOP_LEAST, TOP_SHARE, arms, noise, whole
from tuning_operator.playbook.meaning import category_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.space.edge import BAND, BAND_TRIALS, FEW_VALUES, WIDEST, Edge
from tuning_operator.playbook.space.limits import DECADES, WIDTHS, widened
from tuning_operator.playbook.space.wording import arm_text, counted
from tuning_operator.playbook.thresholds import Origin, Threshold

LEAST: Final = Threshold("edgeTrials", 5, Origin.DEFAULT, "The fewest feasible trials of an arm that show an edge")
CLUSTER: Final = Threshold(
    "edgeCluster", 0.5, Origin.DEFAULT, "The share of the top trials at an edge from which on they cluster there"
)
TREND: Final = Threshold(
    "edgeTrend",
    0.05,
    Origin.DEFAULT,
    "How probable a trend towards the edge may be, by chance, among all trials of the arm",
    0.0,
    1.0,
)
FITTED: Final = Threshold(
    "edgeFitted",
    0.15,
    Origin.DEFAULT,
    "How far from the edge the optimum of a smooth fit to all trials may be",
    0.0,
    1.0,
)
CLIFF: Final = Threshold("edgeCliff", 2, Origin.DEFAULT, "The fewest infeasible trials that show where training fails")
MANY_RANGES: Final = 2
"""Over more of them a few trials show little about each."""
FEWEST_VALUES: Final = 3
"""Of two values each is an edge."""


def check(study: StudyRecord) -> list[Finding]:
    """Return for each arm and each range that is searched in it whether the best trials lie at its edge.

    Every arm is looked at by itself: a range that several arms share can be too narrow for one of them (ROL-23).
    """
    return [_of_range(Edge(arm, h)) for arm in arms(study) for h in arm.numeric]


def _of_range(edge: Edge) -> Finding:
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


def _at_edge(edge: Edge, side: Side, where: Mapping[str, Any]) -> Finding:
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
    edge: Edge, side: Side, new_limit: float, numbers: Mapping[str, float], where: Mapping[str, Any]
) -> Finding:
    study = edge.study
    name = f"{edge.hyperparameter.parameter_name}{arm_text(edge.arm.scientific)}"
    near = sum(edge.is_near(trial, side) for trial in edge.top)
    share, chance = near / len(edge.top), edge.chance_of_trend(side)
    optimum = edge.optimum()
    numbers = {**numbers, "clustered": share, "trendByChance": chance}
    numbers |= {} if optimum is None else {"fittedOptimum": optimum}
    used = [*_band_thresholds(edge), DIFFERENT, CLUSTER, WIDEST, TREND, FITTED, TOP_SHARE, TOP_LEAST]
    found = f"{near} of the {len(edge.top)} best trials lie at the {side.value} end of its range"
    doubts = _doubts(edge, side, share, chance, optimum)
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


def _doubts(edge: Edge, side: Side, share: float, chance: float, optimum: float | None) -> list[str]:
    """Return what speaks against widening a range at whose edge the best trial lies."""
    study, t, number = edge.study, edge.study.thresholds, len(arms(edge.study))
    doubts = []
    if share < t[CLUSTER]:
        doubts.append("the other best trials lie elsewhere")
    # Each arm is one more chance to be misled.
    if chance > t[TREND] / number:
        doubts.append("over the whole range the results show no trend towards it")
    if optimum is not None and abs(optimum - (0.0 if side is Side.LOW else 1.0)) > t[FITTED]:
        doubts.append(f"a smooth fit to all trials is best at {optimum:.0%} of the range")
    if optimum is None and number > 1 and len(edge.arm.numeric) > MANY_RANGES:
        doubts.append("so few trials over so many ranges would often show the same by chance in one of the arms")
    if is_adaptive(study):
        # QMC-5: an adaptive algorithm may have neglected the middle.
        doubts.append("the algorithm is adaptive and may have neglected the rest")
    return doubts


def is_adaptive(study: StudyRecord) -> bool:
    """Whether trials of the study were chosen by the results of others."""
    search = study.spec.search
    if search.algorithm is Algorithm.BAYESIAN:
        return True
    switch = search.switch_to
    return (
        switch is not None and switch.algorithm is Algorithm.BAYESIAN and len(whole(study).trials) > switch.after_trials
    )


def _band_thresholds(edge: Edge) -> Sequence[Threshold]:
    return [FEW_VALUES] if edge.has_few_values else [BAND, BAND_TRIALS]
