"""How far a range can go: limits that a hyperparameter has by its nature, and where a widened range ends.

The Playbook gives no step ("keep moving the limit"): one decade on a logarithmic scale and half the width on a linear
one are ours (K02).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tuning_operator.api.findings import Side
from tuning_operator.api.hyperparameters import Category, Hyperparameter, HyperparameterType, Meaning, Scale
from tuning_operator.playbook.meaning import category_of, meaning_of
from tuning_operator.playbook.specification.training import WARMUP_SHARE as LONGEST_WARMUP
from tuning_operator.playbook.thresholds import Origin, Threshold, Thresholds
from tuning_operator.search.space import bounds_of, fixed_value, is_searched

DECADES: Final = Threshold(
    "edgeDecades", 1.0, Origin.DEFAULT, "By how many decades a range on a logarithmic scale is widened"
)
WIDTHS: Final = Threshold(
    "edgeWidths", 0.5, Origin.DEFAULT, "By which part of its width a range on a linear scale is widened"
)


@dataclass(frozen=True)
class Limit:
    """A value that a range cannot pass."""

    value: float
    is_allowed: bool = True
    """Whether the value itself makes sense, such as a dropout of 0, and not a momentum of 1."""


_ZERO: Final = Limit(0.0)
_POSITIVE: Final = Limit(0.0, is_allowed=False)
_BELOW_ONE: Final = Limit(1.0, is_allowed=False)
_FROM_ONE: Final = Limit(1.0)

NATURAL: Final[Mapping[Meaning, tuple[Limit | None, Limit | None]]] = {
    Meaning.LEARNING_RATE: (_POSITIVE, None),
    Meaning.MOMENTUM: (_ZERO, _BELOW_ONE),
    Meaning.ONE_MINUS_MOMENTUM: (_POSITIVE, Limit(1.0)),
    Meaning.BETA1: (_ZERO, _BELOW_ONE),
    Meaning.ONE_MINUS_BETA1: (_POSITIVE, Limit(1.0)),
    Meaning.BETA2: (_ZERO, _BELOW_ONE),
    Meaning.EPSILON: (_POSITIVE, None),
    Meaning.WEIGHT_DECAY: (_ZERO, None),
    Meaning.DROPOUT: (_ZERO, _BELOW_ONE),
    Meaning.LABEL_SMOOTHING: (_ZERO, _BELOW_ONE),
    Meaning.BATCH_SIZE: (_FROM_ONE, None),
    Meaning.EVALUATION_BATCH_SIZE: (_FROM_ONE, None),
    Meaning.GRADIENT_ACCUMULATION: (_FROM_ONE, None),
    Meaning.MAX_STEPS: (_FROM_ONE, None),
    Meaning.WARMUP_STEPS: (_ZERO, None),
    Meaning.WARMUP_FRACTION: (_ZERO, None),
    Meaning.CLIP_NORM: (_POSITIVE, None),
    Meaning.AUGMENTATION: (_ZERO, None),
    Meaning.MODEL_SIZE: (_FROM_ONE, None),
}
"""The lowest and the highest value that make sense, where the study states none."""


def limits_of(
    hyperparameter: Hyperparameter,
    thresholds: Thresholds,
    siblings: Sequence[Hyperparameter] = (),
    max_steps: int | None = None,
) -> tuple[Limit | None, Limit | None]:
    """Return below and above which values a hyperparameter makes no sense: as the study says, else by its nature.

    Args:
        hyperparameter: A range.
        thresholds: The study's.
        siblings: The study's other hyperparameters: a fixed number of steps bounds the warm-up (WRM-7).
        max_steps: The study's `training.maxSteps`.
    """
    meaning = meaning_of(hyperparameter)
    low, high = NATURAL.get(meaning, (None, None))
    if low is None and category_of(hyperparameter) is Category.REGULARIZATION:
        # A strength is never negative.
        low = _ZERO
    if meaning is Meaning.WARMUP_FRACTION:
        high = Limit(thresholds[LONGEST_WARMUP])
    if meaning is Meaning.WARMUP_STEPS and (steps := max_steps or _fixed_steps(siblings)) is not None:
        high = Limit(math.floor(thresholds[LONGEST_WARMUP] * steps))
    if hyperparameter.type is HyperparameterType.INTEGER and hyperparameter.scale is Scale.LOG and low is None:
        low = _FROM_ONE
    if hyperparameter.hard_low is not None:
        low = Limit(hyperparameter.hard_low)
    if hyperparameter.hard_high is not None:
        high = Limit(hyperparameter.hard_high)
    return low, high


def widened(hyperparameter: Hyperparameter, side: Side, thresholds: Thresholds, limit: Limit | None) -> float | None:
    """Return where the range should end instead on that side; None where its limit is reached.

    On a Log scale a decade further, on a ReverseLog scale a decade of 1 - x, on a linear one half the width; never past
    the limit. Towards a limit that itself makes no sense it goes a decade closer to it: 0.99, 0.999.
    """
    low, high = bounds_of(hyperparameter)
    current = low if side is Side.LOW else high
    outward = -1.0 if side is Side.LOW else 1.0
    if limit is not None and outward * (current - limit.value) >= 0:
        return None
    wanted = _further(hyperparameter, side, thresholds)
    if limit is not None:
        wanted = _within(wanted, current, outward, limit, 10 ** -thresholds[DECADES])
    if hyperparameter.type is HyperparameterType.INTEGER:
        # An integer's limit that is not allowed is the last integer before it.
        wanted = float(math.floor(wanted) if side is Side.LOW else math.ceil(wanted))
        if limit is not None and outward * (wanted - limit.value) >= 0:
            wanted = _last_integer(limit, side)
    else:
        wanted = rounded(wanted, high - low if hyperparameter.scale in (None, Scale.LINEAR) else abs(wanted))
    return wanted if outward * (wanted - current) > 0 else None


def rounded(value: float, size: float) -> float:
    """Return the number without what binary arithmetic has added: to six digits of `size`.

    Close to 1 the distance from it has six digits.
    """
    if 0.9 < value < 1:
        size = 1 - value
    if not size > 0:
        return value
    return round(value, 5 - math.floor(math.log10(size)))


def _further(hyperparameter: Hyperparameter, side: Side, thresholds: Thresholds) -> float:
    low, high = bounds_of(hyperparameter)
    factor = 10 ** thresholds[DECADES]
    match hyperparameter.scale, side:
        case Scale.LOG, Side.LOW:
            return low / factor
        case Scale.LOG, Side.HIGH:
            return high * factor
        case Scale.REVERSE_LOG, Side.LOW:
            return 1 - (1 - low) * factor
        case Scale.REVERSE_LOG, Side.HIGH:
            return 1 - (1 - high) / factor
        case _, Side.LOW:
            return low - thresholds[WIDTHS] * (high - low)
        case _:
            return high + thresholds[WIDTHS] * (high - low)


def _within(wanted: float, current: float, outward: float, limit: Limit, closer: float) -> float:
    if outward * (wanted - limit.value) < 0:
        return wanted
    return limit.value if limit.is_allowed else limit.value + (current - limit.value) * closer


def _last_integer(limit: Limit, side: Side) -> float:
    inside = math.ceil(limit.value) if side is Side.LOW else math.floor(limit.value)
    if inside == limit.value and not limit.is_allowed:
        inside += 1 if side is Side.LOW else -1
    return float(inside)


def _fixed_steps(siblings: Sequence[Hyperparameter]) -> int | None:
    fixed = (h for h in siblings if not is_searched(h) and meaning_of(h) is Meaning.MAX_STEPS)
    values = (fixed_value(h) for h in fixed)
    return next((int(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)), None)
