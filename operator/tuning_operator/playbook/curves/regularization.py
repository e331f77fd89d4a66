"""Which trials are regularised weakly, where regularisation is what the study asks about (playbook: CRV-6)."""

from typing import Final

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Category, Hyperparameter, HyperparameterType, Role
from tuning_operator.playbook.arms import position
from tuning_operator.playbook.meaning import category_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.search.space import values_of

OFF: Final = frozenset({"off", "none", "no", "false", "disabled", "0", "0.0", ""})
"""How a category says that a regulariser is not used, in lower case."""


def is_weakly_regularised(study: StudyRecord, trial: TrialRecord) -> bool:
    """Whether a regulariser is scientific and the trial has one of its weaker values, which are expected to overfit.

    Of k values the lower half, rounded down, at least one; of a range its lower half; of a switch, and of categories
    that are no numbers, the one that is off.
    """
    return any(
        _is_weak(h, trial)
        for h in study.spec.hyperparameters
        if h.role is Role.SCIENTIFIC
        and h.name in trial.assignment
        and category_of(h) in (Category.REGULARIZATION, Category.REGULARIZATION_SWITCH)
    )


def _is_weak(hyperparameter: Hyperparameter, trial: TrialRecord) -> bool:
    value = trial.assignment[hyperparameter.name]
    if category_of(hyperparameter) is Category.REGULARIZATION_SWITCH:
        return is_off(value)
    if not hyperparameter.type.is_list:
        unit = position(hyperparameter, trial)
        return unit is not None and unit < 0.5
    values = list(values_of(hyperparameter))
    numbers = [_number(v) for v in values]
    if all(n is not None for n in numbers):
        values.sort(key=lambda v: float(v))
    elif hyperparameter.type is not HyperparameterType.ORDINAL:
        return is_off(value)
    return value in values[: max(1, len(values) // 2)]


def is_off(value: ParameterValue) -> bool:
    """Whether the value of a switch means that it is off: false, zero, or a word such as `none`."""
    return str(value).lower() in OFF


def _number(value: ParameterValue) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
