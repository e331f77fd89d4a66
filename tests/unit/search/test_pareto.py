"""Two objectives: the front is what nothing beats in both, and the search covers all of it."""

import math
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import a_range
from tests.support.views import a_spec
from tuning_operator.search.arms import arms_of
from tuning_operator.search.observation import Observation
from tuning_operator.search.pareto import nondominated, weighed
from tuning_operator.search.quasi_random import quasi_random_points
from tuning_operator.search.space import Assignment
from tuning_operator.search.suggest import suggest_adaptively

SPEC = a_spec(
    hyperparameters=[a_range("x0"), a_range("x1"), a_range("x2")],
    secondObjective={"metric": "latency"},
    search={"algorithm": "Bayesian", "seed": 3},
)
ALONE = a_spec(
    hyperparameters=[a_range("x0"), a_range("x1"), a_range("x2")], search={"algorithm": "Bayesian", "seed": 3}
)
(ARM,) = arms_of(SPEC)
POINTS = st.lists(st.tuples(st.integers(0, 9).map(float), st.integers(0, 9).map(float)), max_size=30)


def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[0] and a[1] <= b[1] and a != b


@given(POINTS)
def test_the_front_is_what_no_other_point_beats_and_beats_all_the_rest(points: list[tuple[float, float]]) -> None:
    front = nondominated(points)
    assert not any(dominates(other, points[i]) for i in front for other in points)
    assert all(any(points[i] == p or dominates(points[i], p) for i in front) for p in points)
    assert len({points[i] for i in front}) == len(front)
    assert [points[i][0] for i in front] == sorted(points[i][0] for i in front)


@given(POINTS, st.randoms())
def test_the_front_does_not_depend_on_the_order(points: list[tuple[float, float]], random: object) -> None:
    shuffled = list(points)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [points[i] for i in nondominated(points)] == [shuffled[i] for i in nondominated(shuffled)]


def both(point: Assignment) -> tuple[float, float]:
    """A front of all x0 where the others are 0.2 (after ZDT1)."""
    x0, away = float(point["x0"]), 1 + 3 * sum((float(point[n]) - 0.2) ** 2 for n in ("x1", "x2"))
    return x0, away * (1 - math.sqrt(x0 / away)) + (away - 1)


def observed(position: int, point: Assignment) -> Observation:
    first, second = both(point)
    return Observation(0, position, point, loss=first, second_loss=second)


def volume(observations: Sequence[Observation]) -> float:
    """Return the area that the front dominates, up to (1.1, 2)."""
    points = [both(o.assignment) for o in observations]
    area, right = 0.0, 1.1
    for i in reversed(nondominated([p for p in points if p[1] < 2])):
        first, second = [p for p in points if p[1] < 2][i]
        area, right = area + (right - first) * (2 - second), first
    return area


def started(number: int) -> list[Observation]:
    points = [ARM.assignment_at(point) for point in quasi_random_points(3, ARM, 0, number)]
    return [observed(position, point) for position, point in enumerate(points)]


def searched(spec: object, number: int) -> list[Observation]:
    known = started(10)
    while len(known) < number:
        known.append(observed(len(known), suggest_adaptively(spec, ARM, len(known), known).assignment))  # type: ignore[arg-type]
    return known


def test_the_search_covers_the_front() -> None:
    found = searched(SPEC, 34)
    assert volume(found) > volume(started(68))  # twice the trials
    assert volume(found) > volume(searched(ALONE, 34))
    front = [both(found[i].assignment)[0] for i in nondominated([both(o.assignment) for o in found])]
    assert all(any(low <= value < low + 0.25 for value in front) for low in (0.0, 0.25, 0.5, 0.75))


def test_a_suggestion_is_a_function_of_seed_and_place() -> None:
    known = started(12)
    assert suggest_adaptively(SPEC, ARM, 12, known) == suggest_adaptively(SPEC, ARM, 12, list(known))


def test_a_weighed_loss_is_never_better_for_a_point_that_is_beaten_in_both() -> None:
    known = started(30)
    for seed in range(10):
        by_position = {o.position: o.loss or 0.0 for o in weighed(known, seed)}
        for a in known:
            for b in known:
                if dominates(both(a.assignment), both(b.assignment)):
                    assert by_position[a.position] <= by_position[b.position]


def test_what_has_one_value_only_is_left_out_and_what_has_none_stays() -> None:
    point: Assignment = {"x0": 0.5, "x1": 0.5, "x2": 0.5}
    half = Observation(0, 90, point, loss=1.0)
    running, infeasible = Observation(0, 91, point), Observation(0, 92, point, infeasible=True)
    assert [o.position for o in weighed([*started(3), half, running, infeasible], 0)] == [0, 1, 2, 91, 92]
    assert weighed([half, running], 0) == [running]
