"""After the search: what the Playbook says to it, the trials that it asks for, and the study that should follow."""

from collections.abc import Iterable, Iterator, Sequence

from tuning_contract.environment import parameter_text, parameters_hash, parameters_json
from tuning_operator.api import names
from tuning_operator.api.findings import AdoptionDecision, ConclusionState
from tuning_operator.api.procedure import NextStudyPolicy
from tuning_operator.api.study_status import ParameterAssignment
from tuning_operator.api.trial import StudyRef, TrialPurpose, TuningTrialSpec
from tuning_operator.playbook.analysis import Analysis
from tuning_operator.playbook.follow_ups import FollowUp
from tuning_operator.study.budget import Outcome, OutcomeKind
from tuning_operator.study.decision import NewTrial
from tuning_operator.study.snapshot import Snapshot, StudyView, TrialView

GROWTH = 0.25
"""While a study runs it is analysed whenever this many more trials have ended, as a share of those known then ..."""
LEAST_GROWTH = 5
"""... and at least this many."""
KINDS = {TrialPurpose.RETRAIN: "retrain", TrialPurpose.INSTABILITY_PROBE: "probe"}
"""How a follow-up is called in its name."""


def wants_analysis(snapshot: Snapshot, trials: Sequence[TrialView], search: Outcome | None, free: int) -> bool:
    """Whether this decision needs an analysis first.

    Args:
        snapshot: the world; an analysis that it holds is not asked for again.
        trials: as they stand after this decision.
        search: how the search is over; None while it goes on.
        free: how many trials more may run now.
    """
    if snapshot.analysis is not None:
        return False
    known = snapshot.study.status.analysed
    ended = ended_trials(trials)
    if known is None or known.generation != snapshot.study.generation:
        return True
    if search is None:
        return ended - known.trials >= max(LEAST_GROWTH, GROWTH * known.trials)
    running = sum(not t.status.state.is_finished for t in trials)
    # Follow-ups that run say no more than those that have ended, unless another one could start.
    return ended != known.trials and (running == 0 or free > 0)


def ended_trials(trials: Iterable[TrialView]) -> int:
    """Return how many trials have ended: on that many an analysis rests."""
    return sum(trial.status.state.is_finished for trial in trials)


def follow_ups_left(snapshot: Snapshot, trials: Sequence[TrialView]) -> list[FollowUp]:
    """Return the follow-ups that the analysis asks for and that do not exist yet."""
    analysis = snapshot.analysis
    if not isinstance(analysis, Analysis):
        return []
    known = {trial.name for trial in trials}
    return [f for f in analysis.follow_ups if _name(snapshot.study, f) not in known]


def new_follow_ups(study: StudyView, wanted: Sequence[FollowUp], trials: Sequence[TrialView]) -> Iterator[NewTrial]:
    """Yield the trials of these follow-ups; one whose original is gone is left out."""
    by_name = {trial.name: trial for trial in trials}
    for follow_up in wanted:
        original = by_name.get(follow_up.of)
        if original is not None:
            yield _new(study, follow_up, original)


def is_over(snapshot: Snapshot, trials: Sequence[TrialView], search: Outcome | None, asks: bool) -> bool:
    """Whether the study is over, and not only its search: nothing runs, and nothing more is asked for."""
    if search is None or asks:
        return False
    if search.kind is OutcomeKind.FAILED:
        return True
    follow_up_runs = any(not t.status.state.is_finished for t in trials if not t.spec.purpose.is_search)
    return not follow_up_runs and not follow_ups_left(snapshot, trials)


def next_study(snapshot: Snapshot) -> dict[str, object] | None:
    """Return the manifest of the study that the operator applies itself (nextStudy.policy Run); None: none."""
    policy = snapshot.study.spec.next_study
    analysis = snapshot.analysis
    if snapshot.next_study_error is not None:
        return None
    if policy.policy is not NextStudyPolicy.RUN or not isinstance(analysis, Analysis) or analysis.next_study is None:
        return None
    answered = analysis.conclusion.state is ConclusionState.ALLOWED
    if answered and analysis.conclusion.decision is not AdoptionDecision.NEED_RETRAINS:
        return None
    if snapshot.study.round >= policy.max_studies:
        return None
    return analysis.next_study.manifest


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
