"""Gradient norms: the histogram over all steps, and where a clipping threshold would stand (CLP-4, CLP-5)."""

from dataclasses import dataclass
from typing import Final

from tuning_contract.diagnostics import BUCKETS_PER_DECADE, LogHistogram
from tuning_operator.api.hyperparameters import Meaning
from tuning_operator.playbook.arms import arms
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import StudyRecord

CLIP_AT: Final = 0.9
"""The Playbook's first threshold: the 90th percentile of the norms (CLP-5)."""


@dataclass(frozen=True)
class GradientHistogram:
    """How large the gradients of the best trials were, every step counted."""

    trials: tuple[str, ...]
    edges: tuple[float, ...]
    """The buckets' lower ends, ascending."""
    counts: tuple[int, ...]
    percentile: float
    """The 90th."""
    clipped_at: float | None
    """The best trial's threshold, where it has one."""


def gradient_histogram(study: StudyRecord) -> GradientHistogram | None:
    """Return the norms of the best trial of each arm together; None where none was recorded."""
    best = [arm.best for arm in arms(study) if arm.best is not None]
    having = [t for t in best if t.diagnostics.grad_norm_histogram is not None]
    total = LogHistogram()
    for trial in having:
        assert trial.diagnostics.grad_norm_histogram is not None
        total = total.merged(trial.diagnostics.grad_norm_histogram)
    if not total.total:
        return None
    buckets = range(min(total.counts), max(total.counts) + 1)
    clip = next((h for h in study.spec.hyperparameters if meaning_of(h) is Meaning.CLIP_NORM), None)
    threshold = min(having, key=study.loss).assignment.get(clip.name) if clip is not None else None
    return GradientHistogram(
        trials=tuple(t.name for t in having),
        edges=tuple(10 ** (k / BUCKETS_PER_DECADE) for k in buckets),
        counts=tuple(total.counts.get(k, 0) for k in buckets),
        percentile=total.percentile(CLIP_AT),
        clipped_at=float(threshold) if isinstance(threshold, int | float) and not isinstance(threshold, bool) else None,
    )
