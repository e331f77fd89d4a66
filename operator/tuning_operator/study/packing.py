"""Which trials share a process: those that start together, and differ in numbers of a training step alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tuning_contract.environment import TrialEnvironment
from tuning_contract.pack import MAX_PACK_TEXT, MAY_DIFFER, Shape, shape_of
from tuning_contract.pack_record import most_members
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.arms import Arm
from tuning_operator.study.decision import NewJob
from tuning_operator.study.snapshot import TrialView

ENTRY_BYTES = 400
"""What an entry of TUNING_PACK has beside the parameters: names, seed, checkpoint directory."""


def packs(spec: TuningStudySpec) -> bool:
    """Whether trials of the study may share a process."""
    return spec.trial.max_packed > 1


def is_alike(arm: Arm) -> bool:
    """Whether all trials of an arm can share processes: what is searched in it are numbers of a step alone."""
    return all(h.parameter_name in MAY_DIFFER for h in arm.dimensions)


def pack_sizes(spec: TuningStudySpec, trials: Iterable[TrialView]) -> Mapping[int, int]:
    """Return how many trials of an arm share a process, by its number, where that is less than `pack_size`.

    An arm of which a pack has run out of memory goes on with packs of the size that was then left: else each of its
    trials would be trained twice.
    """
    size = pack_size(spec)
    found: dict[int, int] = {}
    for trial in trials:
        left = trial.status.max_packed or 0
        # Of one alone nobody knows whether it was memory, or a crash of its own.
        if left > 1:
            found[trial.spec.arm] = min(left, found.get(trial.spec.arm, size))
    return found


def pack_size(spec: TuningStudySpec) -> int:
    """Return how many trials share a process: as many in each as all that run at a time are divided evenly into."""
    most = min(spec.trial.max_packed, most_members(spec.further_metrics))
    parallel = spec.budget.parallel_trials
    return max(parallel // -(-parallel // most), 1)


def packed(spec: TuningStudySpec, starting: Sequence[TrialView], trials: Sequence[TrialView]) -> tuple[NewJob, ...]:
    """Return the Jobs of the trials that start now, as few as may be; a trial that fits no other has its own.

    Trials that shared a process do so again, after they were lost or halted: their checkpoints are of one step. So the
    first of them to be ready waits for the others.

    Args:
        spec: the study's.
        starting: the trials that may start.
        trials: all of the study's, as they stand after this decision.
    """
    if not packs(spec):
        return tuple(NewJob((trial,)) for trial in starting)
    sizes = pack_sizes(spec, trials)
    late = _missing_companions(starting, trials)
    alike: dict[tuple[Shape, bool, int, str | None], list[TrialView]] = {}
    for trial in sorted(starting, key=lambda trial: (trial.spec.index, trial.name)):
        if trial.status.packed_in in late:
            continue
        most = _most(spec, trial, sizes)
        shape = shape_of(TrialEnvironment.parameters_from_json(trial.spec.parameters)) if most > 1 else ()
        key = (shape, trial.spec.purpose.is_search, most, trial.status.packed_in)
        alike.setdefault(key, []).append(trial)
    return tuple(NewJob(pack) for (_, _, most, _), group in alike.items() for pack in _divided(group, most))


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


def _most(spec: TuningStudySpec, trial: TrialView, sizes: Mapping[int, int]) -> int:
    if trial.spec.purpose.is_probe:
        return 1  # It measures every early step, of which a pack's record could tell nothing, or its process's speed.
    return min(pack_size(spec), trial.status.max_packed or sizes.get(trial.spec.arm, pack_size(spec)))


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
