"""All that the Playbook says about a study before a trial of it runs: K04, K19, and the study's side of K18 and K21."""

from collections.abc import Callable, Sequence
from typing import Final

from tuning_operator.api.findings import UNKNOWN, Code, Finding, Severity
from tuning_operator.playbook.answers import passed
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.specification import adam, batch, budget, optimizers, ranges, roles, training
from tuning_operator.playbook.specification.design import PlannedArm, not_known, planned_arms

OF_STUDY: Final[tuple[Callable[[StudyRecord], list[Finding]], ...]] = (
    roles.missing_goal,
    training.max_steps_searched,
    batch.batch_size_searched,
    optimizers.shared_hyperparameter,
    budget.joint_with_conditions,
    budget.joint_adaptive,
    training.time_based_evaluation,
    ranges.invalid_range,
    ranges.impossible_values,
    roles.learning_rate_scientific,
    roles.choices_as_nuisance,
    roles.regularization_fixed,
    batch.gradient_accumulation,
    ranges.linear_scale,
    training.early_stopping,
    training.too_many_rounds,
    training.piecewise_schedule,
    budget.low_parallelism,
)
OF_EACH_ARM: Final[tuple[Callable[[StudyRecord, PlannedArm], list[Finding]], ...]] = (
    training.warmup_too_long,
    optimizers.optimizer_fixed,
    batch.evaluation_batch_small,
    training.few_evaluations,
    budget.grid_dimensions,
    budget.too_few_trials,
    adam.adam_brackets,
    optimizers.unattended_optimizer,
)
ORDER: Final = (Severity.BLOCK, Severity.WARN, Severity.INFO)


def check(study: StudyRecord) -> list[Finding]:
    """Return what the Playbook says about the study's specification, the gravest first; its trials play no part.

    Of thirty checks only those are named that found something, or could not tell (`Unknown`). Where none warns or is
    in doubt, one `Ok` says so for all of them. What holds for every arm is said once, for the whole study.
    """
    found = [finding for rule in OF_STUDY for finding in rule(study)]
    try:
        arms = planned_arms(study)
        found += roles.several_scientific(study, arms)
        found += _of_arms(study, arms)
    except (ValueError, OverflowError) as error:
        found.append(
            not_known(
                study,
                "K04",
                f"The arms of the study cannot be told: {error}.",
                action="Mend spec.hyperparameters; the operator refuses such a study.",
            )
        )
    if not any(f.severity is not Severity.INFO or f.verdict == UNKNOWN for f in found):
        found.append(
            passed(study, Code.SPECIFICATION, "K04", "Nothing in the specification speaks against a conclusion.")
        )
    return sorted(found, key=lambda finding: ORDER.index(finding.severity))


def _of_arms(study: StudyRecord, arms: Sequence[PlannedArm]) -> list[Finding]:
    """Return what is found in each arm, once where it is the same in all.

    Budgets that differ by a trial are the same, and the smallest is told. Arms that look alike are looked at once:
    there may be a thousand of them.
    """
    alike: dict[tuple[object, ...], list[PlannedArm]] = {}
    for arm in arms:
        alike.setdefault(arm.looks_like, []).append(arm)
    said: dict[tuple[object, ...], dict[tuple[object, ...], Finding]] = {}
    for rule in OF_EACH_ARM:
        for look, (arm, *_) in alike.items():
            for f in rule(study, arm):
                said.setdefault((f.verdict, f.severity, f.rule, f.parameter, f.action), {})[look] = f
    found: list[Finding] = []
    for by_look in said.values():
        if len(by_look) == len(alike):
            found.append(list(by_look.values())[-1].model_copy(update={"scientific": {}}))
        else:
            found += [
                f.model_copy(update={"scientific": dict(arm.scientific)})
                for look, f in by_look.items()
                for arm in alike[look]
            ]
    return found
