"""How the best result came about: over the trials in their order, and with how much luck of the search."""

import math
from dataclasses import dataclass
from typing import Final

from tuning_cli.report.figures.axis import name_of
from tuning_cli.report.figures.curves import best_step
from tuning_operator.playbook.arms import arms
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.run_length import run_length
from tuning_operator.playbook.space.luck import best_of

FEWEST_RESULTS: Final = 4
BINS: Final = 10


@dataclass(frozen=True)
class BestSoFar:
    """The results of one arm in the order of its trials, and the best until each."""

    arm: str
    trials: tuple[str, ...]
    values: tuple[float | None, ...]
    """None: infeasible."""
    best: tuple[float | None, ...]


@dataclass(frozen=True)
class Luck:
    """What the best of so many trials of an arm would have been, drawn again and again from those that were run."""

    arm: str
    trials: tuple[int, ...]
    median: tuple[float, ...]
    quartiles: tuple[tuple[float, float], ...]
    """As the objective is measured, as is the median."""


@dataclass(frozen=True)
class StepHistogram:
    """At which fraction of their length the best trials had their best evaluation (K09)."""

    fractions: tuple[float, ...]
    trials: tuple[str, ...]
    counts: tuple[int, ...]
    """In ten equal parts of [0, 1]."""


def best_so_far(study: StudyRecord) -> tuple[BestSoFar, ...]:
    """Return the course of each arm that has trials."""
    found = []
    for arm in arms(study):
        results = {t.name: study.loss(t) for t in arm.feasible}
        ordered = sorted((*arm.feasible, *arm.infeasible), key=lambda t: t.index)
        losses = [results.get(t.name) for t in ordered]
        best = [min((x for x in losses[: i + 1] if x is not None), default=None) for i in range(len(losses))]
        if ordered:
            turned = [tuple(None if x is None else study.shown(x) for x in series) for series in (losses, best)]
            found.append(BestSoFar(name_of(arm.scientific), tuple(t.name for t in ordered), turned[0], turned[1]))
    return tuple(found)


def search_luck(study: StudyRecord) -> tuple[Luck, ...]:
    """Return for each arm with at least four results how the best depends on the number of trials (figure 3, NTR-2)."""
    found = []
    for arm in arms(study):
        if len(arm.losses) >= FEWEST_RESULTS:
            figure = best_of(arm.losses)
            quartiles = zip(figure.lower_quartile, figure.upper_quartile, strict=True)
            turned = tuple((study.shown(low), study.shown(high)) for low, high in quartiles)
            found.append(Luck(name_of(arm.scientific), figure.trials, tuple(map(study.shown, figure.median)), turned))
    return tuple(found)


def step_histogram(study: StudyRecord) -> StepHistogram | None:
    """Return where the best trials of all arms had their best evaluation; None where no length is known."""
    best = [t for arm in arms(study) for t in arm.feasible[: max(5, math.ceil(len(arm.feasible) / 4))]]
    found = []
    for trial in best:
        step, length = best_step(study, trial), run_length(study, trial)
        if step is not None and length and len(trial.curve) > 1:
            found.append((min(step / length, 1.0), trial.name))
    if not found:
        return None
    counts = [0] * BINS
    for fraction, _ in found:
        counts[min(int(fraction * BINS), BINS - 1)] += 1
    return StepHistogram(tuple(f for f, _ in found), tuple(n for _, n in found), tuple(counts))
