"""Gradient clipping: whether it is needed, and at which norm (K15).

The norms are those of an arm's best trials: trials that fail have norms of another size, and a threshold is chosen
for training that works. Norms are of the whole gradient, before clipping (CLP-4).

Source: Deep Learning Tuning Playbook, "How can optimization failures be debugged and mitigated?"; K15.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import numpy as np

from tuning_contract.diagnostics import BUCKETS_PER_DECADE, CLIPPED_FRACTION, GRAD_NORM, LogHistogram
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Meaning
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import Arm, arms
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.stability.rates import learning_rates, rate_of
from tuning_operator.playbook.stability.unstable import Stability, stabilities, stability_of
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

PERCENTILE: Final = Threshold(
    "clippingPercentile",
    0.9,
    Origin.TEXT,
    "The share of the gradient norms below the threshold to begin with",
    high=1.0,
)
OUTLIERS: Final = Threshold(
    "clippingOutliers",
    10.0,
    Origin.DEFAULT,
    "Clipping is recommended where the 99.9th percentile of the norms is more than so many times their median",
    low=1.0,
)
AGGRESSIVE: Final = Threshold(
    "clippingAggressive", 0.5, Origin.TEXT, "More than this share of updates clipped is too much", high=1.0
)
LEAST_NORMS: Final = Threshold("clippingNorms", 20, Origin.DEFAULT, "The fewest gradient norms that say something")
TIGHTER: Final = (0.75, 0.6)
"""The percentiles to go down to where training is still unstable: our choice."""


@dataclass(frozen=True)
class Clipping:
    """What to do about clipping."""

    verdict: str
    """Recommended, NotNeeded, TooAggressive, Tighten or Ok."""
    threshold: float | None
    """The norm to clip at; None: leave it as it is."""


def judge(
    norms: LogHistogram,
    *,
    threshold: float | None,
    clipped: float | None,
    unstable: bool,
    thresholds: Thresholds = DEFAULTS,
) -> Clipping:
    """Return what to do about clipping.

    Args:
        norms: Of every step's unclipped gradient; at least one.
        threshold: At which norm gradients are clipped now; None: they are not.
        clipped: The share of updates that was clipped; None: as the norms say.
        unstable: Whether training is unstable.
        thresholds: The study's.
    """
    if threshold is None:
        proposed = norms.percentile(thresholds[PERCENTILE])  # CLP-5
        needed = unstable or outlier_ratio(norms) > thresholds[OUTLIERS]
        return Clipping("Recommended" if needed else "NotNeeded", proposed)
    share = share_above(norms, threshold) if clipped is None else clipped
    if share > thresholds[AGGRESSIVE]:
        return Clipping("TooAggressive", None)  # CLP-8
    if not unstable:
        return Clipping("Ok", None)
    tighter = next((norm for q in TIGHTER if (norm := norms.percentile(q)) < threshold), None)
    # Where even these are not below it, clipping harder is a strange way to lower the learning rate (CLP-9).
    return Clipping("TooAggressive", None) if tighter is None else Clipping("Tighten", tighter)  # CLP-6


def outlier_ratio(norms: LogHistogram) -> float:
    """Return how many times the median the 99.9th percentile is."""
    return norms.percentile(0.999) / norms.percentile(0.5)


def share_above(norms: LogHistogram, threshold: float) -> float:
    """Return which share of the norms is above a positive threshold, in [0, 1]; within its bucket as `percentile`."""
    at = np.log10(threshold) * BUCKETS_PER_DECADE
    above = sum(count * float(np.clip(bucket + 1 - at, 0, 1)) for bucket, count in norms.counts.items())
    return above / norms.total


def check(study: StudyRecord) -> list[Finding]:
    """Return, for each arm, whether to clip gradients, and at which norm (K15)."""
    found = stabilities(study)
    return [_of_arm(study, arm, stability_of(found, arm)) for arm in arms(study)]


def _of_arm(study: StudyRecord, arm: Arm, stability: Stability) -> Finding:
    where: dict[str, Any] = {"scientific": arm.scientific}
    if arm.best is None:
        message = "Whether to clip gradients is not known: no trial has a result yet."
        return unknown(study, Code.CLIPPING, "CLP-4", message, action="Let more trials finish.", **where)
    norms = reduce(LogHistogram.merged, (norms_of(trial) for trial in arm.top), LogHistogram())
    if norms.total < study.thresholds[LEAST_NORMS]:
        message = f"Whether to clip gradients is not known: the best trials report {norms.total} gradient norms."
        action = "Export grad_norm, the L2 norm of the whole gradient before clipping, or its histogram over all steps."
        return unknown(study, Code.CLIPPING, "CLP-4", message, action=action, thresholds=[LEAST_NORMS], **where)
    parameter, threshold = _clip_norm(study, arm.best)
    clipped = None if threshold is None else _clipped(arm.best, threshold)
    unstable = stability.instability is not None
    judged = judge(norms, threshold=threshold, clipped=clipped, unstable=unstable, thresholds=study.thresholds)
    where |= {
        "parameter": parameter,
        "trials": arm.top,
        "numbers": _numbers(study, norms, threshold, clipped, judged),
    }
    if not unstable and stability.not_known is not None:
        where["notes"] = ["Whether training is unstable is not known: see Instability."]
    return _told(study, arm, judged, where)


def _told(study: StudyRecord, arm: Arm, judged: Clipping, where: dict[str, Any]) -> Finding:
    numbers = where["numbers"]
    at = f"{judged.threshold:.3g}" if judged.threshold is not None else ""
    match judged.verdict:
        case "Recommended":
            return answer(
                study,
                Code.CLIPPING,
                "Recommended",
                Severity.INFO,
                "CLP-5",
                f"Clipping the gradients may help: their norms reach {numbers['outlierRatio']:.3g} times the median, "
                "or training is unstable.",
                action=f"Clip the gradient's norm at {at}, its 90th percentile, to begin with.",
                thresholds=(PERCENTILE, OUTLIERS),
                **where,
            )
        case "NotNeeded":
            return answer(
                study,
                Code.CLIPPING,
                "NotNeeded",
                Severity.INFO,
                "CLP-1",
                "Nothing speaks for clipping the gradients: their norms have no outliers, and no instability was seen.",
                thresholds=(PERCENTILE, OUTLIERS),
                **where,
            )
        case "TooAggressive":
            rates = [rate for h in learning_rates(arm) if arm.best and (rate := rate_of(h, arm.best)) is not None]
            half = f" to {rates[0] / 2:g}" if rates else " by half"
            return answer(
                study,
                Code.CLIPPING,
                "TooAggressive",
                Severity.WARN,
                "CLP-8",
                f"Gradients are clipped at {numbers['currentThreshold']:.3g}: {numbers['clipped']:.0%} of the updates, "
                "and harder clipping would only be a strange way to lower the learning rate.",
                action=f"Lower the learning rate{half}, and clip less.",
                thresholds=(AGGRESSIVE,),
                **where,
            )
        case "Tighten":
            return answer(
                study,
                Code.CLIPPING,
                "Tighten",
                Severity.WARN,
                "CLP-6",
                f"Training is unstable although gradients are clipped at {numbers['currentThreshold']:.3g}.",
                action=f"Clip at {at}.",
                thresholds=(AGGRESSIVE,),
                **where,
            )
        case _:
            message = f"Clipping is as it should be: {numbers['clipped']:.0%} of the updates are clipped."
            return passed(study, Code.CLIPPING, "CLP-3", message, thresholds=(AGGRESSIVE,), **where)


def norms_of(trial: TrialRecord) -> LogHistogram:
    """Return a trial's gradient norms: of every step where it counted them, else those in its curve."""
    histogram = trial.diagnostics.grad_norm_histogram
    return histogram if histogram is not None else LogHistogram.of(trial.curve.series(GRAD_NORM).tolist())


def _clip_norm(study: StudyRecord, trial: TrialRecord) -> tuple[str | None, float | None]:
    """Return the parameter of the clipping threshold, and its value in the trial; 0, None and texts are no clipping."""
    for hyperparameter in study.spec.hyperparameters:
        if meaning_of(hyperparameter) is Meaning.CLIP_NORM and hyperparameter.name in trial.assignment:
            value = trial.assignment[hyperparameter.name]
            is_norm = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
            return hyperparameter.parameter_name, float(value) if is_norm else None
    return None, None


def _clipped(trial: TrialRecord, threshold: float) -> float | None:
    """Return the share of the trial's updates that was clipped; None where it does not say."""
    fractions = trial.curve.series(CLIPPED_FRACTION)
    known = np.isfinite(fractions)
    if known.any():
        # Each tells of the updates since the evaluation before.
        updates = np.diff(np.asarray(trial.curve.steps, dtype=float), prepend=0.0)
        return float(np.average(fractions[known], weights=updates[known]))
    norms = norms_of(trial)
    return share_above(norms, threshold) if norms.total else None


def _numbers(
    study: StudyRecord, norms: LogHistogram, threshold: float | None, clipped: float | None, judged: Clipping
) -> dict[str, float]:
    numbers = {
        "norms": float(norms.total),
        "median": norms.percentile(0.5),
        "outlierRatio": outlier_ratio(norms),
        "percentile90": norms.percentile(study.thresholds[PERCENTILE]),
    }
    if judged.threshold is not None:
        numbers["threshold"] = judged.threshold
    if threshold is not None:
        numbers["currentThreshold"] = threshold
        numbers["clipped"] = share_above(norms, threshold) if clipped is None else clipped
    return numbers
