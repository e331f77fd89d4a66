"""Does training still improve at its end, or was it over long before? (playbook K10: CRV-14, CRV-15)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from tuning_contract.diagnostics import TRAIN_LOSS
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import whole
from tuning_operator.playbook.curves.evaluations import objective_of, training_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.series import Series, deviation, running_median
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

WINDOW: Final = 0.2
"""The end of a run is its last fifth ..."""
WINDOW_POINTS: Final = 6
"""... and at least this many evaluations."""
NOISE_POINTS: Final = 12
"""Noise is measured over the second half, and over this many evaluations at the least."""
FEWEST: Final = Threshold(
    "endOfTrainingEvaluations",
    12,
    Origin.DEFAULT,
    "With fewer evaluations than this the last six are no end of a run",
    low=6,
)
IMPROVING_DEVIATIONS: Final = Threshold(
    "improvingDeviations",
    3.0,
    Origin.DEFAULT,
    "Over the last fifth a loss falls when its means differ by more than this many standard errors",
)
IMPROVING_SHARE: Final = Threshold(
    "improvingShare", 0.01, Origin.DEFAULT, "... and by more than this fraction of the whole fall"
)
SATURATED_DEVIATIONS: Final = Threshold(
    "saturatedDeviations", 2.0, Origin.DEFAULT, "A loss is saturated within this many standard deviations of its best"
)
SATURATED_BY: Final = Threshold(
    "saturatedBy",
    0.5,
    Origin.DEFAULT,
    "Saturated long before the end means within this fraction of the run",
    high=1.0,
)
RESOLUTION: Final = Threshold(
    "endOfTrainingResolution",
    0.1,
    Origin.DEFAULT,
    "A curve is too noisy to be called flat when it could fall by more than this fraction of its whole fall unseen",
)
AGREEMENT: Final = Threshold(
    "endOfTrainingAgreement", 0.6, Origin.DEFAULT, "The share of the top trials that must end in the same way", high=1.0
)
USED: Final = (IMPROVING_DEVIATIONS, IMPROVING_SHARE, SATURATED_DEVIATIONS, SATURATED_BY, RESOLUTION, AGREEMENT)


class Ending(StrEnum):
    """How one trial ends."""

    STILL_IMPROVING = "StillImproving"
    """The objective still improves."""
    SATURATED = "Saturated"
    """Both losses were flat long before the end."""
    TRAINING_ONLY = "Neither"
    """The training loss falls to the end, and the objective does not improve."""
    SETTLED = "Ok"
    """Neither improves any more, and at least one did until the second half: the run has about the right length."""


@dataclass(frozen=True)
class Tail:
    """How one loss ends."""

    drop: float
    """By how much it falls over the last fifth, as a fraction of its whole fall."""
    limit: float
    """A fall counts when it is larger than this; a fraction of the whole fall."""
    saturated_at: float
    """The fraction of the run from which on it is as good as it gets."""

    @property
    def improving(self) -> bool:
        """Whether it still falls."""
        return self.drop > self.limit


def tail_of(values: Series, thresholds: Thresholds = DEFAULTS) -> Tail:
    """Return how a loss ends: whether it still falls over the last fifth, and since when it is flat.

    Args:
        values: The loss at each evaluation, at least six; finite; smaller is better.
        thresholds: The study's.

    Raises:
        ValueError: there are fewer than six values.
    """
    if len(values) < WINDOW_POINTS:
        raise ValueError(f"a curve needs {WINDOW_POINTS} values to show how it ends")
    window = values[-max(WINDOW_POINTS, int(np.ceil(WINDOW * len(values)))) :]
    third = len(window) // 3
    smooth = running_median(values)
    lowest = float(smooth.min())
    total = float(smooth[0]) - lowest
    noise = deviation(values[-max(len(values) // 2, NOISE_POINTS) :])
    drop = float(np.mean(window[:third]) - np.mean(window[-third:]))
    error = noise * float(np.sqrt(2 / third))
    near = smooth - lowest <= max(thresholds[SATURATED_DEVIATIONS] * noise, thresholds[IMPROVING_SHARE] * total)
    saturated_at = (int(np.argmax(near)) + 1) / len(values)
    if total <= 0:  # It was never better than at first.
        return Tail(0.0, 0.0, saturated_at)
    limit = max(thresholds[IMPROVING_DEVIATIONS] * error / total, thresholds[IMPROVING_SHARE])
    return Tail(drop / total, limit, saturated_at)


def ending_of(validation: Tail, training: Tail | None, thresholds: Thresholds = DEFAULTS) -> Ending | None:
    """Return how a trial ends; None where its curves do not say: no training loss, or too much noise."""
    if validation.improving:
        return Ending.STILL_IMPROVING  # CRV-14
    if training is None:
        return None
    if training.improving:
        # That noise hides the objective's fall is no sign that there is none: it must fall less than training does.
        return Ending.TRAINING_ONLY if validation.drop < training.drop / 2 else None
    by = thresholds[SATURATED_BY]
    if validation.saturated_at <= by and training.saturated_at <= by:
        return Ending.SATURATED  # CRV-15
    return Ending.SETTLED if max(validation.limit, training.limit) <= thresholds[RESOLUTION] else None


def ending_of_most(endings: Sequence[Ending], thresholds: Thresholds = DEFAULTS) -> Ending | None:
    """Return how most of the trials end; None where they do not agree. At least one is needed.

    Those that neither improve nor were saturated early count together, and the more frequent of the two is the answer.
    """
    counts = Counter(endings)
    agreed = thresholds[AGREEMENT] * len(endings)
    for ending in (Ending.STILL_IMPROVING, Ending.SATURATED):
        if counts[ending] >= agreed:
            return ending
    neither = (Ending.TRAINING_ONLY, Ending.SETTLED)
    if sum(counts[e] for e in neither) >= agreed:
        return max(neither, key=lambda e: counts[e])
    return None


def ending_of_study(study: StudyRecord) -> Ending | None:
    """Return how the study's top trials end; None where they disagree, or nobody can say."""
    endings = [e for t in whole(study).top if (e := _ending_of_trial(study, t)[0]) is not None]
    return ending_of_most(endings, study.thresholds) if endings else None


def check(study: StudyRecord) -> list[Finding]:
    """Say how the study's top trials end: it tells whether the workload is compute-bound (CRV-14, CRV-15)."""
    top = whole(study).top
    metric = study.spec.objective.metric
    if not top:
        message = "No trial has a result yet, so there is no end of training to look at."
        return [unknown(study, Code.END_OF_TRAINING, "CRV-14", message)]
    read = {t.name: _ending_of_trial(study, t) for t in top}
    long_enough = [t for t in top if read[t.name][1]]
    if not long_enough:
        n = study.thresholds[FEWEST]
        return [
            unknown(
                study,
                Code.END_OF_TRAINING,
                "CRV-14",
                f"None of the best {len(top)} trials has {n:g} evaluations of {metric}.",
                action=f"Evaluate at least {n:g} times a run, and keep the curve.",
                thresholds=(FEWEST,),
                trials=top,
            )
        ]
    known = {t.name: ending for t in long_enough if (ending := read[t.name][0]) is not None}
    if not known:
        if any(len(training_of(study, t)) for t in long_enough):
            why, action = "the curves are too noisy to say more", "Evaluate more often, or on more examples."
        else:
            why, action = "whether training does is not known", f"Report {TRAIN_LOSS} at each evaluation."
        return [
            unknown(
                study,
                Code.END_OF_TRAINING,
                "CRV-15",
                f"At the end of the best trials {metric} does not improve beyond its noise; {why}.",
                action=action,
                trials=long_enough,
            )
        ]
    return [_answer(study, [t for t in long_enough if t.name in known], known)]


def _answer(study: StudyRecord, trials: Sequence[TrialRecord], endings: dict[str, Ending]) -> Finding:
    ending = ending_of_most(list(endings.values()), study.thresholds)
    counts = Counter(endings.values())
    where: dict[str, Any] = {
        "numbers": {
            "trials": len(endings),
            "stillImproving": counts[Ending.STILL_IMPROVING],
            "saturated": counts[Ending.SATURATED],
            "trainingOnly": counts[Ending.TRAINING_ONLY],
            "settled": counts[Ending.SETTLED],
        },
        "thresholds": USED,
        "trials": [t for t in trials if ending is None or endings[t.name] is ending],
    }
    agree, of = counts[ending] if ending else 0, len(endings)
    metric = study.spec.objective.metric
    if ending is None:
        message = f"The best {of} trials end in different ways: {_listed(counts)}."
        return answer(study, Code.END_OF_TRAINING, "Mixed", Severity.INFO, "CRV-14", message, **where)
    if ending is Ending.SETTLED:
        message = f"In {agree} of the best {of} trials both losses have become flat in the second half of the run."
        return passed(study, Code.END_OF_TRAINING, "CRV-14", message, **where)
    rule, message, action = {
        Ending.STILL_IMPROVING: (
            "CRV-14",
            f"In {agree} of the best {of} trials {metric} still improves at the end: the study is compute-bound.",
            "Train longer, or try another learning-rate schedule; results hold for this length of training only.",
        ),
        Ending.SATURATED: (
            "CRV-15",
            f"In {agree} of the best {of} trials both losses were flat by {study.thresholds[SATURATED_BY]:.0%} of the "
            "run: the study is not compute-bound.",
            "Fewer steps may do.",
        ),
        Ending.TRAINING_ONLY: (
            "STP-4",
            f"In {agree} of the best {of} trials the training loss falls to the end and {metric} does not improve.",
            "More steps will hardly help; regularisation or more data may.",
        ),
    }[ending]
    return answer(study, Code.END_OF_TRAINING, ending.value, Severity.INFO, rule, message, action=action, **where)


def _ending_of_trial(study: StudyRecord, trial: TrialRecord) -> tuple[Ending | None, bool]:
    """Return how a trial ends, where it can be said, and whether its curve is long enough."""
    validation, training = objective_of(study, trial).values, training_of(study, trial).values
    fewest = max(study.thresholds[FEWEST], WINDOW_POINTS)
    if len(validation) < fewest:
        return None, False
    tail = tail_of(training, study.thresholds) if len(training) >= fewest else None
    return ending_of(tail_of(validation, study.thresholds), tail, study.thresholds), True


def _listed(counts: Counter[Ending]) -> str:
    said = {
        Ending.STILL_IMPROVING: "still improve",
        Ending.SATURATED: "were saturated early",
        Ending.TRAINING_ONLY: "improve in training only",
        Ending.SETTLED: "have settled late",
    }
    return ", ".join(f"{counts[e]} {words}" for e, words in said.items() if counts[e])
