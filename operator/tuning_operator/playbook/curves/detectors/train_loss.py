"""Does the training loss rise, even where the learning rate is low? Usually a bug in the pipeline (CRV-16)."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tuning_contract.diagnostics import TRAIN_LOSS
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import arms
from tuning_operator.playbook.curves.evaluations import FEWEST, learning_rate_of, training_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.series import Series, deviation
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

DEVIATIONS: Final = Threshold(
    "trainRiseDeviations",
    3.0,
    Origin.DEFAULT,
    "A training loss rises when its last fifth lies this many standard deviations above its first",
)
LEAST: Final = Threshold(
    "trainRiseLeast", 0.01, Origin.DEFAULT, "... and at least this fraction: a loss that stands still drifts a little"
)
SHARE: Final = Threshold(
    "trainRiseShare", 0.5, Origin.DEFAULT, "The share of trials whose rising training loss is a bug", high=1.0
)
LOWEST: Final = 0.25
"""The lowest learning rates are those of this share of an arm's trials, one at the least."""


def rises(training: Series, thresholds: Thresholds = DEFAULTS) -> bool:
    """Whether a training loss rises over the run; its values are finite, four at the least."""
    fifth = max(2, len(training) // 5)
    start, end = float(np.median(training[:fifth])), float(np.median(training[-fifth:]))
    limit = max(thresholds[DEVIATIONS] * deviation(training), thresholds[LEAST] * abs(start))
    return end - start > limit and _rising_pairs(training) > 0.5


def training_loss_rises(study: StudyRecord) -> Finding:
    """Return whether the training loss rises in most trials, those with the lowest learning rates among them."""
    fewest = study.thresholds[FEWEST]
    trials = [t for arm in arms(study) for t in arm.feasible if len(training_of(study, t)) >= fewest]
    if not trials:
        return unknown(
            study,
            Code.PIPELINE_BUG,
            "CRV-16",
            f"Whether the training loss rises is not known: no trial with a result reports it {fewest:g} times.",
            action=f"Report {TRAIN_LOSS} at each evaluation.",
            thresholds=(FEWEST,),
        )
    rising = {t.name for t in trials if rises(training_of(study, t).values, study.thresholds)}
    share, lowest = len(rising) / len(trials), _lowest_rates(study, trials)
    where: dict[str, Any] = {
        "numbers": {"risingShare": share, "trials": len(trials)},
        "thresholds": (DEVIATIONS, LEAST, SHARE),
        "trials": [t for t in trials if t.name in rising],
    }
    said = f"The training loss rises in {len(rising)} of {len(trials)} trials"
    slow = sum(t.name in rising for t in lowest)
    if share < study.thresholds[SHARE] or slow < study.thresholds[SHARE] * len(lowest):
        aside = ", not in those with the lowest learning rates" if share >= study.thresholds[SHARE] else ""
        return passed(study, Code.PIPELINE_BUG, "CRV-16", f"{said}{aside}.", **where)
    too = ", those with the lowest learning rates among them" if lowest else ""
    return answer(
        study,
        Code.PIPELINE_BUG,
        "TrainLossRises",
        Severity.BLOCK,
        "CRV-16",
        f"{said}{too}: that is usually a bug in the training pipeline.",
        action="Look for it before anything else: the sign of the update, labels and inputs that do not belong "
        "together, gradients that are not reset, data that changes during training.",
        **where,
    )


def _lowest_rates(study: StudyRecord, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return, of each arm, the trials with the lowest learning rates; none where it is not searched."""
    found: list[TrialRecord] = []
    for arm in arms(study):
        names = {t.name for t in arm.trials}
        rated = [(rate, t) for t in trials if t.name in names and (rate := learning_rate_of(study, t)) is not None]
        if len({rate for rate, _ in rated}) > 1:
            rated.sort(key=lambda pair: pair[0])
            found += [t for _, t in rated[: max(1, math.floor(LOWEST * len(rated)))]]
    return found


def _rising_pairs(values: Series) -> float:
    """Return which share of all pairs, an earlier and a later evaluation, rises."""
    earlier, later = np.triu_indices(len(values), 1)
    return float(np.mean(values[later] > values[earlier]))
