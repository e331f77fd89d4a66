"""What may be carried over from short runs to long ones: by kind of hyperparameter (RD1-2 to RD1-5), and by ranks."""

import json
import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import numpy as np
from scipy.stats import spearmanr

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Category, Hyperparameter, Meaning
from tuning_operator.playbook.arms import whole
from tuning_operator.playbook.meaning import category_of, meaning_of
from tuning_operator.playbook.records import StudyRecord


class Transfer(StrEnum):
    """Whether a conclusion of short runs holds for long ones."""

    CARRY = "carry over"
    CARRY_AND_VERIFY = "carry over and verify"
    RECHECK = "check again"
    RETUNE = "tune again"


RULES: Final = {
    Transfer.CARRY: "RD1-2",
    Transfer.CARRY_AND_VERIFY: "RD1-3",
    Transfer.RECHECK: "RD1-4",
    Transfer.RETUNE: "RD1-5",
}
OF_LENGTH: Final = frozenset({Meaning.MAX_STEPS, Meaning.WARMUP_STEPS, Meaning.WARMUP_FRACTION, Meaning.DECAY})
"""What differs between rounds by their length: configurations that differ in nothing else are the same."""


def transfer_of(hyperparameter: Hyperparameter) -> Transfer:
    """Return whether what short runs say of the hyperparameter holds for long ones.

    What cures early instability is very likely to hold, architecture likely; optimizer, augmentation and
    regularisation might; a schedule of the learning rate hardly. Of other kinds the text says nothing: check again.
    """
    if meaning_of(hyperparameter) in (Meaning.WARMUP_STEPS, Meaning.WARMUP_FRACTION):
        return Transfer.CARRY
    match category_of(hyperparameter):
        case Category.ARCHITECTURE:
            return Transfer.CARRY_AND_VERIFY
        case Category.SCHEDULE:
            return Transfer.RETUNE
        case _:
            return Transfer.RECHECK


def rank_agreement(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's correlation of the results of the same configurations in two rounds; in [-1, 1].

    None for fewer than two, and where all results of a round are the same.
    """
    if len(first) < 2 or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    agreement = float(spearmanr(first, second).statistic)
    return agreement if math.isfinite(agreement) else None


def overlap(before: StudyRecord, study: StudyRecord) -> list[tuple[float, float]]:
    """Return the results of the configurations that both rounds have tried: smaller is better, the median of several.

    Configurations are the same when they differ in nothing but the run's length and schedule.
    """
    short, long = _results(before), _results(study)
    return [(short[key], long[key]) for key in short if key in long]


def _results(study: StudyRecord) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    ignored = {h.name for h in study.spec.hyperparameters if meaning_of(h) in OF_LENGTH}
    names = {h.name: h.parameter_name for h in study.spec.hyperparameters}
    for trial in whole(study).feasible:
        shared = {names[name]: _rounded(v) for name, v in trial.assignment.items() if name not in ignored}
        found.setdefault(json.dumps(shared, sort_keys=True), []).append(study.loss(trial))
    return {key: float(np.median(losses)) for key, losses in found.items()}


def _rounded(value: ParameterValue) -> ParameterValue:
    # Files of other tools round: the same configuration may differ in the last digits.
    return float(f"{value:.6g}") if isinstance(value, float) else value
