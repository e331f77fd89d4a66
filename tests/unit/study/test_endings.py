"""Every way in which an attempt can end, and which of the four endings it is."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.views import UID, a_job, a_pod, a_record, a_study, a_trial, after, running
from tuning_contract.pack_record import MemberResult, PackRecord
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_operator.study.endings import Ending, EndingKind, ending_of
from tuning_operator.study.snapshot import JobView, Member, PodView

RESULT, INFEASIBLE, FAILED, LOST, UNRECORDED = (
    EndingKind.RESULT,
    EndingKind.INFEASIBLE,
    EndingKind.FAILED,
    EndingKind.LOST,
    EndingKind.UNRECORDED,
)
NO_RECORD = None
COMPLETED, RUNNING, INTERRUPTED, DIVERGED = (
    RecordStatus.COMPLETED,
    RecordStatus.RUNNING,
    RecordStatus.INTERRUPTED,
    RecordStatus.INFEASIBLE,
)
DELETED: dict[str, Any] = {"deleting": True}
DISRUPTED: dict[str, Any] = {"disrupted": True}
OOM_KILLED: dict[str, Any] = {"exit_reason": "OOMKilled"}
DEADLINE: dict[str, Any] = {"reason": "DeadlineExceeded"}

TRIAL = a_trial()
JOB = a_job(TRIAL)
FAILED_JOB = a_job(TRIAL, failed=True, failure="backoff limit")


def end(job: JobView, *pods: PodView, **study: Any) -> Ending | None:
    return ending_of(a_study(**study), TRIAL, job, pods, after(100))


def verdict(job: JobView, *pods: PodView, **study: Any) -> tuple[EndingKind, str]:
    ending = end(job, *pods, **study)
    assert ending is not None
    return ending.kind, ending.reason


@pytest.mark.parametrize(
    ("code", "status", "fate", "kind", "reason"),
    [
        # exit code 0: the record decides
        (0, COMPLETED, {}, RESULT, "Completed"),
        (0, COMPLETED, DELETED, RESULT, "Completed"),
        (0, COMPLETED, DISRUPTED, RESULT, "Completed"),
        (0, DIVERGED, {}, INFEASIBLE, "Infeasible"),
        (0, DIVERGED, DELETED, INFEASIBLE, "Infeasible"),
        (0, RUNNING, {}, FAILED, "RecordNotCompleted"),
        (0, INTERRUPTED, {}, FAILED, "RecordNotCompleted"),
        (0, RUNNING, DELETED, LOST, "Interrupted"),
        (0, RUNNING, DISRUPTED, LOST, "Interrupted"),
        (0, INTERRUPTED, DELETED, LOST, "Interrupted"),
        (0, INTERRUPTED, DISRUPTED, LOST, "Interrupted"),
        (0, NO_RECORD, {}, UNRECORDED, "NoRecord"),
        # what was cut short is no result, however well the container took it
        (0, NO_RECORD, DELETED, LOST, "PodLost"),
        (0, NO_RECORD, DISRUPTED, LOST, "PodLost"),
        # a crash is the user's
        (1, COMPLETED, {}, FAILED, "Crashed"),
        (1, RUNNING, {}, FAILED, "Crashed"),
        (1, NO_RECORD, {}, FAILED, "Crashed"),
        (137, RUNNING, {}, FAILED, "Crashed"),
        (139, NO_RECORD, {}, FAILED, "Crashed"),
        (78, NO_RECORD, {}, FAILED, "BadConfiguration"),
        (78, RUNNING, {}, FAILED, "BadConfiguration"),
        (128, NO_RECORD, {"exit_reason": "StartError"}, FAILED, "ContainerCannotStart"),
        # infeasible is evidence, whatever else befell the pod
        (100, NO_RECORD, {}, INFEASIBLE, "NonFiniteObjective"),
        (100, DIVERGED, {}, INFEASIBLE, "NonFiniteObjective"),
        (100, DIVERGED, DELETED, INFEASIBLE, "NonFiniteObjective"),
        (1, DIVERGED, {}, INFEASIBLE, "NonFiniteObjective"),
        (101, NO_RECORD, {}, INFEASIBLE, "OutOfMemory"),
        (137, NO_RECORD, OOM_KILLED, INFEASIBLE, "OutOfMemory"),
        (137, RUNNING, OOM_KILLED, INFEASIBLE, "OutOfMemory"),
        (1, RUNNING, OOM_KILLED, INFEASIBLE, "OutOfMemory"),
        # lost is nobody's
        (143, INTERRUPTED, {}, LOST, "Interrupted"),
        (143, RUNNING, {}, LOST, "Interrupted"),
        (143, NO_RECORD, {}, FAILED, "Crashed"),
        (143, INTERRUPTED, DELETED, LOST, "PodLost"),
        (143, INTERRUPTED, DISRUPTED, LOST, "PodLost"),
        (143, NO_RECORD, DISRUPTED, LOST, "PodLost"),
        (137, NO_RECORD, DELETED, LOST, "PodLost"),
        (137, RUNNING, DISRUPTED, LOST, "PodLost"),
        (1, RUNNING, DELETED, LOST, "PodLost"),
        (78, NO_RECORD, DISRUPTED, LOST, "PodLost"),
        # the template's own deadline is the user's, although its end is a SIGTERM
        (143, INTERRUPTED, DEADLINE, FAILED, "DeadlineExceeded"),
        (137, RUNNING, DEADLINE, FAILED, "DeadlineExceeded"),
    ],
)
def test_exit_code_record_and_fate_of_the_pod_decide(
    code: int, status: RecordStatus | None, fate: dict[str, Any], kind: EndingKind, reason: str
) -> None:
    message = "" if status is None else a_record(TRIAL, status=status)
    assert verdict(FAILED_JOB, a_pod(JOB, exit_code=code, termination_message=message, **fate)) == (kind, reason)


@pytest.mark.parametrize(
    ("pod", "kind", "reason"),
    [
        ({"phase": "Failed", "reason": "UnexpectedAdmissionError"}, LOST, "PodTurnedAway"),
        ({"phase": "Failed", "reason": "OutOfcpu"}, LOST, "PodTurnedAway"),
        ({"phase": "Failed", "reason": "OutOfnvidia.com/gpu"}, LOST, "PodTurnedAway"),
        ({"phase": "Failed", "reason": "NodeLost", "disrupted": True}, LOST, "PodLost"),
        ({"phase": "Running", "gone": True}, LOST, "PodLost"),
        ({"phase": "Pending", "gone": True}, LOST, "PodLost"),
        ({"phase": "Failed", "reason": "Evicted"}, FAILED, "Evicted"),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, FAILED, "DeadlineExceeded"),
        ({"phase": "Failed", "reason": ""}, FAILED, "PodFailed"),
        ({"phase": "Failed", "reason": "not a word!"}, FAILED, "PodFailed"),
    ],
)
def test_a_pod_can_fail_before_its_container_has_an_exit_code(
    pod: dict[str, Any], kind: EndingKind, reason: str
) -> None:
    assert verdict(FAILED_JOB, a_pod(JOB, **pod)) == (kind, reason)


@pytest.mark.parametrize("pods", [(), (running(JOB),), (a_pod(JOB),)])
def test_a_job_under_way_has_not_ended(pods: tuple[PodView, ...]) -> None:
    assert end(JOB, *pods) is None


def test_a_failure_waits_for_the_job_which_may_replace_the_pod() -> None:
    assert end(JOB, a_pod(JOB, exit_code=1)) is None
    evicted = a_pod(JOB, exit_code=143, disrupted=True)
    assert end(JOB, evicted) is None
    assert end(JOB, evicted, running(JOB, 1)) is None
    assert verdict(JOB, evicted, a_pod(JOB, 1, exit_code=0, termination_message=a_record(TRIAL))) == (
        RESULT,
        "Completed",
    )


def test_a_success_does_not_wait_for_the_job() -> None:
    assert verdict(JOB, a_pod(JOB, exit_code=0, termination_message=a_record(TRIAL))) == (RESULT, "Completed")


@pytest.mark.parametrize("job", [FAILED_JOB, a_job(TRIAL, complete=True)])
def test_the_job_s_verdict_waits_for_the_pod_s_last_word(job: JobView) -> None:
    assert end(job, running(JOB)) is None
    assert end(job, a_pod(JOB, exit_code=143, disrupted=True), running(JOB, 1)) is None


def test_the_newest_pod_speaks_for_a_failed_job() -> None:
    evicted = a_pod(JOB, exit_code=143, disrupted=True)
    assert verdict(FAILED_JOB, evicted, a_pod(JOB, 1, exit_code=1)) == (FAILED, "Crashed")


def test_a_job_without_pods_was_lost_or_its_result_was() -> None:
    assert verdict(FAILED_JOB) == (LOST, "PodLost")
    assert verdict(a_job(TRIAL, complete=True)) == (UNRECORDED, "NoRecord")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("", "empty"),
        ("Killed by the cat", "not a final record"),
        (a_record(TRIAL)[:-20], "not a final record"),
        (a_record(TRIAL).replace("0.5", "0.1"), "checksum"),
        (a_record(a_trial(1)), "another trial's"),
        (a_record(TRIAL, attempt=1), "another attempt's"),
        (a_record(TRIAL, study_uid="another"), "another trial's"),
        (a_record(TRIAL, parameters_hash="0" * 64), "other parameters"),
    ],
)
def test_what_is_not_this_attempt_s_whole_record_is_none(message: str, problem: str) -> None:
    ending = end(JOB, a_pod(JOB, exit_code=0, termination_message=message))
    assert ending is not None
    assert ending.kind is UNRECORDED
    assert problem in ending.message


@pytest.mark.parametrize(
    ("values", "at", "kind"),
    [
        ([0.9, 0.5], "Best", RESULT),
        ([0.9, float("nan")], "Best", RESULT),
        ([0.9, float("nan")], "Last", INFEASIBLE),
        ([0.9, float("inf")], "Last", INFEASIBLE),
        ([0.9, float("nan")], "LateMedian", INFEASIBLE),
        ([float("nan"), 0.9], "LateMedian", RESULT),
        ([float("nan"), float("nan")], "Best", INFEASIBLE),
    ],
)
def test_a_value_that_counts_must_be_finite(values: list[float], at: str, kind: EndingKind) -> None:
    pod = a_pod(JOB, exit_code=0, termination_message=a_record(TRIAL, values))
    assert verdict(JOB, pod, objective={"at": at})[0] is kind


def test_completing_without_an_evaluation_is_a_mistake() -> None:
    pod = a_pod(JOB, exit_code=0, termination_message=a_record(TRIAL, []))
    assert verdict(JOB, pod) == (FAILED, "NoEvaluation")


def test_the_ending_says_who_and_when() -> None:
    pod = a_pod(JOB, exit_code=0, termination_message=a_record(TRIAL, [0.9, 0.5]))
    ending = end(JOB, pod)
    assert ending is not None
    assert (ending.pod_uid, ending.finished) == (pod.uid, pod.finished)
    assert ending.value is not None
    assert (ending.value.step, ending.value.value) == (20, 0.5)
    assert ending.message == "0.5 at step 20"


def test_a_crash_quotes_the_container() -> None:
    ending = end(FAILED_JOB, a_pod(JOB, exit_code=1, termination_message="Traceback: no such file"))
    assert ending is not None
    assert ending.message == "the container exited with 1: Traceback: no such file"
    message = a_record(TRIAL, status=RUNNING, message="KeyError: lr")
    assert (end(FAILED_JOB, a_pod(JOB, exit_code=1, termination_message=message)) or ending).message.endswith(
        "KeyError: lr"
    )


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("LossExploded", "LossExploded"),
        ("", "NonFiniteObjective"),
        ("two words", "NonFiniteObjective"),
        ("X" * 300, "NonFiniteObjective"),
        ("<script>", "NonFiniteObjective"),
    ],
)
def test_a_container_s_reason_is_taken_only_where_the_api_takes_it(reason: str, expected: str) -> None:
    message = a_record(TRIAL, status=DIVERGED, reason=reason)
    assert verdict(FAILED_JOB, a_pod(JOB, exit_code=100, termination_message=message)) == (INFEASIBLE, expected)


def test_records_are_this_study_s() -> None:
    assert a_study().uid == UID


@pytest.mark.parametrize(
    ("code", "status", "finished", "kind"),
    [
        (0, COMPLETED, 99, RESULT),
        (1, RUNNING, 71, None),
        (1, RUNNING, 70, FAILED),
        (100, DIVERGED, 70, INFEASIBLE),
    ],
)
def test_other_containers_that_run_on_are_waited_for_half_a_minute(
    code: int, status: RecordStatus, finished: float, kind: EndingKind | None
) -> None:
    # It is second 100.
    pod = a_pod(JOB, exit_code=code, termination_message=a_record(TRIAL, status=status))
    ending = end(JOB, replace(pod, phase="Running", finished=after(finished)))
    assert (ending and ending.kind) == kind


def test_a_pod_that_is_being_deleted_is_waited_for_to_its_end() -> None:
    pod = a_pod(JOB, exit_code=143, deleting=True)
    assert end(JOB, replace(pod, phase="Running", finished=after(10))) is None


# --- packs -----------------------------------------------------------------------------------------------------------

OTHER = a_trial(1)
PACK = a_job(TRIAL, members=(Member(OTHER.name, 3), Member(TRIAL.name, 0)), failed=True, failure="backoff limit")


def a_pack_pod(*statuses: RecordStatus, uid: str = UID, **fields: Any) -> PodView:
    """Return the pod of OTHER and TRIAL, whose record has these statuses, and its study this uid."""
    texts = [a_record(trial, status=status) for trial, status in zip((OTHER, TRIAL), statuses, strict=False)]
    record = PackRecord(uid, "hash", tuple(MemberResult.of(FinalRecord.decode(text)) for text in texts))
    message = record.encode().decode() if statuses else ""
    return a_pod(PACK, **{"members": PACK.members, "pack_hash": "hash", "termination_message": message, **fields})


@pytest.mark.parametrize(
    ("code", "status", "fate", "kind", "reason"),
    [
        (0, COMPLETED, {}, RESULT, "Completed"),
        (0, DIVERGED, {}, INFEASIBLE, "Infeasible"),
        (0, RUNNING, {}, FAILED, "RecordNotCompleted"),
        (0, INTERRUPTED, DELETED, LOST, "Interrupted"),
        (101, RUNNING, {}, EndingKind.SPLIT, "OutOfMemory"),
        (137, RUNNING, OOM_KILLED, EndingKind.SPLIT, "OutOfMemory"),
        (2, RUNNING, {}, EndingKind.SPLIT, "Crashed"),
        (78, RUNNING, {}, EndingKind.SPLIT, "BadConfiguration"),
        (143, RUNNING, DEADLINE, EndingKind.SPLIT, "DeadlineExceeded"),
        (1, DIVERGED, {}, INFEASIBLE, "Infeasible"),
        (137, DIVERGED, OOM_KILLED, INFEASIBLE, "Infeasible"),
        (143, INTERRUPTED, {}, LOST, "Interrupted"),
        (137, RUNNING, DISRUPTED, LOST, "PodLost"),
        (128, RUNNING, {"exit_reason": "StartError"}, FAILED, "ContainerCannotStart"),
    ],
)
def test_each_trial_of_a_pack_ends_by_its_own_word_and_is_not_blamed_for_the_process(
    code: int, status: RecordStatus, fate: dict[str, Any], kind: EndingKind, reason: str
) -> None:
    assert verdict(PACK, a_pack_pod(COMPLETED, status, exit_code=code, **fate)) == (kind, reason)


def test_a_pack_without_a_record_is_read_from_prometheus() -> None:
    assert verdict(PACK, a_pack_pod(exit_code=0)) == (UNRECORDED, "NoRecord")


@pytest.mark.parametrize(
    "pod",
    [
        a_pack_pod(COMPLETED, exit_code=0),
        a_pack_pod(COMPLETED, COMPLETED, exit_code=0, pack_hash="another"),
        a_pack_pod(COMPLETED, COMPLETED, exit_code=0, uid="another"),
        a_pack_pod(COMPLETED, COMPLETED, exit_code=0, members=(Member(OTHER.name, 3),)),
    ],
    ids=["no room for it", "of another pack", "of another study", "not a member"],
)
def test_what_a_pack_does_not_say_of_a_trial_is_not_believed(pod: PodView) -> None:
    assert verdict(PACK, pod) == (UNRECORDED, "NoRecord")


def test_a_packs_record_states_each_trials_value_and_curve() -> None:
    ending = end(PACK, a_pack_pod(DIVERGED, COMPLETED, exit_code=0))
    assert ending is not None
    assert ending.record is not None
    assert (ending.record.trial, ending.record.attempt) == (TRIAL.name, 0)
    assert [point.value for point in ending.record.curve.points] == [0.9, 0.5, 0.6]


def test_a_pack_says_nothing_of_a_trial_that_has_the_name_of_one_of_its_trials() -> None:
    members = (Member(OTHER.name, 3, OTHER.uid), Member(TRIAL.name, 0, "one that was deleted"))
    assert verdict(PACK, a_pack_pod(COMPLETED, COMPLETED, exit_code=0, members=members)) == (UNRECORDED, "NoRecord")
