"""How the best result came about: over the trials in their order, and with how much luck of the search."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from tuning_cli.report.figures.axis import name_of
from tuning_cli.report.figures.curves import best_step
from tuning_operator.playbook.arms import arms
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.run_length import run_length

DRAWS: Final = 1000
QUANTILES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
MOST_SIZES: Final = 40
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
class BestOfN:
    """What the best of so many trials would have been, drawn again and again from those that were run (K11)."""

    arm: str
    sizes: tuple[int, ...]
    quantiles: tuple[tuple[float, ...], ...]
    """For each size the smallest, the quartiles and the largest of the best losses, turned back for people."""


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


def best_of_n(study: StudyRecord) -> tuple[BestOfN, ...]:
    """Return for each arm with at least four results how the best depends on the number of trials."""
    found = []
    for arm in arms(study):
        losses = np.array(arm.losses)
        if len(losses) < 4:
            continue
        sizes = sorted({round(s) for s in np.linspace(1, len(losses), min(len(losses), MOST_SIZES))})
        drawn = np.minimum.accumulate(np.random.default_rng(0).choice(losses, (DRAWS, len(losses))), axis=1)
        quantiles = tuple(
            tuple(study.shown(float(q)) for q in np.quantile(drawn[:, size - 1], QUANTILES)) for size in sizes
        )
        found.append(BestOfN(name_of(arm.scientific), tuple(sizes), quantiles))
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
