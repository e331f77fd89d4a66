"""Training, validation and test examples: a part of the data set, and never a matter of a trial's seed.

60 % are trained on, 20 % validate, 20 % are for a test after all tuning, which no trial ever reads.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

TRAIN_FRACTION: Final = 0.6
VALIDATION_FRACTION: Final = 0.2


def split(name: str, examples: int) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Return the rows that train, those that validate and those that test."""
    order = split_order(name, examples)
    first, second = int(examples * TRAIN_FRACTION), int(examples * (TRAIN_FRACTION + VALIDATION_FRACTION))
    return order[:first], order[first:second], order[second:]


def split_order(name: str, examples: int) -> list[int]:
    """Return the rows of a data set in the order in which the splits take them.

    Ordered by hash and not by a random generator: no library's version can ever move an example to another split.
    """
    return sorted(range(examples), key=lambda row: hashlib.sha256(f"{name}/{row}".encode()).digest())
