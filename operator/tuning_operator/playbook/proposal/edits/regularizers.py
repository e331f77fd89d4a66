"""A regulariser to tune where the best trial of an arm overfits (K05, CRV-4)."""

from collections.abc import Mapping, Sequence
from typing import Final

from tuning_operator.api.findings import Code, Finding
from tuning_operator.api.hyperparameters import Hyperparameter, HyperparameterType, Meaning, Role, Scale
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.proposal.change import Change, of, updated
from tuning_operator.playbook.records import StudyRecord

RANGES: Final[Mapping[Meaning, tuple[float, float, Scale]]] = {
    Meaning.WEIGHT_DECAY: (1e-6, 1e-1, Scale.LOG),
    Meaning.DROPOUT: (0.0, 0.5, Scale.LINEAR),
    Meaning.LABEL_SMOOTHING: (0.0, 0.2, Scale.LINEAR),
}
"""Where to look first (K05; ours): the strengths that are usual in practice."""


def regularised(study: StudyRecord, findings: Sequence[Finding], change: Change) -> Change:
    """Let the next study search a regulariser: one that is fixed now, else weight decay.

    Where every known regulariser is searched already, the space has what it needs, and more trials are another
    finding's matter.
    """
    overfitting = of(findings, Code.OVERFITTING, "BestTrial")
    if not overfitting:
        return change
    why = overfitting[0].message
    known = [h for h in change.spec.hyperparameters if meaning_of(h) in RANGES]
    fixed = [h for h in known if h.role is Role.FIXED]
    if fixed:
        return change.replaced(_searched(fixed[0]), f"{fixed[0].parameter_name}: searched now instead of fixed. {why}")
    if known:
        return change
    low, high, scale = RANGES[Meaning.WEIGHT_DECAY]
    added = Hyperparameter(
        name="weight_decay", type=HyperparameterType.FLOAT, role=Role.NUISANCE, low=low, high=high, scale=scale
    )
    return change.added(added, f"weight_decay: added, for the container must know it under this name. {why}")


def _searched(hyperparameter: Hyperparameter) -> Hyperparameter:
    low, high, scale = RANGES[meaning_of(hyperparameter)]
    return updated(
        hyperparameter,
        type=HyperparameterType.FLOAT,
        role=Role.NUISANCE,
        value=None,
        value_type=None,
        fixed_reason=None,
        low=low,
        high=high,
        scale=scale,
    )
