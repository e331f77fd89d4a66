"""Were the scientific values, and each range, sampled evenly (K12; STU-9, QMC-2)?"""

from collections import Counter
from typing import Any, Final

import numpy as np

from tuning_contract.environment import parameter_text
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Hyperparameter, HyperparameterType, Role
from tuning_operator.api.search import Algorithm
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import Arm, arms, position, whole
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.space.wording import arm_text, counted
from tuning_operator.playbook.thresholds import Origin, Threshold
from tuning_operator.search.space import bounds_of, values_of

UNEVEN: Final = Threshold(
    "unevenSampling", 1.5, Origin.DEFAULT, "How many times as many trials one scientific value may have as another", 1.0
)
CELL_TRIALS: Final = Threshold(
    "coverageTrials", 4, Origin.DEFAULT, "How many trials each part of a range has, on average", 1.0
)
CELL_SLACK: Final = Threshold(
    "coverageSlack", 0.75, Origin.DEFAULT, "By which share of that number a part may have more or fewer", 0.0
)


def check(study: StudyRecord) -> list[Finding]:
    """Return for each scientific list whether its values had as many trials, and for each range whether it was covered.

    Ranges only of quasi-random designs: others do not promise to cover them.
    """
    scientific = [h for h in study.spec.hyperparameters if h.role is Role.SCIENTIFIC and h.type.is_list]
    found = [_counts(study, h) for h in scientific]
    search = study.spec.search
    if search.algorithm is not Algorithm.QUASI_RANDOM or search.switch_to is not None or search.points:
        return found
    return found + [_coverage(arm, h) for arm in arms(study) for h in arm.numeric if _is_fine(arm, h)]


def _counts(study: StudyRecord, hyperparameter: Hyperparameter) -> Finding:
    """STU-9: whatever the algorithm, scientific values are searched uniformly."""
    name, t = hyperparameter.parameter_name, study.thresholds
    having = [trial for trial in whole(study).launched if hyperparameter.name in trial.assignment]
    values = values_of(hyperparameter)
    counts = Counter(trial.assignment[hyperparameter.name] for trial in having)
    numbers = [counts[value] for value in values]
    most, least = max(numbers), min(numbers)
    where: dict[str, Any] = {
        "parameter": name,
        "numbers": {"most": most, "fewest": least, "launched": len(having)},
        "thresholds": [UNEVEN],
        "notes": [", ".join(f"{parameter_text(v)}: {counts[v]}" for v in values)[:512]],
    }
    found = f"The values of {name} had {least} to {counted(most, 'trial')}"
    if not having:
        return unknown(
            study,
            Code.FAIR_COMPARISON,
            "STU-9",
            f"No trial of {name} has ended yet.",
            action="Wait for the trials.",
            **where,
        )
    # A study that goes round the arms is at most one trial ahead in one of them, however few there are.
    if most - least <= 1 or most <= t[UNEVEN] * least:
        return passed(study, Code.FAIR_COMPARISON, "STU-9", f"{found}.", **where)
    return answer(
        study,
        Code.FAIR_COMPARISON,
        "UnevenSampling",
        Severity.WARN,
        "STU-9",
        f"{found}: more than {t[UNEVEN]:g} times as many of one as of another.",
        action="Give every scientific value as many trials: use the design Arms.",
        **where,
    )


def _is_fine(arm: Arm, hyperparameter: Hyperparameter) -> bool:
    """Whether the range has so many values that cells of it can be told apart."""
    if hyperparameter.type is HyperparameterType.FLOAT:
        return True
    low, high = bounds_of(hyperparameter)
    return high - low + 1 >= len(arm.launched)


def _coverage(arm: Arm, hyperparameter: Hyperparameter) -> Finding:
    """QMC-2: a quasi-random sequence leaves no part of a range out."""
    study, t, name = arm.study, arm.study.thresholds, hyperparameter.parameter_name
    found = [u for trial in arm.launched if (u := position(hyperparameter, trial)) is not None]
    cells = int(len(found) // t[CELL_TRIALS])
    where: dict[str, Any] = {"parameter": name, "scientific": arm.scientific}
    text = f"{name}{arm_text(arm.scientific)}"
    if cells < 2:
        return unknown(
            study,
            Code.FAIR_COMPARISON,
            "QMC-2",
            f"{text}: {counted(len(found), 'trial')} cannot show whether the range is covered.",
            action=f"Run at least {2 * t[CELL_TRIALS]:g} trials.",
            numbers={"launched": len(found)},
            thresholds=[CELL_TRIALS],
            **where,
        )
    counts = np.histogram(np.clip(found, 0, 1), bins=cells, range=(0, 1))[0]
    mean, slack = len(found) / cells, t[CELL_SLACK]
    where |= {
        "numbers": {"cells": cells, "fewest": float(counts.min()), "most": float(counts.max()), "mean": mean},
        "thresholds": [CELL_TRIALS, CELL_SLACK],
    }
    said = f"{text}: of {cells} equal parts of the range each had {counts.min()} to {counts.max()} trials"
    if abs(counts - mean).max() <= slack * mean:
        return passed(study, Code.FAIR_COMPARISON, "QMC-2", f"{said}.", **where)
    return answer(
        study,
        Code.FAIR_COMPARISON,
        "UnevenSampling",
        Severity.WARN,
        "QMC-2",
        f"{said}: some part was nearly left out, or crowded.",
        action="Run more trials; were some left out by hand, run those.",
        **where,
    )
