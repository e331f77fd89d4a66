"""The points of an arm, one after another, none of them twice: the user's own first, then the algorithm's.

Point *k* is a function of the study's specification, the arm and *k* alone. Where an adaptive algorithm is to draw it,
this is the quasi-random point in its place, for as long as there is too little to learn from.
"""

from collections.abc import Callable, Iterator, Set
from itertools import chain, count, islice

from tuning_operator.api.search import Algorithm
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.arms import Arm, shares
from tuning_operator.search.domain import has_listable_points, number_of_points, points_of
from tuning_operator.search.grid import grid_points, grid_size, is_on_grid
from tuning_operator.search.own_points import own_points
from tuning_operator.search.quasi_random import quasi_random_points
from tuning_operator.search.random_search import random_points
from tuning_operator.search.space import Assignment, UnitPoint

Sequence = Callable[[int, Arm, int, int], list[UnitPoint]]
"""Seed, arm, first position and number: points in the unit cube."""

SEQUENCES: dict[Algorithm, Sequence] = {
    Algorithm.QUASI_RANDOM: quasi_random_points,
    Algorithm.RANDOM: random_points,
    Algorithm.BAYESIAN: quasi_random_points,
}
PointKey = frozenset[tuple[str, object]]
CHUNK = 64
MOST_DRAWS = 2**16
"""Drawn in search of a new point, before the space is listed instead."""


class ExhaustedError(LookupError):
    """The arm has no further point."""


def capacity(spec: TuningStudySpec, arm: Arm) -> int | None:
    """Return how many points the arm has for this study; None: without end."""
    listed = _listed(spec, arm)
    return number_of_points(arm) if listed is None or spec.search.switch_to is not None else listed


def _listed(spec: TuningStudySpec, arm: Arm) -> int | None:
    """Return how many points an algorithm has that lists them from the start; None: it is none of these."""
    match spec.search.algorithm:
        case Algorithm.LIST:
            return len(own_points(spec, arm))
        case Algorithm.GRID:
            return grid_size(spec, arm) + sum(not is_on_grid(spec, arm, point) for point in own_points(spec, arm))
        case _:
            return None


def algorithm_at(spec: TuningStudySpec, arm: Arm, number: int) -> Algorithm:
    """Return which algorithm draws the arm's point `number`."""
    if number < len(own_points(spec, arm)):
        return Algorithm.LIST
    switch = spec.search.switch_to
    if switch is None:
        return spec.search.algorithm
    # The share is of trials, and a point has as many as replicates.
    share = shares(switch.after_trials, arm.arms)[arm.number]
    listed = _listed(spec, arm)
    is_over = number * spec.search.replicates >= share or (listed is not None and number >= listed)
    return switch.algorithm if is_over else spec.search.algorithm


def positions(spec: TuningStudySpec, arm: Arm) -> int | None:
    """Return how many trials the arm can have: each point has as many as it has replicates; None: without end."""
    points = capacity(spec, arm)
    return None if points is None else points * spec.search.replicates


def point_at(spec: TuningStudySpec, arm: Arm, number: int) -> Assignment:
    """Return the arm's point `number`, from 0.

    Raises:
        ExhaustedError: there are not so many.
    """
    own = own_points(spec, arm)
    if number < len(own):
        return own[number]
    algorithm = algorithm_at(spec, arm, number)
    if algorithm in SEQUENCES and not has_listable_points(arm):
        # Each point has a Float, and none comes twice.
        (point,) = SEQUENCES[algorithm](spec.search.seed, arm, number - len(own), 1)
        return arm.assignment_at(point)
    found = next(islice(_distinct(chain(own, _drawn(spec, arm, algorithm))), number, None), None)
    if found is None:
        raise ExhaustedError(f"arm {arm.key} has no point {number}")
    return found


def untried_point(spec: TuningStudySpec, arm: Arm, number: int, tried: Set[PointKey]) -> Assignment:
    """Return the quasi-random point `number` of the arm, or where that was tried the next one that was not.

    Raises:
        ExhaustedError: all were tried.
    """
    is_finite = number_of_points(arm) is not None
    # What a few draws do not find, a list does.
    ahead = range(number, number + CHUNK) if is_finite else count(number)
    drawn = (arm.assignment_at(quasi_random_points(spec.search.seed, arm, each, 1)[0]) for each in ahead)
    points = chain(drawn, points_of(arm)) if is_finite else drawn
    found = next((point for point in points if key_of(point) not in tried), None)
    if found is None:
        raise ExhaustedError(f"all points of arm {arm.key} were tried")
    return found


def _drawn(spec: TuningStudySpec, arm: Arm, algorithm: Algorithm) -> Iterator[Assignment]:
    if algorithm is Algorithm.GRID:
        yield from grid_points(spec, arm)
    if algorithm not in SEQUENCES:
        return
    is_finite = number_of_points(arm) is not None
    for first in count(0, CHUNK):
        if is_finite and first >= MOST_DRAWS:
            # What chance has left out comes in order.
            yield from points_of(arm)
            return
        for point in SEQUENCES[algorithm](spec.search.seed, arm, first, CHUNK):
            yield arm.assignment_at(point)


def _distinct(points: Iterator[Assignment]) -> Iterator[Assignment]:
    seen = set()
    for point in points:
        key = key_of(point)
        if key not in seen:
            seen.add(key)
            yield point


def key_of(point: Assignment) -> PointKey:
    """Return what two points share if and only if they are the same."""
    return frozenset(point.items())
