"""The budget: which trial comes next, how much time is used, and when the study is over."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from tuning_operator.api.study import StudyDuration
from tuning_operator.api.trial import TrialState, TuningTrialSpec, TuningTrialStatus
from tuning_operator.search.arms import Arm, shares
from tuning_operator.study.durations import parse_duration
from tuning_operator.study.snapshot import StudyView


class OutcomeKind(Enum):
    """How a study ends."""

    SUCCEEDED = auto()
    FAILED = auto()


@dataclass(frozen=True)
class Outcome:
    """That the study is over, and why."""

    kind: OutcomeKind
    reason: str
    message: str


Progressed = tuple[TuningTrialSpec, TuningTrialStatus]
"""A trial as it stands after this decision's look at it."""


def next_positions(
    arms: Sequence[Arm], trials: Iterable[Progressed], max_trials: int, free: int
) -> list[tuple[Arm, int]]:
    """Return the next (arm, position) pairs to start, at most `free` of them.

    Each arm gets its share of `max_trials` (shares differ by at most one); a failed or stopped trial is replaced by
    the next point of the same arm, so that failures never tilt the comparison. The arm that is furthest behind comes
    first.
    """
    counted: Counter[int] = Counter()
    started: Counter[int] = Counter()
    for spec, status in trials:
        started[spec.arm] = max(started[spec.arm], spec.position + 1)
        counted[spec.arm] += status.state.has_result or not status.state.is_finished
    wanted = dict(enumerate(shares(max_trials, len(arms))))
    chosen: list[tuple[Arm, int]] = []
    while len(chosen) < free:
        behind = [arm for arm in arms if counted[arm.number] < wanted[arm.number]]
        if not behind:
            break
        arm = min(behind, key=lambda a: (counted[a.number] / wanted[a.number], a.number))
        chosen.append((arm, started[arm.number]))
        started[arm.number] += 1
        counted[arm.number] += 1
    return chosen


def outcome_of(study: StudyView, trials: Sequence[Progressed], used: timedelta) -> Outcome | None:
    """Return how the study is over; None while it goes on."""
    budget = study.spec.budget
    states = Counter(status.state for _, status in trials)
    results = states[TrialState.SUCCEEDED] + states[TrialState.INFEASIBLE]
    if states[TrialState.FAILED] > budget.max_failed_trials:
        message = (
            f"{states[TrialState.FAILED]} trials failed; spec.budget.maxFailedTrials allows "
            f"{budget.max_failed_trials}. See the trials' messages; raising the budget continues the study."
        )
        return Outcome(OutcomeKind.FAILED, "MaxFailedTrialsExceeded", message)
    out_of_time = budget.max_duration is not None and used >= parse_duration(budget.max_duration)
    if results < budget.max_trials and not out_of_time:
        return None
    reason = "MaxDurationReached" if results < budget.max_trials else "MaxTrialsReached"
    counts = f"{states[TrialState.SUCCEEDED]} trials with a value, {states[TrialState.INFEASIBLE]} infeasible"
    if states[TrialState.SUCCEEDED] == 0:
        message = f"The budget is used ({reason}) and no trial has a value: {counts}."
        return Outcome(OutcomeKind.FAILED, "NoFeasibleTrial", message)
    return Outcome(OutcomeKind.SUCCEEDED, reason, f"The budget is used: {counts}.")


def used_time(clock: StudyDuration, now: datetime) -> timedelta:
    """Return the time that counts towards maxDuration."""
    running = now - clock.since if clock.since is not None else timedelta(0)
    return timedelta(seconds=clock.consumed_seconds) + max(running, timedelta(0))


def wound(clock: StudyDuration, runs: bool, start: datetime | None, now: datetime) -> StudyDuration:
    """Start or stop the clock.

    Args:
        clock: as it stands.
        runs: whether it should run from now on.
        start: when the first trial was created; the clock's first start.
        now: the present.
    """
    if runs and clock.since is None:
        first = clock.consumed_seconds == 0 and start is not None
        return clock.model_copy(update={"since": start if first else now.replace(microsecond=0)})
    if not runs and clock.since is not None:
        return StudyDuration(consumed_seconds=int(used_time(clock, now).total_seconds()))
    return clock
