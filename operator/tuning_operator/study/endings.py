"""How an attempt ended: a result, infeasible, failed, or lost to infrastructure (docs/concepts: four endings).

A result is a record `Completed` and exit code 0. Infeasible is evidence about the search space and never an error.
Failed is the user's bug or configuration. Lost is nobody's fault and free of charge.

Of a pack, each trial ends by its own word. What ends the process as a whole, such as too little memory for all of them
together, says nothing about one of them: those without an end of their own run again in smaller packs.
"""

import math
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from tuning_contract.curve import Point
from tuning_contract.environment import ContractError
from tuning_contract.exit_codes import ExitCode
from tuning_contract.pack_record import PackRecord
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_operator.study.snapshot import JobView, PodView, StudyView, TrialView
from tuning_operator.study.starting import CANNOT_START, CANNOT_START_WORDS


class EndingKind(Enum):
    """What an ended attempt means for its trial."""

    RESULT = auto()
    INFEASIBLE = auto()
    FAILED = auto()
    LOST = auto()
    UNRECORDED = auto()
    """The container ended well but left no record: Prometheus may know the result."""
    SPLIT = auto()
    """A pack was too much for its process, or for its image: this trial runs again with fewer beside it."""


UNFINISHED = (RecordStatus.RUNNING, RecordStatus.INTERRUPTED)
OUT_OF_MEMORY = "OutOfMemory"
UNTRAINABLE = "these hyperparameters cannot be trained with"
DEADLINE = "DeadlineExceeded"
TURNED_AWAY = frozenset({"UnexpectedAdmissionError", "NodeAffinity", "NodeShutdown", "TopologyAffinityError"})
"""Why a kubelet fails a pod that the scheduler gave it, beside OutOfcpu and its like: nothing that the pod did."""

STRAGGLING = timedelta(seconds=30)
"""So long a pod's other containers may run on after the one that trains: a native sidecar ends by itself, a plain one
(a service mesh may add it) does not, and would hold its GPU for ever."""

WORD = r"[A-Za-z][A-Za-z0-9]{0,62}"
"""What the API takes as a reason, and more than it needs."""

Verdict = tuple[EndingKind, str, str]
"""Kind, reason and message."""


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, and what it left."""

    kind: EndingKind
    reason: str
    message: str
    record: FinalRecord | None = None
    value: Point | None = None
    """The evaluation that counts; set with RESULT."""
    finished: datetime | None = None
    pod_uid: str | None = None


def ending_of(
    study: StudyView, trial: TrialView, job: JobView, pods: tuple[PodView, ...], now: datetime
) -> Ending | None:
    """Return how the attempt ended; None while it may still go on.

    A success is read from the pod at once. A failure waits for the Job's verdict, because the Job itself replaces a
    pod that was evicted or preempted.
    """
    for pod in pods:
        if pod.exit_code == 0:
            return _ended_well(study, trial, pod)
    if any(not pod.over and not is_straggling(pod, now) for pod in pods):
        # Jobs and pods are watched apart: the Job's verdict may be known here before the pod's last word.
        return None
    if not job.failed and all(pod.over for pod in pods):
        return _unrecorded(f"Job {job.name}", "no pod of it is left") if job.complete else None
    if not pods:
        return Ending(EndingKind.LOST, "PodLost", f"Job {job.name} failed and no pod of it is left")
    return _ended_badly(study, trial, job, pods[-1])


def is_straggling(pod: PodView, now: datetime) -> bool:
    """Whether only other containers of the pod still run, and have had their time to end by themselves."""
    if pod.over or pod.finished is None or pod.deleting or pod.disrupted:
        return False
    return now - pod.finished >= STRAGGLING


def _ended_well(study: StudyView, trial: TrialView, pod: PodView) -> Ending:
    record, problem = _record_of(study, trial, pod)
    if record is None and (pod.deleting or pod.disrupted):
        message = f"pod {pod.name} was evicted, preempted or deleted, and exited with 0"
        return Ending(EndingKind.LOST, "PodLost", message, None, None, pod.finished, pod.uid)
    if record is None:
        return _unrecorded(f"pod {pod.name}", problem, pod)
    value = record.value_at(study.spec.objective.at.value)
    kind, reason, message = _verdict_of_record(record, value, pod)
    return Ending(kind, reason, message, record, value, pod.finished, pod.uid)


def _verdict_of_record(record: FinalRecord, value: Point | None, pod: PodView) -> Verdict:
    if record.status is RecordStatus.INFEASIBLE:
        return EndingKind.INFEASIBLE, _reason(record, "Infeasible"), record.message or UNTRAINABLE
    if record.status in UNFINISHED and (pod.deleting or pod.disrupted):
        return EndingKind.LOST, "Interrupted", "the container was interrupted and exited with 0"
    if record.status is not RecordStatus.COMPLETED:
        advice = "call complete() when training is done, and exit with 143 when interrupted"
        message = f"the container exited with 0, but its record says {record.status}: {advice}"
        return EndingKind.FAILED, "RecordNotCompleted", message
    if value is None and record.last is None:
        return EndingKind.FAILED, "NoEvaluation", "training completed without one evaluation of the objective"
    if value is None or not math.isfinite(value.value):
        return EndingKind.INFEASIBLE, "NonFiniteObjective", "training completed, but its objective is not finite"
    return EndingKind.RESULT, "Completed", f"{value.value:.6g} at step {value.step}"


def _ended_badly(study: StudyView, trial: TrialView, job: JobView, pod: PodView) -> Ending:
    record, _ = _record_of(study, trial, pod)
    code = pod.exit_code
    kind, reason, message = _verdict_of_member(job, pod, record) or _verdict_of_failure(job, pod, record)
    if record is not None and record.message:
        message = f"{message}: {record.message}"
    elif code not in (None, 0) and pod.termination_message and record is None and not pod.members:
        message = f"{message}: {pod.termination_message[-400:]}"
    return Ending(kind, reason, message, record, None, pod.finished, pod.uid)


def _verdict_of_member(job: JobView, pod: PodView, record: FinalRecord | None) -> Verdict | None:
    """Return what the failure of a pack means for one of its trials; None: what it means for a trial alone."""
    if job.size == 1:
        return None
    if record is not None and record.status is RecordStatus.INFEASIBLE:
        return EndingKind.INFEASIBLE, _reason(record, "Infeasible"), UNTRAINABLE
    kind, reason, message = _verdict_of_failure(job, pod, record)
    if kind is EndingKind.LOST or reason == CANNOT_START:
        return None
    return EndingKind.SPLIT, reason, f"{message}, with {job.size} trials in one process"


def _verdict_of_failure(job: JobView, pod: PodView, record: FinalRecord | None) -> Verdict:
    return _verdict_of_infeasible(pod, record) or _verdict_of_lost(pod, record) or _verdict_of_crash(job, pod)


def _verdict_of_infeasible(pod: PodView, record: FinalRecord | None) -> Verdict | None:
    # By the kubelet's reason and never by 137 alone: 137 is any SIGKILL, an eviction's too.
    if pod.exit_reason == "OOMKilled":
        return EndingKind.INFEASIBLE, OUT_OF_MEMORY, "the container was killed for its memory limit"
    if pod.exit_code == ExitCode.OUT_OF_MEMORY:
        return EndingKind.INFEASIBLE, OUT_OF_MEMORY, "the process ran out of memory"
    if pod.exit_code == ExitCode.DIVERGED or (record is not None and record.status is RecordStatus.INFEASIBLE):
        reason = _reason(record, "NonFiniteObjective")
        return EndingKind.INFEASIBLE, reason, UNTRAINABLE
    return None


def _verdict_of_lost(pod: PodView, record: FinalRecord | None) -> Verdict | None:
    if pod.lost:
        return EndingKind.LOST, "PodLost", f"pod {pod.name} was evicted, preempted or deleted"
    if pod.exit_code is None and (pod.reason in TURNED_AWAY or pod.reason.startswith("OutOf")):
        return EndingKind.LOST, "PodTurnedAway", f"the node did not admit pod {pod.name} ({pod.reason})"
    interrupted = pod.exit_code == ExitCode.INTERRUPTED and record is not None and record.status in UNFINISHED
    if interrupted and pod.reason != DEADLINE:
        return EndingKind.LOST, "Interrupted", f"the container of pod {pod.name} was interrupted by SIGTERM"
    return None


def _verdict_of_crash(job: JobView, pod: PodView) -> Verdict:
    if pod.reason == DEADLINE:
        return EndingKind.FAILED, DEADLINE, f"pod {pod.name} ran longer than its activeDeadlineSeconds"
    if pod.exit_code == ExitCode.BAD_CONFIGURATION:
        return EndingKind.FAILED, "BadConfiguration", "the container refused its parameters"
    if pod.exit_reason in CANNOT_START_WORDS:
        return EndingKind.FAILED, CANNOT_START, "the container could not be started"
    if pod.exit_code is None:
        reason = pod.reason if re.fullmatch(WORD, pod.reason) else "PodFailed"
        return EndingKind.FAILED, reason, f"pod {pod.name} failed before its container ended ({job.failure})"
    return EndingKind.FAILED, "Crashed", f"the container exited with {pod.exit_code}"


def _reason(record: FinalRecord | None, default: str) -> str:
    """Return the record's reason where it is a word that the API takes: it comes from a user's container."""
    if record is None or not re.fullmatch(WORD, record.reason):
        return default
    return record.reason


def _unrecorded(subject: str, problem: str, pod: PodView | None = None) -> Ending:
    message = f"{subject} ended without a record ({problem})"
    if pod is None:
        return Ending(EndingKind.UNRECORDED, "NoRecord", message)
    return Ending(EndingKind.UNRECORDED, "NoRecord", message, finished=pod.finished, pod_uid=pod.uid)


def record_of(study: StudyView, trial: TrialView, pod: PodView) -> FinalRecord | None:
    """Return the pod's record where it is whole and this attempt's own; else None."""
    return _record_of(study, trial, pod)[0]


def _record_of(study: StudyView, trial: TrialView, pod: PodView) -> tuple[FinalRecord | None, str]:
    """Return the pod's record where it is whole and this attempt's own; else None and what is wrong with it."""
    if not pod.termination_message:
        return None, "its termination message is empty"
    try:
        if pod.members:
            record = _record_in_pack(study, trial, pod)
            otherwise = "its record is another pack's, or had no room for this trial"
        else:
            record = _record_alone(study, trial, pod)
            otherwise = "its record is another trial's, another attempt's, or was made with other parameters"
    except ContractError as error:
        return None, str(error)
    if record is None:
        return None, otherwise
    # JSON may hold halves of surrogate pairs, which no UTF-8 can.
    return replace(record, message=record.message.encode(errors="replace").decode()), ""


def _record_alone(study: StudyView, trial: TrialView, pod: PodView) -> FinalRecord | None:
    """Return the record of a pod that trains one trial; None: it is of something else."""
    record = FinalRecord.decode(pod.termination_message)
    expected = (study.uid, trial.name, pod.attempt, trial.spec.parameters_hash)
    return record if (record.study_uid, record.trial, record.attempt, record.parameters_hash) == expected else None


def _record_in_pack(study: StudyView, trial: TrialView, pod: PodView) -> FinalRecord | None:
    """Return what a pack's record says of one trial; None: nothing.

    The record names no trials but the hash of TUNING_PACK, which has their names, attempts and parameters.
    """
    pack = PackRecord.decode(pod.termination_message)
    if (pack.study_uid, pack.pack_hash) != (study.uid, pod.pack_hash):
        return None
    for member, result in zip(pod.members, pack.results, strict=False):
        if member.trial == trial.name and member.uid in ("", trial.uid):
            metric = study.spec.objective.metric
            return result.record(pack.study_uid, trial.name, member.attempt, trial.spec.parameters_hash, metric)
    return None
