"""Whole studies, from the first look to the last write, in a small world in memory."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import a_choice, a_fixed, a_range
from tests.support.views import UID, a_study
from tests.support.world import End, Life, OperatorKilled, Script, World, is_empty
from tuning_operator.api.findings import Code, Conclusion, ConclusionState
from tuning_operator.api.procedure import Training
from tuning_operator.api.study_status import NextStudyProposal
from tuning_operator.api.trial import TrialPurpose, TrialState
from tuning_operator.playbook.analysis import Analysis, analyse
from tuning_operator.playbook.follow_ups import FollowUp
from tuning_operator.playbook.records import Purpose
from tuning_operator.playbook.trials import study_record
from tuning_operator.search.arms import shares
from tuning_operator.study.decide import decide
from tuning_operator.study.snapshot import Refusal, StudyView, TrialView

BUDGET = {"maxTrials": 6, "parallelTrials": 2, "maxFailedTrials": 99}
RATE = a_range(low=1e-4, high=1.0, scale="Log")


def a_world(script: Script | None = None, obstacle: Any = None, **spec: Any) -> World:
    world = World(a_study(**{"budget": BUDGET, "hyperparameters": [RATE], **spec}), script or {})
    world.obstacle = obstacle or world.obstacle
    return world


def states(world: World) -> list[str]:
    """The trials' states in the order of their indices."""
    return [t.status.state.value for t in sorted(world.trials.values(), key=lambda t: t.spec.index)]


def story(world: World) -> dict[int, tuple[Any, ...]]:
    """What came of each trial, by index: all that must not depend on the operator's own fate."""
    return {
        t.spec.index: (
            t.spec.parameters,
            t.status.state,
            t.status.result and (t.status.result.value, t.status.result.source),
        )
        for t in world.trials.values()
    }


def reason(world: World, kind: str) -> str:
    """The reason of a condition of the study."""
    return next(c.reason for c in world.study.status.conditions if c.type == kind)


def one(end: End, *more: End) -> Script:
    return {0: [Life(end), *map(Life, more)]}


# --- what becomes of trials ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "state", "reason", "attempt", "retries"),
    [
        ([End.RESULT], "Succeeded", "Completed", 0, 0),
        ([End.DIVERGED], "Infeasible", "NonFiniteObjective", 0, 0),
        ([End.OOM_KILLED], "Infeasible", "OutOfMemory", 0, 0),
        ([End.CRASHED], "Failed", "Crashed", 0, 0),
        ([End.EVICTED], "Succeeded", "Completed", 0, 1),
        ([End.DELETED], "Succeeded", "Completed", 1, 1),
        ([End.VANISHED], "Succeeded", "Completed", 1, 1),
        ([End.JOB_DELETED], "Succeeded", "Completed", 1, 1),
        ([End.SIGTERM], "Succeeded", "Completed", 1, 1),
        ([End.UNRECORDED], "Succeeded", "Completed", 0, 0),
        ([End.SILENT], "Succeeded", "Completed", 1, 0),
        ([End.SILENT, End.SILENT], "Failed", "ResultLost", 1, 0),
        ([End.EVICTED, End.DELETED, End.CRASHED], "Failed", "Crashed", 1, 2),
        ([End.DELETED] * 5, "Succeeded", "Completed", 5, 5),
        ([End.DELETED] * 6, "Failed", "InfrastructureRetriesExceeded", 5, 6),
    ],
)
@pytest.mark.parametrize("operator_is_there", [True, False])
def test_what_becomes_of_a_trial(
    ends: list[End], state: str, reason: str, attempt: int, retries: int, operator_is_there: bool
) -> None:
    world = a_world(one(*ends), budget={**BUDGET, "maxTrials": 2})
    if operator_is_there:
        world.run()
    else:
        # The operator is down for ten seconds at a time, and remembers nothing.
        for _ in range(20):
            world.settle()
            world.pass_time(10)
            world.killed()
        world.run()
    status = world.trials[next(iter(world.trials))].status
    assert (status.state.value, status.reason, status.attempt) == (state, reason, attempt)
    # Of pods that came and went while the operator was away, not all can be counted.
    assert status.infrastructure_retries == retries or (
        not operator_is_there and 0 < status.infrastructure_retries < retries
    )
    assert world.study.status.state == "Succeeded"


def test_a_trial_that_is_evicted_too_often_fails() -> None:
    world = a_world({0: [Life(End.EVICTED)] * 6}).run()
    status = next(iter(world.trials.values())).status
    assert (status.state.value, status.reason) == ("Failed", "InfrastructureRetriesExceeded")


def test_failed_trials_are_replaced_and_lost_ones_are_not() -> None:
    world = a_world({1: [Life(End.CRASHED)], 2: [Life(End.DELETED)], 3: [Life(End.DIVERGED)]}).run()
    assert states(world) == ["Succeeded", "Failed", "Succeeded", "Infeasible", *["Succeeded"] * 3]
    assert world.study.status.progress == "6/6"


def test_a_study_fails_when_more_trials_have_failed_than_it_allows() -> None:
    script = {i: [Life(End.CRASHED)] for i in range(99)}
    world = a_world(script, budget={**BUDGET, "maxFailedTrials": 2}).run()
    assert Counter(states(world))["Failed"] in (3, 4)
    assert world.study.status.state == "Failed"
    assert "spec.budget.maxFailedTrials" in next(c.message for c in world.study.status.conditions if c.type == "Failed")


def test_the_winner_is_the_one_nearest_to_the_optimum() -> None:
    world = a_world(budget={**BUDGET, "maxTrials": 12}).run()
    best = world.study.status.best
    assert best is not None
    assert best.value == min(t.status.result.value for t in world.trials.values() if t.status.result)  # type: ignore[type-var]


def test_each_arm_has_its_share_whatever_fails() -> None:
    space = [a_choice(values=["a", "b", "c"]), RATE]
    script = {i: [Life(End.CRASHED)] for i in (1, 4, 7)}
    world = a_world(script, hyperparameters=space, budget={**BUDGET, "maxTrials": 7, "parallelTrials": 3}).run()
    counts = Counter(t.spec.arm for t in world.trials.values() if t.status.state.has_result)
    assert tuple(counts[arm] for arm in range(3)) == shares(7, 3)


# --- what people do to studies ---------------------------------------------------------------------------------------


def test_a_suspended_study_runs_nothing_charges_nothing_and_goes_on() -> None:
    world = a_world({i: [Life(ticks=4)] * 3 for i in range(6)})
    for _ in range(7):
        world.run_ticks(2)
        world.change_spec(suspend=True)
        world.run_ticks(4)
        assert not [pod for pod in world.pods.values() if not pod.over]
        assert world.study.status.state == "Suspended"
        assert world.study.status.trials.running == 0
        world.change_spec(suspend=False)
    world.run()
    assert states(world) == ["Succeeded"] * 6
    assert world.study.status.trials.infrastructure_retries == 0


def test_suspension_and_resumption_in_one_breath_lose_nothing() -> None:
    world = a_world({0: [Life(ticks=4)], 1: [Life(ticks=4)]})
    world.run_ticks(3)
    world.change_spec(suspend=True)
    world.settle()
    world.change_spec(suspend=False)
    assert states(world.run()) == ["Succeeded"] * 6


def test_time_stands_still_while_a_study_is_suspended() -> None:
    world = a_world({i: [Life(ticks=999)] * 2 for i in range(9)}, budget={**BUDGET, "maxDuration": "20s"})
    world.run_ticks(10)
    world.change_spec(suspend=True)
    world.run_ticks(100)
    world.change_spec(suspend=False)
    world.run_ticks(5)
    assert world.study.status.state == "Running"
    world.run_ticks(10)
    assert world.study.status.state == "Failed"
    assert set(states(world)) == {"Stopped"}
    assert not [pod for pod in world.pods.values() if not pod.over]
    assert not world.jobs


def test_when_time_is_over_what_has_a_result_counts() -> None:
    world = a_world({1: [Life(ticks=999)], 2: [Life(ticks=999)]}, budget={**BUDGET, "maxDuration": "10s"}).run()
    assert states(world) == ["Succeeded", "Stopped", "Stopped"]
    assert (world.study.status.state, world.study.status.progress) == ("Succeeded", "1/6")


def test_raising_the_budget_continues_a_finished_study_with_the_same_trials() -> None:
    small = a_world(budget={**BUDGET, "maxTrials": 3}).run()
    small.change_spec(budget={"max_trials": 6})
    small.run()
    assert story(small) == story(a_world().run())
    assert small.study.status.completion_time is not None


def test_a_trial_that_somebody_deletes_is_drawn_again() -> None:
    world = a_world({0: [Life(ticks=9)], 1: [Life(ticks=9)]})
    world.run_ticks(3)
    name = next(iter(world.trials))
    before = world.trials.pop(name).spec
    world.jobs = {uid: job for uid, job in world.jobs.items() if job.trial != name}
    world.pods = {uid: pod for uid, pod in world.pods.items() if pod.trial != name}
    world.run()
    assert world.trials[name].spec == before


def test_a_trial_that_is_drawn_again_starts_when_the_pod_of_the_one_that_had_its_name_has_ended() -> None:
    world = a_world({0: [Life(End.RESULT, 9)]})
    world.run_ticks(3)
    victim = next(name for name, trial in world.trials.items() if trial.spec.index == 0)
    del world.trials[victim]
    # The garbage collector deletes its Job, whose pod takes a while to end.
    (job,) = (job for job in world.jobs.values() if job.trial == victim)
    world.jobs[job.name] = replace(job, deleting=True)
    world.settle()
    world.trials[victim] = replace(world.trials[victim], uid="another")
    assert Counter(states(world.run())) == {"Succeeded": 6}


def test_a_study_that_is_deleted_is_left_alone() -> None:
    world = a_world()
    world.run_ticks(2)
    world.study = a_study(view={"deleting": True})
    assert is_empty(world.look())


# --- what keeps studies from starting --------------------------------------------------------------------------------

KUBELET = ["ErrImagePull", "ImagePullBackOff"]


def pull_fails_until(last: int) -> Any:
    def obstacle(tick: int) -> tuple[str, str]:
        if tick >= last:
            return "", ""
        return KUBELET[tick % 2], f'Back-off {10 * 2**tick}s pulling image "registry.invalid/x"'

    return obstacle


def test_a_blocked_study_says_so_stands_still_and_goes_on_by_itself() -> None:
    world = a_world(obstacle=pull_fails_until(100))
    world.run_ticks(10)
    assert world.study.status.state == "Blocked"
    assert len(world.trials) == 2
    writes = len(world.writes)
    world.run_ticks(80)
    assert (len(world.trials), len(world.writes) - writes) == (2, 0)
    assert states(world.run()) == ["Succeeded"] * 6
    starting = next(c for c in world.study.status.conditions if c.type == "TrialsStarting")
    assert starting.status.value == "True"


@pytest.mark.parametrize(
    "reasons",
    [KUBELET, ["ErrImagePull", "RegistryUnavailable", "ImagePullBackOff"], ["CreateContainerConfigError"]],
)
def test_a_blocked_study_writes_nothing_while_its_cause_lasts_in_changing_words(reasons: list[str]) -> None:
    world = a_world(obstacle=lambda tick: (reasons[tick % len(reasons)], f"attempt {tick}"))
    world.run_ticks(5)
    world.writes.clear()
    world.run_ticks(60)
    assert world.writes == []


def test_a_refused_job_is_tried_again_when_its_wait_is_over() -> None:
    world = a_world()
    world.refusals = (Refusal("t", "exceeded quota: pods=0"),)
    world.run_ticks(30)
    assert (len(world.trials), world.study.status.state) == (0, "Blocked")
    assert len(world.writes) <= 2
    world.refusals = ()
    assert states(world.run()) == ["Succeeded"] * 6


# --- invariants ------------------------------------------------------------------------------------------------------

ENDS = st.sampled_from([*End, *[End.RESULT] * 8])
LIVES = st.builds(Life, ENDS, st.integers(1, 3))
SCRIPTS = st.dictionaries(st.integers(0, 8), st.lists(LIVES, max_size=3), max_size=5)
WHOLE_STUDIES = settings(max_examples=20, deadline=None)
KILLS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 99), st.integers(0, 8)), max_size=8)
"""After how many writes the operator is killed, the order of its creations, and for how many ticks it is away."""


def run_with_kills(world: World, kills: list[tuple[int, int, int]]) -> World:
    for writes, order, ticks in kills:
        try:
            world.apply(world.look(), writes, order)
        except OperatorKilled:
            world.killed()
        world.pass_time(ticks)
    return world.run()


@WHOLE_STUDIES
@given(SCRIPTS, st.integers(1, 4))
def test_every_trial_has_one_result_or_an_explained_failure(script: Script, parallel: int) -> None:
    world = a_world(script, budget={**BUDGET, "parallelTrials": parallel}).run()
    assert world.most_active <= parallel
    assert world.most_training <= parallel
    assert sorted(t.spec.index for t in world.trials.values()) == list(range(len(world.trials)))
    for trial in world.trials.values():
        status = trial.status
        assert status.state.is_finished
        assert status.reason
        assert status.completion_time is not None
        assert status.message
        if status.state is TrialState.SUCCEEDED:
            assert status.result is not None
            assert status.result.value is not None
    counts = Counter(states(world))
    assert counts["Succeeded"] + counts["Infeasible"] == 6
    assert set(counts) <= {"Succeeded", "Infeasible", "Failed"}


@WHOLE_STUDIES
@given(SCRIPTS, KILLS)
def test_a_killed_operator_loses_and_repeats_nothing(script: Script, kills: list[tuple[int, int, int]]) -> None:
    undisturbed, disturbed = a_world(script).run(), run_with_kills(a_world(script), kills)
    assert story(disturbed) == story(undisturbed)
    assert disturbed.study.status.best == undisturbed.study.status.best
    assert disturbed.study.status.state == undisturbed.study.status.state
    assert disturbed.most_active <= 2


@WHOLE_STUDIES
@given(SCRIPTS, st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=6))
def test_suspending_and_resuming_changes_no_result(script: Script, switches: list[tuple[bool, int]]) -> None:
    # A suspension may come before a pod's scripted end, so only the points and their values are compared.
    calm = {i: [life for life in lives if life.end is End.RESULT] for i, lives in script.items()}
    world = a_world(calm)
    for suspend, ticks in switches:
        world.change_spec(suspend=suspend)
        world.run_ticks(ticks)
    world.change_spec(suspend=False)
    assert story(world.run()) == story(a_world(calm).run())
    assert world.study.status.trials.infrastructure_retries == 0


@WHOLE_STUDIES
@given(SCRIPTS)
def test_time_alone_changes_nothing_once_a_study_is_over(script: Script) -> None:
    world = a_world(script).run()
    world.now += timedelta(days=30)
    assert is_empty(decide(world.snapshot()))
    assert decide(world.snapshot()).look_again_after is None


def test_names_belong_to_this_study() -> None:
    assert all(trial.spec.study_ref.uid == UID for trial in a_world().run().trials.values())


# --- what is tried ---------------------------------------------------------------------------------------------------


DISCRETE = [
    a_choice("optimizer", role="Nuisance", values=["sgd", "adamw"]),
    a_range(low=1e-4, high=1.0, scale="Log", type="Ordinal", values=["0.001", "0.01", "0.1"], valueType="Float")
    | {"low": None, "high": None, "scale": None},
]


def tried(world: World) -> list[str]:
    """The points, in the order of the trials' indices."""
    return [t.spec.parameters for t in sorted(world.trials.values(), key=lambda t: t.spec.index)]


@pytest.mark.parametrize("algorithm", ["QuasiRandom", "Random", "Grid", "Bayesian"])
def test_a_small_space_is_tried_to_its_end_and_the_study_says_so(algorithm: str) -> None:
    world = a_world(
        one(End.CRASHED), hyperparameters=DISCRETE, search={"algorithm": algorithm}, budget={"maxTrials": 20}
    )
    world.run()
    assert len(set(tried(world))) == len(tried(world)) == 6
    succeeded = next(c for c in world.study.status.conditions if c.type == "Succeeded")
    assert (succeeded.status.value, succeeded.reason) == ("True", "SearchSpaceExhausted")
    assert world.study.status.best is not None
    assert world.study.status.best.value == pytest.approx(0.0)


def test_the_user_s_own_points_are_tried_first_and_a_list_has_no_others() -> None:
    points = [{"learning_rate": "0.5"}, {"learning_rate": "0.01"}]
    world = a_world(search={"algorithm": "List", "points": points}).run()
    assert [p.split(":")[1] for p in tried(world)] == ["0.5}", "0.01}"]
    assert world.study.status.state == "Succeeded"


def test_each_point_has_its_replicates_and_their_mean() -> None:
    world = a_world(search={"replicates": 3}).run()
    first, second = tried(world)[::3]
    assert tried(world) == [first] * 3 + [second] * 3
    assert [t.spec.purpose for t in sorted(world.trials.values(), key=lambda t: t.spec.index)] == [
        "Search",
        "Replicate",
        "Replicate",
    ] * 2
    assert len({t.spec.seed for t in world.trials.values()}) == 6
    assert [s.replicates for s in world.study.status.top] == [3, 3]


@pytest.mark.parametrize("writes", range(0, 40, 3))
def test_a_model_s_points_survive_a_killed_operator(writes: int) -> None:
    spec: dict[str, Any] = {"search": {"algorithm": "Bayesian"}, "budget": {"maxTrials": 12}}
    world = a_world(**spec)
    left = writes
    while not world.over:
        decision = world.look()
        try:
            before = len(world.writes)
            world.apply(decision, writes=left)
            left -= len(world.writes) - before
        except OperatorKilled:
            world.killed()
            left = 10**6
        world.pass_time()
    assert len(set(tried(world))) == len(tried(world)) == 12
    assert [t.spec.suggested_by for t in sorted(world.trials.values(), key=lambda t: t.spec.index)][-1] == "Bayesian"


# --- what is stopped early -------------------------------------------------------------------------------------------


LONG = {index: [Life(ticks=10)] * 20 for index in range(40)}
STEPS = a_fixed("max_steps", value="100")


def a_scraped_world(rule: dict[str, Any], script: Script | None = None, **spec: Any) -> World:
    """A world of trials of ten ticks, a hundred steps, whose curves are seen while they run."""
    parts: dict[str, Any] = {
        "hyperparameters": [RATE, STEPS],
        "stopping": rule,
        "budget": {"maxTrials": 16, "parallelTrials": 2},
        "trial": {"checkpoint": {"claimName": "checkpoints"}},
        **spec,
    }
    world = a_world({**LONG, **(script or {})}, **parts)
    world.scraped = True
    return world


def trained_ticks(world: World) -> int:
    return sum(world._checkpoints.values())


@pytest.fixture(scope="module")
def unstopped() -> World:
    """The same trials, all of them to their end."""
    return a_scraped_world({"rule": "None"}).run()


def test_what_is_worse_than_the_median_is_stopped_and_counts_and_the_winner_is_the_same(unstopped: World) -> None:
    world = a_scraped_world({"rule": "Median"}).run()
    stopped = [t for t in world.trials.values() if t.status.state is TrialState.STOPPED]
    assert len(world.trials) == 16
    assert len(stopped) >= 3
    for trial in stopped:
        assert trial.status.stop is not None
        assert (trial.status.stop.rule, trial.status.reason) == ("Median", "WorseThanMedian")
        assert trial.status.stop.evidence["best"] > trial.status.stop.evidence["median"]
        assert len(trial.status.stop.compared) >= 5
        # how far it had come is kept, from its record
        assert trial.status.result is not None
        assert trial.status.result.value == trial.status.stop.evidence["best"]
    assert trained_ticks(unstopped) == 160
    assert trained_ticks(world) <= 140
    best, wanted = world.study.status.best, unstopped.study.status.best
    assert best is not None
    assert wanted is not None
    assert (best.value, best.trial) == (wanted.value, wanted.trial)
    assert world.study.status.progress == "16/16"


def test_only_the_best_of_a_rung_go_on_and_nothing_is_trained_twice() -> None:
    # With this seed some that were paused rise into the best third later.
    seed = {"seed": 8}
    world = a_scraped_world({"rule": "SuccessiveHalving", "minTrials": 2}, search=seed).run()
    unstopped = a_scraped_world({"rule": "None"}, search=seed).run()
    states = Counter(t.status.state for t in world.trials.values())
    assert len(world.trials) == 16
    assert set(states) == {TrialState.SUCCEEDED, TrialState.STOPPED}
    assert {t.status.reason for t in world.trials.values() if t.status.stop is not None} == {"NotPromoted"}
    # Each tick was trained once: what went on did so from its checkpoint.
    ages = Counter({t.name: world._checkpoints[t.name] for t in world.trials.values()})
    assert all(ages[t.name] == 10 for t in world.trials.values() if t.status.state is TrialState.SUCCEEDED)
    assert trained_ticks(world) <= 80
    assert any(t.status.attempt > 0 and t.status.passed_rungs > 0 for t in world.trials.values())
    assert world.most_training <= 2
    best, wanted = world.study.status.best, unstopped.study.status.best
    assert best is not None
    assert wanted is not None
    assert best.trial == wanted.trial


@pytest.mark.parametrize("rule", [{"rule": "Median"}, {"rule": "SuccessiveHalving", "minTrials": 2}])
@pytest.mark.parametrize("life", range(3, 40, 7))
def test_stopping_survives_an_operator_that_is_killed_again_and_again(rule: dict[str, Any], life: int) -> None:
    world = a_scraped_world(rule)
    left = life
    for _ in range(2000):
        if world.over:
            break
        before = len(world.writes)
        try:
            world.apply(world.look(), writes=left)
            left -= len(world.writes) - before
        except OperatorKilled:
            world.killed()
            left = life
        world.pass_time()
    undisturbed = a_scraped_world(rule).run()
    assert world.study.status.progress == "16/16"
    best, wanted = world.study.status.best, undisturbed.study.status.best
    assert best is not None
    assert wanted is not None
    assert best.trial == wanted.trial
    assert best.value == pytest.approx(wanted.value)


def test_a_suspended_study_keeps_its_paused_trials_paused() -> None:
    world = a_scraped_world({"rule": "SuccessiveHalving", "minTrials": 2})
    while not any(t.status.state is TrialState.PAUSED for t in world.trials.values()):
        world.settle()
        world.pass_time()
    world.change_spec(suspend=True)
    world.run_ticks(5)
    states = Counter(t.status.state for t in world.trials.values())
    assert states[TrialState.PAUSED] >= 1
    assert states[TrialState.RUNNING] == states[TrialState.PENDING] == 0
    paused = {t.name for t in world.trials.values() if t.status.state is TrialState.PAUSED}
    world.change_spec(suspend=False)
    world.settle()
    assert {t.name for t in world.trials.values() if t.status.state is TrialState.PAUSED} == paused
    world.run()
    assert world.study.status.state == "Succeeded"


@pytest.mark.parametrize("algorithm", ["QuasiRandom", "Random", "Grid"])
@pytest.mark.parametrize("seed", range(4))
def test_a_small_space_is_used_up_also_by_a_model_that_takes_over(algorithm: str, seed: int) -> None:
    eight = a_range(type="Ordinal", low=None, high=None, values=[f"0.0{i}" for i in range(1, 9)], valueType="Float")
    search = {"algorithm": algorithm, "seed": seed, "switchTo": {"algorithm": "Bayesian", "afterTrials": 3}}
    world = a_world(hyperparameters=[eight], search=search, budget={"maxTrials": 12}).run()
    assert len(set(tried(world))) == len(tried(world)) == 8


def test_all_points_of_a_list_are_tried_however_they_lie_in_the_arms() -> None:
    rates = ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]
    points = [{"optimizer": "adamw", "learning_rate": rate} for rate in rates]
    points += [{"optimizer": "nesterov", "learning_rate": rate} for rate in rates[:2]]
    search = {"algorithm": "List", "points": points}
    world = a_world(hyperparameters=[a_choice(), RATE], search=search, budget={"maxTrials": 8}).run()
    assert len(tried(world)) == 8
    assert reason(world, "Succeeded") == "MaxTrialsReached"


@pytest.mark.parametrize("rule", [{"rule": "None"}, {"rule": "DivergedOnly"}, {"rule": "SuccessiveHalving", "eta": 2}])
def test_another_rule_lets_paused_trials_go_on_as_there_is_room(rule: dict[str, Any]) -> None:
    world = a_scraped_world({"rule": "SuccessiveHalving", "minTrials": 2})
    while sum(t.status.state is TrialState.PAUSED for t in world.trials.values()) < 4:
        world.settle()
        world.pass_time()
    world.change_spec(stopping=world.study.spec.stopping.model_validate(rule))
    world.run()
    assert world.most_training <= 2
    assert world.study.status.progress == "16/16"


# --- after the search ------------------------------------------------------------------------------------------------


def asks_for(study: StudyView, trials: Sequence[TrialView]) -> Analysis:
    """Ask for two retrains of the best trial, and, when they have ended, for another study."""
    best = min((t for t in trials if t.spec.purpose.is_search), key=lambda t: t.name)
    done = {t.spec.index for t in trials if t.spec.purpose is TrialPurpose.RETRAIN and t.status.state.is_finished}
    parameters = json.loads(best.spec.parameters)
    left = [n for n in (0, 1) if n not in done]
    follow_ups = tuple(FollowUp(Purpose.RETRAIN, n, best.name, parameters, parameters, 7 + n) for n in left)
    manifest = {"metadata": {"name": "digits-r2"}, "spec": {"budget": {}}}
    proposal = NextStudyProposal(name="digits-r2", goal="Is it so?", reasons=["It was not."], manifest=manifest)
    conclusion = Conclusion(state=ConclusionState.BLOCKED, reason="Expand", message="It lies at the edge.")
    return Analysis((), conclusion, proposal, follow_ups)


def a_concluding_world(**fields: Any) -> World:
    world = a_world(nextStudy={"policy": "Run"}, **fields)
    world.analyse = asks_for
    return world


def test_a_study_retrains_and_is_followed_by_another_before_it_is_over() -> None:
    world = a_concluding_world().run()
    retrains = [t for t in world.trials.values() if t.spec.purpose is TrialPurpose.RETRAIN]
    assert [t.status.state for t in retrains] == [TrialState.SUCCEEDED] * 2
    assert [t.spec.seed for t in retrains] == [7, 8]
    assert list(world.following) == ["digits-r2"]
    status = world.study.status
    assert (status.state, status.progress, status.trials.total, status.trials.retrains) == ("Succeeded", "6/6", 8, 2)
    assert status.next_study is not None
    assert status.next_study.applied
    assert reason(world, "QuestionAnswered") == "Expand"
    assert world.most_active <= 2


def test_a_retrain_that_is_lost_runs_again_and_one_that_crashes_is_told() -> None:
    lost, crashed = a_concluding_world(), a_concluding_world()
    lost.follow_up_lives = [Life(End.DELETED)]
    crashed.follow_up_lives = [Life(End.CRASHED)]
    assert lost.run().study.status.trials.infrastructure_retries == 2
    assert crashed.run().study.status.trials.failed == 2
    assert crashed.study.status.state == "Succeeded"


@WHOLE_STUDIES
@given(KILLS)
def test_a_killed_operator_retrains_nothing_twice_and_creates_one_study(kills: list[tuple[int, int, int]]) -> None:
    world = run_with_kills(a_concluding_world(), kills)
    world.run()
    assert story_of_all(world) == story_of_all(a_concluding_world().run())
    assert list(world.following) == ["digits-r2"]
    assert world.study.status.state == "Succeeded"


def test_raising_the_budget_of_a_concluded_study_continues_it_and_concludes_anew() -> None:
    world = a_concluding_world().run()
    analyses = world.analyses
    world.change_spec(budget={"max_trials": 8})
    world.run()
    assert world.study.status.progress == "8/8"
    assert world.analyses > analyses
    assert world.study.status.analysed is not None
    assert world.study.status.analysed.trials == 10


def as_the_playbook_says(study: StudyView, trials: Sequence[TrialView]) -> Analysis:
    return analyse(study_record(study, trials))


def a_measuring_world(throughput: dict[int, float | None], **fields: Any) -> World:
    """Return a world whose study wants to know the throughput at these sizes."""
    space = [RATE, a_fixed("batch_size", value="64")]
    world = a_world(**{"hyperparameters": space, "training": {"batchSizes": list(throughput)}, **fields})
    world.analyse, world.throughput = as_the_playbook_says, throughput
    return world


def probed_sizes(world: World) -> list[tuple[int, str]]:
    """Return size and state of each probe of a batch size, as they were created."""
    probes = [t for t in world.trials.values() if t.spec.purpose is TrialPurpose.BATCH_SIZE_PROBE]
    return [(json.loads(t.spec.parameters)["batch_size"], t.status.state.value) for t in probes]


def assert_one_after_the_other(trials: Sequence[TrialView]) -> None:
    for before, later in pairwise(trials):
        assert before.status.completion_time is not None
        assert later.created >= before.status.completion_time


def batch_size_finding(world: World) -> tuple[str, float | None]:
    found = next(f for f in world.study.status.findings if f.code is Code.BATCH_SIZE)
    return found.verdict, found.evidence.numbers.get("batchSize")


@pytest.mark.parametrize(
    ("throughput", "states", "verdict"),
    [
        ({256: 700.0, 32: 100.0, 128: 380.0, 64: 195.0}, ["Succeeded"] * 4, ("Chosen", 256)),
        ({32: 100.0, 64: 195.0, 128: 197.0, 256: 900.0}, ["Succeeded"] * 3, ("Chosen", 64)),
        ({32: 100.0, 64: 195.0, 128: None, 256: None}, ["Succeeded", "Succeeded", "Infeasible"], ("Chosen", 64)),
        ({32: 100.0, 64: 110.0, 128: 120.0}, ["Succeeded"] * 2, ("Bottleneck", 32)),
    ],
    ids=["all", "until it grows no more", "until memory runs out", "until something else limits it"],
)
def test_batch_sizes_are_measured_one_after_the_other_and_the_study_says_which_is_best(
    throughput: dict[int, float | None], states: list[str], verdict: tuple[str, float]
) -> None:
    world = a_measuring_world(throughput, budget={**BUDGET, "maxProbes": 0, "maxFailedTrials": 0}).run()
    assert probed_sizes(world) == list(zip(sorted(throughput), states, strict=False))
    assert batch_size_finding(world) == verdict
    status = world.study.status
    assert (status.state, status.progress, status.trials.probes) == ("Succeeded", "6/6", len(states))
    probes = [t for t in world.trials.values() if t.spec.purpose is TrialPurpose.BATCH_SIZE_PROBE]
    assert {t.spec.of for t in probes} == {status.best and status.best.trial}
    assert_one_after_the_other(probes)


def test_probes_are_never_packed_and_a_study_that_is_over_can_be_asked_for_them() -> None:
    trial = {"maxPacked": 4, "template": a_study().spec.trial.template.to_json()}
    world = a_measuring_world({32: 100.0, 64: 195.0}, training={}, trial=trial).run()
    assert probed_sizes(world) == []
    assert world.study.status.state == "Succeeded"
    searched = len(world.pack_sizes)
    world.change_spec(training=Training.model_validate({"batchSizes": [32, 64]}))
    world.run()
    assert probed_sizes(world) == [(32, "Succeeded"), (64, "Succeeded")]
    assert world.pack_sizes[searched:] == [1, 1]
    assert world.study.status.state == "Succeeded"


def test_no_trial_of_a_raised_budget_starts_beside_a_throughput_that_is_being_measured() -> None:
    world = a_measuring_world({32: 100.0, 64: 195.0}, budget={**BUDGET, "maxTrials": 2, "parallelTrials": 2})
    world.follow_up_lives = [Life(End.RESULT, 6)]
    while not probed_sizes(world):
        world.run_ticks(1)
    world.change_spec(budget={"max_trials": 6})
    world.run()
    probes = [t for t in world.trials.values() if t.spec.purpose is TrialPurpose.BATCH_SIZE_PROBE]
    later = [t for t in world.trials.values() if t.spec.purpose.is_search and t.spec.index >= 2]
    assert len(later) == 4
    first_end = min(p.status.completion_time for p in probes if p.status.completion_time is not None)
    assert all(t.created >= first_end for t in later)
    assert [state for _, state in probed_sizes(world)] == ["Succeeded"] * 2


def test_the_probes_go_on_where_the_end_of_the_time_has_stopped_them_when_there_is_more() -> None:
    budget = {**BUDGET, "maxTrials": 2, "parallelTrials": 2, "maxDuration": "20s"}
    world = a_measuring_world({32: 100.0, 64: 195.0}, budget=budget)
    world.follow_up_lives = [Life(End.RESULT, 60)]
    world.run()
    assert probed_sizes(world) == [(32, "Stopped")], "after it had measured the throughput"
    world.follow_up_lives = []
    world.change_spec(budget={"max_duration": "1h"})
    assert probed_sizes(world.run()) == [(32, "Stopped"), (64, "Succeeded")]


def test_a_probe_that_crashes_costs_a_study_one_failure_and_not_its_success() -> None:
    world = a_measuring_world({32: 100.0, 64: 195.0, 128: 380.0}, budget={**BUDGET, "maxFailedTrials": 1})
    world.follow_up_lives = [Life(End.CRASHED)]
    assert probed_sizes(world.run()) == [(32, "Failed")]
    assert world.study.status.state == "Succeeded"


@WHOLE_STUDIES
@given(KILLS)
def test_a_killed_operator_measures_each_size_once_and_one_after_the_other(kills: list[tuple[int, int, int]]) -> None:
    throughput: dict[int, float | None] = {32: 100.0, 64: 195.0, 128: None}
    budget = {"maxTrials": 2, "parallelTrials": 2, "maxFailedTrials": 99}
    world = run_with_kills(a_measuring_world(throughput, budget=budget), kills)
    assert probed_sizes(world) == [(32, "Succeeded"), (64, "Succeeded"), (128, "Infeasible")]
    assert_one_after_the_other([t for t in world.trials.values() if t.spec.purpose is TrialPurpose.BATCH_SIZE_PROBE])
    assert batch_size_finding(world) == ("Chosen", 64)
    assert world.study.status.state == "Succeeded"


def test_a_study_is_analysed_now_and_then_and_not_at_every_trial() -> None:
    world = a_world(budget={**BUDGET, "maxTrials": 60, "parallelTrials": 4}).run()
    assert 5 <= world.analyses <= 14


def story_of_all(world: World) -> dict[str, tuple[Any, ...]]:
    return {t.name: (t.spec.parameters, t.spec.seed, t.status.state) for t in world.trials.values()}
