"""A status is written whole, again and again: it stays below 64 KiB, whatever there is to say."""

from collections.abc import Callable
from typing import Final

from tuning_operator.api.study_status import TuningStudyStatus
from tuning_operator.playbook.conclusion.shown import size

MAX_BYTES: Final = 60_000
FEW_FINDINGS: Final = 8
FEW_REASONS: Final = 4


def bounded(status: TuningStudyStatus) -> TuningStudyStatus:
    """Return the status without what can be read elsewhere, as far as it is too large: the least missed goes first.

    The report has all findings, `kubectl tuning next` the manifest, and each trial its parameters.
    """
    for shortened in _SHORTENINGS:
        if size(status) <= MAX_BYTES:
            break
        status = shortened(status)
    return status


def _without_manifest(status: TuningStudyStatus) -> TuningStudyStatus:
    if status.next_study is None:
        return status
    return status.model_copy(update={"next_study": status.next_study.model_copy(update={"manifest": None})})


def _with_few_reasons(status: TuningStudyStatus) -> TuningStudyStatus:
    if status.next_study is None:
        return status
    fewer = status.next_study.model_copy(update={"reasons": status.next_study.reasons[:FEW_REASONS]})
    return status.model_copy(update={"next_study": fewer})


def _with_parameters_of_the_best(status: TuningStudyStatus) -> TuningStudyStatus:
    others = [summary.model_copy(update={"parameters": []}) for summary in status.top[1:]]
    return status.model_copy(update={"top": [*status.top[:1], *others]})


def _with_few_findings(status: TuningStudyStatus) -> TuningStudyStatus:
    return status.model_copy(update={"findings": status.findings[:FEW_FINDINGS]})


_SHORTENINGS: Final[tuple[Callable[[TuningStudyStatus], TuningStudyStatus], ...]] = (
    _without_manifest,
    _with_parameters_of_the_best,
    _with_few_reasons,
    _with_few_findings,
)
