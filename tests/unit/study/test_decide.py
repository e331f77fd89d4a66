"""What one look at a study leads to."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import a_choice, a_range
from tests.support.views import (
    NOW,
    TEMPLATE_HASH,
    a_job,
    a_pod,
    a_record,
    a_result,
    a_snapshot,
    a_study,
    a_trial,
    after,
    analysed,
    running,
    seconds,
)
from tuning_contract.record import RecordStatus
from tuning_operator.api.study_status import StudyDuration, TuningStudyStatus
from tuning_operator.api.trial import StopRecord, TrialState
from tuning_operator.study.decide import BLOCKED_LOOK, decide, first_trial
from tuning_operator.study.decision import Decision
from tuning_operator.study.snapshot import MetricsView, Refusal, Sample, Snapshot
from tuning_operator.study.trials import advance

ACCEPTED = TuningStudyStatus(template_hash=TEMPLATE_HASH)


def indices(decision: Decision) -> list[int]:
    return [new.spec.index for new in decision.new_trials]


def conditions(decision: Decision) -> dict[str, tuple[str, str]]:
    assert decision.study_status is not None
    return {c.type: (c.status.value, c.reason) for c in decision.study_status.conditions}


def test_a_new_study_is_accepted_and_its_first_trials_are_created() -> None:
    decision = decide(a_snapshot(a_study(budget={"parallelTrials": 3})))
    assert indices(decision) == [0, 1, 2]
    assert conditions(decision)["Accepted"] == ("True", "Valid")
    assert [event.reason for event in decision.events] == ["StudyAccepted"]
    assert decision.new_jobs == ()


def test_a_trial_is_written_with_all_that_it_needs() -> None:
    study = a_study(hyperparameters=[a_choice(), a_range()], search={"seed": 7})
    (new,) = decide(a_snapshot(study)).new_trials
    spec = new.spec
    assert (spec.study_ref.name, spec.study_ref.uid) == (study.name, study.uid)
    assert (spec.index, spec.arm, spec.position) == (0, 0, 0)
    parameters = json.loads(spec.parameters)
    assert parameters["optimizer"] == "adamw"
    assert [(a.name, a.value) for a in spec.assignments] == [
        ("optimizer", "adamw"),
        ("learning_rate", repr(parameters["learning_rate"])),
    ]


def test_indices_number_arms_and_positions() -> None:
    study = a_study(hyperparameters=[a_choice(), a_range()], budget={"parallelTrials": 4})
    new = decide(a_snapshot(study)).new_trials
    assert [(t.spec.index, t.spec.arm, t.spec.position) for t in new] == [(0, 0, 0), (1, 1, 0), (2, 0, 1), (3, 1, 1)]


def test_only_free_places_are_filled() -> None:
    study = a_study(budget={"parallelTrials": 3})
    trials = [a_trial(0, state="Succeeded", result=a_result()), a_trial(1, state="Running"), a_trial(2)]
    assert indices(decide(a_snapshot(study, trials))) == [3]


def test_a_result_and_the_trial_that_follows_are_one_decision() -> None:
    trial = a_trial(state="Running")
    job = a_job(trial)
    pod = a_pod(job, exit_code=0, termination_message=a_record(trial))
    decision = decide(a_snapshot(trials=[trial], jobs=[job], pods=[pod]))
    assert [write.status.state for write in decision.trial_statuses] == [TrialState.SUCCEEDED]
    assert indices(decision) == [1]


@pytest.mark.parametrize(
    "snapshot",
    [
        a_snapshot(a_study(suspend=True)),
        a_snapshot(a_study(hyperparameters=[a_choice("a", when={"name": "b", "values": ["x"]})])),
        a_snapshot(dry_run_error="unknown field"),
        a_snapshot(refusals=(Refusal("t", "exceeded quota"),)),
        a_snapshot(a_study(view={"deleting": True})),
    ],
)
def test_what_may_not_start_does_not(snapshot: Snapshot) -> None:
    decision = decide(snapshot)
    assert (decision.new_trials, decision.new_jobs) == ((), ())


def test_a_study_that_is_being_deleted_is_left_to_the_garbage_collector() -> None:
    trial = a_trial()
    study = a_study(view={"deleting": True})
    assert decide(a_snapshot(study, [trial], [a_job(trial)])) == Decision()


def test_a_refused_study_says_why_once() -> None:
    study = a_study(hyperparameters=[a_choice("a", when={"name": "b", "values": ["x"]})])
    decision = decide(a_snapshot(study))
    assert conditions(decision)["Accepted"] == ("False", "SearchSpaceInvalid")
    assert [event.reason for event in decision.events] == ["StudyRejected"]
    assert decision.study_status is not None
    again = decide(a_snapshot(replace(study, status=decision.study_status)))
    assert again == Decision()


def test_a_changed_template_starts_nothing_and_ends_nothing() -> None:
    trial, waiting = a_trial(0, state="Running"), a_trial(1, attempt=1)
    job = a_job(trial)
    study = a_study(status=ACCEPTED, view={"template_hash": "b" * 64})
    decision = decide(a_snapshot(study, [trial, waiting], [job], [running(job)]))
    assert (decision.new_jobs, decision.new_trials, decision.deletions) == ((), (), ())
    assert conditions(decision)["Accepted"] == ("False", "TemplateChanged")


def test_a_blocked_study_starts_neither_trials_nor_retries_and_is_looked_at_again() -> None:
    stuck, waiting = a_trial(0), a_trial(1, attempt=1)
    job = a_job(stuck)
    pod = a_pod(job, waiting_reason="ErrImagePull")
    decision = decide(a_snapshot(a_study(budget={"parallelTrials": 4}), [stuck, waiting], [job], [pod]))
    assert (decision.new_jobs, decision.new_trials) == ((), ())
    assert conditions(decision)["TrialsStarting"] == ("False", "ImagePullFailed")
    assert "ImagePullFailed" in [event.reason for event in decision.events]
    assert decision.look_again_after == BLOCKED_LOOK


def test_waiting_for_a_node_blocks_nothing() -> None:
    trial = a_trial()
    job = a_job(trial)
    pod = a_pod(job, unschedulable="0/3 nodes are available")
    decision = decide(a_snapshot(a_study(budget={"parallelTrials": 2}), [trial], [job], [pod]))
    assert indices(decision) == [1]
    assert conditions(decision)["TrialsStarting"] == ("Unknown", "Unschedulable")


def test_a_refusal_whose_wait_is_over_is_tried_again() -> None:
    refused = Refusal("t", "exceeded quota", retry=True)
    assert indices(decide(a_snapshot(refusals=(refused,)))) == [0]


def test_a_study_with_a_deadline_is_looked_at_when_it_comes() -> None:
    status = ACCEPTED.model_copy(update={"start_time": NOW, "duration": StudyDuration(since=NOW)})
    trial = a_trial(state="Running")
    job = a_job(trial)
    study = a_study(status=status, budget={"maxDuration": "2m"})
    assert decide(a_snapshot(study, [trial], [job], [running(job)])).look_again_after == seconds(20)
    late = decide(a_snapshot(study, [trial], [job], [running(job)], now=after(120)))
    assert [deletion.job for deletion in late.deletions] == [job]
    # Its trial may still complete within the grace period: only then the study is over.
    assert conditions(late)["Progressing"] == ("False", "MaxDurationReached")
    assert conditions(late)["Failed"] == ("Unknown", "InProgress")
    stopped = decide(a_snapshot(study, [trial], [], [], now=after(130)))
    assert stopped.asks_analysis
    assert conditions(stopped)["Failed"] == ("Unknown", "InProgress")
    concluded = decide(a_snapshot(study, [trial], [], [], now=after(130), analysis=analysed(1)))
    assert conditions(concluded)["Failed"] == ("True", "NoFeasibleTrial")


def test_a_study_that_waits_for_a_whole_pack_is_looked_at_when_it_waits_no_longer() -> None:
    template = {"spec": {"containers": [{"name": "trainer", "image": "localhost/trainer"}]}}
    study = a_study(trial={"maxPacked": 4, "template": template}, budget={"parallelTrials": 4})
    ended = a_trial(0, state="Succeeded", result=a_result(), start_time=NOW, completion_time=after(90))
    trials = [ended, a_trial(1, state="Running", start_time=NOW)]
    job = a_job(trials[1])
    waits = decide(a_snapshot(study, trials, [job], [running(job)]))
    assert waits.new_trials == ()
    assert waits.look_again_after == seconds(80)
    assert indices(decide(a_snapshot(study, trials, [job], [running(job)], now=after(180)))) == [2, 3, 4]


def test_a_deadline_of_a_fraction_of_a_second_stays_over() -> None:
    status = ACCEPTED.model_copy(update={"start_time": NOW, "duration": StudyDuration(since=NOW)})
    study = a_study(status=status, budget={"maxDuration": "1500ms"})
    first = decide(a_snapshot(study, [a_trial(state="Stopped")], now=after(1.6), analysis=analysed(1)))
    assert first.study_status is not None
    again = a_snapshot(replace(study, status=first.study_status), [a_trial(state="Stopped")], now=after(60))
    assert decide(again) == Decision()


HOSTILE = [
    a_record(a_trial(), status=RecordStatus.INFEASIBLE, reason="R" * 400, message="m" * 400),
    a_record(a_trial(), status=RecordStatus.INFEASIBLE, reason="\ud800", message="\ud800\x00"),
    a_record(a_trial(), [1e308, -1e308, float("nan")], status=RecordStatus.INFEASIBLE),
    a_record(a_trial(), status=RecordStatus.RUNNING, message="\ud800\u202e"),
    '{"v":1,"crc":0}',
    "\x00" * 4096,
    "[" * 4000,
]


@pytest.mark.parametrize("message", HOSTILE)
@pytest.mark.parametrize("code", [0, 1, 100, 143])
def test_nothing_that_a_container_writes_stops_the_study(message: str, code: int) -> None:
    trial = a_trial()
    job = a_job(trial, failed=code != 0, failure="x" * 40_000)
    pod = a_pod(job, exit_code=code, termination_message=message, reason="r" * 400)
    metrics = MetricsView(whole={trial.name: (Sample(after(1), float("inf"), None, 0),)})
    decision = decide(a_snapshot(trials=[trial], jobs=[job], pods=[pod], metrics=metrics))
    (write,) = decision.trial_statuses
    # What is written must be JSON in UTF-8, and within the lengths that the API server takes.
    json.dumps(write.status.to_json(), allow_nan=False).encode()
    type(write.status).model_validate(write.status.to_json())


def ten_thousand() -> Snapshot:
    """A study near its end: all but a hundred trials have a result, and their Jobs wait for their cleaning up."""
    trials, jobs, pods = [], [], []
    for i in range(10_000):
        if i < 9_900:
            trial = a_trial(i, state="Succeeded", result=a_result(1 / (i + 1)))
            jobs.append(a_job(trial, complete=True, has_ttl=True))
        else:
            trial = a_trial(i)
            jobs.append(a_job(trial))
            pods.append(running(jobs[-1]))
        trials.append(trial)
    return a_snapshot(a_study(budget={"maxTrials": 10_000, "parallelTrials": 100}), trials, jobs, pods)


def test_settled_trials_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []

    def counting(snapshot: Snapshot, trial: Any, halt: Any) -> Any:
        looked_at.append(trial.name)
        return advance(snapshot, trial, halt)

    monkeypatch.setattr("tuning_operator.study.decide.advance", counting)
    decision = decide(ten_thousand())
    assert len(looked_at) == 100
    assert decision.study_status is not None
    assert decision.study_status.trials.total == 10_000
    assert len(json.dumps(decision.study_status.to_json())) < 64 * 1024


def test_a_first_trial_is_found_where_the_first_arm_has_no_point() -> None:
    search = {"algorithm": "List", "points": [{"optimizer": "nesterov", "learning_rate": "0.1"}]}
    study = a_study(hyperparameters=[a_choice(), a_range()], search=search, budget={"maxTrials": 1})
    assert first_trial(study).spec.arm == 1
    assert indices(decide(a_snapshot(study))) == [1]


def test_a_refused_study_resumes_nothing_and_forgets_no_stop() -> None:
    stop = StopRecord(rule="Median", reason="WorseThanMedian", step=30)
    paused, stopping = a_trial(0, state="Paused"), a_trial(1, state="Running", stop=stop)
    status = ACCEPTED.model_copy(update={"template_hash": "b" * 64})
    job = a_job(stopping)
    decision = decide(a_snapshot(a_study(status=status), [paused, stopping], [job], [running(job)]))
    assert [deletion.job for deletion in decision.deletions] == [job]
    assert paused.name not in [write.trial.name for write in decision.trial_statuses]
    assert decision.new_jobs == ()


@pytest.mark.parametrize("what", ["Job", "pod"])
def test_a_trial_that_is_drawn_again_is_not_started_beside_what_had_its_name(what: str) -> None:
    study = a_study()
    first = decide(a_snapshot(study)).new_trials[0]
    assert first.starts
    job = replace(a_job(a_trial(0)), trial=first.name)
    living = replace(a_pod(job), trial=first.name)
    world = a_snapshot(study, jobs=[job]) if what == "Job" else a_snapshot(study, pods=[living])
    decision = decide(world)
    again = next(new for new in decision.new_trials if new.name == first.name)
    assert not again.starts
    assert decision.look_again_after == seconds(0)
