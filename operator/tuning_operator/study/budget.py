"""The budget: which trial comes next, how much time is used, and when the study is over."""

import heapq
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from itertools import count

from tuning_operator.api.search import Algorithm
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.api.study_status import StudyDuration
from tuning_operator.api.trial import TrialPurpose, TrialState, TuningTrialSpec, TuningTrialStatus
from tuning_operator.search.arms import Arm, arms_of, shares
from tuning_operator.search.sequence import positions
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

Places = Callable[[Arm], int | None]
"""How many positions an arm has; None: without end."""


def next_positions(
    arms: Sequence[Arm],
    trials: Iterable[Progressed],
    wanted: Sequence[int],
    free: int,
    places: Places,
    together: Mapping[int, tuple[int, int]] | None = None,
) -> list[tuple[Arm, int]]:
    """Return the next (arm, position) pairs to start, at most `free` of them.

    Each arm gets as many as `wanted` says; a failed or stopped trial is replaced by the next point of the same arm, so
    that failures never tilt the comparison. The arm that is furthest behind comes first. A position is next where no
    trial has it, even where a later one exists: trials are created side by side, and the operator may have been killed
    when the later one was through. An arm whose positions are used up gets no more trials.

    `together` says of each arm the fewest and the most trials that share a process: they start at once, or wait until
    as many places are free, and the arms that are less far behind with them. Without it each starts by itself.
    """
    if free <= 0:
        return []
    counted: Counter[int] = Counter()
    taken: defaultdict[int, set[int]] = defaultdict(set)
    for spec, status in trials:
        if spec.purpose.is_search:
            taken[spec.arm].add(spec.position)
            counted[spec.arm] += counts(spec, status) or not status.state.is_finished
    unused = {arm.number: _unused(taken[arm.number]) for arm in arms}
    behind = [(counted[n] / wanted[n], n) for n in unused if counted[n] < wanted[n]]
    heapq.heapify(behind)
    chosen: list[tuple[Arm, int]] = []
    while behind and len(chosen) < free:
        _, number = heapq.heappop(behind)
        fewest, most = (together or {}).get(number, (1, 1))
        left, limit = wanted[number] - counted[number], places(arms[number])
        next_ones = [p for p in itertools.islice(unused[number], min(most, left)) if limit is None or p < limit]
        if not next_ones:
            continue
        room = free - len(chosen)
        if room < min(fewest, len(next_ones)):
            break
        next_ones = next_ones[:room]
        chosen += [(arms[number], position) for position in next_ones]
        counted[number] += len(next_ones)
        if counted[number] < wanted[number]:
            heapq.heappush(behind, (counted[number] / wanted[number], number))
    return chosen


def next_places(
    spec: TuningStudySpec,
    trials: Iterable[Progressed],
    free: int,
    together: Mapping[int, tuple[int, int]] | None = None,
) -> list[tuple[Arm, int]]:
    """Return the places that the study starts next, at most `free` of them; see `next_positions`.

    Raises:
        ValueError: the hyperparameters are no search space.
    """
    arms = arms_of(spec)
    return next_positions(arms, trials, wanted_trials(spec, arms), free, lambda arm: positions(spec, arm), together)


def wanted_trials(spec: TuningStudySpec, arms: Sequence[Arm]) -> tuple[int, ...]:
    """Divide maxTrials over the arms: equally, so that they are compared fairly.

    A list or a grid is a finite task: what one arm has no points for, the others get, as evenly as can be.
    """
    total = spec.budget.max_trials
    if spec.search.algorithm not in (Algorithm.LIST, Algorithm.GRID) or spec.search.switch_to is not None:
        return shares(total, len(arms))
    room = [positions(spec, arm) or 0 for arm in arms]
    wanted = [0] * len(arms)
    while (left := min(total, sum(room)) - sum(wanted)) > 0:
        hungry = [i for i in range(len(arms)) if wanted[i] < room[i]]
        for i, share in zip(hungry, shares(left, len(hungry)), strict=True):
            wanted[i] = min(wanted[i] + share, room[i])
    return tuple(wanted)


def counts(spec: TuningTrialSpec, status: TuningTrialStatus) -> bool:
    """Whether an ended trial is one of maxTrials: it has a result, or was stopped because its curve said enough."""
    ended = status.state.is_finished and (status.state.has_result or status.stop is not None)
    return ended and spec.purpose.is_search


def _unused(taken: Set[int]) -> Iterator[int]:
    return (position for position in count() if position not in taken)


def is_out_of_time(study: StudyView, used: timedelta) -> bool:
    """Whether maxDuration is used up: nothing is started any more, and what runs is stopped."""
    limit = study.spec.budget.max_duration
    return limit is not None and used >= parse_duration(limit)


def outcome_of(study: StudyView, trials: Sequence[Progressed], used: timedelta) -> Outcome | None:
    """Return how the study's search is over; None while it goes on. Retrains and probes may come after it.

    When its time is over it is not at its end before its last trials are: one may complete within its grace period.
    """
    budget = study.spec.budget
    # A probe of batch sizes may end in a crash for want of memory: that fails no study whose search succeeded.
    failed = sum(
        status.state is TrialState.FAILED and spec.purpose is not TrialPurpose.BATCH_SIZE_PROBE
        for spec, status in trials
    )
    if failed > budget.max_failed_trials:
        message = (
            f"{failed} trials failed; spec.budget.maxFailedTrials allows "
            f"{budget.max_failed_trials}. See the trials' messages; raising the budget continues the study."
        )
        return Outcome(OutcomeKind.FAILED, "MaxFailedTrialsExceeded", message)
    searches = [trial for trial in trials if trial[0].purpose.is_search]
    results = sum(counts(*trial) for trial in searches)
    states = Counter(status.state for _, status in searches)
    at_rest = all(state.is_finished for state in states)
    if results >= budget.max_trials:
        reason, why = "MaxTrialsReached", "The budget is used"
    elif at_rest and is_out_of_time(study, used):
        reason, why = "MaxDurationReached", "The budget is used"
    elif at_rest and _is_exhausted(study.spec, trials):
        reason = "SearchSpaceExhausted"
        why = "There is no point left to try (spec.search.replicates tries each several times)"
    else:
        return None
    numbers = f"{states[TrialState.SUCCEEDED]} trials with a value, {states[TrialState.INFEASIBLE]} infeasible"
    stopped = sum(status.stop is not None for _, status in searches if status.state is TrialState.STOPPED)
    numbers += f", {stopped} stopped early" if stopped else ""
    if states[TrialState.SUCCEEDED] == 0:
        message = f"{why} ({reason}) and no trial has a value: {numbers}."
        return Outcome(OutcomeKind.FAILED, "NoFeasibleTrial", message)
    return Outcome(OutcomeKind.SUCCEEDED, reason, f"{why}: {numbers}.")


def _is_exhausted(spec: TuningStudySpec, trials: Sequence[Progressed]) -> bool:
    """Whether no arm that is behind its share has a point left."""
    try:
        return not next_places(spec, trials, 1)
    except ValueError:
        # Not a search space at all: it is refused, and not used up.
        return False


def used_time(clock: StudyDuration, now: datetime) -> timedelta:
    """Return the time that counts towards maxDuration."""
    running = now - clock.since if clock.since is not None else timedelta(0)
    return timedelta(seconds=clock.consumed_seconds) + max(running, timedelta(0))


def wound(clock: StudyDuration, runs: bool, start: datetime | None, now: datetime) -> StudyDuration:
    """Start or stop the clock.

    Args:
        clock: as it stands.
        runs: whether it should run from now on.
        start: when the first trial was created, where the clock has never been looked at since; else None.
        now: the present.
    """
    if runs and clock.since is None:
        return clock.model_copy(update={"since": start or now.replace(microsecond=0)})
    if not runs and clock.since is not None:
        # Rounded up: a study whose time is over must not have a rest of a second left when its clock is stopped.
        return StudyDuration(consumed_seconds=math.ceil(used_time(clock, now).total_seconds()))
    return clock
