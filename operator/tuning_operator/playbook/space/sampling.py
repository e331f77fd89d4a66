"""Was the space sampled densely enough? One can never be sure: SMP-1. What can be said is here (K11)."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import DIFFERENT, Arm, arm_key, arms, noise, retrain_noise
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.space.luck import best_of, search_spread
from tuning_operator.playbook.space.wording import arm_text, counted
from tuning_operator.playbook.thresholds import Origin, Threshold

__all__ = ["best_of", "check", "search_spread"]

LEAST: Final = Threshold("samplingTrials", 8, Origin.DEFAULT, "The fewest feasible trials that show a density")
GOOD: Final = Threshold(
    "goodRegion",
    0.2,
    Origin.DEFAULT,
    "How far from the best, as a share of the distance to the median, a trial is at least still good",
    0.0,
    1.0,
)
SMOOTH: Final = Threshold(
    "smoothRegion",
    1.75,
    Origin.DEFAULT,
    "How many times farther than on a smooth landscape the last of the good trials may be",
    0.0,
)
MOST: Final = 0.9
"""However few trials there are, the median is not good."""
GOOD_TRIALS: Final = Threshold("goodTrials", 3, Origin.DEFAULT, "The fewest good trials, the best one among them")
SIMILAR: Final = Threshold(
    "repetitionTrials", 0.8, Origin.DEFAULT, "Two studies are compared where neither has fewer trials than this share"
)


def check(study: StudyRecord, earlier: Sequence[StudyRecord] = ()) -> list[Finding]:
    """Return for each arm whether enough trials lie in its good region, and how far the result is one of luck.

    Args:
        study: The study.
        earlier: Others; those that differ from it in the search seed alone repeat it, and must come to the same result.
    """
    divided = arms(study)
    repetitions = [other for other in earlier if is_repetition(study, other)]
    found = []
    for arm in divided:
        found.append(_density(arm, decides=len(divided) > 1 and not _is_beaten(arm, divided)))
        found += _luck(arm)
    return found + [finding for other in repetitions for finding in _repeated(study, other)]


def is_repetition(study: StudyRecord, other: StudyRecord) -> bool:
    """Whether another study asks the same of the same space, with another search seed."""
    a, b = study.spec, other.spec
    same = (
        a.hyperparameters == b.hyperparameters
        and a.objective == b.objective
        and a.trial == b.trial
        and a.search.model_copy(update={"seed": 0}) == b.search.model_copy(update={"seed": 0})
    )
    return same and a.search.seed != b.search.seed


def _is_beaten(arm: Arm, divided: Sequence[Arm]) -> bool:
    """Whether an arm trails by more than the whole distance from its median to its best: denser points change nothing.

    Of a leading arm a better point would only confirm the lead; but its lonely best may be all that it leads by.
    """
    if not arm.losses:
        return False
    lead = min(other.losses[0] for other in divided if other.losses)
    best = arm.losses[0]
    return best - lead > float(np.median(arm.losses)) - best > 0


def _density(arm: Arm, decides: bool) -> Finding:
    """SMP-3: how many points lie in the good region."""
    study, t, text = arm.study, arm.study.thresholds, arm_text(arm.scientific)
    losses = np.asarray(arm.losses)
    if len(losses) < max(t[LEAST], 1):
        return unknown(
            study,
            Code.SAMPLING,
            "SMP-1",
            f"{counted(len(losses), 'feasible trial')}{text} cannot show whether the space was sampled densely enough.",
            action=f"Run until at least {t[LEAST]:g} trials are feasible.",
            scientific=arm.scientific,
            numbers={"feasible": len(losses)},
            thresholds=[LEAST],
            trials=arm.feasible,
        )
    # The three best alone tell too little of the noise where their curves are short.
    sigma = noise(study, arm.feasible[: max(len(arm.top), len(losses) // 2)])
    best, median = float(losses[0]), float(np.median(losses))
    share = max(t[GOOD], min(MOST, t[SMOOTH] * smooth_share(len(losses), len(arm.dimensions), t[GOOD_TRIALS])))
    limit = best + max(t[DIFFERENT] * sigma, share * (median - best))
    # A stopped trial can only have become better.
    good = [trial for trial in (*arm.feasible, *arm.stopped) if study.loss(trial) <= limit]
    where: dict[str, Any] = {
        "scientific": arm.scientific,
        "numbers": {"good": len(good), "feasible": len(losses), "limit": study.shown(limit), "noise": sigma},
        "thresholds": [GOOD, SMOOTH, GOOD_TRIALS, DIFFERENT],
        "trials": good,
    }
    found = (
        f"{counted(len(good), 'trial')} of {len(losses)}{text} "
        f"{'is' if len(good) == 1 else 'are'} within {limit - best:.3g} of the best"
    )
    if len(good) >= t[GOOD_TRIALS]:
        return passed(study, Code.SAMPLING, "SMP-3", f"{found}.", **where)
    return answer(
        study,
        Code.SAMPLING,
        "Sparse",
        Severity.BLOCK if decides else Severity.WARN,
        "SMP-3",
        f"{found}: a better one may well have been missed.",
        action="Run twice as many trials, or fix the nuisance hyperparameter that matters least.",
        **where,
    )


def smooth_share(trials: int, dimensions: int, good: float) -> float:
    """Return how far the `good`-th best of `trials` even points is from the best one, where the landscape is a bowl.

    As a share of the distance from the best one to the median, in [0, 1]. The distance to the optimum grows with the
    square of the radius, and the number of points within it with its power `dimensions`: in one dimension a few points
    crowd around the optimum, in many dimensions few come near it, although nothing was missed.

    >>> [round(smooth_share(20, dimensions, 3), 2) for dimensions in (1, 2, 4)]
    [0.08, 0.22, 0.34]
    """
    half = trials / 2
    if not 1 < good < half:
        return 0.0 if good <= 1 else 1.0
    nearest, wanted = (math.pow(rank / half, 2 / max(dimensions, 1)) for rank in (1, good))
    return float((wanted - nearest) / (1 - nearest))


def _luck(arm: Arm) -> list[Finding]:
    """NTR-2: whether search luck exceeds retrain noise; nothing where retrain noise is not known."""
    study, t = arm.study, arm.study.thresholds
    sigma = retrain_noise(study)
    if sigma is None or len(arm.losses) < t[LEAST]:
        return []
    spread = search_spread(arm.losses)
    if spread <= t[DIFFERENT] * sigma:
        return []
    return [
        answer(
            study,
            Code.SAMPLING,
            "SearchLuck",
            Severity.INFO,
            "NTR-2",
            f"The best of {len(arm.losses) // 2} trials{arm_text(arm.scientific)} varies by {spread:.3g} "
            f"(interquartile range), more than retraining does ({sigma:.3g}).",
            action="Trust a difference between studies only beyond this; more trials lessen it.",
            scientific=arm.scientific,
            numbers={"spread": spread, "noise": sigma},
            thresholds=[DIFFERENT],
            trials=arm.top,
        )
    ]


def _repeated(study: StudyRecord, other: StudyRecord) -> list[Finding]:
    """ADP-3: whether the same search with another seed comes to the same result, arm by arm."""
    theirs = {arm_key(arm.scientific): arm for arm in arms(other)}
    compared = (_compared(arm, theirs[arm_key(arm.scientific)], other) for arm in arms(study))
    return [finding for finding in compared if finding is not None]


def _compared(arm: Arm, other: Arm, repetition: StudyRecord) -> Finding | None:
    """Return the answer; None where the two cannot be compared, as a study need not be repeated at all."""
    study, t, text = arm.study, arm.study.thresholds, arm_text(arm.scientific)
    sigma = noise(study, arm.top)
    counts = sorted((len(arm.feasible), len(other.feasible)))
    if sigma == 0 or counts[0] < t[LEAST] or counts[0] < t[SIMILAR] * counts[1]:
        return None
    mine, theirs = arm.losses[0], other.losses[0]
    where: dict[str, Any] = {
        "scientific": arm.scientific,
        "trials": [*arm.top[:1], *other.top[:1]],
        "numbers": {"best": study.shown(mine), "repeated": study.shown(theirs), "noise": sigma},
        "thresholds": [DIFFERENT, SIMILAR],
    }
    found = f"The best{text} is {study.shown(mine):.6g}, and {study.shown(theirs):.6g} in {repetition.name}"
    if abs(mine - theirs) <= t[DIFFERENT] * sigma:
        return passed(study, Code.SAMPLING, "ADP-3", f"{found}: the same within noise ({sigma:.3g}).", **where)
    return answer(
        study,
        Code.SAMPLING,
        "Unstable",
        Severity.WARN,
        "ADP-3",
        f"{found}, which repeats the search with another seed: they differ by more than noise ({sigma:.3g}).",
        action="Run more trials: the result depends on which points were tried.",
        **where,
    )
