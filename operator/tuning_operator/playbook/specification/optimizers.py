"""The optimizer's own hyperparameters: each optimizer has its own, and somebody must care for all of them (K04)."""

from collections.abc import Mapping
from typing import Final

from tuning_operator.api.findings import Finding
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning, Role
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.specification.design import (
    PlannedArm,
    belongs_to_optimizer,
    block,
    info,
    is_fixed_without_reason,
    is_optimizer_choice,
    not_known,
    plain_meaning_of,
    scientific_of,
    warn,
)
from tuning_operator.search.space import is_searched

ADAM: Final = (Meaning.LEARNING_RATE, Meaning.BETA1, Meaning.EPSILON, Meaning.BETA2)
"""Adam's hyperparameters, in the order in which they are worth tuning (ADM-1 to ADM-4)."""
LIKE_ADAM: Final = ("adam", "amsgrad", "adabelief")
"""Parts of the names of optimizers that have Adam's hyperparameters: adamw, nadam, adamax ..."""
WITH_MOMENTUM: Final = frozenset({"momentum", "nesterov", "nesterovmomentum", "sgdmomentum", "sgdm", "sgdnesterov"})
OWN: Final[Mapping[str, tuple[Meaning, ...]]] = {
    "sgd": (Meaning.LEARNING_RATE,),
    "rmsprop": (Meaning.LEARNING_RATE, Meaning.MOMENTUM, Meaning.EPSILON),
    **dict.fromkeys(WITH_MOMENTUM, (Meaning.LEARNING_RATE, Meaning.MOMENTUM)),
}
"""The hyperparameters of other optimizers, by name, as the Playbook's update rules have them (UPD-1 to UPD-4)."""

MAX_NAMED: Final = 4
"""Of many values a message names the first ones."""


def is_like_adam(optimizer: str) -> bool:
    """Whether an optimizer of this name has Adam's hyperparameters."""
    return any(part in optimizer for part in LIKE_ADAM)


def shared_hyperparameter(study: StudyRecord) -> list[Finding]:
    """ROL-23: under different optimizers the same name is not the same hyperparameter."""
    choices = [h for h in study.spec.hyperparameters if is_optimizer_choice(h) and is_searched(h)]
    found = []
    for choice in choices:
        for h in study.spec.hyperparameters:
            served = _served(study, h, choice)
            if h is not choice and is_searched(h) and _is_own(h, choice) and len(served) > 1:
                found.append(
                    block(
                        study,
                        "SharedHyperparameter",
                        "ROL-23",
                        f"{h.parameter_name} serves {len(served)} values of {choice.parameter_name}: "
                        f"{_some(served)}. Good ranges may differ by orders of magnitude.",
                        action=f"Give each of them an entry of its own: parameter {h.parameter_name}, its own range, "
                        f"and when {choice.name} has that one value.",
                        parameter=h.parameter_name,
                        numbers={"values": len(served)},
                    )
                )
    return found


def _is_own(hyperparameter: Hyperparameter, choice: Hyperparameter) -> bool:
    """Whether it belongs to the optimizer: by what it is, or because its `when` says so."""
    is_conditional = hyperparameter.when is not None and hyperparameter.when.name == choice.name
    return is_conditional or belongs_to_optimizer(hyperparameter)


def _served(study: StudyRecord, hyperparameter: Hyperparameter, choice: Hyperparameter) -> list[str]:
    """Return the values of the choice with which the hyperparameter can exist in one trial."""
    needs, others = _needs(study, hyperparameter), _needs(study, choice)

    def can_exist(value: str) -> bool:
        given = others | {choice.name: {value}}
        return all(needs[name] & given[name] for name in needs.keys() & given.keys())

    return [value for value in choice.values or () if can_exist(value)]


def _needs(study: StudyRecord, hyperparameter: Hyperparameter) -> dict[str, set[str]]:
    """Return which values of which others it needs to exist, through nested conditions; a cycle is gone once round."""
    by_name = {h.name: h for h in study.spec.hyperparameters}
    needed: dict[str, set[str]] = {}
    when = hyperparameter.when
    while when is not None and when.name not in needed:
        needed[when.name] = set(when.values)
        parent = by_name.get(when.name)
        when = parent.when if parent is not None else None
    return needed


def optimizer_fixed(study: StudyRecord, arm: PlannedArm) -> list[Finding]:
    """ROL-13, ROL-15: beside a scientific hyperparameter the learning rate is tuned, for each of its values."""
    if not scientific_of(study.spec):
        return []
    rates = arm.with_meaning(Meaning.LEARNING_RATE)
    fixed = [h for h in rates if is_fixed_without_reason(h)]
    if not rates:
        own = [h for h in arm.space if belongs_to_optimizer(h)]
        if not own or any(map(is_searched, own)):
            return [_no_rate(study, arm)]
        # ROL-13: at least some of them interact with what is compared.
        fixed = [h for h in own if is_fixed_without_reason(h)]
    what = "the learning rate" if rates else "an optimizer hyperparameter, and none is searched"
    return [
        warn(
            study,
            "OptimizerFixed",
            "ROL-15" if rates else "ROL-13",
            f"{h.parameter_name} is fixed to {h.value}: {what}. The scientific values differ in their best one, so the "
            "comparison is about that.",
            action=f"Make {h.parameter_name} a nuisance hyperparameter with a range, or say in its fixedReason why one "
            "value will do.",
            parameter=h.parameter_name,
            scientific=arm.scientific,
        )
        for h in fixed[:1]
    ]


def _no_rate(study: StudyRecord, arm: PlannedArm) -> Finding:
    return not_known(
        study,
        "ROL-15",
        "No hyperparameter is known to be the learning rate, so nobody can say whether it is tuned.",
        action="Add the learning rate as a nuisance hyperparameter, or give the one that is it the meaning "
        "learningRate.",
        scientific=arm.scientific,
    )


def unattended_optimizer(study: StudyRecord, arm: PlannedArm) -> list[Finding]:
    """OPT-3: all hyperparameters of the chosen optimizer are cared for, each searched or fixed on purpose."""
    optimizer = arm.optimizer
    if optimizer is None:
        return []
    own = ADAM if is_like_adam(optimizer) else OWN.get(optimizer, ())
    left = [meaning.value for meaning in own if not arm.with_meaning(meaning)]
    if not left:
        return []
    return [
        info(
            study,
            "UnattendedOptimizer",
            "OPT-3",
            f"Of {optimizer}, {_listed(left)} {'is' if len(left) == 1 else 'are'} neither searched nor fixed: what the "
            "container has by default holds.",
            action=f"Search {_listed(left)}, or write down a value with role Fixed; a hyperparameter of another "
            "name needs its meaning.",
            scientific=arm.scientific,
        )
    ]


def _some(words: list[str]) -> str:
    """Return the first few words, however many there are."""
    return ", ".join(words[:MAX_NAMED] + ["…"] * (len(words) > MAX_NAMED))


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def searched_of_adam(arm: PlannedArm) -> dict[Meaning, Hyperparameter] | None:
    """Return which of Adam's hyperparameters are searched in the arm, by meaning; None: it does not train with Adam.

    Where the study names no optimizer, a beta tells.
    """
    if any(map(is_optimizer_choice, arm.space)):
        if arm.optimizer is None or not is_like_adam(arm.optimizer):
            return None
    elif not arm.with_meaning(Meaning.BETA1, Meaning.BETA2):
        return None
    return {plain_meaning_of(h): h for h in arm.space if h.role is not Role.FIXED and plain_meaning_of(h) in ADAM}
