"""Which single cut tells infeasible trials from the others: of one hyperparameter, or of a product or ratio of two."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuning_operator.api.findings import Side
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning, Scale
from tuning_operator.playbook.arms import position
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import TrialRecord
from tuning_operator.playbook.series import Series

PERMUTATIONS: Final = 400
FEWER_PERMUTATIONS: Final = 40
"""Of more than a thousand trials, among which no cut is good by chance."""
SEED: Final = 0
Labels = NDArray[np.bool_]

_FROM_ONE: Final = frozenset({Meaning.MOMENTUM, Meaning.BETA1, Meaning.BETA2})
"""They act through their distance from 1, and enter products as that."""


@dataclass(frozen=True)
class Cut:
    """Beyond which value trials are infeasible."""

    expression: str
    """A parameter's name, or a product or ratio of two."""
    side: Side
    value: float
    quality: float
    """The balanced accuracy of "beyond it is infeasible", in [0.5, 1]."""
    chance: float
    """How probable it is that some cut would be as good if trials were infeasible at random."""
    is_derived: bool = False

    @property
    def text(self) -> str:
        """The region, as in `learning_rate > 4.5`."""
        return f"{self.expression} {'>' if self.side is Side.HIGH else '<'} {self.value:.6g}"


@dataclass(frozen=True)
class _Axis:
    expression: str
    values: Series
    """One for each trial; NaN where it does not exist there."""
    is_derived: bool = False
    """Whether the values are logarithms of a product or ratio."""
    reciprocal: str | None = None
    """What the expression is the other way round, where that may be said instead."""

    @property
    def known(self) -> Labels:
        known: Labels = np.isfinite(self.values)
        return known


def best_cuts(
    ranges: Sequence[Hyperparameter], trials: Sequence[TrialRecord], infeasible: Sequence[bool]
) -> tuple[Cut | None, Cut | None]:
    """Return the best cut of one range, and the best of a product or ratio of two; None where there is none to try.

    The chance of each is found by permuting which trials are infeasible, with a constant seed, and looking for the best
    cut again: among many cuts one is always good on few trials.

    Args:
        ranges: The hyperparameters that are searched as ranges.
        trials: Feasible and infeasible ones.
        infeasible: Which of them are; both kinds must occur.
    """
    bad = np.asarray(infeasible, dtype=bool)
    single = [_Axis(h.parameter_name, _values(h, trials)) for h in ranges]
    logarithms = [(h, _logarithms(h, trials)) for h in ranges if _is_logarithmic(h)]
    derived = [axis for a, b in combinations(logarithms, 2) for axis in _combined(a, b)]
    rng = np.random.default_rng(SEED)
    number = PERMUTATIONS if len(trials) <= 1000 else FEWER_PERMUTATIONS
    permuted = np.array([rng.permutation(bad) for _ in range(number)])
    by_chance = _quality(single, permuted)
    return _best(single, bad, by_chance), _best(derived, bad, np.maximum(by_chance, _quality(derived, permuted)))


def _best(axes: Sequence[_Axis], bad: Labels, by_chance: Series) -> Cut | None:
    cuts = [cut for axis in axes if (cut := _cut(axis, bad)) is not None]
    if not cuts:
        return None
    # Of equally good ones the first, in the manifest's order.
    best = max(cuts, key=lambda cut: round(cut.quality, 9))
    as_good = int((by_chance >= best.quality - 1e-9).sum())
    chance = (1 + as_good) / (1 + len(by_chance))
    return Cut(best.expression, best.side, best.value, best.quality, chance, best.is_derived)


def _cut(axis: _Axis, bad: Labels) -> Cut | None:
    known = axis.known
    values = axis.values[known]
    accuracy = _accuracies(values, bad[known][None, :])[0]
    if not len(accuracy) or np.isnan(accuracy).all():
        return None
    # Beyond a cut on the low side is what is not beyond it on the high side.
    quality = np.maximum(accuracy, 1 - accuracy)
    at = int(np.nanargmax(quality))
    side = Side.HIGH if accuracy[at] >= 0.5 else Side.LOW
    ordered = np.sort(values)
    lower, upper = float(ordered[at]), float(ordered[at + 1])
    value = math.exp((lower + upper) / 2) if axis.is_derived else (lower + upper) / 2
    if side is Side.LOW and axis.reciprocal is not None:
        # Too much of a ratio reads better than too little of it.
        return Cut(axis.reciprocal, Side.HIGH, 1 / value, float(quality[at]), 1.0, axis.is_derived)
    return Cut(axis.expression, side, value, float(quality[at]), 1.0, axis.is_derived)


def _quality(axes: Sequence[_Axis], labels: Labels) -> Series:
    """Return for each row of labels the quality of its best cut."""
    best = np.zeros(len(labels))
    for axis in axes:
        known = axis.known
        accuracy = _accuracies(axis.values[known], labels[:, known])
        if accuracy.shape[1]:
            quality = np.nan_to_num(np.maximum(accuracy, 1 - accuracy), nan=0.0)
            best = np.maximum(best, quality.max(axis=1))
    return best


def _accuracies(values: Series, labels: Labels) -> Series:
    """Return the balanced accuracy of "above is infeasible" for a cut between each value and the next.

    Shape: a row for each row of labels, a column for each of the n - 1 places; NaN between equal values, and where only
    one kind of trial has the value.
    """
    order = np.argsort(values, kind="stable")
    sorted_labels = labels[:, order]
    bad_below = np.cumsum(sorted_labels, axis=1)[:, :-1]
    bad = sorted_labels.sum(axis=1, keepdims=True)
    good = len(values) - bad
    below = np.arange(1, len(values))
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy: Series = ((bad - bad_below) / bad + (below - bad_below) / good) / 2
    accuracy[:, np.diff(values[order]) <= 0] = np.nan
    return np.where(np.isfinite(accuracy), accuracy, np.nan)


def _values(hyperparameter: Hyperparameter, trials: Sequence[TrialRecord]) -> Series:
    found = (trial.assignment.get(hyperparameter.name) for trial in trials)
    return np.array([float(v) if isinstance(v, int | float) else math.nan for v in found])


def _combined(one: tuple[Hyperparameter, Series], other: tuple[Hyperparameter, Series]) -> list[_Axis]:
    """Return the logarithms of the product and of the ratio of two, a learning rate first."""
    if meaning_of(other[0]) is Meaning.LEARNING_RATE and meaning_of(one[0]) is not Meaning.LEARNING_RATE:
        one, other = other, one
    a, b = _factor(one[0]), _factor(other[0])
    # A learning rate stays above.
    reciprocal = None if meaning_of(one[0]) is Meaning.LEARNING_RATE else f"{b}/{a}"
    return [
        _Axis(f"{a}*{b}", one[1] + other[1], is_derived=True),
        _Axis(f"{a}/{b}", one[1] - other[1], is_derived=True, reciprocal=reciprocal),
    ]


def _is_logarithmic(hyperparameter: Hyperparameter) -> bool:
    return hyperparameter.scale in (Scale.LOG, Scale.REVERSE_LOG) or meaning_of(hyperparameter) in _FROM_ONE


def _counts_from_one(hyperparameter: Hyperparameter) -> bool:
    return hyperparameter.scale is Scale.REVERSE_LOG or meaning_of(hyperparameter) in _FROM_ONE


def _factor(hyperparameter: Hyperparameter) -> str:
    name = hyperparameter.parameter_name
    return f"one_minus_{name}" if _counts_from_one(hyperparameter) else name


def _logarithms(hyperparameter: Hyperparameter, trials: Sequence[TrialRecord]) -> Series:
    values = _values(hyperparameter, trials)
    values = 1 - values if _counts_from_one(hyperparameter) else values
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms: Series = np.log(values)
    return np.where([position(hyperparameter, t) is not None for t in trials], logarithms, np.nan)
