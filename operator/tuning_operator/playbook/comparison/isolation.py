"""Isolation plots as data: for each value of a hyperparameter, the best trial over all others (ISO-1, ISO-5)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.playbook.arms import position, whole
from tuning_operator.playbook.comparison.judging import search_noise
from tuning_operator.playbook.comparison.luck import best_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.thresholds import Origin, Threshold
from tuning_operator.search.space import bounds_of, fixed_value, is_range, is_searched, value_at, values_of

FEWEST_BUCKETS: Final = Threshold(
    "isolationBucketsLeast", 4, Origin.DEFAULT, "In how many parts a range is divided at least", low=1
)
MOST_BUCKETS: Final = Threshold(
    "isolationBucketsMost", 10, Origin.DEFAULT, "In how many parts a range is divided at most", low=1
)
FEW_TRIALS: Final = Threshold(
    "isolationTrials", 3, Origin.DEFAULT, "A part with fewer trials than this is shown as uncertain"
)
WIDTH: Final = 1.96
"""Of the interval to each side, in standard deviations: 95 % of a normal distribution."""


@dataclass(frozen=True)
class Bucket:
    """One value of a hyperparameter, or one part of its range."""

    value: ParameterValue | None
    """The value of a list; None: a part of a range."""
    low: float | None
    """Where the part begins; it has that value, and not `high`, except for the last part."""
    high: float | None
    trials: tuple[TrialRecord, ...]
    """With a result, the best first."""
    infeasible: tuple[TrialRecord, ...]
    result: float | None
    """Of the best trial, as the objective is measured; None: there is none."""
    interval: tuple[float, float] | None
    """Of the result, 95 %: noise, and the luck of the search within the part; as the objective is measured."""
    is_uncertain: bool
    """So few trials that the best of them says little: a hollow marker."""

    @property
    def best(self) -> TrialRecord | None:
        """The best trial."""
        return self.trials[0] if self.trials else None


def isolation(study: StudyRecord, hyperparameter_name: str) -> list[Bucket]:
    """Return the best trial for each value of a hyperparameter, in the order of its values.

    A list has one bucket a value, a range equal parts on its scale, as many as the square root of its number of trials
    but 4 to 10; those without a trial are there, too. Trials in which the hyperparameter does not exist are left out.

    Raises:
        ValueError: the study has no hyperparameter of that name.
    """
    found = next((h for h in study.spec.hyperparameters if h.name == hyperparameter_name), None)
    if found is None:
        raise ValueError(f"the study has no hyperparameter {hyperparameter_name}")
    everything = whole(study)
    feasible = [t for t in everything.feasible if found.name in t.assignment]
    infeasible = [t for t in everything.infeasible if found.name in t.assignment]
    sigma = search_noise(study, [everything])
    if not is_range(found):
        values = values_of(found) if is_searched(found) else [fixed_value(found)]
        return [
            _bucket(
                study,
                (value, None, None),
                [t for t in feasible if t.assignment[found.name] == value],
                [t for t in infeasible if t.assignment[found.name] == value],
                sigma,
            )
            for value in values
        ]
    parts = number_of_parts(study, len(feasible) + len(infeasible))
    good, bad = by_part(found, feasible, parts), by_part(found, infeasible, parts)
    return [_bucket(study, (None, *edges(found, k, parts)), good[k], bad[k], sigma) for k in range(parts)]


def number_of_parts(study: StudyRecord, trials: int) -> int:
    """Return in how many equal parts a range is divided for so many trials."""
    t = study.thresholds
    return int(min(max(round(math.sqrt(trials)), t[FEWEST_BUCKETS]), t[MOST_BUCKETS]))


def by_part(hyperparameter: Hyperparameter, trials: Sequence[TrialRecord], parts: int) -> list[list[TrialRecord]]:
    """Return the trials of each part of a range; what lies outside the range belongs to the part at that end."""
    found: list[list[TrialRecord]] = [[] for _ in range(parts)]
    for trial in trials:
        u = position(hyperparameter, trial)
        if u is not None:
            found[int(np.clip(u * parts, 0, parts - 1))].append(trial)
    return found


def edges(hyperparameter: Hyperparameter, part: int, parts: int) -> tuple[float, float]:
    """Return where a part of a range begins and ends."""
    last = bounds_of(hyperparameter)[1]
    low = float(value_at(hyperparameter, part / parts))
    return low, float(value_at(hyperparameter, (part + 1) / parts)) if part + 1 < parts else last


def _bucket(
    study: StudyRecord,
    where: tuple[ParameterValue | None, float | None, float | None],
    feasible: Sequence[TrialRecord],
    infeasible: Sequence[TrialRecord],
    sigma: float,
) -> Bucket:
    losses = [study.loss(t) for t in feasible]
    result, interval = None, None
    if losses:
        _, luck = best_of(losses, max(1, len(losses) // 2))
        width = WIDTH * math.sqrt(sigma**2 + luck**2)
        result = study.shown(losses[0])
        interval = (result - width, result + width)
    few = len(feasible) < study.thresholds[FEW_TRIALS]
    return Bucket(*where, tuple(feasible), tuple(infeasible), result, interval, few)
