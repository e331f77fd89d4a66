"""decide(snapshot) -> Decision: the page that says what a study does next.

Pure: the same snapshot gives the same decision, so a crash between any two writes, a second operator for a moment, or
an event seen twice changes nothing. Nothing here depends on what was decided before; the API server's objects are all
the memory that there is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from tuning_contract.environment import parameter_text, parameters_hash
from tuning_operator.api import names
from tuning_operator.api.study_status import ParameterAssignment
from tuning_operator.api.trial import StudyRef, TrialPurpose, TrialState, TuningTrialSpec
from tuning_operator.search.arms import Arm, arms_of, trial_index
from tuning_operator.search.sequence import positions
from tuning_operator.search.suggest import Suggestion, learns_from_results, suggest
from tuning_operator.study import acceptance, chain, concluding, lint, starting
from tuning_operator.study.answers import answer_events
from tuning_operator.study.budget import (
    Outcome,
    OutcomeKind,
    is_out_of_time,
    next_places,
    outcome_of,
    used_time,
    wound,
)
from tuning_operator.study.conditions import is_true
from tuning_operator.study.decision import Decision, Event, JobDeletion, JobExpiry, NewTrial, TrialStatusWrite
from tuning_operator.study.durations import parse_duration
from tuning_operator.study.packing import Packing, packed, packs
from tuning_operator.study.snapshot import Snapshot, StudyView, TrialView
from tuning_operator.study.status import ACCEPTED, FAILED, SUCCEEDED, Findings, study_status
from tuning_operator.study.stopping import Directive, directives, standing
from tuning_operator.study.trials import Halt, TrialStep, advance, is_settled

BLOCKED_LOOK = timedelta(seconds=10)
"""How often a study whose pods cannot start is looked at again, for causes that no watch reports."""


OUT_OF_TIME = "The study's time is over (spec.budget.maxDuration)."


def decide(snapshot: Snapshot) -> Decision:
    """Return what is to be done now."""
    if snapshot.study.deleting:
        # The garbage collector removes trials, Jobs and pods by their owner references.
        return Decision()
    if concluding.is_outdated(snapshot):
        snapshot = replace(snapshot, analysis=None)
    try:
        acceptance.check(snapshot)
        refusal = None
    except acceptance.Refused as refused:
        refusal = (refused.reason, refused.message)
    halts = {is_search: _halt(snapshot, is_search) for is_search in (True, False)}
    wanted = _directives(snapshot, refusal is None) if halts[True] is None else {}
    unsettled = [trial for trial in snapshot.trials.values() if not is_settled(snapshot, trial)]
    looks = [
        _look(snapshot, trial, halts[trial.spec.purpose.is_search], wanted.get(trial.name, Directive()))
        for trial in unsettled
    ]
    return _Plan(snapshot, refusal, looks).decision()


@dataclass(frozen=True)
class _Look:
    """A trial, and what a look at it came to."""

    trial: TrialView
    step: TrialStep

    @property
    def after(self) -> TrialView:
        """The trial with the status that this decision gives it."""
        return replace(self.trial, status=self.step.status)


def _look(snapshot: Snapshot, trial: TrialView, halt: Halt | None, directive: Directive) -> _Look:
    step = advance(snapshot, trial, halt or directive.halt)
    if directive.passed is not None:
        step = replace(step, status=step.status.model_copy(update={"passed_rungs": directive.passed}))
    return _Look(trial, step)


def _directives(snapshot: Snapshot, accepted: bool) -> Mapping[str, Directive]:
    """Return what the stopping rule wants, and let as many paused trials go on as there is room for."""
    if not accepted:
        return standing(snapshot)
    spec = snapshot.study.spec
    active = sum(not t.status.state.is_finished and not _is_parked(t) for t in snapshot.trials.values())
    trials = [(t.spec, t.status) for t in snapshot.trials.values()]
    return directives(snapshot, spec.budget.parallel_trials - active, bool(next_places(spec, trials, 1)))


def _is_parked(trial: TrialView) -> bool:
    """Whether the trial waits at a rung, its pod gone, and takes nobody's place."""
    return trial.status.state is TrialState.PAUSED and trial.status.job is None


@dataclass(frozen=True)
class _Plan:
    snapshot: Snapshot
    refusal: tuple[str, str] | None
    looks: Sequence[_Look]
    """At the trials for which something may be left to do: most of a long study's are settled."""

    def decision(self) -> Decision:
        snapshot, study = self.snapshot, self.snapshot.study
        after = list((dict(snapshot.trials) | {look.trial.name: look.after for look in self.looks}).values())
        used = used_time(study.status.duration, snapshot.now)
        search = outcome_of(study, [(t.spec, t.status) for t in after], used)
        active = [look.trial.name for look in self.looks if not look.step.status.state.is_finished]
        parked = sum(_is_parked(look.after) for look in self.looks)
        free = max(study.spec.budget.parallel_trials - len(active) + parked, 0)
        obstacle = starting.obstacle_of(snapshot, active)
        out_of_time = is_out_of_time(study, used)
        accepted = self.refusal is None
        # A study that cannot run is not analysed either: it ends as its trials have.
        over = concluding.is_over(snapshot, after, search, out_of_time) if accepted else search is not None
        outcome = search if over else None
        goes_on = accepted and not over and not study.spec.suspend and not out_of_time
        may_start = goes_on and (obstacle is None or not obstacle.forbids)
        # What runs beside a throughput that is being measured would change it.
        searches = may_start and search is None and not any(_is_throughput(look.after) for look in self.looks)
        packing = Packing.of(study.spec, after, snapshot.now)
        places = self._next_places(after, free, packing) if searches else []
        awaits_a_pack = searches and free > 0 and not places
        asked = concluding.follow_ups_left(snapshot, after)[:free] if may_start and _has_succeeded(search) else []
        follow_ups = tuple(concluding.new_follow_ups(study, asked, after))
        draws = tuple(
            (a.number, p)
            for a, p in places
            if learns_from_results(study.spec, a, p) and (a.number, p) not in snapshot.suggestions
        )
        # The trials of a pack are created together: those whose points are known, when the others are drawn.
        awaits_draws = packs(study.spec) and bool(draws) and not snapshot.suggestions
        created = () if awaits_draws else self._new_trials(places)
        new_trials = tuple(self._starting(new) for new in (*created, *follow_ups))
        start_time = study.status.start_time or min((t.created for t in after), default=None)
        first_start = start_time if study.status.start_time is None else None
        clock = wound(study.status.duration, goes_on and bool(after), first_start, snapshot.now)
        findings = Findings(self.refusal, outcome, obstacle, search, used, out_of_time, clock, start_time)
        status = study_status(snapshot, after, findings)
        return Decision(
            trial_statuses=tuple(
                TrialStatusWrite(look.trial, look.step.status)
                for look in self.looks
                if look.step.status != look.trial.status
            ),
            new_trials=new_trials,
            asks_analysis=accepted and concluding.wants_analysis(snapshot, after, search),
            new_study=None if outcome is None else chain.following(snapshot, outcome, used),
            draws=draws,
            new_jobs=packed(
                study.spec,
                [look.after for look in self.looks if look.step.start and may_start],
                after,
                packing,
            ),
            deletions=self._deletions(),
            expiries=self._expiries(),
            study_status=status if status != study.status else None,
            events=(
                *_of_study(snapshot, findings),
                *answer_events(snapshot, status, follow_ups),
                *(event for look in self.looks for event in look.step.events),
            ),
            questions=frozenset(look.trial.name for look in self.looks if look.step.asks),
            look_again_after=timedelta(0)
            if any(not new.starts for new in new_trials)
            else self._look_again(used, obstacle, goes_on, packing.patience if awaits_a_pack else None),
        )

    def _deletions(self) -> tuple[JobDeletion, ...]:
        """Each Job once: all trials of a pack may ask for its deletion."""
        asked = [look.step.deletion for look in self.looks if look.step.deletion is not None]
        return tuple({deletion.job.uid: deletion for deletion in asked}.values())

    def _expiries(self) -> tuple[JobExpiry, ...]:
        """Each Job once, with the longest time that one of a pack's trials asks for."""
        asked = [look.step.expiry for look in self.looks if look.step.expiry is not None]
        return tuple({expiry.job.uid: expiry for expiry in sorted(asked, key=lambda expiry: expiry.after)}.values())

    def _next_places(self, after: Sequence[TrialView], free: int, packing: Packing) -> list[tuple[Arm, int]]:
        spec = self.snapshot.study.spec
        together = packing.together(spec) if packs(spec) else None
        return next_places(spec, ((t.spec, t.status) for t in after), free, together)

    def _starting(self, new: NewTrial) -> NewTrial:
        """Start the trial with its creation, unless it may share a process, or follows one that had its name.

        The pod of a trial that was deleted may live on, in a pack's Job or after its own: two pods must never share a
        checkpoint.
        """
        snapshot = self.snapshot
        had_its_name = new.name in snapshot.jobs or new.name in snapshot.trials_with_living_pods
        return replace(new, starts=False) if packs(snapshot.study.spec) or had_its_name else new

    def _new_trials(self, places: Iterable[tuple[Arm, int]]) -> Iterator[NewTrial]:
        """Yield the trials whose points are known: the others are drawn before the next decision."""
        study = self.snapshot.study
        for arm, position in places:
            if not learns_from_results(study.spec, arm, position):
                yield _new_trial(study, arm, position, suggest(study.spec, arm, position))
            elif (drawn := self.snapshot.suggestions.get((arm.number, position))) is not None:
                yield _new_trial(study, arm, position, drawn)

    def _look_again(
        self, used: timedelta, obstacle: starting.Obstacle | None, goes_on: bool, patience: timedelta | None
    ) -> timedelta | None:
        waits = [look.step.look_again_after for look in self.looks if look.step.look_again_after is not None]
        if patience is not None and timedelta(0) < patience < timedelta.max:
            waits.append(patience)
        if obstacle is not None:
            waits.append(BLOCKED_LOOK)
        limit = self.snapshot.study.spec.budget.max_duration
        if goes_on and limit is not None:
            waits.append(max(parse_duration(limit) - used, timedelta(0)))
        return min(waits, default=None)


def _is_throughput(trial: TrialView) -> bool:
    return trial.spec.purpose is TrialPurpose.BATCH_SIZE_PROBE and not trial.status.state.is_finished


def _has_succeeded(search: Outcome | None) -> bool:
    return search is not None and search.kind is OutcomeKind.SUCCEEDED


def first_trial(study: StudyView) -> NewTrial:
    """Return a trial of the study, such as its first one."""
    arm = next(arm for arm in arms_of(study.spec) if positions(study.spec, arm) != 0)
    return _new_trial(study, arm, 0, suggest(study.spec, arm, 0))


def _new_trial(study: StudyView, arm: Arm, position: int, suggestion: Suggestion) -> NewTrial:
    index = trial_index(arm, position)
    text = suggestion.parameters_json
    spec = TuningTrialSpec(
        study_ref=StudyRef(name=study.name, uid=study.uid),
        purpose=TrialPurpose.REPLICATE if position % study.spec.search.replicates else TrialPurpose.SEARCH,
        index=index,
        arm=arm.number,
        position=position,
        assignments=[ParameterAssignment(name=n, value=parameter_text(v)) for n, v in suggestion.assignment.items()],
        parameters=text,
        parameters_hash=parameters_hash(text),
        seed=suggestion.seed,
        suggested_by=suggestion.algorithm,
        suggestion_note=suggestion.note or None,
    )
    return NewTrial(names.trial_name(study.name, study.uid, index), spec)


def _halt(snapshot: Snapshot, is_search: bool) -> Halt | None:
    """Return why the search's trials, or their retrains and probes, must end now; None while they may run.

    The end of a search that has succeeded is the beginning of its retrains and probes.

    A study that is refused after it was accepted starts nothing more, but what runs is left to end.
    """
    study = snapshot.study
    used = used_time(study.status.duration, snapshot.now)
    outcome = outcome_of(study, [(t.spec, t.status) for t in snapshot.trials.values()], used)
    if outcome is not None and (is_search or outcome.kind is OutcomeKind.FAILED):
        return Halt(TrialState.STOPPED, outcome.reason, outcome.message)
    if is_out_of_time(study, used):
        return Halt(TrialState.STOPPED, "MaxDurationReached", OUT_OF_TIME)
    if study.spec.suspend:
        return Halt(TrialState.SUSPENDED, "StudySuspended", "spec.suspend is true.")
    return None


def _of_study(snapshot: Snapshot, findings: Findings) -> Iterable[Event]:
    """Events for what has changed since the last status."""
    before = snapshot.study.status
    if findings.refusal is not None:
        if not any(c.type == ACCEPTED and c.reason == findings.refusal[0] for c in before.conditions):
            yield Event("StudyRejected", findings.refusal[1], warning=True)
        return
    if not is_true(before.conditions, ACCEPTED):
        caution = lint.caution(snapshot.study.name, snapshot.study.spec)
        yield Event("StudyAccepted", f"The study is valid; its trials start.{caution}")
    if findings.obstacle is not None and findings.obstacle.blocks:
        known = any(c.type == starting.CONDITION and c.reason == findings.obstacle.reason for c in before.conditions)
        if not known:
            yield Event(findings.obstacle.reason, findings.obstacle.message, warning=True)
    yield from _of_outcome(snapshot, findings.outcome)


def _of_outcome(snapshot: Snapshot, outcome: Outcome | None) -> Iterable[Event]:
    if outcome is None:
        return
    succeeded = outcome.kind is OutcomeKind.SUCCEEDED
    if not is_true(snapshot.study.status.conditions, SUCCEEDED if succeeded else FAILED):
        yield Event(f"Study{'Succeeded' if succeeded else 'Failed'}", outcome.message, warning=not succeeded)
