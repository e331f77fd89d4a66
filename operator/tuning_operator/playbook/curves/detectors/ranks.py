"""Do the processes of a distributed run agree where they must, and differ where they must? (HST-1 to HST-3, BNM-6)."""

from collections.abc import Callable, Iterable, Sequence

from tuning_contract.diagnostics import Rank
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import is_lost
from tuning_operator.playbook.records import StudyRecord, TrialRecord


def ranks_diverge(study: StudyRecord) -> Finding:
    """Return whether processes began with different weights, or saved different batch-norm buffers."""
    trials = _distributed(study)
    if not _known(trials, lambda r: r.initial_weights) and not _known(trials, lambda r: r.buffers):
        return _unknown(study, "HST-3", "processes began with the same weights", "initialWeights and buffers")
    weights = [t for t in trials if _differ(t.diagnostics.ranks, lambda r: r.initial_weights)]
    buffers = [t for t in trials if _differ(t.diagnostics.ranks, lambda r: r.buffers)]
    if not weights and not buffers:
        message = "The processes of each trial began with the same weights and saved the same buffers."
        return passed(study, Code.PIPELINE_BUG, "HST-3", message, trials=trials)
    said, actions = [], []
    if weights:
        said.append(f"in {len(weights)} trials processes began with different weights")
        actions.append("Use the same seed for the initialisation on all processes.")
    if buffers:
        said.append(f"in {len(buffers)} trials they had different batch-norm statistics when a checkpoint was saved")
        actions.append("Synchronise these before evaluating and saving.")
    message = "; ".join(said)
    return answer(
        study,
        Code.PIPELINE_BUG,
        "RankDivergence",
        Severity.BLOCK,
        "HST-3" if weights else "HST-2",
        f"{message[0].upper()}{message[1:]}.",
        action=" ".join(actions),
        numbers={"differentWeights": len(weights), "differentBuffers": len(buffers), "trials": len(trials)},
        trials=weights + [t for t in buffers if t not in weights],
    )


def ranks_share_data(study: StudyRecord) -> Finding:
    """Return whether processes began with the same batch of data, so that most of the work is done twice."""
    trials = _distributed(study)
    if not _known(trials, lambda r: r.first_batch):
        return _unknown(study, "HST-3", "processes train on different data", "firstBatch")
    same = [t for t in trials if _repeat(t.diagnostics.ranks, lambda r: r.first_batch)]
    if not same:
        message = "The processes of each trial began with different data."
        return passed(study, Code.PIPELINE_BUG, "HST-3", message, trials=trials)
    return answer(
        study,
        Code.PIPELINE_BUG,
        "RankSameData",
        Severity.BLOCK,
        "HST-3",
        f"In {len(same)} of {len(trials)} trials processes began with the same batch of data.",
        action="Use another seed for shuffling on each process, or give each its own shard of the files.",
        numbers={"sameData": len(same), "trials": len(trials)},
        trials=same,
    )


def several_ranks_write(study: StudyRecord) -> Finding:
    """Return whether more than one process writes checkpoints."""
    trials = _distributed(study)
    if not trials:
        return _unknown(study, "HST-1", "only one process writes checkpoints", "writesCheckpoints")
    several = [t for t in trials if sum(r.writes_checkpoints for r in t.diagnostics.ranks) > 1]
    if not several:
        message = "No trial has more than one process that writes checkpoints."
        return passed(study, Code.PIPELINE_BUG, "HST-1", message, trials=trials)
    return answer(
        study,
        Code.PIPELINE_BUG,
        "SeveralWriters",
        Severity.BLOCK,
        "HST-1",
        f"In {len(several)} of {len(trials)} trials several processes write checkpoints.",
        action="Let only the process of rank 0 write them.",
        numbers={"severalWriters": len(several), "trials": len(trials)},
        trials=several,
    )


def _distributed(study: StudyRecord) -> list[TrialRecord]:
    """Return the trials, of whatever purpose and however they ended, whose processes have told of themselves."""
    return [t for t in study.trials if t.diagnostics.ranks and not is_lost(t)]


def _known(trials: Iterable[TrialRecord], told: Callable[[Rank], str]) -> bool:
    return any(told(rank) for trial in trials for rank in trial.diagnostics.ranks)


def _differ(ranks: Sequence[Rank], told: Callable[[Rank], str]) -> bool:
    return len({told(rank) for rank in ranks if told(rank)}) > 1


def _repeat(ranks: Sequence[Rank], told: Callable[[Rank], str]) -> bool:
    known = [told(rank) for rank in ranks if told(rank)]
    return len(set(known)) < len(known)


def _unknown(study: StudyRecord, rule: str, what: str, fields: str) -> Finding:
    return unknown(
        study,
        Code.PIPELINE_BUG,
        rule,
        f"Whether {what} is not known: no trial reports it.",
        action=f"Report diagnostics.ranks with {fields}; a run of one process reports one rank.",
    )
