"""Which nuisance hyperparameters matter, which interact with the question, which features to leave out (K23)."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from scipy import stats

from tuning_contract.environment import parameter_text
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.playbook.answers import answer, unknown
from tuning_operator.playbook.arms import Arm, arm_key, arms
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.space import features
from tuning_operator.playbook.space.features import bests
from tuning_operator.playbook.space.surface import (
    RANKS,
    TRIALS_PER_TERM,
    Surface,
    axes_of,
    fitted,
    surface,
    trials_needed,
)
from tuning_operator.playbook.space.wording import arm_text
from tuning_operator.playbook.thresholds import Origin, Threshold

MATTERS: Final = Threshold(
    "sensitivityShare",
    0.02,
    Origin.DEFAULT,
    "The share of the objective's variance that a hyperparameter must explain to matter",
    0.0,
    1.0,
)
EXPLAINED: Final = Threshold(
    "sensitivityExplained",
    0.5,
    Origin.DEFAULT,
    "The share of the variance that the fit must explain before anything is said not to matter",
    0.0,
    1.0,
)
MOVED: Final = Threshold(
    "interactionDistance",
    0.15,
    Origin.DEFAULT,
    "How far apart in a range the optima of two arms must be to say that it interacts",
    0.0,
    1.0,
)
ERROR: Final = 0.05
"""Of saying so where the optima are the same, over all pairs of arms."""


def check(study: StudyRecord) -> list[Finding]:
    """Return for each numeric nuisance hyperparameter whether it matters, and for each feature whether it helps.

    A hyperparameter stands for itself: of two optimizers' learning rates each is judged in its own arm (ROL-23).
    """
    divided = arms(study)
    surfaces = [surface(arm) for arm in divided]
    roles = [_role(study, h, divided, surfaces) for h in axes_of(divided).values()]
    return roles + features.check(study)


def importance(study: StudyRecord) -> dict[str, dict[str, float]]:
    """Return how much of the objective's variance each numeric nuisance hyperparameter alone explains.

    By arm (`arms.arm_key` of its scientific values), then by parameter name; arms with too few trials are missing.
    """
    names = {h.name: h.parameter_name for h in study.spec.hyperparameters}
    fits = ((arm, surface(arm)) for arm in arms(study))
    return {
        arm_key(arm.scientific): {names[name]: max(share, 0.0) for name, share in fit.shares.items()}
        for arm, fit in fits
        if fit is not None
    }


def _role(
    study: StudyRecord, hyperparameter: Hyperparameter, divided: Sequence[Arm], surfaces: Sequence[Surface | None]
) -> Finding:
    name, t = hyperparameter.parameter_name, study.thresholds
    having = [(a, s) for a, s in zip(divided, surfaces, strict=True) if hyperparameter in a.numeric]
    # Conditional entries that share a parameter name are told apart by their arm.
    where: dict[str, Any] = {
        "parameter": name,
        "scientific": having[0][0].scientific if len(having) == 1 and len(divided) > 1 else {},
    }
    fits = [s for _, s in having if s is not None and hyperparameter.name in s.names]
    if len(fits) < len(having):
        return _too_few(study, hyperparameter, [a for a, _ in having], where)
    shares = [fit.shares[hyperparameter.name] for fit in fits]
    explained = min(fit.explained for fit in fits)
    numbers = {"largestShare": max(shares), "smallestShare": min(shares), "explained": explained}
    where |= {"numbers": numbers, "thresholds": [MATTERS, EXPLAINED, TRIALS_PER_TERM, RANKS]}
    if max(shares) < t[MATTERS]:
        return _hardly_matters(study, hyperparameter, [a for a, _ in having], explained, where)
    moved = _moved(hyperparameter, fits, t[MATTERS], t[MOVED])
    if moved is not None:
        one, other, distance, chance = moved
        places = {f"optimum{i}": f.optima[hyperparameter.name] for i, f in enumerate((one, other), 1)}
        where |= {"numbers": numbers | places | {"distance": distance, "byChance": chance}}
        where["thresholds"] = [*where["thresholds"], MOVED]
        return answer(
            study,
            Code.ROLE,
            "Interacts",
            Severity.INFO,
            "ROL-6",
            f"{name}: its optimum lies at {places['optimum1']:.0%} of the range{arm_text(one.arm.scientific)}, and at "
            f"{places['optimum2']:.0%}{arm_text(other.arm.scientific)}.",
            action="Keep it a nuisance hyperparameter, and tune it for each scientific value.",
            trials=[t for t in (one.arm.best, other.arm.best) if t is not None],
            **where,
        )
    return answer(
        study,
        Code.ROLE,
        "KeepNuisance",
        Severity.INFO,
        "EXP-3",
        f"{name} alone explains {max(shares):.0%} of the objective's variance: it matters.",
        action="Keep it a nuisance hyperparameter.",
        trials=bests(arm for arm, _ in having),
        **where,
    )


def _too_few(
    study: StudyRecord, hyperparameter: Hyperparameter, having: Sequence[Arm], where: Mapping[str, Any]
) -> Finding:
    name = hyperparameter.parameter_name
    fewest = min(having, key=lambda a: len(a.feasible))
    needed = trials_needed(max(len(fitted(a)) for a in having), study.thresholds)
    why = f"{len(fewest.feasible)} feasible trials{arm_text(fewest.scientific)} are too few"
    if any(hyperparameter not in fitted(a) for a in having if a.feasible):
        why = "it does not exist in all trials"
    return unknown(
        study,
        Code.ROLE,
        "EXP-3",
        f"Whether {name} matters cannot be said: {why}.",
        action=f"Run at least {needed} trials an arm.",
        numbers={"feasible": len(fewest.feasible), "needed": needed},
        thresholds=[TRIALS_PER_TERM],
        **where,
    )


def _hardly_matters(
    study: StudyRecord,
    hyperparameter: Hyperparameter,
    having: Sequence[Arm],
    explained: float,
    where: Mapping[str, Any],
) -> Finding:
    name, t = hyperparameter.parameter_name, study.thresholds
    if explained < t[EXPLAINED]:
        return unknown(
            study,
            Code.ROLE,
            "EXP-3",
            f"Whether {name} matters cannot be said: a smooth surface explains only {explained:.0%} of the results.",
            action="Look at the plots; more trials may tell.",
            **where,
        )
    best = min(bests(having), key=study.loss)
    value = best.assignment[hyperparameter.name]
    number = {"value": float(value)} if isinstance(value, int | float) else {}
    return answer(
        study,
        Code.ROLE,
        "CanFix",
        Severity.INFO,
        "EXP-3",
        f"{name} alone explains at most {max(where['numbers']['largestShare'], 0.0):.1%} of the objective's variance: "
        "it hardly matters.",
        action=f"Fix it in the next study, at {parameter_text(value)} as in the best trial.",
        trials=[best],
        **{**where, "numbers": where["numbers"] | number},
    )


def _moved(
    hyperparameter: Hyperparameter, fits: Sequence[Surface], matters: float, distance: float
) -> tuple[Surface, Surface, float, float] | None:
    """Return the two arms whose optima are furthest apart beyond chance, how far, and how probable that is by chance.

    Only arms in which it matters have an optimum to speak of.
    """
    name = hyperparameter.name
    pairs = list(combinations([fit for fit in fits if fit.shares[name] >= matters], 2))
    found = []
    for one, other in pairs:
        apart = abs(one.optima[name] - other.optima[name])
        if apart <= distance:
            continue
        error = math.hypot(one.errors[name], other.errors[name])
        chance = 2 * float(stats.norm.sf(apart / error)) if error > 0 else 0.0
        if chance <= ERROR / len(pairs):
            found.append((one, other, apart, chance))
    return max(found, key=lambda each: each[2], default=None)
