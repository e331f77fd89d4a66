"""How much of a lead is luck: the best of a search is a minimum, and whoever draws more luckily has the smaller one.

Two searches are compared by what the better half of chance would give them: the expected best of `h` results, drawn
without replacement from those of an arm, where `h` is half of the smallest arm's number. It is known exactly from the
order of the results, needs no random numbers, is the same for arms of different size, and is steadier than the one best
result (a bootstrap *with* replacement is inconsistent for a minimum: K03).

The lead's probability under chance comes from permuting the results over the arms (Fisher 1935): where all arms draw
from one distribution, every assignment of the results is as likely as any other. The largest lead of any arm is what is
compared, so that one probability holds for all arms together. Points of quasi-random sequences are spread more evenly
than chance would have them, which makes the test err on the side of a tie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import comb, gammaln

Array = np.ndarray[Any, np.dtype[np.float64]]

PERMUTATIONS: Final = 2000
SEED: Final = 20230119
"""The same results have the same probability, whenever they are looked at."""
NEGLIGIBLE: Final = 1e-9
"""Relative: gaps that differ by less are equal."""
CHUNK: Final = 2_000_000
"""How many numbers are permuted at once."""


@dataclass(frozen=True)
class Lead:
    """Who is ahead, of whom, and how surely."""

    leader: int
    rival: int
    """The best of those that the leader is compared with."""
    expected: tuple[float, ...]
    """Of each sample, the expected best of h results."""
    spreads: tuple[float, ...]
    """Of each sample, the standard deviation of the best of h results."""
    drawn: int
    """h."""
    p_value: float
    """How likely so large a lead is where all samples are alike."""


def best_of(losses: Sequence[float], drawn: int) -> tuple[float, float]:
    """Return expectation and standard deviation of the best of `drawn` losses, drawn without replacement.

    >>> best_of([1.0, 2.0], 1)
    (1.5, 0.5)

    Raises:
        ValueError: there are fewer losses, or none is drawn.
    """
    if not 1 <= drawn <= len(losses):
        raise ValueError(f"cannot draw {drawn} of {len(losses)} losses")
    expected, spread = _moments(np.sort(np.asarray(losses, dtype=np.float64)), drawn)
    return float(expected), float(spread)


def lead(samples: Sequence[Sequence[float]], apart: int = 1, permutations: int = PERMUTATIONS) -> Lead:
    """Return who leads and how likely the lead is by chance.

    Args:
        samples: The losses of each arm, all finite, at least one in each.
        apart: An arm's rivals stand at least so far from it: 1 for all others, 2 to leave the neighbours out.
        permutations: How many random assignments of the results there are to compare with.

    Raises:
        ValueError: no two of the samples are rivals.
    """
    if len(samples) <= apart:
        raise ValueError("there is nothing to compare with")
    arrays = [np.sort(np.asarray(sample, dtype=np.float64)) for sample in samples]
    drawn = max(1, min(map(len, arrays)) // 2)
    moments = [_moments(array, drawn) for array in arrays]
    expected = np.array([m for m, _ in moments])
    leader, rival, gap = _gaps(expected[None, :], apart)
    rng = np.random.default_rng(SEED)
    pool = np.concatenate(arrays)
    reached, left = 0, permutations
    while left:
        rows = min(left, max(1, CHUNK // len(pool)))
        shuffled = rng.permuted(np.broadcast_to(pool, (rows, len(pool))), axis=1)
        _, _, by_chance = _gaps(_expected(shuffled, [len(a) for a in arrays], drawn), apart)
        reached += int(np.count_nonzero(by_chance >= gap[0] * (1 - NEGLIGIBLE)))
        left -= rows
    return Lead(
        leader=int(leader[0]),
        rival=int(rival[0]),
        expected=tuple(map(float, expected)),
        spreads=tuple(float(s) for _, s in moments),
        drawn=drawn,
        p_value=(1 + reached) / (1 + permutations),
    )


def smallest_p_value(sizes: Sequence[int]) -> float:
    """Return how likely the clearest lead of all is by chance: one arm has all of the best results."""
    total = sum(sizes)
    return float(sum(1 / comb(total, size) for size in sizes))


def _expected(shuffled: Array, sizes: Sequence[int], drawn: int) -> Array:
    ends = np.cumsum(sizes)
    columns = [
        np.sort(shuffled[:, end - size : end], axis=1) @ _weights(size, drawn)
        for size, end in zip(sizes, ends, strict=True)
    ]
    return np.stack(columns, axis=1)


def _gaps(expected: Array, apart: int) -> tuple[Any, Any, Array]:
    """Return, for each row, the leader, its best rival and the distance between them."""
    leader = np.argmin(expected, axis=1)
    places = np.arange(expected.shape[1])
    near = np.abs(places[None, :] - leader[:, None]) < apart
    others = np.where(near, np.inf, expected)
    rival = np.argmin(others, axis=1)
    rows = np.arange(len(expected))
    return leader, rival, others[rows, rival] - expected[rows, leader]


def _moments(ascending: Array, drawn: int) -> tuple[float, float]:
    weights = _weights(len(ascending), drawn)
    above = ascending - ascending[0]
    mean = float(above @ weights)
    return float(ascending[0]) + mean, float(np.sqrt(max(float(above**2 @ weights) - mean**2, 0.0)))


def _weights(size: int, drawn: int) -> Array:
    """Return how likely each place of the order is to be the best of those drawn."""
    places = np.arange(1, size - drawn + 2)
    weights = np.zeros(size)
    weights[: len(places)] = np.exp(_log_choose(size - places, drawn - 1) - _log_choose(np.array(size), drawn))
    return weights


def _log_choose(n: Any, k: int) -> Array:
    result: Array = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return result
