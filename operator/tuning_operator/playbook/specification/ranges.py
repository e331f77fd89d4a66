"""Ranges that make no sense, and scales that leave most of a range out (K04)."""

import math
from collections.abc import Iterator
from typing import Final

from tuning_operator.api.findings import Finding
from tuning_operator.api.hyperparameters import Hyperparameter, HyperparameterType, Meaning, Scale
from tuning_operator.api.search import Algorithm
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.specification.design import block, plain_meaning_of, reach, warn
from tuning_operator.playbook.thresholds import Origin, Threshold
from tuning_operator.search.space import is_range, is_searched

LINEAR_DECADES: Final = Threshold(
    "linearDecades", 2, Origin.DEFAULT, "A range over more powers of ten than this is searched on a logarithmic scale"
)

NEAR_ONE: Final = frozenset({Meaning.MOMENTUM, Meaning.BETA1, Meaning.BETA2})
"""What matters of these is how far they are from 1."""
FROM_ZERO: Final = frozenset({Meaning.DROPOUT, Meaning.LABEL_SMOOTHING})
"""Fractions of which a little is as good as none: their low end says nothing about a scale."""
FRACTIONS: Final = NEAR_ONE | FROM_ZERO | {Meaning.WARMUP_FRACTION}
COUNTS: Final = frozenset(
    {Meaning.BATCH_SIZE, Meaning.EVALUATION_BATCH_SIZE, Meaning.GRADIENT_ACCUMULATION, Meaning.MAX_STEPS}
)
NEVER_NEGATIVE: Final = frozenset(
    {Meaning.LEARNING_RATE, Meaning.EPSILON, Meaning.WEIGHT_DECAY, Meaning.CLIP_NORM, Meaning.WARMUP_STEPS}
)


def invalid_range(study: StudyRecord) -> list[Finding]:
    """A domain without points, or whose scale cannot reach its ends; the API server refuses most of them too."""
    return [
        block(
            study,
            "InvalidRange",
            "K04",
            f"The range of {h.parameter_name} makes no sense: {problem}.",
            action=action,
            parameter=h.parameter_name,
        )
        for h in study.spec.hyperparameters
        if is_searched(h)
        for problem, action in list(_problems(h))[:1]
    ]


def _problems(hyperparameter: Hyperparameter) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, and what to do about it."""
    low, high, scale = hyperparameter.low, hyperparameter.high, hyperparameter.scale
    if hyperparameter.type.is_list:
        if not hyperparameter.values:
            yield "it has no values", "List its values, or fix one with role Fixed."
        return
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        yield "it has no end", "Set both low and high."
        return
    if low >= high:
        yield f"low {low:g} is not smaller than high {high:g}", "Swap them, or fix a single value with role Fixed."
    if scale is Scale.LOG and low <= 0:
        yield f"{low:g} has no logarithm", "Raise low above 0, or use scale Linear."
    if scale is Scale.REVERSE_LOG and high >= 1:
        yield f"1 - {high:g} has no logarithm", "Lower high below 1, or use scale Linear."
    if hyperparameter.type is HyperparameterType.INTEGER and math.ceil(low) > math.floor(high):
        yield f"there is no integer from {low:g} to {high:g}", "Widen it, or use type Float."
    if hyperparameter.hard_low is not None and low < hyperparameter.hard_low:
        yield f"low {low:g} lies below hardLow {hyperparameter.hard_low:g}", "Raise low, or lower hardLow."
    if hyperparameter.hard_high is not None and high > hyperparameter.hard_high:
        yield f"high {high:g} lies above hardHigh {hyperparameter.hard_high:g}", "Lower high, or raise hardHigh."


def impossible_values(study: StudyRecord) -> list[Finding]:
    """Values that cannot be what the hyperparameter is known to be, such as a momentum of 1.5."""
    found = []
    for h in study.spec.hyperparameters:
        numbers, (low, high) = reach(h), _natural(h)
        if is_searched(h) and numbers is not None and not (low <= numbers[0] and numbers[1] <= high):
            found.append(
                warn(
                    study,
                    "InvalidRange",
                    "K04",
                    f"{h.parameter_name} is taken for {meaning_of(h).value}, which lies in [{low:g}, {high:g}], and is "
                    f"searched from {numbers[0]:g} to {numbers[1]:g}.",
                    action="Narrow it, or say what it is in its meaning.",
                    parameter=h.parameter_name,
                )
            )
    return found


def _natural(hyperparameter: Hyperparameter) -> tuple[float, float]:
    """Return between which numbers a hyperparameter lies by what it is."""
    meaning = plain_meaning_of(hyperparameter)
    if meaning in FRACTIONS:
        return 0.0, 1.0
    if meaning in COUNTS:
        return 1.0, math.inf
    return (0.0, math.inf) if meaning in NEVER_NEGATIVE else (-math.inf, math.inf)


def linear_scale(study: StudyRecord) -> list[Finding]:
    """A linear scale over three decades puts nine trials of ten into the last one."""
    # Of points that were written down by hand the scale draws none.
    drawn = study.spec.search.algorithm is not Algorithm.LIST or study.spec.search.switch_to is not None
    return [
        warn(
            study,
            "LinearScale",
            "K04",
            f"{h.parameter_name} is searched linearly from {h.low:g} to {h.high:g}, over {decades:.1f} powers of ten: "
            "nearly all trials lie in the last one.",
            action=f"Search it with scale {scale.value}.",
            parameter=h.parameter_name,
            numbers={"decades": decades},
            thresholds=[LINEAR_DECADES],
        )
        for h in study.spec.hyperparameters
        if drawn and is_range(h) and h.scale in (None, Scale.LINEAR)
        for decades, scale in [_decades(h)]
        if decades > study.thresholds[LINEAR_DECADES]
    ]


def _decades(hyperparameter: Hyperparameter) -> tuple[float, Scale]:
    """Return over how many powers of ten a range goes, and the scale that shows them; 0 where an end is at zero."""
    low, high = reach(hyperparameter) or (0.0, 0.0)
    meaning = meaning_of(hyperparameter)
    if meaning in NEAR_ONE:
        return (math.log10((1 - low) / (1 - high)) if low < high < 1 else 0.0), Scale.REVERSE_LOG
    if meaning in FROM_ZERO or not 0 < low < high:
        return 0.0, Scale.LOG
    return math.log10(high / low), Scale.LOG
