"""Which trials share a process: those that start together, and differ in numbers of a training step alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from tuning_contract.environment import TrialEnvironment
from tuning_contract.pack import MAX_MEMBERS, MAX_PACK_TEXT, MAY_DIFFER, Shape, shape_of
from tuning_contract.pack_record import most_members
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.api.trial import TrialState
from tuning_operator.search.arms import Arm, arms_of
from tuning_operator.study.decision import NewJob
from tuning_operator.study.snapshot import TrialView

ENTRY_BYTES = 400
"""What an entry of TUNING_PACK has beside the parameters: names, seed, checkpoint directory."""


def packs(spec: TuningStudySpec) -> bool:
    """Whether trials of the study may share a process."""
    return spec.trial.max_packed > 1


class PackSize(NamedTuple):
    """How many trials share a process."""

    fewest: int
    most: int


PackSizes = Mapping[int, PackSize]
"""By the number of an arm."""


@dataclass(frozen=True)
class Packing:
    """How a study's trials share processes, as things stand."""

    smaller: PackSizes
    """Of the arms of which a pack has run out of memory. They go on with packs of the size that was then left: else
    each of their trials would be trained twice."""
    patience: timedelta
    """How much longer new trials wait until places for a whole pack are free."""

    @classmethod
    def of(cls, spec: TuningStudySpec, trials: Sequence[TrialView], now: datetime) -> "Packing":
        """Return how the study's trials share processes; `trials` as they stand after this decision."""
        return cls(_smaller(spec, trials), _patience(trials, now)) if packs(spec) else cls({}, timedelta(0))

    def together(self, spec: TuningStudySpec) -> PackSizes:
        """Return how many new trials of an arm start at once; an arm whose trials can share no process is not there."""
        sizes = {arm.number: self.smaller.get(arm.number, pack_size(spec)) for arm in arms_of(spec) if _is_alike(arm)}
        return sizes if self.patience else {number: PackSize(1, size.most) for number, size in sizes.items()}


def pack_size(spec: TuningStudySpec, most: int = MAX_MEMBERS) -> PackSize:
    """Return how many trials share a process, at most `most`: the packs that run at a time are as equal as can be."""
    most = min(most, spec.trial.max_packed, most_members(spec.further_metrics))
    parallel = spec.budget.parallel_trials
    processes = -(-parallel // most)
    return PackSize(parallel // processes, -(-parallel // processes))


def _smaller(spec: TuningStudySpec, trials: Iterable[TrialView]) -> PackSizes:
    found: dict[int, int] = {}
    for trial in trials:
        if (too_many := trial.status.too_many) is not None:
            found[trial.spec.arm] = min(too_many // 2, found.get(trial.spec.arm, too_many))
    return {arm: pack_size(spec, most) for arm, most in found.items()}


def _patience(trials: Sequence[TrialView], now: datetime) -> timedelta:
    """Where nothing trains, as beside a pod that finds no node, waiting would have no end. Else new trials wait for the
    next ones to end, but not for one that hangs: since the last one has ended, no longer than the longest has taken."""
    if not any(trial.status.state is TrialState.RUNNING for trial in trials):
        return timedelta(0)
    times = [(trial.status.start_time, trial.status.completion_time) for trial in trials]
    ended = [(start, end) for start, end in times if start is not None and end is not None]
    if not ended:
        return timedelta.max
    longest = max(end - start for start, end in ended)
    return max(max(end for _, end in ended) + longest - now, timedelta(0))


def _is_alike(arm: Arm) -> bool:
    """Whether all trials of an arm can share processes: what is searched in it are numbers of a step alone."""
    return all(h.parameter_name in MAY_DIFFER for h in arm.dimensions)


def packed(
    spec: TuningStudySpec, starting: Sequence[TrialView], trials: Sequence[TrialView], packing: Packing
) -> tuple[NewJob, ...]:
    """Return the Jobs of the trials that start now, as few as may be; a trial that fits no other has its own.

    Trials that shared a process do so again, after they were lost or halted: their checkpoints are of one step. So the
    first of them to be ready waits for the others.

    Args:
        spec: the study's.
        starting: the trials that may start.
        trials: all of the study's, as they stand after this decision.
        packing: how they share processes.
    """
    if not packs(spec):
        return tuple(NewJob((trial,)) for trial in starting)
    late = _missing_companions(starting, trials)
    alike: dict[tuple[Shape, bool, int, str | None], list[TrialView]] = {}
    for trial in sorted(starting, key=lambda trial: (trial.spec.index, trial.name)):
        if trial.status.packed_in in late:
            continue
        most = _most(spec, trial, packing.smaller)
        shape = shape_of(TrialEnvironment.parameters_from_json(trial.spec.parameters)) if most > 1 else ()
        key = (shape, trial.spec.purpose.is_search, most, _checkpoints(trial))
        alike.setdefault(key, []).append(trial)
    return tuple(NewJob(pack) for (_, _, most, _), group in alike.items() for pack in _divided(group, most))


def _checkpoints(trial: TrialView) -> str | None:
    """Return what the trial has in common with those whose checkpoints are of its step; None: it has none."""
    return trial.status.packed_in or (trial.name if trial.status.attempt else None)


def _missing_companions(starting: Sequence[TrialView], trials: Iterable[TrialView]) -> set[str]:
    """Return the packs of which some trials are to start again and others are not ready yet."""
    ready = {trial.name for trial in starting}
    awaited = {trial.status.packed_in for trial in starting if trial.status.packed_in is not None}
    return {
        trial.status.packed_in
        for trial in trials
        if trial.status.packed_in is not None
        and trial.status.packed_in in awaited
        and trial.status.job is None
        and not (trial.name in ready or trial.deleting or trial.status.state.is_finished)
    }


def _most(spec: TuningStudySpec, trial: TrialView, smaller: PackSizes) -> int:
    if trial.spec.purpose.is_probe:
        return 1  # It measures every early step, of which a pack's record could tell nothing, or its process's speed.
    most = smaller.get(trial.spec.arm, pack_size(spec)).most
    return min(most, trial.status.max_packed or most)


def _divided(trials: Sequence[TrialView], most: int) -> Iterator[tuple[TrialView, ...]]:
    pack: list[TrialView] = []
    size = 0
    for trial in trials:
        entry = len(trial.spec.parameters.encode()) + ENTRY_BYTES
        if pack and (len(pack) == most or size + entry > MAX_PACK_TEXT):
            yield tuple(pack)
            pack, size = [], 0
        pack.append(trial)
        size += entry
    if pack:
        yield tuple(pack)
