"""Do the trials show a bug, or a bottleneck, of the training pipeline? (playbook K24)."""

from collections.abc import Callable
from typing import Final

from tuning_operator.api.findings import Finding
from tuning_operator.playbook.curves.detectors.evaluation import evaluations_are_irregular, training_waits_for_data
from tuning_operator.playbook.curves.detectors.periodic import validation_is_periodic
from tuning_operator.playbook.curves.detectors.ranks import ranks_diverge, ranks_share_data, several_ranks_write
from tuning_operator.playbook.curves.detectors.train_loss import training_loss_rises
from tuning_operator.playbook.curves.detectors.validation_set import classes_are_rare, padding_counts, sample_is_skewed
from tuning_operator.playbook.records import StudyRecord

DETECTORS: Final[tuple[Callable[[StudyRecord], Finding], ...]] = (
    training_loss_rises,
    validation_is_periodic,
    evaluations_are_irregular,
    sample_is_skewed,
    padding_counts,
    ranks_diverge,
    ranks_share_data,
    several_ranks_write,
    classes_are_rare,
    training_waits_for_data,
)
"""Each answers one question, about the whole study; Unknown says what the trainer would have to report."""


def check(study: StudyRecord) -> list[Finding]:
    """Return one answer of each detector."""
    return [detector(study) for detector in DETECTORS]
