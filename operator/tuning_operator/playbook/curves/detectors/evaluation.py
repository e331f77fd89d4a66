"""Is the model evaluated at regular steps (EVS-4), and does training wait for data (INP-1)?"""

import math
from typing import Any, Final

import numpy as np

from tuning_contract.diagnostics import DATA_WAIT_FRACTION
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import whole
from tuning_operator.playbook.curves.evaluations import Steps, measured, median_of, objective_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

FEWEST: Final = 4
"""So many distances between evaluations, the first and the last left out, show whether they are regular."""
VARIATION: Final = Threshold(
    "irregularVariation",
    0.05,
    Origin.DEFAULT,
    "Evaluations are irregular when the distances between them vary by more than this, as standard deviation over mean",
)
SKIPPED: Final = 10
"""A curve of which points are missing has distances of up to about this many evaluations; they are multiples."""
IRREGULAR_SHARE: Final = Threshold(
    "irregularShare",
    0.5,
    Origin.DEFAULT,
    "The share of trials whose irregular evaluations are worth a warning",
    high=1.0,
)
WAITING: Final = Threshold(
    "dataWait", 0.2, Origin.DEFAULT, "The share of the time from which on waiting for data is worth attention", high=1.0
)


def is_irregular(steps: Steps, thresholds: Thresholds = DEFAULTS) -> bool | None:
    """Whether evaluations are at irregular steps, as they are when they follow the clock; None: too few to say.

    The first and the last distance do not count: runs often begin and end with an evaluation out of turn. Distances
    that are all small multiples of one number are those of a regular curve of which some points are missing.
    """
    distances = np.diff(steps)[1:-1]
    if len(distances) < FEWEST:
        return None
    mean = float(distances.mean())
    varies = float(distances.std()) > thresholds[VARIATION] * mean
    return varies and math.gcd(*(int(d) for d in distances)) * SKIPPED < mean


def evaluations_are_irregular(study: StudyRecord) -> Finding:
    """Return whether most trials were evaluated at irregular steps (EVS-4)."""
    trials = whole(study).feasible
    judged = {t.name: is_irregular(objective_of(study, t).steps, study.thresholds) for t in trials}
    known = [t for t in trials if judged[t.name] is not None]
    if not known:
        return unknown(
            study,
            Code.PIPELINE_BUG,
            "EVS-4",
            "Whether evaluations are at regular steps is not known: "
            f"no trial with a result has {FEWEST + 3} evaluations of {study.spec.objective.metric}.",
            action="Evaluate more often, and keep the curve.",
        )
    irregular = [t for t in known if judged[t.name]]
    share = len(irregular) / len(known)
    where: dict[str, Any] = {
        "numbers": {"irregularShare": share, "trials": len(known)},
        "thresholds": (VARIATION, IRREGULAR_SHARE),
        "trials": irregular,
    }
    said = f"Evaluations are at irregular steps in {len(irregular)} of {len(known)} trials"
    if not irregular or share < study.thresholds[IRREGULAR_SHARE]:
        return passed(study, Code.PIPELINE_BUG, "EVS-4", f"{said}.", **where)
    return answer(
        study,
        Code.PIPELINE_BUG,
        "IrregularEvaluation",
        Severity.WARN,
        "EVS-4",
        f"{said}: they seem to follow the clock, and curves of different trials cannot be compared step by step.",
        action="Evaluate every so many steps, never every so many seconds.",
        **where,
    )


def training_waits_for_data(study: StudyRecord) -> Finding:
    """Return whether most trials spend much of their time waiting for data (INP-1)."""
    trials = whole(study).feasible
    waits = {t.name: measured(t, t.curve.series(DATA_WAIT_FRACTION)).values for t in trials}
    known = [t for t in trials if len(waits[t.name])]
    if not known:
        return unknown(
            study,
            Code.PIPELINE_BUG,
            "INP-1",
            "Whether training waits for data is not known.",
            action=f"Report {DATA_WAIT_FRACTION}, the share of the time that is spent waiting for data.",
        )
    medians = {t.name: float(np.median(waits[t.name])) for t in known}
    wait = median_of(medians.values())
    where: dict[str, Any] = {
        "numbers": {"dataWaitFraction": wait, "trials": len(known)},
        "thresholds": (WAITING,),
        "trials": sorted(known, key=lambda t: -medians[t.name]),
    }
    said = f"Training spends {wait:.0%} of its time waiting for data"
    if wait <= study.thresholds[WAITING]:
        return passed(study, Code.PIPELINE_BUG, "INP-1", f"{said}.", **where)
    return answer(
        study,
        Code.PIPELINE_BUG,
        "InputBound",
        Severity.INFO,  # INP-2: there may be good reasons for a slow input pipeline.
        "INP-1",
        f"{said}: its speed is that of the input pipeline.",
        action="Profile it; then try more loader workers, prefetching, preprocessing once, or data nearer by.",
        **where,
    )
