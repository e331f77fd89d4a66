"""The study's status: counts, the best trials, and conditions that come to rest."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import a_choice
from tests.support.views import NOW, a_result, a_snapshot, a_study, a_trial, after, seconds
from tuning_operator.api.study_status import ParameterAssignment, StudyDuration, TuningStudyStatus
from tuning_operator.api.trial import StopRecord
from tuning_operator.study.best import best_trials, complete_points
from tuning_operator.study.budget import Outcome, OutcomeKind
from tuning_operator.study.snapshot import StudyView, TrialView
from tuning_operator.study.starting import Obstacle
from tuning_operator.study.status import Findings, counted, study_status

SUCCEEDED = Outcome(OutcomeKind.SUCCEEDED, "MaxTrialsReached", "The budget is used.")
FAILED = Outcome(OutcomeKind.FAILED, "MaxFailedTrialsExceeded", "4 trials failed.")
BLOCKED = Obstacle("ImagePullFailed", "manifest unknown")
WAITING = Obstacle("Unschedulable", "no GPU", blocks=False)


def with_value(index: int, value: float | None, **fields: Any) -> TrialView:
    return a_trial(index, state="Succeeded", result=a_result(value), **fields)


def status(findings: Findings, study: StudyView | None = None, trials: tuple[TrialView, ...] = ()) -> TuningStudyStatus:
    return study_status(a_snapshot(study, trials), trials, findings)


def said(found: TuningStudyStatus) -> dict[str, str]:
    return {c.type: c.status.value for c in found.conditions}


def test_trials_are_counted_by_state() -> None:
    states = ["Pending", "Running", "Running", "Suspended", "Succeeded", "Infeasible", "Failed", "Stopped", "Paused"]
    counts = counted(a_trial(i, state=state, infrastructure_retries=i % 2) for i, state in enumerate(states))
    assert counts.model_dump() == {
        "total": 9,
        "pending": 1,
        "running": 2,
        "suspended": 1,
        "paused": 1,
        "succeeded": 1,
        "infeasible": 1,
        "violating": 0,
        "failed": 1,
        "stopped": 1,
        "stopped_early": 0,
        "infrastructure_retries": 4,
        "retrains": 0,
        "probes": 0,
    }


@pytest.mark.parametrize(("direction", "order"), [("Minimize", [2, 0, 3, 1]), ("Maximize", [1, 0, 3, 2])])
def test_the_best_come_first_and_of_equals_the_earlier(direction: str, order: list[int]) -> None:
    trials = [with_value(i, value) for i, value in enumerate([0.5, 0.9, 0.1, 0.5])]
    trials += [a_trial(4, state="Infeasible", result=a_result(0.0)), with_value(5, None), a_trial(6, state="Running")]
    study = a_study(objective={"direction": direction})
    assert [s.trial for s in best_trials(study.spec, complete_points(study.spec, trials, over=False))] == [
        trials[i].name for i in order
    ]


@pytest.mark.parametrize(
    ("trials", "over", "expected"),
    [
        ("1 3|2 2", False, [(0, 2.0, 2, 2**0.5), (2, 2.0, 2, 0.0)]),
        # the mean of one lucky trial is not compared with the mean of two
        ("5 5|1", False, [(0, 5.0, 2, 0.0)]),
        ("5 5|1 R", False, [(0, 5.0, 2, 0.0)]),
        # but where no more come, it is all that there is
        ("5 5|1", True, [(2, 1.0, 1, None), (0, 5.0, 2, 0.0)]),
        # nor is the mean of those that a rule let through the point's
        ("1 X|2 2", False, [(2, 2.0, 2, 0.0)]),
        # a point that diverged once is not one to recommend; one that crashed has the others' mean
        ("1 I|2 2", False, [(2, 2.0, 2, 0.0)]),
        ("1 F|2 2", False, [(0, 1.0, 1, None), (2, 2.0, 2, 0.0)]),
    ],
)
def test_replicates_are_one_point_with_a_mean_and_a_deviation(
    trials: str, over: bool, expected: list[tuple[int, float, int, float | None]]
) -> None:
    states = {"R": "Running", "I": "Infeasible", "F": "Failed"}
    found = []
    for point, letters in enumerate(trials.split("|")):
        for i, letter in enumerate(letters.split()):
            place = 2 * point + i
            stop = StopRecord(rule="Median", reason="WorseThanMedian", step=1) if letter == "X" else None
            ended = a_trial(place, state=states.get(letter, "Stopped"), stop=stop)
            found.append(with_value(place, float(letter)) if letter.isdigit() else ended)
    study = a_study(search={"replicates": 2})
    best = best_trials(study.spec, complete_points(study.spec, reversed(found), over))
    assert [(s.trial, s.value, s.replicates, s.deviation) for s in best] == [
        (found[index].name, value, number, deviation and pytest.approx(deviation))
        for index, value, number, deviation in expected
    ]


def test_only_ten_are_kept() -> None:
    found = status(Findings(), trials=tuple(with_value(i, 100.0 - i) for i in range(25)))
    assert [s.value for s in found.top] == [float(v) for v in range(76, 86)]
    assert found.best == found.top[0]
    assert found.progress == "25/8"


@pytest.mark.parametrize(
    ("findings", "suspend", "state", "conditions"),
    [
        (Findings(), False, "Running", {"Accepted": "True", "Progressing": "True", "Suspended": "False"}),
        (Findings(), True, "Suspended", {"Accepted": "True", "Progressing": "False", "Suspended": "True"}),
        (Findings(("R", "m")), False, "Rejected", {"Accepted": "False", "Progressing": "False"}),
        (Findings(obstacle=BLOCKED), False, "Blocked", {"Progressing": "False", "TrialsStarting": "False"}),
        (Findings(obstacle=WAITING), False, "Running", {"Progressing": "True", "TrialsStarting": "Unknown"}),
        (
            Findings(outcome=SUCCEEDED),
            False,
            "Succeeded",
            {"Progressing": "False", "Succeeded": "True", "Failed": "False"},
        ),
        (Findings(outcome=FAILED), False, "Failed", {"Progressing": "False", "Succeeded": "False", "Failed": "True"}),
        (Findings(), False, "Running", {"Succeeded": "Unknown", "Failed": "Unknown", "TrialsStarting": "Unknown"}),
    ],
)
def test_the_conditions_tell_one_story(
    findings: Findings, suspend: bool, state: str, conditions: dict[str, str]
) -> None:
    found = status(findings, a_study(suspend=suspend))
    assert found.state == state
    assert conditions.items() <= said(found).items()
    assert len(found.conditions) == 10


def test_where_trials_have_started_nothing_keeps_them_from_starting() -> None:
    assert said(status(Findings(), trials=(a_trial(),)))["TrialsStarting"] == "True"


def test_a_status_comes_to_rest() -> None:
    findings = Findings(clock=StudyDuration(since=NOW), start_time=NOW)
    study = a_study(view={"generation": 3})
    first = status(findings, study, (with_value(0, 0.5),))
    read = TuningStudyStatus.model_validate(json.loads(json.dumps(first.to_json())))
    assert read == first
    later = replace(a_snapshot(replace(study, status=read), (with_value(0, 0.5),)), now=after(5000))
    assert study_status(later, (with_value(0, 0.5),), findings) == first
    assert {c.observed_generation for c in first.conditions} == {first.observed_generation} == {3}


def test_another_wording_of_the_same_obstacle_is_not_worth_a_write() -> None:
    first = status(Findings(obstacle=BLOCKED))
    again = status(Findings(obstacle=replace(BLOCKED, message="back-off")), a_study(status=first))
    assert again == first
    other = status(Findings(obstacle=Obstacle("QuotaExceeded", "m")), a_study(status=first))
    assert other != first


def test_a_study_s_end_is_dated_once_and_its_continuation_forgets_the_date() -> None:
    over = status(Findings(outcome=SUCCEEDED))
    assert over.completion_time == after(100)
    later = replace(a_snapshot(a_study(status=over)), now=after(500))
    assert study_status(later, (), Findings(outcome=SUCCEEDED)).completion_time == after(100)
    assert study_status(later, (), Findings()).completion_time is None


def test_the_template_is_remembered_once_it_was_accepted() -> None:
    assert status(Findings(("R", "m"))).template_hash is None
    first = status(Findings())
    assert first.template_hash == "a" * 64
    assert status(Findings(), a_study(status=first, view={"template_hash": "b" * 64})).template_hash == "a" * 64


def test_a_status_stays_small_at_ten_thousand_trials() -> None:
    names = [f"{'n' * 61}{i:02}" for i in range(32)]
    study = a_study(hyperparameters=[a_choice(name, role="Nuisance", values=["é" * 128]) for name in names])
    chosen = [ParameterAssignment(name=name, value="é" * 128) for name in names]
    trials = []
    for i in range(10):
        trial = with_value(i, 1 / 3 + i)
        trials.append(replace(trial, spec=trial.spec.model_copy(update={"assignments": chosen})))
    rest = [with_value(i, 1000.0 + i) for i in range(10, 10_000)]
    obstacle = Obstacle("ImagePullFailed", "x" * 100_000)
    found = status(Findings(obstacle=obstacle, clock=StudyDuration(since=NOW)), study, (*trials, *rest))
    assert len(json.dumps(found.to_json(), ensure_ascii=False).encode()) < 64 * 1024
    assert found.best is not None
    assert len(found.best.parameters) == 32
    assert [len(summary.parameters) for summary in found.top] == [32, 32, *[0] * 8]


def test_the_clock_is_part_of_the_status() -> None:
    clock = StudyDuration(consumed_seconds=int(seconds(90).total_seconds()))
    found = status(Findings(clock=clock, start_time=NOW))
    assert (found.duration, found.start_time) == (clock, NOW)


def measured(index: int, value: float, latency: float, **fields: Any) -> TrialView:
    metrics = [{"metric": "latency", "at": "Best", "value": latency}]
    return a_trial(index, state="Succeeded", result=a_result(value, metrics=metrics, **fields))


LIMITED = a_study(objective={"constraints": [{"metric": "latency", "max": 10.0}]})
TWO = a_study(secondObjective={"metric": "latency"})


def test_a_trial_that_violates_a_constraint_counts_and_is_never_the_best() -> None:
    trials = (measured(0, 0.1, 12.0, violations=["latency"]), measured(1, 0.5, 9.0), measured(2, 0.4, 9.0))
    found = status(Findings(), LIMITED, trials)
    assert (found.progress, found.trials.succeeded, found.trials.violating) == ("3/8", 3, 1)
    assert [s.trial for s in found.top] == [trials[2].name, trials[1].name]
    assert found.best == found.top[0]
    assert status(Findings(), LIMITED, trials[:1]).best is None


def test_a_point_of_which_one_replicate_violates_is_not_one_to_recommend() -> None:
    study = a_study(search={"replicates": 2}, objective={"constraints": [{"metric": "latency", "max": 10.0}]})
    trials = (measured(0, 0.1, 9.0), measured(1, 0.1, 12.0, violations=["latency"]))
    assert status(Findings(), study, trials).top == []


def test_the_pareto_front_has_the_trials_that_nothing_beats_in_both() -> None:
    trials = (
        measured(0, 0.1, 9.0),
        measured(1, 0.5, 1.0),
        measured(2, 0.5, 2.0),
        measured(3, 0.3, 5.0),
        a_trial(4, state="Running"),
    )
    found = status(Findings(), TWO, trials).pareto_front
    assert [(p.trial, p.value, p.second) for p in found] == [
        (trials[0].name, 0.1, 9.0),
        (trials[3].name, 0.3, 5.0),
        (trials[1].name, 0.5, 1.0),
    ]
    assert found[0].display == "0.1, 9"
    maximised = a_study(secondObjective={"metric": "latency", "direction": "Maximize"})
    assert [p.trial for p in status(Findings(), maximised, trials).pareto_front] == [trials[0].name]
    assert status(Findings(), trials=trials).pareto_front == []


def test_a_front_without_end_keeps_an_even_choice_and_the_status_its_size() -> None:
    trials = tuple(measured(i, float(i), 1000.0 - i) for i in range(1000))
    found = status(Findings(), TWO, trials)
    assert len(found.pareto_front) == 32
    assert [found.pareto_front[0].value, found.pareto_front[-1].value] == [0.0, 999.0]
    assert len(found.model_dump_json()) < 32_768


def test_a_violating_trial_is_not_on_the_front() -> None:
    study = a_study(
        objective={"constraints": [{"metric": "latency", "max": 10.0}]}, secondObjective={"metric": "latency"}
    )
    trials = (measured(0, 0.1, 12.0, violations=["latency"]), measured(1, 0.5, 9.0))
    assert [p.trial for p in status(Findings(), study, trials).pareto_front] == [trials[1].name]
