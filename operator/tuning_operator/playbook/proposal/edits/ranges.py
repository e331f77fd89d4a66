"""Ranges: wider where the best trials lie at an edge, narrower where training fails."""

import math
from collections.abc import Sequence

from tuning_operator.api.findings import Code, Finding, Side
from tuning_operator.api.hyperparameters import Hyperparameter, HyperparameterType, Scale
from tuning_operator.playbook.arms import whole
from tuning_operator.playbook.proposal.change import Change, meant, of, updated
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.search.space import is_range


def widened(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Move a limit outwards where the best trials cluster at it (BND-4); of several arms the furthest counts."""
    for finding in of(findings, Code.SEARCH_SPACE_EDGE, "Expand"):
        for hyperparameter in meant(study, finding):
            change = moved(change, hyperparameter, finding.side, finding.new_limit, finding.message, outwards=True)
    return change


def cut(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Move a limit inwards where most trials beyond a value are infeasible (INF-2); never past the best trial.

    Not where warm-ups are planned that may give access to what lies beyond: the next study goes there (UNS-1).
    """
    plans = of(findings, Code.WARMUP, "Plan")
    for finding in of(findings, Code.INFEASIBLE, "AdjustRange"):
        if finding.side is Side.HIGH and any(_reaches(plan, finding) for plan in plans):
            continue
        for hyperparameter in meant(study, finding):
            change = moved(change, hyperparameter, finding.side, finding.cut, finding.message, outwards=False)
    return change


def _reaches(plan: Finding, beyond: Finding) -> bool:
    rate = plan.evidence.numbers.get("baseLearningRate")
    if rate is None or beyond.cut is None:
        return False
    return plan.parameter == beyond.parameter and rate > beyond.cut


def boxed(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Keep the largest box within the feasible side of a product or ratio (INF-3), with the best trial inside.

    The API has no derived coordinates: two ranges that together cannot pass the cut do the same.
    """
    for finding in of(findings, Code.INFEASIBLE, "Reparameterise"):
        if finding.expression is None or finding.cut is None:
            continue
        divided = "/" in finding.expression
        names = finding.expression.split("/" if divided else "*")
        pair = [h for name in names for h in study.spec.hyperparameters if h.parameter_name == name and is_range(h)]
        best = whole(study).best
        if len(pair) != 2 or best is None or finding.side is Side.LOW:
            continue
        change = _in_box(change, (pair[0], pair[1]), divided, finding, best.assignment)
    return change


def _in_box(
    change: Change,
    pair: tuple[Hyperparameter, Hyperparameter],
    divided: bool,
    finding: Finding,
    best: dict[str, str | int | float | bool],
) -> Change:
    first, second = pair
    at = [best.get(h.name) for h in pair]
    limits = [first.low, first.high, second.low, second.high, finding.cut, *at]
    if any(isinstance(x, bool | str) or x is None or x <= 0 for x in limits):
        return change
    low1, high1, low2, high2, limit, best1, best2 = (math.log(float(x)) for x in limits if x is not None)
    # The corner that touches the cut: where the box is largest, as far as the best trial stays well inside.
    if divided:
        corner = _corner(best1, min(high1, limit + best2), largest=(low1 + limit + high2) / 2)
        change = moved(change, second, Side.LOW, math.exp(corner - limit), finding.message, outwards=False)
    else:
        corner = _corner(best1, min(high1, limit - best2), largest=(low1 + limit - low2) / 2)
        change = moved(change, second, Side.HIGH, math.exp(limit - corner), finding.message, outwards=False)
    return moved(change, first, Side.HIGH, math.exp(corner), finding.message, outwards=False)


def _corner(best: float, most: float, *, largest: float) -> float:
    """Return the corner's place: that of the largest box, kept a quarter of its room away from the best trial."""
    room = max(most - best, 0.0) / 4
    return min(max(largest, best + room), max(most - room, best))


def moved(
    change: Change, hyperparameter: Hyperparameter, side: Side | None, limit: float | None, why: str, *, outwards: bool
) -> Change:
    """Return the change with one end of a range moved to a limit, as far as the hyperparameter allows it.

    Where the limit lies on the other side of the present end, or the hyperparameter is no range, nothing changes.
    """
    current = change.hyperparameter(hyperparameter.name)
    if current is None or side is None or limit is None or not is_range(current):
        return change
    field = side.value
    now = current.low if side is Side.LOW else current.high
    if now is None:
        return change
    allowed = within_hard_limits(current, limit)
    further = allowed < now if (side is Side.LOW) == outwards else allowed > now
    if not further:
        return change
    moved = updated(current, **{field: allowed})
    if moved.low is None or moved.high is None or not moved.low < moved.high:
        return change
    verb = "widened" if outwards else "narrowed"
    reason = f"{current.parameter_name}: {verb} on the {field} side from {now:g} to {allowed:g}. {why}"
    return change.replaced(moved, reason)


def within_hard_limits(hyperparameter: Hyperparameter, limit: float) -> float:
    """Return a limit as the hyperparameter allows it: within hard limits, whole for an Integer, positive for a Log."""
    if hyperparameter.hard_low is not None:
        limit = max(limit, hyperparameter.hard_low)
    if hyperparameter.hard_high is not None:
        limit = min(limit, hyperparameter.hard_high)
    if hyperparameter.type is HyperparameterType.INTEGER:
        limit = float(round(limit))
        return max(limit, 1.0) if hyperparameter.scale is Scale.LOG else limit
    return limit
