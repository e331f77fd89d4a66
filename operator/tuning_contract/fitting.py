"""How what a trial has to tell is brought into the few bytes of a termination message.

What tells least goes first. Of a curve, the last columns go before it is thinned below forty evaluations, of which
eight lie in the last fifth that most rules look at; the objective stays to the end. Of the diagnostics go, in this
order: the counts by class and then the ranks, where the curve would have less than 2,400 bytes; buckets of the
gradient norms' histogram beyond the 64 highest, whose counts join the lowest that stays; the fourth digit of the dense
losses, then their last steps; the histogram; at last everything.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tuning_contract.curve import Curve, significant
from tuning_contract.diagnostics import Diagnostics

OBJECTIVE_DIGITS: Final = 7
"""What a float32 can tell apart."""
OTHER_DIGITS: Final = 5
SENSIBLE_ROWS: Final = 40
USUAL_CURVE_BYTES: Final = 2400
"""What the curve keeps beside the counts by class and the ranks: forty rows of seven columns."""
LEAST_CURVE_BYTES: Final = 300
"""What it keeps beside all other diagnostics: a dozen evaluations of the objective."""
DENSE_DIGITS: Final = (4, 3)
MOST_BUCKETS: Final = (64, 16)


def size_of(data: object) -> int:
    """Return how many bytes a value takes as JSON."""
    return len(json.dumps(data, separators=(",", ":"), allow_nan=False))


def curve_within(curve: Curve, room: int) -> Curve:
    """Return as much of a curve as takes at most `room` bytes of JSON; nothing where not even its columns fit."""
    wanted = min(len(curve), SENSIBLE_ROWS)
    for columns in range(len(curve.metrics), 1, -1):
        found = _thinned_within(curve.with_columns(columns), room)
        if len(found) >= wanted:
            return found
    return _thinned_within(curve.with_columns(1), room)


def diagnostics_within(diagnostics: Diagnostics, room: int) -> Diagnostics:
    """Return as much of the diagnostics as takes at most `room` bytes of JSON, the curve's share taken off.

    The order in which it is left out stands at the head of this file.
    """
    for found, share in _ever_less(diagnostics):
        if size_of(found.to_json()) <= room - share:
            return found
    return Diagnostics()


def _thinned_within(curve: Curve, room: int) -> Curve:
    # A row has brackets and a comma, and for each number a digit and a comma.
    keep = min(len(curve), room // (2 * len(curve.metrics) + 4) + 1)
    while True:
        found = curve.thinned(keep).rounded(OBJECTIVE_DIGITS, OTHER_DIGITS)
        size = size_of(found.to_json())
        if size <= room:
            return found
        if keep <= 0:
            return Curve()
        keep = min(keep - 1, keep * room // size)


def _ever_less(diagnostics: Diagnostics) -> Iterator[tuple[Diagnostics, int]]:
    """Yield what is left and what the curve must keep beside it."""
    less = _with_digits(diagnostics, DENSE_DIGITS[0])
    yield less, USUAL_CURVE_BYTES
    less = replace(less, per_class={})
    yield less, USUAL_CURVE_BYTES
    less = replace(less, ranks=())
    yield less, LEAST_CURVE_BYTES
    less = _with_buckets(less, MOST_BUCKETS[0])
    yield less, LEAST_CURVE_BYTES
    less = _with_digits(less, DENSE_DIGITS[1])
    yield less, LEAST_CURVE_BYTES
    for tenths in range(9, 0, -1):
        yield replace(less, dense_loss=less.dense_loss[: len(less.dense_loss) * tenths // 10]), LEAST_CURVE_BYTES
    less = replace(less, dense_loss=())
    yield _with_buckets(less, MOST_BUCKETS[1]), LEAST_CURVE_BYTES
    yield replace(less, grad_norm_histogram=None), LEAST_CURVE_BYTES


def _with_digits(diagnostics: Diagnostics, digits: int) -> Diagnostics:
    return replace(diagnostics, dense_loss=tuple(significant(v, digits) or 0.0 for v in diagnostics.dense_loss))


def _with_buckets(diagnostics: Diagnostics, most: int) -> Diagnostics:
    histogram = diagnostics.grad_norm_histogram
    return replace(diagnostics, grad_norm_histogram=None if histogram is None else histogram.narrowed(most))
