"""Which of Adam's hyperparameters are worth tuning with how many trials: K19, counted for each arm."""

from typing import Final

from tuning_operator.api.findings import Finding
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.specification.budget import TRIALS_PER_DIMENSION
from tuning_operator.playbook.specification.design import PlannedArm, has_unknown_meaning, info, not_known, warn
from tuning_operator.playbook.specification.optimizers import ADAM, searched_of_adam
from tuning_operator.playbook.thresholds import Origin, Threshold

WITH_BETA1: Final = Threshold(
    "adamBeta1Trials", 10, Origin.TEXT, "From so many trials an arm, Adam's beta1 is tuned beside the learning rate"
)
WITH_EPSILON: Final = Threshold(
    "adamEpsilonTrials", 25, Origin.TEXT, "From so many trials an arm, Adam's epsilon is tuned too"
)
WITH_BETA2: Final = Threshold(
    "adamBeta2Trials", 50, Origin.DEFAULT, "From so many trials an arm, Adam's beta2 is tuned too"
)
BRACKETS: Final = {
    Meaning.BETA1: (WITH_BETA1, "ADM-2"),
    Meaning.EPSILON: (WITH_EPSILON, "ADM-3"),
    Meaning.BETA2: (WITH_BETA2, "ADM-4"),
}


def adam_brackets(study: StudyRecord, arm: PlannedArm) -> list[Finding]:
    """ADM-1 to ADM-4: fewer than 10 trials the rate alone, from 10 beta1, from 25 epsilon, from 50 beta2."""
    searched = searched_of_adam(arm)
    if searched is None:
        return []
    too_many = [
        _too_many(study, arm, searched[meaning], meaning)
        for meaning in BRACKETS
        if meaning in searched and not _allows(study, arm, meaning)
    ]
    missing = _learning_rate_missing(study, arm) if searched and Meaning.LEARNING_RATE not in searched else []
    return [*missing, *too_many] or _room_for(study, arm, searched)


def _allows(study: StudyRecord, arm: PlannedArm, meaning: Meaning) -> bool:
    return meaning not in BRACKETS or arm.points >= study.thresholds[BRACKETS[meaning][0]]


def _too_many(study: StudyRecord, arm: PlannedArm, extra: Hyperparameter, meaning: Meaning) -> Finding:
    threshold, rule = BRACKETS[meaning]
    needed = study.thresholds[threshold]
    return warn(
        study,
        "AdamTooMany",
        rule,
        f"Adam's {meaning.value} is searched with {arm.points} trials an arm: it is worth it from {needed:g}.",
        action=f"Fix {extra.parameter_name}, or raise spec.budget.maxTrials to {needed:g} trials an arm.",
        parameter=extra.parameter_name,
        scientific=arm.scientific,
        numbers={"trials": arm.points},
        thresholds=[threshold],
    )


def _learning_rate_missing(study: StudyRecord, arm: PlannedArm) -> list[Finding]:
    """ADM-1: the learning rate comes first."""
    known = arm.with_meaning(Meaning.LEARNING_RATE)
    if not known and has_unknown_meaning(arm.dimensions):
        return [
            not_known(
                study,
                "ADM-1",
                "Adam's other hyperparameters are searched, and no hyperparameter is known to be the learning rate.",
                action="Give the one that is it the meaning learningRate.",
                scientific=arm.scientific,
            )
        ]
    return [
        warn(
            study,
            "AdamLearningRateMissing",
            "ADM-1",
            "Adam's other hyperparameters are searched, and the learning rate, which matters most, is not.",
            action="Search the learning rate first.",
            parameter=known[0].parameter_name if known else None,
            scientific=arm.scientific,
        )
    ]


def _room_for(study: StudyRecord, arm: PlannedArm, searched: dict[Meaning, Hyperparameter]) -> list[Finding]:
    """ADM-2 to ADM-4: the next one that the trials allow, unless it is fixed for a reason or would spread them thin."""
    enough = arm.points >= (len(arm.dimensions) + 1) * study.thresholds[TRIALS_PER_DIMENSION]
    for meaning in ADAM:
        if meaning in searched or not _allows(study, arm, meaning) or not enough or meaning not in BRACKETS:
            continue
        known = arm.with_meaning(meaning)
        if any(h.fixed_reason for h in known):
            continue
        threshold, rule = BRACKETS[meaning]
        return [
            info(
                study,
                "AdamRoomFor",
                rule,
                f"{arm.points} trials an arm would allow to search Adam's {meaning.value} too.",
                action=f"Make {meaning.value} a nuisance hyperparameter, or say in fixedReason why it is fixed.",
                parameter=known[0].parameter_name if known else None,
                scientific=arm.scientific,
                numbers={"trials": arm.points},
                thresholds=[threshold],
            )
        ]
    return []
