"""Does the validation objective go up and down in a rhythm? (EVS-5): overlapping splits, data that is not shuffled."""

from typing import Any, Final

import numpy as np
from scipy.ndimage import median_filter

from tuning_contract.diagnostics import LEARNING_RATE
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import whole
from tuning_operator.playbook.curves.evaluations import measured, median_of, objective_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.series import MAD_TO_DEVIATION, Series
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

EVALUATIONS: Final = Threshold(
    "periodicEvaluations", 24, Origin.DEFAULT, "The smallest number of evaluations that show a rhythm", low=12
)
CORRELATION: Final = Threshold(
    "periodicCorrelation", 0.5, Origin.DEFAULT, "A rhythm's autocorrelation is larger than this", high=1.0
)
CHANCE: Final = Threshold(
    "periodicDeviations",
    3.0,
    Origin.DEFAULT,
    "... and than this many standard deviations of the autocorrelation of pure noise, the root of 1/n",
)
SHARE: Final = Threshold(
    "periodicShare", 0.5, Origin.DEFAULT, "The share of trials whose rhythm points to the pipeline", high=1.0
)
SHORTEST: Final = 3
"""The smallest lag, in evaluations, that is looked at."""
CYCLES: Final = 3
"""A rhythm is seen at least this often."""
MOST_TRIALS: Final = 64
"""So many of the best trials are looked at: a bug of the pipeline shows in all of them."""
AGAIN: Final = 0.3
OPPOSITE: Final = -0.2
"""In a rhythm the autocorrelation after two periods is above the one, and somewhere within a period below the other."""
OUTLIER: Final = 3.0
"""Values beyond this many standard deviations count as if they were there: one spike is no rhythm."""
ROUNDING: Final = 1e-9


def period_of(values: Series, thresholds: Thresholds = DEFAULTS) -> int | None:
    """Return after how many evaluations a curve repeats itself around its trend; None where it does not.

    Args:
        values: Finite values at equal distances.
        thresholds: The study's.
    """
    n = len(values)
    if n < thresholds[EVALUATIONS]:
        return None
    least = max(thresholds[CORRELATION], thresholds[CHANCE] / np.sqrt(n))
    level = values - _trend(values)
    for lag in range(SHORTEST, n // CYCLES + 1):
        rest = level - median_filter(level, size=2 * lag + 1, mode="nearest")
        spread = MAD_TO_DEVIATION * float(np.median(np.abs(rest)))
        if spread <= ROUNDING * float(np.max(np.abs(values))):
            continue
        correlation = _autocorrelation(np.clip(rest, -OUTLIER * spread, OUTLIER * spread), 2 * lag)
        if correlation[lag] > least and _is_rhythm(correlation, lag):
            return lag
    return None


def validation_is_periodic(study: StudyRecord) -> Finding:
    """Return whether the validation objective has a rhythm, in most trials, that the learning rate does not have."""
    fewest = study.thresholds[EVALUATIONS]
    trials = [t for t in whole(study).feasible if len(objective_of(study, t)) >= fewest][:MOST_TRIALS]
    metric = study.spec.objective.metric
    if not trials:
        return unknown(
            study,
            Code.PIPELINE_BUG,
            "EVS-5",
            f"Whether {metric} is periodic is not known: no trial with a result has {fewest:g} evaluations.",
            action=f"Evaluate at least {fewest:g} times a run, and keep the curve.",
            thresholds=(EVALUATIONS,),
        )
    periods = {t.name: _period_in_steps(study, t) for t in trials}
    cyclic = [t for t in trials if periods[t.name] is not None and _rate_is_periodic(study, t)]
    periodic = [t for t in trials if periods[t.name] is not None and t not in cyclic]
    share, period = len(periodic) / len(trials), median_of(periods[t.name] for t in periodic)
    where: dict[str, Any] = {
        "numbers": {"periodicShare": share, "trials": len(trials), "periodSteps": period},
        "thresholds": (CORRELATION, CHANCE, SHARE, EVALUATIONS),
        "trials": periodic,
    }
    if cyclic:
        where["notes"] = [f"In {len(cyclic)} trials the learning rate is periodic too, and explains it."]
    said = f"{metric} is periodic in {len(periodic)} of {len(trials)} trials"
    if not periodic or share < study.thresholds[SHARE]:
        return passed(study, Code.PIPELINE_BUG, "EVS-5", f"{said}.", **where)
    return answer(
        study,
        Code.PIPELINE_BUG,
        "PeriodicValidation",
        Severity.WARN,
        "EVS-5",
        f"{said}, about every {period:g} steps.",
        action="Compare this with the steps of an epoch: training data that is not shuffled, or that overlaps with the "
        "validation data, shows like this.",
        **where,
    )


def _period_in_steps(study: StudyRecord, trial: TrialRecord) -> float | None:
    objective = objective_of(study, trial)
    lag = period_of(objective.values, study.thresholds)
    return None if lag is None else lag * float(np.median(np.diff(objective.steps)))


def _rate_is_periodic(study: StudyRecord, trial: TrialRecord) -> bool:
    rate = measured(trial, trial.curve.series(LEARNING_RATE)).values
    return period_of(rate, study.thresholds) is not None


def _trend(values: Series) -> Series:
    """Return a smooth curve of the kinds that losses follow, fitted to the values.

    What is left of a steep beginning would hide a rhythm from the running median.
    """
    x = np.arange(1, len(values) + 1) / len(values)
    forms = np.stack([np.ones_like(x), x, x**2, np.sqrt(x), np.log(x), 1 / (x + 0.05)], axis=1)
    return np.asarray(forms @ np.linalg.lstsq(forms, values, rcond=None)[0])


def _is_rhythm(correlation: Series, lag: int) -> bool:
    """Whether a curve resembles itself after a lag as it does in a rhythm, and not as in a slow drift.

    More than at the lags beside it, again after twice the lag, and with an opposite in between.
    """
    is_peak = correlation[lag] >= max(correlation[lag - 1], correlation[lag + 1])
    return bool(is_peak and correlation[2 * lag] > AGAIN and correlation[1:lag].min() < OPPOSITE)


def _autocorrelation(values: Series, lags: int) -> Series:
    """Return the autocorrelation at lags 0 to `lags`, each of the pairs that there are."""
    centred = values - values.mean()
    scale = float(np.mean(centred**2))
    pairs = (centred[: len(centred) - lag] * centred[lag:] for lag in range(lags + 1))
    return np.asarray([float(np.mean(p)) / scale for p in pairs])
