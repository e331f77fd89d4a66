"""The points of an arm's space: how many there are, and all of them in order, where they can be listed.

Conditions make a forest of the hyperparameters: each has at most one `when`. So points are counted tree by tree,
however many there are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, HyperparameterType, Role
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import Assignment, bounds_of, exists, fixed_value, is_searched, values_of

Values = Callable[[Hyperparameter], Sequence[ParameterValue] | None]
"""The values that a searched hyperparameter may have; None: too many to list, as in a Float range."""


def every_value(hyperparameter: Hyperparameter) -> Sequence[ParameterValue] | None:
    """Return all values of a domain; None for a Float range."""
    if hyperparameter.type.is_list:
        return values_of(hyperparameter)
    if hyperparameter.type is HyperparameterType.FLOAT:
        return None
    low, high = bounds_of(hyperparameter)
    return range(int(low), int(high) + 1)


def number_of_points(arm: Arm, values: Values = every_value) -> int | None:
    """Return how many different points the arm has; None: without end."""
    return _product(_points_below(root, arm, values) for root in _roots(arm))


def points_of(arm: Arm, values: Values = every_value) -> Iterator[Assignment]:
    """Return the points in order, the first hyperparameter changing slowest.

    Raises:
        ValueError: a domain cannot be listed.
    """
    yield from _completed({}, arm.space, arm, values)


def has_listable_points(arm: Arm) -> bool:
    """Whether the arm has a point without a Float, so that a sequence of points may come to it twice."""
    return all(_is_listable(root, arm) for root in _roots(arm))


def _completed(known: Assignment, rest: Sequence[Hyperparameter], arm: Arm, values: Values) -> Iterator[Assignment]:
    if not rest:
        yield known
        return
    hyperparameter, *later = rest
    if not exists(hyperparameter, known):
        yield from _completed(known, later, arm, values)
        return
    options = _options(hyperparameter, arm, values)
    if options is None:
        raise ValueError(f"the values of {hyperparameter.name} cannot be listed")
    for value in options:
        yield from _completed(known | {hyperparameter.name: value}, later, arm, values)


def _options(hyperparameter: Hyperparameter, arm: Arm, values: Values) -> Sequence[ParameterValue] | None:
    if hyperparameter.name in arm.scientific:
        return [arm.scientific[hyperparameter.name]]
    if hyperparameter.role is Role.FIXED:
        return [fixed_value(hyperparameter)]
    return values(hyperparameter)


def _roots(arm: Arm) -> list[Hyperparameter]:
    names = {h.name for h in arm.space}
    return [h for h in arm.space if h.when is None or h.when.name not in names]


def _children(parent: Hyperparameter, arm: Arm) -> list[Hyperparameter]:
    return [h for h in arm.space if h.when is not None and h.when.name == parent.name]


def _points_below(parent: Hyperparameter, arm: Arm, values: Values) -> int | None:
    """Return the number of points of the tree that begins with `parent`, which exists; None: without end."""
    options = _options(parent, arm, values)
    if options is None:
        return None
    children = _children(parent, arm)
    if not children:
        return len(options)
    sizes = {child.name: _points_below(child, arm, values) for child in children}
    branches = [
        _product(sizes[child.name] for child in children if exists(child, {parent.name: value})) for value in options
    ]
    return None if None in branches else sum(branch for branch in branches if branch is not None)


def _product(numbers: Iterable[int | None]) -> int | None:
    product = 1
    for number in numbers:
        if number is None:
            return None
        product *= number
    return product


def _is_listable(parent: Hyperparameter, arm: Arm) -> bool:
    if is_searched(parent) and parent.name not in arm.scientific and parent.type is HyperparameterType.FLOAT:
        return False
    children = _children(parent, arm)
    listable = {child.name: _is_listable(child, arm) for child in children}
    if not children:
        return True
    return any(
        all(listable[child.name] for child in children if exists(child, {parent.name: value}))
        for value in _options(parent, arm, every_value) or ()
    )
