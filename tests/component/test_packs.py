"""Whole studies whose trials share processes: each trial comes to its own end all the same."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.component.test_whole_studies import (
    KILLS,
    RATE,
    SCRIPTS,
    asks_for,
    reason,
    run_with_kills,
    states,
    story,
)
from tests.support.builders import a_choice, a_fixed
from tests.support.views import a_study
from tests.support.world import End, Life, Script, World
from tuning_operator.api.trial import TrialPurpose

BUDGET = {"maxTrials": 8, "parallelTrials": 4, "maxFailedTrials": 99}
TEMPLATE = {"spec": {"containers": [{"name": "trainer", "image": "localhost/trainer"}]}}
STUDIES = settings(max_examples=20, deadline=None)


def a_world(script: Script | None = None, most: int = 4, **spec: Any) -> World:
    trial = {"maxPacked": most, "template": TEMPLATE}
    fields = {"budget": BUDGET, "hyperparameters": [RATE], "stopping": {"rule": "None"}, "trial": trial, **spec}
    return World(a_study(**fields), script or {})


def results(world: World) -> dict[int, tuple[Any, ...]]:
    """What came of each trial, by index. A pack's record states nine digits, a trial's own all of them."""
    return {
        index: (parameters, state, result and (result[0] and f"{result[0]:.8g}", result[1]))
        for index, (parameters, state, result) in story(world).items()
    }


def status_of(world: World, index: int) -> Any:
    return next(t.status for t in world.trials.values() if t.spec.index == index)


def test_trials_that_differ_in_numbers_share_a_process() -> None:
    world = a_world().run()
    assert world.pack_sizes == [4, 4]
    assert results(world) == results(a_world(most=1).run())
    assert {t.status.pack_size for t in world.trials.values()} == {4}


def test_trials_of_different_shapes_do_not() -> None:
    world = a_world(hyperparameters=[a_choice("batch_size", values=["16", "32"], valueType="Integer"), RATE]).run()
    shapes = [
        {json.loads(world.trials[name].spec.parameters)["batch_size"] for name, *_ in job.members}
        for job in world.jobs.values()
        if job.members
    ]
    assert shapes == [{16}, {32}]
    assert world.pack_sizes == [4, 4]


def test_no_more_share_one_than_run_at_a_time() -> None:
    world = a_world(most=24, budget={**BUDGET, "parallelTrials": 3}).run()
    assert max(world.pack_sizes) == 3
    assert world.most_training == 3


def test_a_trial_that_diverges_is_infeasible_and_its_neighbours_are_not() -> None:
    world = a_world({1: [Life(End.DIVERGED)]}).run()
    assert Counter(states(world)) == {"Succeeded": 7, "Infeasible": 1}
    assert status_of(world, 1).state == "Infeasible"
    assert status_of(world, 0).attempt == 0


def test_a_pack_that_runs_out_of_memory_is_halved_until_it_fits_and_no_trial_is_blamed_for_it() -> None:
    world = a_world({1: [Life(End.OOM_KILLED)] * 2}, budget={**BUDGET, "maxTrials": 4}).run()
    assert world.pack_sizes == [4, 2, 2, 1, 1]
    assert Counter(states(world)) == {"Succeeded": 4}
    assert [status_of(world, n).attempt for n in range(4)] == [2, 2, 1, 1]
    assert {t.status.infrastructure_retries for t in world.trials.values()} == {0}


def test_a_trial_that_needs_too_much_memory_alone_is_infeasible() -> None:
    world = a_world({1: [Life(End.OOM_KILLED)] * 3}, budget={**BUDGET, "maxTrials": 4}).run()
    assert status_of(world, 1).state == "Infeasible"
    assert status_of(world, 1).reason == "OutOfMemory"
    assert Counter(states(world)) == {"Succeeded": 3, "Infeasible": 1}


def test_a_pack_that_crashes_is_tried_again_one_by_one_so_that_the_failure_is_one_trials() -> None:
    world = a_world({1: [Life(End.CRASHED)] * 2}, budget={**BUDGET, "maxTrials": 4}).run()
    assert world.pack_sizes[:5] == [4, 1, 1, 1, 1]
    assert status_of(world, 1).state == "Failed"
    assert Counter(states(world)) == {"Succeeded": 4, "Failed": 1}


@pytest.mark.parametrize("end", [End.DELETED, End.VANISHED, End.JOB_DELETED, End.SIGTERM])
def test_a_pack_that_is_lost_runs_again_as_a_pack_and_each_trial_counts_its_loss(end: End) -> None:
    world = a_world({1: [Life(end)]}, budget={**BUDGET, "maxTrials": 4}).run()
    assert world.pack_sizes == [4, 4]
    assert [t.status.infrastructure_retries for t in world.trials.values()] == [1] * 4
    assert [t.status.attempt for t in world.trials.values()] == [1] * 4


def test_a_pack_that_is_evicted_is_replaced_by_its_job() -> None:
    world = a_world({1: [Life(End.EVICTED)]}, budget={**BUDGET, "maxTrials": 4}).run()
    assert world.pack_sizes == [4]
    assert [t.status.infrastructure_retries for t in world.trials.values()] == [1] * 4


def test_a_pack_without_a_record_is_read_from_prometheus() -> None:
    world = a_world({1: [Life(End.UNRECORDED)]}, budget={**BUDGET, "maxTrials": 4}).run()
    assert {t.status.result.source for t in world.trials.values() if t.status.result} == {"Prometheus"}
    assert Counter(states(world)) == {"Succeeded": 4}


def test_a_study_that_is_suspended_asks_for_each_pack_once_and_goes_on() -> None:
    world = a_world({n: [Life(End.RESULT, 5)] for n in range(4)})
    world.run_ticks(3)
    world.change_spec(suspend=True)
    decision = world.look()
    world.apply(decision)
    assert len(world.look().deletions) + len(decision.deletions) == 1
    world.run_ticks(4)
    world.change_spec(suspend=False)
    assert Counter(states(world.run())) == {"Succeeded": 8}


def test_each_packs_job_is_released_once_when_all_its_trials_have_ended() -> None:
    world = a_world().run()
    assert all(job.has_ttl for job in world.jobs.values())


def test_retrains_are_packed_apart_from_the_search() -> None:
    world = a_world()
    world.analyse = asks_for
    world.run()
    retrains = {t.name for t in world.trials.values() if t.spec.purpose is TrialPurpose.RETRAIN}
    packs = [{name for name, *_ in job.members} for job in world.jobs.values() if job.members]
    assert retrains in packs
    assert reason(world, "QuestionAnswered") == "Expand"


def test_fixed_parameters_part_nobody() -> None:
    world = a_world(hyperparameters=[RATE, a_fixed("max_steps", value="60", valueType="Integer")]).run()
    assert world.pack_sizes == [4, 4]


OPTIMIZERS = a_choice("optimizer", values=["adamw", "nesterov"])
WIDTHS = a_choice("width", values=["8", "16"], valueType="Integer", role="Nuisance")
SPACES = st.sampled_from([[RATE], [OPTIMIZERS, RATE], [WIDTHS, RATE]])
"""One arm, two arms, and one whose trials can share a process only by chance."""


@STUDIES
@given(SCRIPTS, SPACES, st.integers(2, 9), st.integers(1, 12), st.integers(1, 24))
def test_every_trial_has_one_result_or_an_explained_failure(
    script: Script, space: list[Any], most: int, parallel: int, trials: int
) -> None:
    budget = {"maxTrials": trials, "parallelTrials": parallel, "maxFailedTrials": 99}
    world = a_world(script, most, hyperparameters=space, budget=budget).run()
    for trial in world.trials.values():
        assert trial.status.state.is_finished
        assert trial.status.reason
        assert trial.status.message
    counts = Counter(states(world))
    assert counts["Succeeded"] + counts["Infeasible"] == trials
    assert max(world.pack_sizes) <= most
    assert world.most_training <= world.most_active <= parallel


@STUDIES
@given(SCRIPTS, KILLS)
def test_a_killed_operator_loses_nothing_and_ends_with_the_same_results(
    script: Script, kills: list[tuple[int, int, int]]
) -> None:
    # A crash is counted against the trial that crashes alone, wherever the operator was killed; a loss befalls
    # whoever shares the process then, so that only results are compared.
    calm = {n: [life for life in lives if life.end is End.RESULT] for n, lives in script.items()}
    undisturbed, disturbed = a_world(calm).run(), run_with_kills(a_world(calm), kills)
    assert results(disturbed) == results(undisturbed)
    assert disturbed.most_active <= 4


@STUDIES
@given(SCRIPTS, KILLS)
def test_a_killed_operator_explains_every_failure(script: Script, kills: list[tuple[int, int, int]]) -> None:
    world = run_with_kills(a_world(script), kills)
    counts = Counter(states(world))
    assert counts["Succeeded"] + counts["Infeasible"] == 8
    assert world.study.status.state == "Succeeded"


# --- what keeps packs together ---------------------------------------------------------------------------------------


def uneven(trials: int) -> Script:
    """Pods that last between two and nine ticks."""
    return {n: [Life(End.RESULT, 2 + n * 5 % 8)] for n in range(trials)}


def test_packs_stay_whole_although_pods_end_at_different_times() -> None:
    budget = {"maxTrials": 32, "parallelTrials": 8}
    world = a_world(uneven(40), hyperparameters=[OPTIMIZERS, RATE], budget=budget).run()
    assert world.pack_sizes == [4] * 8
    assert world.most_training == 8


def test_after_a_crash_packs_are_whole_again() -> None:
    script = {**uneven(40), 1: [Life(End.CRASHED)]}
    world = a_world(script, budget={"maxTrials": 24, "parallelTrials": 8, "maxFailedTrials": 9}).run()
    assert Counter(world.pack_sizes) == {4: 6, 1: 4}


def test_what_ran_out_of_memory_once_is_not_tried_again_with_each_pack() -> None:
    script = {n: [Life(End.OOM_KILLED)] for n in range(8)}
    world = a_world(script, most=8, budget={"maxTrials": 24, "parallelTrials": 8}).run()
    assert world.pack_sizes == [8, 4, 4, 4, 4, 4, 4]


def test_what_runs_at_a_time_is_divided_evenly() -> None:
    world = a_world(uneven(40), most=8, budget={"maxTrials": 24, "parallelTrials": 12}).run()
    assert world.pack_sizes == [6] * 4


@pytest.mark.parametrize("end", [End.DELETED, End.SIGTERM, End.VANISHED])
def test_those_who_are_lost_together_go_on_together_from_their_checkpoints(end: End) -> None:
    calm = {n: [Life(End.RESULT, 9 + n)] for n in range(20)}
    world = a_world({**calm, 2: [Life(end, 4)], 5: [Life(end, 7)]}, budget={"maxTrials": 12, "parallelTrials": 12})
    world.scraped = True
    world.run()
    assert world.mixed == 0
    assert Counter(states(world)) == {"Succeeded": 12}


@STUDIES
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=6), KILLS)
def test_suspending_and_killing_mixes_no_checkpoints_and_changes_no_result(
    switches: list[tuple[bool, int]], kills: list[tuple[int, int, int]]
) -> None:
    budget = {"maxTrials": 12, "parallelTrials": 8, "maxFailedTrials": 99}
    world = a_world(uneven(20), budget=budget)
    world.scraped = True
    for suspend, ticks in switches:
        world.change_spec(suspend=suspend)
        world.run_ticks(ticks)
    world.change_spec(suspend=False)
    run_with_kills(world, kills)
    assert world.mixed == 0
    assert Counter(states(world)) == {"Succeeded": 12}


def test_a_trial_that_is_drawn_again_never_takes_over_the_result_of_the_one_that_had_its_name() -> None:
    world = a_world({n: [Life(End.RESULT, 6)] for n in range(4)}, budget={**BUDGET, "maxTrials": 4})
    world.run_ticks(3)
    victim = next(name for name, trial in world.trials.items() if trial.spec.index == 0)
    del world.trials[victim]
    world.settle()
    world.trials[victim] = replace(world.trials[victim], uid="another")
    world.run()
    assert world.trials[victim].status.packed_in is None
    assert sorted(world.pack_sizes) == [1, 4]
    assert Counter(states(world)) == {"Succeeded": 4}


def test_a_trial_that_is_drawn_again_alone_starts_when_the_pack_of_the_one_that_had_its_name_has_ended() -> None:
    world = a_world({n: [Life(End.RESULT, 6)] for n in range(4)}, budget={**BUDGET, "maxTrials": 4})
    world.run_ticks(3)
    world.change_spec(trial=world.study.spec.trial.model_copy(update={"max_packed": 1}))
    victim = next(name for name, trial in world.trials.items() if trial.spec.index == 0)
    del world.trials[victim]
    world.settle()
    world.trials[victim] = replace(world.trials[victim], uid="another")
    world.run()
    assert sorted(world.pack_sizes) == [1, 4]


def test_a_result_for_which_the_record_had_no_room_is_had_by_a_pod_of_its_own() -> None:
    world = a_world({1: [Life(End.SILENT)]}, budget={**BUDGET, "maxTrials": 4}).run()
    assert world.pack_sizes == [4, 1, 1, 1, 1]
    assert Counter(states(world)) == {"Succeeded": 4}


def test_trials_that_can_share_no_process_do_not_wait_for_each_other() -> None:
    fields = {"hyperparameters": [WIDTHS, RATE], "budget": {"maxTrials": 16, "parallelTrials": 4}}
    packed, alone = (a_world(uneven(20), most, **fields).run() for most in (4, 1))
    assert packed.tick <= alone.tick + 2


def test_a_trial_that_trains_for_ever_keeps_no_pack_from_starting_for_ever() -> None:
    hangs = [Life(End.CRASHED), Life(End.RESULT, 10_000)]
    world = a_world({0: hangs}, budget={"maxTrials": 16, "parallelTrials": 4, "maxFailedTrials": 9})
    world.run_ticks(40)
    assert Counter(states(world)) == {"Succeeded": 15, "Running": 1}


@pytest.mark.parametrize(("most", "parallel", "packs"), [(2, 3, {2, 1}), (5, 11, {4, 3}), (8, 9, {5, 4})])
def test_no_place_is_left_empty_where_what_runs_at_a_time_is_no_multiple(
    most: int, parallel: int, packs: set[int]
) -> None:
    world = a_world(uneven(60), most, budget={"maxTrials": 5 * parallel, "parallelTrials": parallel})
    world.run_ticks(1)
    assert world.most_training == parallel
    world.run()
    assert set(world.pack_sizes) == packs


def test_a_pack_is_whole_where_a_study_turns_to_a_model_in_the_midst_of_it() -> None:
    search = {"algorithm": "QuasiRandom", "switchTo": {"algorithm": "Bayesian", "afterTrials": 10}}
    world = a_world(uneven(16), search=search, budget={"maxTrials": 16, "parallelTrials": 8}).run()
    assert world.pack_sizes == [4] * 4


def test_an_arm_that_ran_out_of_memory_with_two_goes_on_with_one() -> None:
    script = {n: [Life(End.OOM_KILLED)] for n in range(2)}
    world = a_world(script, most=2, budget={"maxTrials": 8, "parallelTrials": 2}).run()
    assert world.pack_sizes == [2, *[1] * 8]
    assert Counter(states(world)) == {"Succeeded": 8}


def test_a_trial_that_finds_no_node_keeps_no_other_from_starting() -> None:
    world = a_world({0: [Life(End.CRASHED)]}, budget={"maxTrials": 12, "parallelTrials": 4, "maxFailedTrials": 9})
    world.run_ticks(3)
    (stuck,) = (job for job in world.jobs.values() if job.attempt == 1 and job.trial.endswith("-0"))
    for _ in range(60):
        world.pass_time()
        for pod in [pod for pod in world.pods.values() if pod.job_uid == stuck.uid]:
            world.pods[pod.uid] = replace(pod, started=None, finished=None, exit_code=None, phase="Pending")
        world.settle()
    assert Counter(states(world))["Succeeded"] >= 9
