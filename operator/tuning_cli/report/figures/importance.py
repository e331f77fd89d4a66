"""How much of the results each hyperparameter explains, as the rules about roles measure it (K23)."""

from dataclasses import dataclass

from tuning_cli.report.figures.axis import name_of
from tuning_operator.playbook.arms import arm_key, arms
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.space.roles import importance


@dataclass(frozen=True)
class Importance:
    """One hyperparameter in one arm."""

    arm: str
    parameter: str
    share: float
    """Of the results' variance, in [0, 1]."""


def importance_of(study: StudyRecord) -> tuple[Importance, ...]:
    """Return the shares, the largest first; empty where there are too few trials to say."""
    names = {arm_key(arm.scientific): name_of(arm.scientific) for arm in arms(study)}
    found = [
        Importance(names[key], parameter, share)
        for key, shares in importance(study).items()
        for parameter, share in shares.items()
    ]
    return tuple(sorted(found, key=lambda each: -each.share))
