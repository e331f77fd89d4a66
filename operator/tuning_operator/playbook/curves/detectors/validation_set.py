"""Can the numbers that are measured on the validation set be trusted? (SMPL-2, SMPL-5, EVS-6)."""

import math
from typing import Any, Final

from tuning_contract.diagnostics import Evaluation
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import arms, is_lost
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

SKEW: Final = Threshold(
    "subsetSkew",
    2.0,
    Origin.DEFAULT,
    "A sample is skewed when it differs from the whole set by more than this many standard errors",
)
SKEW_SHARE: Final = Threshold(
    "subsetSkewShare", 0.5, Origin.DEFAULT, "The share of trials that must show the skew", high=1.0
)
RARE: Final = Threshold(
    "rareClass", 30, Origin.DEFAULT, "A class with fewer examples than this is rare: counts say more than fractions"
)
MOST_CLASSES: Final = 6


def is_skewed(sample: Evaluation, full: Evaluation, thresholds: Thresholds = DEFAULTS) -> bool:
    """Whether a sample of the validation set, with examples, says something else than all of it (SMPL-2).

    One example more or less is never a skew, however small the error is.
    """
    standard_error = math.sqrt(full.error * (1 - full.error) / sample.examples)
    return abs(sample.error - full.error) > max(thresholds[SKEW] * standard_error, 1 / sample.examples)


def sample_is_skewed(study: StudyRecord) -> Finding:
    """Return whether the sample of periodic evaluations differs from the whole validation set in most trials."""
    pairs = [
        (t, sample, full)
        for t in _reporting(study)
        if (sample := t.diagnostics.sample_evaluation) and (full := t.diagnostics.full_evaluation) and sample.examples
    ]
    if not pairs:
        return unknown(
            study,
            Code.PIPELINE_BUG,
            "SMPL-2",
            "Whether periodic evaluations agree with the whole validation set is not known.",
            action="Report diagnostics.sampleEvaluation and diagnostics.fullEvaluation of the best checkpoint.",
        )
    skewed = [t for t, sample, full in pairs if is_skewed(sample, full, study.thresholds)]
    mean = sum(sample.error - full.error for _, sample, full in pairs) / len(pairs)
    where: dict[str, Any] = {
        "numbers": {"skewedShare": len(skewed) / len(pairs), "meanDifference": mean, "trials": len(pairs)},
        "thresholds": (SKEW, SKEW_SHARE),
        "trials": skewed,
    }
    said = f"The sample that is evaluated differs from the whole validation set in {len(skewed)} of {len(pairs)} trials"
    if not skewed or len(skewed) < study.thresholds[SKEW_SHARE] * len(pairs):
        return passed(study, Code.PIPELINE_BUG, "SMPL-2", f"{said}.", **where)
    return answer(
        study,
        Code.PIPELINE_BUG,
        "SubsetSkew",
        Severity.WARN,
        "SMPL-2",
        f"{said}, by {mean:+.3g} on average: it does not stand for it.",
        action="Draw the sample at random from the whole set, or take a larger one.",
        **where,
    )


def padding_counts(study: StudyRecord) -> Finding:
    """Return whether the examples' weights add up to something else than the data set's size (EVS-6)."""
    told = [
        (t, weights, size)
        for t in _reporting(study)
        if (weights := t.diagnostics.weight_sum) is not None and (size := t.diagnostics.dataset_size) is not None
    ]
    if not told:
        return unknown(
            study,
            Code.PIPELINE_BUG,
            "EVS-6",
            "Whether padded examples count in evaluations is not known.",
            action="Report diagnostics.weightSum and diagnostics.datasetSize of a full evaluation.",
        )
    # Sums in single precision are off by less than half an example.
    wrong = [(t, weights, size) for t, weights, size in told if abs(weights - size) >= max(0.5, 1e-6 * size)]
    if not wrong:
        message = f"In all {len(told)} trials that tell, the weights add up to the size of the validation set."
        return passed(study, Code.PIPELINE_BUG, "EVS-6", message, trials=[t for t, *_ in told])
    _, weights, size = wrong[0]
    return answer(
        study,
        Code.PIPELINE_BUG,
        "PaddedWeights",
        Severity.BLOCK,
        "EVS-6",
        f"In {len(wrong)} of {len(told)} trials the weights of {size} examples add up to {weights:g}.",
        action="Give the examples that pad the last batch the weight 0.",
        numbers={"weightSum": weights, "datasetSize": size, "trials": len(told)},
        trials=[t for t, *_ in wrong],
    )


def classes_are_rare(study: StudyRecord) -> Finding:
    """Return whether a class has so few validation examples that one of them matters, with the counts (SMPL-5)."""
    best = sorted((a.best for a in arms(study) if a.best is not None), key=study.loss)
    told = [t for t in best if t.diagnostics.per_class][:2]
    if not told:
        return unknown(
            study,
            Code.PIPELINE_BUG,
            "SMPL-5",
            "How many validation examples each class has is not known.",
            action="Report diagnostics.perClass of the best checkpoint.",
        )
    counts = told[0].diagnostics.per_class
    small = [name for name, count in counts.items() if 0 < count.examples < study.thresholds[RARE]]
    rare = sorted(small, key=lambda name: counts[name].examples)
    numbers = {"classes": len(counts), "rareClasses": len(rare), "fewest": min(c.examples for c in counts.values())}
    where: dict[str, Any] = {"numbers": numbers, "thresholds": (RARE,), "trials": told}
    if not rare:
        message = f"Each of {len(counts)} classes has at least {study.thresholds[RARE]:g} validation examples."
        return passed(study, Code.PIPELINE_BUG, "SMPL-5", message, **where)
    return answer(
        study,
        Code.PIPELINE_BUG,
        "SmallClass",
        Severity.INFO,
        "SMPL-5",
        f"{len(rare)} of {len(counts)} classes have fewer than {study.thresholds[RARE]:g} validation examples.",
        action="Judge them by the number of correct examples, and not by fractions; collect more where they matter.",
        notes=[_counted(name, told) for name in rare[:MOST_CLASSES]],
        **where,
    )


def _counted(name: str, told: list[TrialRecord]) -> str:
    """Say how many of a class are correct, and what a difference to the next best arm is worth."""
    count = told[0].diagnostics.per_class[name]
    said = f"{name:.200}: {count.correct} of {count.examples} correct; one example is {1 / count.examples:.3g}"
    other = told[1].diagnostics.per_class.get(name) if len(told) > 1 else None
    if other is None or other.examples != count.examples:
        return f"{said}."
    gain = count.correct - other.correct
    return f"{said}. {told[0].name} has {gain:+d} {'example' if abs(gain) == 1 else 'examples'} against {told[1].name}."


def _reporting(study: StudyRecord) -> list[TrialRecord]:
    return [t for t in study.trials if not is_lost(t)]
