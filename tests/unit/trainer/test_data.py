"""The data set and its split are the same for everybody."""

import hashlib

import numpy as np

from tuning_trainer.data import DIGITS, load_digits, split_order
from tuning_trainer.seeds import seed_of


def test_the_shipped_file_holds_the_published_data() -> None:
    with np.load(DIGITS) as file:
        content = file["images"].tobytes() + file["labels"].tobytes()
        assert (file["images"].shape, file["images"].min(), file["images"].max()) == ((1797, 8, 8), 0, 16)
    assert hashlib.sha256(content).hexdigest() == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_sizes_types_and_ranges() -> None:
    digits = load_digits()
    assert [len(split.labels) for split in (digits.train, digits.validation, digits.test)] == [1078, 359, 360]
    for split in (digits.train, digits.validation, digits.test):
        assert split.images.shape == (len(split.labels), 1, 8, 8)
        assert (str(split.images.dtype), str(split.labels.dtype)) == ("float32", "int64")
        assert (split.images.min(), split.images.max()) == (0.0, 1.0)
        assert set(split.labels.tolist()) == set(range(10))


def test_the_split_never_changes() -> None:
    """A moved example would make old and new trials incomparable: change this number only with the data set."""
    order = split_order(1797)
    assert sorted(order) == list(range(1797))
    assert (
        hashlib.sha256(repr(order).encode()).hexdigest()
        == "aa608b37514d670d84c3fc95c880a8493132576dd8d381ed43dbbc7178f6a693"
    )


def test_seeds_of_different_sources_and_of_neighbouring_roots_differ() -> None:
    seeds = {seed_of(root, source) for root in range(100) for source in ("initialization", "data", "dropout")}
    assert len(seeds) == 300
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_same_everywhere() -> None:
    assert seed_of(0, "data") == 736_872_305_540_241_488
