"""A study's specification as its rules ask for it: its arms before any trial, and what its hyperparameters can be."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from tuning_contract.environment import ParameterValue
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Category, Hyperparameter, Meaning, Role
from tuning_operator.api.procedure import TrainingUnit
from tuning_operator.api.search import Design
from tuning_operator.api.study import GoalKind, TuningStudySpec
from tuning_operator.playbook.answers import answer, unknown
from tuning_operator.playbook.meaning import category_of, meaning_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.search.arms import Arm, arms_of, design_of, shares
from tuning_operator.search.domain import number_of_points
from tuning_operator.search.space import is_searched

COMPLEMENTS: Final[Mapping[Meaning, Meaning]] = {
    Meaning.ONE_MINUS_MOMENTUM: Meaning.MOMENTUM,
    Meaning.ONE_MINUS_BETA1: Meaning.BETA1,
}
"""Meanings that are one minus another: the same hyperparameter, told in another way."""


@dataclass(frozen=True)
class PlannedArm:
    """One combination of scientific values before any trial: what is searched under it, and with how many trials."""

    scientific: Mapping[str, ParameterValue]
    """By the parameter's name; empty: the study has one arm alone."""
    space: tuple[Hyperparameter, ...]
    """All hyperparameters that can exist in it."""
    dimensions: tuple[Hyperparameter, ...]
    """What is searched in it: its nuisance hyperparameters, and a scientific range."""
    points: int
    """How many different points it is to try: trials with the same parameters are one."""
    optimizer: str | None
    """The optimizer's name, in small letters and figures alone; None where the study does not settle it."""
    designed: Arm
    """The arm as the search has it; all of a joint design."""

    @cached_property
    def size(self) -> int | None:
        """How many different points it has; None: without end, or not known.

        Raises:
            ValueError: a range has no end.
        """
        return number_of_points(self.designed) if len(self.dimensions) == len(self.designed.dimensions) else None

    @property
    def looks_like(self) -> tuple[object, ...]:
        """Of two arms for which it is the same, all rules say the same."""
        return tuple(h.name for h in self.space), self.points, self.optimizer

    def with_meaning(self, *meanings: Meaning) -> tuple[Hyperparameter, ...]:
        """Return the arm's hyperparameters that are one of these, one minus one of them included."""
        return tuple(h for h in self.space if plain_meaning_of(h) in meanings)


def planned_arms(study: StudyRecord) -> tuple[PlannedArm, ...]:
    """Return the arms that the study will have, at least one, in the order of the manifest's values.

    In a joint design, whose trials are spread over the scientific values, one arm with the share of one value.

    Raises:
        ValueError: the arms cannot be told: conditions form a cycle, there are too many, or values are missing.
    """
    spec = study.spec
    names = {h.name: h.parameter_name for h in spec.hyperparameters}
    listed = [h for h in scientific_of(spec) if h.type.is_list] if design_of(spec) is Design.JOINT else []
    parts = math.prod(len(h.values or ("one",)) for h in listed)
    choices = [h for h in spec.hyperparameters if is_optimizer_choice(h)]
    arms = arms_of(spec)
    if not arms:
        raise ValueError("a scientific hyperparameter has no values that can be listed")
    return tuple(
        PlannedArm(
            scientific={names[name]: value for name, value in arm.scientific.items()},
            space=arm.space,
            dimensions=tuple(h for h in arm.dimensions if h not in listed),
            points=share // spec.search.replicates // parts,
            optimizer=_optimizer_of(arm, choices),
            designed=arm,
        )
        for arm, share in zip(arms, shares(spec.budget.max_trials, len(arms)), strict=True)
    )


def _optimizer_of(arm: Arm, choices: Sequence[Hyperparameter]) -> str | None:
    for choice in choices:
        if any(h.name == choice.name for h in arm.space):
            name = arm.scientific.get(choice.name, choice.value if choice.role is Role.FIXED else None)
            if name is not None:
                return "".join(c for c in str(name).lower() if c.isalnum())
    return None


def scientific_of(spec: TuningStudySpec) -> list[Hyperparameter]:
    """Return what the question is about."""
    return [h for h in spec.hyperparameters if h.role is Role.SCIENTIFIC]


def is_exploring(spec: TuningStudySpec) -> bool:
    """Whether the study is to learn something, and not only to find the best value (EXP-8)."""
    return spec.goal is None or spec.goal.kind is not GoalKind.MINIMISE


def plain_meaning_of(hyperparameter: Hyperparameter) -> Meaning:
    """Return what the hyperparameter is, however it is told: one minus momentum is momentum."""
    meaning = meaning_of(hyperparameter)
    return COMPLEMENTS.get(meaning, meaning)


def is_optimizer_choice(hyperparameter: Hyperparameter) -> bool:
    """Whether it says which optimizer trains."""
    return category_of(hyperparameter) is Category.OPTIMIZER_CHOICE


def belongs_to_optimizer(hyperparameter: Hyperparameter) -> bool:
    """Whether it is one of an optimizer's own hyperparameters. Clipping acts on the gradient before any optimizer."""
    is_clipping = meaning_of(hyperparameter) is Meaning.CLIP_NORM
    return category_of(hyperparameter) is Category.OPTIMIZER and not is_clipping


def has_unknown_meaning(hyperparameters: Iterable[Hyperparameter]) -> bool:
    """Whether one of them could be anything: neither its name nor the study says what it is."""
    return any(meaning_of(h) is Meaning.OTHER and category_of(h) is Category.OTHER for h in hyperparameters)


def is_fixed_without_reason(hyperparameter: Hyperparameter) -> bool:
    """Whether it is fixed, and the study does not say why."""
    return hyperparameter.role is Role.FIXED and not hyperparameter.fixed_reason


def reach(hyperparameter: Hyperparameter) -> tuple[float, float] | None:
    """Return the smallest and the largest number that a hyperparameter can be; None where it is no number."""
    if is_searched(hyperparameter) and not hyperparameter.type.is_list:
        low, high = hyperparameter.low, hyperparameter.high
        return None if low is None or high is None else (low, high)
    texts = (hyperparameter.values or ()) if is_searched(hyperparameter) else (hyperparameter.value or "",)
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return None
    return (min(numbers), max(numbers)) if numbers and all(map(math.isfinite, numbers)) else None


def is_told_in_epochs(spec: TuningStudySpec) -> bool:
    """Whether the length of a trial is told in epochs: by `training.unit`, or by the name of the length itself."""
    lengths = [h for h in spec.hyperparameters if meaning_of(h) is Meaning.MAX_STEPS]
    return spec.training.unit is TrainingUnit.EPOCHS or any("epoch" in h.parameter_name.lower() for h in lengths)


def steps_of(spec: TuningStudySpec, arm: PlannedArm) -> float | None:
    """Return how many steps the shortest of an arm's trials trains; None where the study does not tell."""
    if spec.training.max_steps is not None:
        return spec.training.max_steps
    if is_told_in_epochs(spec):
        return None
    known = [numbers[0] for h in arm.with_meaning(Meaning.MAX_STEPS) if (numbers := reach(h)) is not None]
    return min(known, default=None)


def block(study: StudyRecord, verdict: str, rule: str, message: str, **more: Any) -> Finding:
    """Return a finding that forbids a conclusion; `more` as in `answer`."""
    return answer(study, Code.SPECIFICATION, verdict, Severity.BLOCK, rule, message, **more)


def warn(study: StudyRecord, verdict: str, rule: str, message: str, **more: Any) -> Finding:
    """Return a finding that restricts the conclusion; `more` as in `answer`."""
    return answer(study, Code.SPECIFICATION, verdict, Severity.WARN, rule, message, **more)


def info(study: StudyRecord, verdict: str, rule: str, message: str, **more: Any) -> Finding:
    """Return a finding that is worth knowing; `more` as in `answer`."""
    return answer(study, Code.SPECIFICATION, verdict, Severity.INFO, rule, message, **more)


def not_known(study: StudyRecord, rule: str, message: str, **more: Any) -> Finding:
    """Return that a rule cannot tell, and in `action` what to set; `more` as in `answer`."""
    return unknown(study, Code.SPECIFICATION, rule, message, **more)
