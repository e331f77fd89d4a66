"""The learning rates of an arm, and which trials belong to it."""

import math

from tuning_operator.api.hyperparameters import Hyperparameter, Meaning
from tuning_operator.playbook.arms import Arm, arm_key, scientific_of
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import OUT_OF_MEMORY, Purpose, State, StudyRecord, TrialRecord


def learning_rates(arm: Arm) -> tuple[Hyperparameter, ...]:
    """Return the learning rates that are searched in the arm: usually one."""
    return tuple(h for h in arm.dimensions if meaning_of(h) is Meaning.LEARNING_RATE)


def why_no_rate(study: StudyRecord) -> tuple[str, str]:
    """Return why an arm without a searched learning rate cannot be judged, and what to do."""
    if any(meaning_of(h) is Meaning.LEARNING_RATE for h in study.spec.hyperparameters):
        return "the learning rate is not searched here", "Search the learning rate, over rates that fail too."
    return (
        "no hyperparameter is known to be the learning rate",
        "Set meaning: learningRate on the hyperparameter that is the learning rate.",
    )


def rate_of(learning_rate: Hyperparameter, trial: TrialRecord) -> float | None:
    """Return a trial's learning rate; None where it has none, or none that is a positive number."""
    value = trial.assignment.get(learning_rate.name)
    if isinstance(value, bool | str) or value is None or not (math.isfinite(value) and value > 0):
        return None
    return float(value)


def belongs_to(arm: Arm, trial: TrialRecord) -> bool:
    """Whether a trial, of whatever purpose, has the arm's scientific values."""
    return arm_key(scientific_of(arm.study, trial)) == arm_key(arm.scientific)


def trials_of(arm: Arm, *purposes: Purpose) -> tuple[TrialRecord, ...]:
    """Return the finished trials with the arm's scientific values that ran for one of the purposes."""
    finished = (t for t in arm.study.trials if t.purpose in purposes and t.state is not State.RUNNING)
    return tuple(t for t in finished if belongs_to(arm, t))


def is_out_of_memory(trial: TrialRecord) -> bool:
    """Whether the trial ran out of memory: it says nothing about a learning rate."""
    return trial.reason in OUT_OF_MEMORY
