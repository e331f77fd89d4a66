"""After the search: what the Playbook says to it, and the trials that it asks for before the study is over."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tuning_contract.environment import parameter_text, parameters_hash, parameters_json
from tuning_operator.api import names
from tuning_operator.api.base import ConditionStatus
from tuning_operator.api.study_status import Analysed, ParameterAssignment, TuningStudyStatus
from tuning_operator.api.trial import StudyRef, TrialPurpose, TuningTrialSpec
from tuning_operator.playbook.follow_ups import FollowUp
from tuning_operator.study.answers import CONCLUSION_READY
from tuning_operator.study.budget import Outcome, OutcomeKind
from tuning_operator.study.conditions import find
from tuning_operator.study.decision import NewTrial
from tuning_operator.study.snapshot import Snapshot, StudyView, TrialView

GROWTH: Final = 0.25
"""While a study runs it is analysed whenever this many more trials have ended, as a share of those known then ..."""
LEAST_GROWTH: Final = 5
"""... and at least this many."""
KINDS: Final = {
    TrialPurpose.RETRAIN: "retrain",
    TrialPurpose.INSTABILITY_PROBE: "probe",
    TrialPurpose.HIDDEN_INSTABILITY_PROBE: "probe",
    TrialPurpose.BATCH_SIZE_PROBE: "throughput",
}
"""How a follow-up is called in its name; those of one kind are numbered together."""


def is_outdated(snapshot: Snapshot) -> bool:
    """Whether the analysis at hand is of another specification, or the status knows a newer one.

    Another operator may have written that, for the moment in which two overlap.
    """
    analysis, known = snapshot.analysis, snapshot.study.status.analysed
    if analysis is None:
        return False
    if analysis.generation != snapshot.study.generation:
        return True
    if known is None or known.generation != analysis.generation:
        return False
    return analysis.trials < known.trials <= ended_trials(snapshot.trials.values())


def wants_analysis(snapshot: Snapshot, trials: Sequence[TrialView], search: Outcome | None) -> bool:
    """Whether the study must be analysed: at its start, now and then while it runs, and before it is over.

    Args:
        snapshot: the world; an analysis of an earlier generation is none.
        trials: as they stand after this decision.
        search: how the search is over; None while it goes on.
    """
    before = snapshot.analysis or known_analysis(snapshot.study.status)
    if before is None or before.generation != snapshot.study.generation:
        return not _is_searching(trials) or search is None
    ended = ended_trials(trials)
    if search is None:
        return ended - before.trials >= max(LEAST_GROWTH, GROWTH * before.trials)
    if _is_searching(trials):
        return False  # They are being stopped, and their curves belong to the study.
    if snapshot.analysis is None and snapshot.study.status.completion_time is None:
        return True  # What it had asked for stood in memory only.
    return not _runs(trials) and not follow_ups_left(snapshot, trials) and ended != before.trials


def known_analysis(status: TuningStudyStatus) -> Analysed | None:
    """Return what the status rests on; None where that analysis has failed: each operator tries it once, after an
    update too."""
    ready = find(status.conditions, CONCLUSION_READY)
    return None if ready is not None and ready.status is ConditionStatus.FALSE else status.analysed


def ended_trials(trials: Iterable[TrialView]) -> int:
    """Return how many trials have ended: on that many an analysis rests."""
    return sum(trial.status.state.is_finished for trial in trials)


def ended_searches(trials: Iterable[TrialView]) -> int:
    """Return how many of the search's trials have ended."""
    return ended_trials(trial for trial in trials if trial.spec.purpose.is_search)


def follow_ups_left(snapshot: Snapshot, trials: Sequence[TrialView]) -> list[FollowUp]:
    """Return the follow-ups that the analysis of the whole search asks for and that do not exist yet."""
    analysis = snapshot.analysis
    if analysis is None or analysis.said is None or analysis.searched != ended_searches(trials):
        return []
    known = {trial.name for trial in trials}
    return [f for f in analysis.said.follow_ups if _name(snapshot.study, f) not in known and f.of in known]


def new_follow_ups(study: StudyView, wanted: Iterable[FollowUp], trials: Iterable[TrialView]) -> Iterator[NewTrial]:
    """Yield the trials of these follow-ups."""
    by_name = {trial.name: trial for trial in trials}
    for follow_up in wanted:
        yield _new(study, follow_up, by_name[follow_up.of])


def is_over(snapshot: Snapshot, trials: Sequence[TrialView], search: Outcome | None, out_of_time: bool) -> bool:
    """Whether the study is over, and not only its search: nothing runs, nothing is asked for, and all was analysed."""
    if search is None or _runs(trials):
        return False
    may_go_on = search.kind is not OutcomeKind.FAILED and not out_of_time
    if may_go_on and follow_ups_left(snapshot, trials):
        return False
    # What was over stays over while a change of its specification is analysed.
    was_over = snapshot.study.status.completion_time is not None
    return was_over or (snapshot.analysis is not None and snapshot.analysis.trials == ended_trials(trials))


def _runs(trials: Iterable[TrialView]) -> bool:
    return any(not trial.status.state.is_finished for trial in trials)


def _is_searching(trials: Iterable[TrialView]) -> bool:
    return _runs(trial for trial in trials if trial.spec.purpose.is_search)


def _new(study: StudyView, follow_up: FollowUp, original: TrialView) -> NewTrial:
    text = parameters_json(follow_up.parameters)
    spec = TuningTrialSpec(
        study_ref=StudyRef(name=study.name, uid=study.uid),
        purpose=TrialPurpose(follow_up.purpose.value),
        of=follow_up.of,
        index=follow_up.number,
        arm=original.spec.arm,
        position=original.spec.position,
        assignments=[
            ParameterAssignment(name=name, value=parameter_text(value)) for name, value in follow_up.assignment.items()
        ],
        parameters=text,
        parameters_hash=parameters_hash(text),
        seed=follow_up.seed,
    )
    return NewTrial(_name(study, follow_up), spec)


def _name(study: StudyView, follow_up: FollowUp) -> str:
    kind = KINDS[TrialPurpose(follow_up.purpose.value)]
    return names.follow_up_name(study.name, study.uid, kind, follow_up.number)
