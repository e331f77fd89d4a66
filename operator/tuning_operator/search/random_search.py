"""Random search: independent points, the yardstick of everything else (Bergstra and Bengio 2012)."""

import numpy as np

from tuning_operator.search.arms import Arm
from tuning_operator.search.seeds import derived_seed
from tuning_operator.search.space import UnitPoint


def random_points(seed: int, arm: Arm, first: int, number: int) -> list[UnitPoint]:
    """Return `number` points in [0, 1)^d, each a function of the seed, the arm and its position alone."""
    return [_point(seed, arm, position) for position in range(first, first + number)]


def _point(seed: int, arm: Arm, position: int) -> UnitPoint:
    names = [h.name for h in arm.dimensions]
    rng = np.random.default_rng(derived_seed(seed, arm.key, position, "random"))
    return dict(zip(names, map(float, rng.random(len(names))), strict=True))
