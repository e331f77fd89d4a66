"""The batch size: it sets the speed of training, and is no means to better results (K04, the study's side of K18)."""

from typing import Final

from tuning_operator.api.findings import Finding
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning, Role
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.specification.design import (
    PlannedArm,
    block,
    is_told_in_epochs,
    reach,
    warn,
)
from tuning_operator.search.space import is_searched

SPEED: Final = ("per_second", "throughput", "step_time", "time_per", "seconds", "duration", "latency")
"""Parts of the names of metrics that tell how fast training is, and not how good."""


def batch_size_searched(study: StudyRecord) -> list[Finding]:
    """BAT-1: the batch size is chosen for its speed; BAT-5: tuned equally well, each size comes to the same quality."""
    metric = study.spec.objective.metric.lower()
    if any(part in metric for part in SPEED):
        return []
    return [
        block(
            study,
            "BatchSizeSearched",
            "BAT-1",
            f"{h.parameter_name} is {_use(h)} with the objective {study.spec.objective.metric}: what differs "
            f"between batch sizes is mostly how well each was tuned.{_epochs(study)}",
            action=f"Fix {h.parameter_name} to the largest size that still gains throughput. Where sizes are compared "
            "on purpose: tune learning rate, momentum and a regulariser for each, count in steps, acknowledge this.",
            parameter=h.parameter_name,
        )
        for h in study.spec.hyperparameters
        if is_searched(h) and meaning_of(h) is Meaning.BATCH_SIZE
    ]


def _use(hyperparameter: Hyperparameter) -> str:
    return "compared" if hyperparameter.role is Role.SCIENTIFIC else "tuned"


def _epochs(study: StudyRecord) -> str:
    # BAT-19: an epoch budget gives larger batches fewer steps.
    is_unfair = is_told_in_epochs(study.spec)
    return " The length is told in epochs, which gives larger batches fewer steps (BAT-19)." if is_unfair else ""


def gradient_accumulation(study: StudyRecord) -> list[Finding]:
    """BAT-13: accumulating gradients imitates a larger batch, and gains no throughput."""
    return [
        warn(
            study,
            "GradientAccumulation",
            "BAT-13",
            f"{h.parameter_name} is up to {numbers[1]:g}: a larger batch without its gain in throughput.",
            action="Train with the batch that fits the accelerator, without accumulation.",
            parameter=h.parameter_name,
            numbers={"accumulation": numbers[1]},
        )
        for h in study.spec.hyperparameters
        if meaning_of(h) is Meaning.GRADIENT_ACCUMULATION and (numbers := reach(h)) is not None and numbers[1] > 1
    ]


def evaluation_batch_small(study: StudyRecord, arm: PlannedArm) -> list[Finding]:
    """EVS-3: evaluation keeps no activations, so its batch need not be smaller than that of training."""
    training = [n for h in arm.with_meaning(Meaning.BATCH_SIZE) if (n := reach(h)) is not None]
    evaluation = [(h, n) for h in arm.with_meaning(Meaning.EVALUATION_BATCH_SIZE) if (n := reach(h)) is not None]
    largest = max((high for _, high in training), default=0.0)
    return [
        warn(
            study,
            "EvaluationBatchSmall",
            "EVS-3",
            f"{h.parameter_name} can be {low:g}, smaller than the training batch of {largest:g}.",
            action=f"Raise {h.parameter_name} to at least {largest:g}, or twice that.",
            parameter=h.parameter_name,
            scientific=arm.scientific,
            numbers={"evaluation": low, "training": largest},
        )
        for h, (low, _) in evaluation
        if low < largest
    ]
