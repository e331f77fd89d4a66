"""What a comparison of batch sizes needs, and what a change of the batch size ends (K18).

With everything tuned for each of them, batch sizes reach the same quality (BSF-4): a difference that is left is never
the batch size's.

Source: Deep Learning Tuning Playbook, "Why shouldn't the batch size be tuned to directly improve validation set
performance?"; K18.
"""

from collections.abc import Sequence
from typing import Final

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Category, Hyperparameter, Meaning, Role
from tuning_operator.api.procedure import TrainingUnit
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import Arm, arms
from tuning_operator.playbook.length.throughput import batch_sizes
from tuning_operator.playbook.meaning import category_of, meaning_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.search.space import is_range, is_searched

MOMENTUM: Final = frozenset({Meaning.MOMENTUM, Meaning.ONE_MINUS_MOMENTUM})
ORDER: Final = (Category.OPTIMIZER, Category.REGULARIZATION)
"""In which order optima go stale: those that interact with the batch size most, first (BAT-25)."""


def compared(study: StudyRecord) -> list[Finding]:
    """Return whether batch sizes that the study compares are compared fairly; nothing where it compares none."""
    batch = next((h for h in study.spec.hyperparameters if _is_compared(h)), None)
    if batch is None:
        return []
    found = [finding for arm in arms(study) for finding in _of_arm(study, batch, arm)]
    caveats = _caveats(study)
    found += [
        answer(study, Code.BATCH_SIZE, "Caveat", Severity.WARN, rule, message, action=action)
        for rule, message, action in caveats
    ]
    if not found:
        message = "Each batch size is tuned for itself; a difference that is left is not explained by tuning."
        found = [passed(study, Code.BATCH_SIZE, "BSF-4", message, parameter=batch.parameter_name)]
    return found


def _of_arm(study: StudyRecord, batch: Hyperparameter, arm: Arm) -> list[Finding]:
    missing = untuned(arm)
    if not missing:
        return []
    return [
        answer(
            study,
            Code.BATCH_SIZE,
            "NotTuned",
            Severity.BLOCK,
            "BSF-2",
            f"Batch sizes are compared without tuning {', '.join(missing)} for each of them: the comparison is unfair.",
            action=f"Search {', '.join(missing)} for each batch size.",
            parameter=batch.parameter_name,
            scientific=arm.scientific,
            notes=missing,
        )
    ]


def untuned(arm: Arm) -> list[str]:
    """Return what must be searched for each batch size and is not, as people call it (BSF-2).

    The learning rate, momentum where there is one, and at least one strength of regularisation.
    """
    present = [h for h in arm.study.spec.hyperparameters if _can_be_in(h, arm)]
    searched = {h.name for h in arm.dimensions}
    tuned = {meaning_of(h) for h in arm.dimensions}
    missing = [] if Meaning.LEARNING_RATE in tuned else ["the learning rate"]
    if any(meaning_of(h) in MOMENTUM for h in present) and not tuned & MOMENTUM:
        missing.append("momentum")
    if not any(category_of(h) is Category.REGULARIZATION and h.name in searched for h in present):
        missing.append("a strength of regularisation")
    return missing


def _can_be_in(hyperparameter: Hyperparameter, arm: Arm) -> bool:
    """Whether the hyperparameter exists in the arm's trials; without any, whether it may."""
    if hyperparameter.when is None or not arm.trials:
        return True
    return any(hyperparameter.name in t.assignment for t in arm.trials)


def _caveats(study: StudyRecord) -> list[tuple[str, str, str]]:
    """Return what restricts the comparison: rule, message, action."""
    found = []
    if study.spec.training.unit is TrainingUnit.EPOCHS:
        found.append(
            (
                "BAT-19",
                "Batch sizes are compared at the same number of epochs: that hides what larger ones gain.",
                "Compare at a number of steps that is enough for each (training.unit: Steps).",
            )
        )
    if any(not any(t.curve.steps for t in arm.feasible) for arm in arms(study) if arm.feasible):
        found.append(
            (
                "BSF-4",
                "Whether the number of steps is enough for each batch size is not known: there are no curves.",
                "Export the objective with its step at every evaluation.",
            )
        )
    if any(meaning_of(h) is Meaning.NORMALIZATION and _mentions_batch(h) for h in study.spec.hyperparameters):
        found.append(
            (
                "BNM-4",
                "The model has batch norm, whose statistics change with the batch size.",
                "Fix the size over which they are computed, such as 64, or use layer norm.",
            )
        )
    return found


def stale(study: StudyRecord, earlier: Sequence[StudyRecord]) -> list[Finding]:
    """Return which optima of the newest study before do not hold any more as the batch size has changed (BAT-24)."""
    if not earlier:
        return []
    before, after = _sizes(earlier[-1]), _sizes(study)
    if not before or not after:
        message = "Whether the batch size has changed is not known: it is no hyperparameter of both studies."
        action = "Declare the batch size as a Fixed hyperparameter."
        return [unknown(study, Code.BATCH_SIZE, "BAT-24", message, action=action)]
    if before == after:
        return [passed(study, Code.BATCH_SIZE, "BAT-24", "The batch size is that of the study before.")]
    old, new = (", ".join(map(str, sorted(sizes))) for sizes in (before, after))
    names = stale_optima(earlier[-1], study)
    if not names:
        message = f"The batch size changed from {old} to {new}, and what depends on it is searched again."
        return [passed(study, Code.BATCH_SIZE, "BAT-24", message)]
    return [
        answer(
            study,
            Code.BATCH_SIZE,
            "Stale",
            Severity.WARN,
            "BAT-24",
            f"The batch size changed from {old} to {new}: what {earlier[-1].name} found for {', '.join(names)} "
            "does not hold any more.",
            action=f"Search {', '.join(names)} again, in this order.",
            notes=names,
        )
    ]


def stale_optima(before: StudyRecord, study: StudyRecord) -> list[str]:
    """Return the parameters whose values were found before and are not searched now: optimizer, regularisation, rest.

    Optimizer hyperparameters and strengths of regularisation that are fixed in both count too: somebody found them.
    What is fixed for a reason (`fixedReason`) does not.
    """
    settled = {h.parameter_name for h in study.spec.hyperparameters if is_searched(h) or h.fixed_reason}
    ranked = sorted(
        (h for h in before.spec.hyperparameters if h.parameter_name not in settled and _depends(h)), key=_rank
    )
    return list(dict.fromkeys(h.parameter_name for h in ranked))


def _depends(hyperparameter: Hyperparameter) -> bool:
    """Whether its best value was found by search, or it is of the kinds that interact with the batch size."""
    if meaning_of(hyperparameter) in (Meaning.BATCH_SIZE, Meaning.MAX_STEPS, Meaning.EVALUATION_BATCH_SIZE):
        return False
    return hyperparameter.role is Role.NUISANCE or category_of(hyperparameter) in ORDER


def _rank(hyperparameter: Hyperparameter) -> int:
    category = category_of(hyperparameter)
    return ORDER.index(category) if category in ORDER else len(ORDER)


def _is_compared(hyperparameter: Hyperparameter) -> bool:
    if meaning_of(hyperparameter) is not Meaning.BATCH_SIZE or hyperparameter.role is not Role.SCIENTIFIC:
        return False
    return is_range(hyperparameter) or len(hyperparameter.values or []) > 1


def _sizes(study: StudyRecord) -> frozenset[int]:
    return frozenset(
        s for h in study.spec.hyperparameters if meaning_of(h) is Meaning.BATCH_SIZE for s in batch_sizes(h)
    )


def _mentions_batch(hyperparameter: Hyperparameter) -> bool:
    texts = [*(hyperparameter.values or []), hyperparameter.value or ""]
    return any("batch" in text.lower() or text.lower() == "bn" for text in texts)
