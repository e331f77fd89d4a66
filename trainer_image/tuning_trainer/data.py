"""The data: 1,797 scans of handwritten digits, 8×8 pixels in 17 shades of grey, shipped with the trainer.

Source and licence: see make_digits.py. The split is part of the data set and never depends on a trial's seed: 60 % are
trained on, 20 % validate, 20 % are for a test after all tuning, which no trial ever reads.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

DIGITS: Final = Path(__file__).with_name("digits.npz")
TRAIN_FRACTION: Final = 0.6
VALIDATION_FRACTION: Final = 0.2


@dataclass(frozen=True)
class Split:
    """Some of the examples."""

    images: NDArray[np.float32]
    """Shape (examples, 1, 8, 8), brightness in [0, 1]."""
    labels: NDArray[np.int64]
    """Shape (examples,), digits 0 to 9."""


@dataclass(frozen=True)
class Digits:
    """The whole data set, divided."""

    train: Split
    validation: Split
    test: Split


def load_digits() -> Digits:
    """Read the shipped file; the same 1,078 + 359 + 360 examples on every machine."""
    with np.load(DIGITS) as file:
        images = (file["images"].astype(np.float32) / 16)[:, np.newaxis]
        labels = file["labels"].astype(np.int64)
    order = split_order(len(labels))
    first, second = int(len(order) * TRAIN_FRACTION), int(len(order) * (TRAIN_FRACTION + VALIDATION_FRACTION))
    parts = (order[:first], order[first:second], order[second:])
    return Digits(*(Split(images[rows], labels[rows]) for rows in parts))


def split_order(examples: int) -> list[int]:
    """Return the rows in the order in which the splits take them.

    Ordered by hash and not by a random generator: no library's version can ever move an example to another split.
    """
    return sorted(range(examples), key=lambda row: hashlib.sha256(f"digits/{row}".encode()).digest())
