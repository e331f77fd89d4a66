"""Which trials share a process: those that are about to start, and differ in numbers of a training step alone."""

from collections.abc import Iterator, Sequence

from tuning_contract.environment import TrialEnvironment
from tuning_contract.pack import MAX_PACK_TEXT, Shape, shape_of
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.api.trial import TrialPurpose
from tuning_operator.study.decision import NewJob
from tuning_operator.study.snapshot import TrialView

NEVER_PACKED = frozenset({TrialPurpose.INSTABILITY_PROBE, TrialPurpose.HIDDEN_INSTABILITY_PROBE})
"""They measure every early step, of which a pack's record could tell nothing."""
ENTRY_BYTES = 400
"""What an entry of TUNING_PACK has beside the parameters: names, seed, checkpoint directory."""


def packed(spec: TuningStudySpec, starting: Sequence[TrialView]) -> tuple[NewJob, ...]:
    """Return the Jobs of the trials that start now, as few as may be; a trial that fits no other has its own."""
    alike: dict[tuple[Shape, bool, int], list[TrialView]] = {}
    for trial in starting:
        most = _most(spec, trial)
        shape = shape_of(TrialEnvironment.parameters_from_json(trial.spec.parameters)) if most > 1 else ()
        alike.setdefault((shape, trial.spec.purpose.is_search, most), []).append(trial)
    return tuple(NewJob(pack) for (_, _, most), trials in alike.items() for pack in _divided(trials, most))


def _most(spec: TuningStudySpec, trial: TrialView) -> int:
    if trial.spec.purpose in NEVER_PACKED:
        return 1
    return min(spec.trial.max_packed, trial.status.max_packed or spec.trial.max_packed)


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
