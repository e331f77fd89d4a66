"""Arms: the combinations of scientific values, and how the budget is divided over them.

Playbook, "identifying scientific, nuisance and fixed hyperparameters": scientific values are compared fairly only when
the nuisance parameters are optimised separately, with equal effort, for each of them. So in the design `Arms` each
combination has a quasi-random sequence and a share of the budget of its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, Role
from tuning_operator.api.search import Design
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.space import (
    Assignment,
    UnitPoint,
    exists,
    fixed_value,
    in_dependency_order,
    is_range,
    is_searched,
    value_at,
    values_of,
)

MAX_ARMS = 1024


@dataclass(frozen=True)
class Arm:
    """One combination of scientific values with what is left to search under it."""

    number: int
    scientific: Mapping[str, ParameterValue]
    """The scientific values; empty where the study has none, or where its design is Joint."""
    space: tuple[Hyperparameter, ...]
    """All hyperparameters of the study that can exist in this arm, in dependency order."""
    arms: int = 1
    """How many arms the study has."""

    @property
    def key(self) -> str:
        """A text that names the combination and nothing else: the arm's sequence depends on it, not on its number."""
        return json.dumps(dict(self.scientific), sort_keys=True)

    @property
    def dimensions(self) -> tuple[Hyperparameter, ...]:
        """The hyperparameters that are searched in this arm: the axes of its unit cube."""
        return tuple(h for h in self.space if is_searched(h) and h.name not in self.scientific)

    def assignment_at(self, point: UnitPoint) -> Assignment:
        """Return what stands at a point of the unit cube; coordinates of what does not exist there play no part."""
        assignment: Assignment = {}
        for hyperparameter in self.space:
            name = hyperparameter.name
            if name in self.scientific:
                assignment[name] = self.scientific[name]
            elif not exists(hyperparameter, assignment):
                continue
            elif hyperparameter.role is Role.FIXED:
                assignment[name] = fixed_value(hyperparameter)
            else:
                assignment[name] = value_at(hyperparameter, point[name])
        return assignment


def design_of(spec: TuningStudySpec) -> Design:
    """Return the study's design: the one that it names, else Joint for a scientific range and Arms for all others."""
    if spec.search.design is not None:
        return spec.search.design
    has_range = any(h.role is Role.SCIENTIFIC and is_range(h) for h in spec.hyperparameters)
    return Design.JOINT if has_range else Design.ARMS


def arms_of(spec: TuningStudySpec) -> tuple[Arm, ...]:
    """Return the study's arms, at least one, in the order of the manifest's values.

    Raises:
        ValueError: conditions form a cycle or name what does not exist, or there are more than 1024 arms.
    """
    ordered = in_dependency_order(spec.hyperparameters)
    if design_of(spec) is Design.JOINT:
        return (Arm(0, {}, tuple(ordered)),)
    combinations: list[Assignment] = [{}]
    for hyperparameter in (h for h in ordered if h.role is Role.SCIENTIFIC):
        combinations = [c for known in combinations for c in _extended(known, hyperparameter, ordered)]
        if len(combinations) > MAX_ARMS:
            raise ValueError(f"the scientific hyperparameters have more than {MAX_ARMS} combinations")
    return tuple(Arm(i, c, _space_under(c, ordered), len(combinations)) for i, c in enumerate(combinations))


def shares(total: int, arms: int) -> tuple[int, ...]:
    """Divide `total` trials over the arms; the shares differ by at most one.

    >>> shares(8, 3)
    (3, 3, 2)
    """
    return tuple(total // arms + (1 if arm < total % arms else 0) for arm in range(arms))


def trial_index(arm: Arm, position: int) -> int:
    """Return the number of a trial in its study: each (arm, position) has its own, whatever ran before it."""
    return position * arm.arms + arm.number


def _extended(known: Assignment, hyperparameter: Hyperparameter, ordered: Sequence[Hyperparameter]) -> list[Assignment]:
    context = known | {h.name: fixed_value(h) for h in ordered if h.role is Role.FIXED and exists(h, known)}
    if not exists(hyperparameter, context):
        return [known]
    return [known | {hyperparameter.name: value} for value in values_of(hyperparameter)]


def _space_under(scientific: Assignment, ordered: Sequence[Hyperparameter]) -> tuple[Hyperparameter, ...]:
    """Leave out what can never exist under these scientific values, so that it wastes no axis of the sequence."""
    decided: Assignment = dict(scientific)
    open_names: set[str] = set()
    space: list[Hyperparameter] = []
    for hyperparameter in ordered:
        depends_on_open = hyperparameter.when is not None and hyperparameter.when.name in open_names
        if not depends_on_open and not exists(hyperparameter, decided):
            continue
        space.append(hyperparameter)
        if hyperparameter.role is Role.FIXED and not depends_on_open:
            decided[hyperparameter.name] = fixed_value(hyperparameter)
        elif hyperparameter.name not in scientific:
            open_names.add(hyperparameter.name)
    return tuple(space)
