"""The goal, and the roles of the hyperparameters: what each may be, by what it is (K04)."""

from tuning_operator.api.findings import Finding, Severity
from tuning_operator.api.hyperparameters import Category, Hyperparameter, Meaning, Role
from tuning_operator.api.search import Design
from tuning_operator.playbook.meaning import category_of, meaning_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.specification.design import (
    PlannedArm,
    block,
    info,
    is_exploring,
    is_fixed_without_reason,
    is_optimizer_choice,
    reach,
    scientific_of,
    warn,
)
from tuning_operator.search.arms import design_of


def missing_goal(study: StudyRecord) -> list[Finding]:
    """GOL-1: each round has one clear goal."""
    goal = study.spec.goal
    if goal is not None and goal.question.strip():
        return []
    return [
        block(
            study,
            "MissingGoal",
            "GOL-1",
            "The study has no goal.",
            action="Say in spec.goal.question what it is to find out.",
        )
    ]


def several_scientific(study: StudyRecord, arms: tuple[PlannedArm, ...]) -> list[Finding]:
    """GOL-2: several questions at once cannot be told apart. Entries that never exist together are one question."""
    named = {h.parameter_name for h in scientific_of(study.spec)}
    if design_of(study.spec) is not Design.JOINT:
        named = max((set(arm.scientific) for arm in arms), key=len)
    if len(named) < 2:
        return []
    return [
        warn(
            study,
            "SeveralScientific",
            "GOL-2",
            f"{len(named)} hyperparameters are scientific: {', '.join(sorted(named))}. Their effects are hard to tell "
            "apart.",
            action="Keep one of them scientific, and ask about the others in later studies.",
            numbers={"scientific": len(named)},
        )
    ]


def learning_rate_scientific(study: StudyRecord) -> list[Finding]:
    """ROL-14: the best learning rate may be another one after the next change of the pipeline."""
    return [
        warn(
            study,
            "LearningRateScientific",
            "ROL-14",
            f"The learning rate {h.parameter_name} is scientific: its optimum may move with the next change.",
            action="Make it a nuisance hyperparameter, and ask about something else.",
            parameter=h.parameter_name,
        )
        for h in scientific_of(study.spec)
        if meaning_of(h) is Meaning.LEARNING_RATE
    ]


def choices_as_nuisance(study: StudyRecord) -> list[Finding]:
    """ROL-17, ROL-20, ROL-21: what is a choice of its own is scientific or fixed.

    Where only the best value counts, insight is given up on purpose (EXP-8): they are then worth knowing and no more.
    """
    say, severity = (warn, Severity.WARN) if is_exploring(study.spec) else (info, Severity.INFO)
    found = []
    for h in study.spec.hyperparameters:
        choice = _choice(h) if h.role is Role.NUISANCE else None
        if choice is not None:
            verdict, rule, reason = choice
            found.append(
                say(
                    study,
                    verdict,
                    rule,
                    f"{h.parameter_name} is a nuisance hyperparameter, and {reason}.",
                    action=f"Make {h.parameter_name} scientific where the question is about it, else fix it."
                    if severity is Severity.WARN
                    else "Look at what the winner costs, and at whether the others would do.",
                    parameter=h.parameter_name,
                )
            )
    return found


def _choice(hyperparameter: Hyperparameter) -> tuple[str, str, str] | None:
    """Return verdict, rule and reason for which this one is no nuisance; None where it may be one."""
    category = category_of(hyperparameter)
    if is_optimizer_choice(hyperparameter):
        return "OptimizerChoiceNuisance", "ROL-17", "each optimizer must be tuned before the best one is known"
    if category is Category.REGULARIZATION_SWITCH:
        return "RegularizationSwitchNuisance", "ROL-20", "whether to use a regulariser is a question of its own"
    # The activation function hardly changes what a model costs, and may have any role (ROL-4, ROL-5).
    if category is Category.ARCHITECTURE and meaning_of(hyperparameter) is not Meaning.ACTIVATION:
        return "ArchitectureNuisance", "ROL-21", "the architecture changes what training and serving cost"
    return None


def regularization_fixed(study: StudyRecord) -> list[Finding]:
    """ROL-12: one strength of a regulariser for models of different size teaches little."""
    sizes = [h.parameter_name for h in scientific_of(study.spec) if _is_size(h)]
    return [
        warn(
            study,
            "RegularizationFixed",
            "ROL-12",
            f"{h.parameter_name} is fixed to {h.value}, while {sizes[0]} is scientific: larger ones need more.",
            action=f"Make {h.parameter_name} a nuisance hyperparameter, or say in its fixedReason why one will do.",
            parameter=h.parameter_name,
        )
        for h in study.spec.hyperparameters
        if sizes and is_fixed_without_reason(h) and _is_strength_in_use(h)
    ]


def _is_size(hyperparameter: Hyperparameter) -> bool:
    """Whether it is a size of the model: by its meaning, else an architecture that is a number or has an order."""
    meaning = meaning_of(hyperparameter)
    is_other_number = meaning is Meaning.OTHER and reach(hyperparameter) is not None
    return meaning is Meaning.MODEL_SIZE or (category_of(hyperparameter) is Category.ARCHITECTURE and is_other_number)


def _is_strength_in_use(hyperparameter: Hyperparameter) -> bool:
    """Whether it is how much of a regulariser is used; with none of it, the question is of a model without it."""
    return category_of(hyperparameter) is Category.REGULARIZATION and reach(hyperparameter) != (0.0, 0.0)
