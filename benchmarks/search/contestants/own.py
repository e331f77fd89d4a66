"""Our own algorithms, called as the operator calls them: nothing is kept but the records."""

from dataclasses import replace

from benchmarks.search.simulation import Contestant
from tuning_operator.search.arms import Arm
from tuning_operator.search.bayesian import bayesian_point, is_ready
from tuning_operator.search.observation import Observation
from tuning_operator.search.quasi_random import quasi_random_points
from tuning_operator.search.random_search import random_points
from tuning_operator.search.seeds import derived_seed
from tuning_operator.search.sequence import Sequence
from tuning_operator.search.space import Assignment


class Fixed:
    """A sequence of points that no result changes."""

    def __init__(self, sequence: Sequence, arm: Arm, seed: int) -> None:
        self._sequence, self._arm, self._seed = sequence, arm, seed

    def ask(self, number: int) -> Assignment:
        """Return the point with that number."""
        (point,) = self._sequence(self._seed, self._arm, number, 1)
        return self._arm.assignment_at(point)

    def tell(self, number: int, loss: float | None) -> None:
        """Take no notice."""


class Bayesian:
    """Quasi-random points until there is enough to learn from, then Bayesian ones."""

    def __init__(self, arm: Arm, seed: int) -> None:
        self._arm, self._seed = arm, seed
        self._observations: dict[int, Observation] = {}
        self._sequence = Fixed(quasi_random_points, arm, seed)

    def ask(self, number: int) -> Assignment:
        """Return the next point under all observations so far."""
        known = list(self._observations.values())
        if is_ready(self._arm, known):
            seed = derived_seed(self._seed, self._arm.key, number, "search")
            assignment = bayesian_point(self._arm, known, seed)
        else:
            assignment = self._sequence.ask(number)
        self._observations[number] = Observation(0, number, assignment)
        return assignment

    def tell(self, number: int, loss: float | None) -> None:
        """Record the result."""
        self._observations[number] = replace(self._observations[number], loss=loss, infeasible=loss is None)


def random(arm: Arm, seed: int) -> Contestant:
    """Return random search."""
    return Fixed(random_points, arm, seed)


def quasi_random(arm: Arm, seed: int) -> Contestant:
    """Return our exploration."""
    return Fixed(quasi_random_points, arm, seed)
