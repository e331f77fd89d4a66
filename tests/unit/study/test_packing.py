"""Trials that are about to start share a process where they differ in numbers of a training step alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.views import NOW, a_spec, a_trial
from tuning_contract.environment import ParameterValue, parameters_json
from tuning_contract.pack import MAX_PACK_TEXT
from tuning_contract.pack_record import most_members
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.api.trial import TrialPurpose, TuningTrialStatus
from tuning_operator.study.decision import NewJob
from tuning_operator.study.packing import Packing, pack_size, packed
from tuning_operator.study.snapshot import TrialView

TEMPLATE = {"spec": {"containers": [{"name": "trainer", "image": "localhost/trainer"}]}}


def a_packable(
    index: int,
    purpose: TrialPurpose = TrialPurpose.SEARCH,
    most: int | None = None,
    more: Mapping[str, ParameterValue] | None = None,
) -> TrialView:
    trial = a_trial(index, max_packed=most)
    text = parameters_json({"learning_rate": 0.1 * (index + 1), **(more or {})})
    return replace(trial, spec=trial.spec.model_copy(update={"parameters": text, "purpose": purpose}))


def sizes(trials: list[TrialView], most: int = 4) -> list[int]:
    return [len(job.trials) for job in starting(a_packing_spec(most), trials, trials)]


def starting(spec: TuningStudySpec, ready: Sequence[TrialView], trials: Sequence[TrialView]) -> tuple[NewJob, ...]:
    return packed(spec, ready, trials, Packing.of(spec, trials, NOW))


def a_packing_spec(most: int, parallel: int = 24, **spec: Any) -> TuningStudySpec:
    budget = {"maxTrials": 64, "parallelTrials": parallel}
    return a_spec(trial={"maxPacked": most, "template": TEMPLATE}, budget=budget, **spec)


def test_as_few_processes_as_may_be() -> None:
    trials = [a_packable(n) for n in range(10)]
    assert sizes(trials) == [4, 4, 2]
    assert sizes(trials, most=1) == [1] * 10


def test_every_trial_starts_once_in_the_order_given() -> None:
    trials = [a_packable(n, more={"batch_size": 16 + n % 2}) for n in range(9)]
    jobs = starting(a_packing_spec(3), trials, trials)
    started = [trial.name for job in jobs for trial in job.trials]
    assert sorted(started) == sorted(trial.name for trial in trials)
    assert [t.spec.index for t in jobs[0].trials] == [0, 2, 4]


@pytest.mark.parametrize("name", ["batch_size", "max_steps", "workload", "a_parameter_of_the_users_own"])
def test_what_may_shape_the_model_or_the_data_parts_trials(name: str) -> None:
    one, other = ({name: value} for value in (1, 2))
    assert sizes([a_packable(0, more=one), a_packable(1, more=other)]) == [1, 1]


def test_a_number_that_only_one_of_them_has_does_not() -> None:
    assert sizes(
        [a_packable(0, more={"momentum": 0.9}), a_packable(1, more={"weight_decay": 0.1, "warmup_steps": 5})]
    ) == [2]


def test_retrains_and_the_search_are_apart_since_one_may_end_without_the_other() -> None:
    assert sizes([a_packable(0), a_packable(1, TrialPurpose.RETRAIN), a_packable(2, TrialPurpose.REPLICATE)]) == [2, 1]


@pytest.mark.parametrize("purpose", [p for p in TrialPurpose if p.is_probe])
def test_a_probe_is_alone(purpose: TrialPurpose) -> None:
    assert sizes([a_packable(0, purpose), a_packable(1, purpose)]) == [1, 1]


def test_a_trial_of_a_pack_that_was_too_large_goes_on_in_a_smaller_one() -> None:
    trials = [a_packable(0, most=2), a_packable(1, most=2), a_packable(2, most=2), a_packable(3, most=1), a_packable(4)]
    assert sizes(trials) == [2, 1, 1, 1]


@pytest.mark.parametrize(("too_many", "size"), [(4, 2), (3, 1), (2, 1)])
def test_an_arm_that_ran_out_of_memory_goes_on_with_packs_of_half_the_size(too_many: int, size: int) -> None:
    ended = replace_status(a_packable(0), state="Succeeded", too_many=too_many)
    fresh = [a_packable(n) for n in range(1, 5)]
    jobs = starting(a_packing_spec(4), fresh, [ended, *fresh])
    assert [len(job.trials) for job in jobs] == [size] * (4 // size)


def test_a_trial_that_crashed_with_its_pack_says_nothing_of_the_others() -> None:
    assert sizes([a_packable(0, most=1), *(a_packable(n) for n in range(1, 5))]) == [1, 4]


def test_a_trial_that_ran_alone_and_was_lost_has_a_checkpoint_of_its_own_step() -> None:
    lost = [replace_status(a_packable(n), attempt=1) for n in (0, 1)]
    assert sizes([*lost, a_packable(2), a_packable(3)]) == [1, 1, 2]


def test_what_all_are_told_fits_into_one_variable() -> None:
    long = "x" * 16000
    found = sizes([a_packable(n, more={"text": long}) for n in range(8)], most=8)
    assert max(found) * 16000 < MAX_PACK_TEXT
    assert len(found) == 2


@pytest.mark.parametrize(
    ("most", "parallel", "sizes"),
    [
        (8, 8, (8, 8)),
        (8, 16, (8, 8)),
        (8, 12, (6, 6)),
        (8, 15, (7, 8)),
        (8, 4, (4, 4)),
        (24, 1, (1, 1)),
        (8, 9, (4, 5)),
        (2, 3, (1, 2)),
        (5, 11, (3, 4)),
        (1, 8, (1, 1)),
    ],
)
def test_what_runs_at_a_time_is_divided_as_evenly_as_can_be(most: int, parallel: int, sizes: tuple[int, int]) -> None:
    assert pack_size(a_packing_spec(most, parallel)) == sizes


def test_a_pack_has_no_more_trials_than_its_record_has_room_for() -> None:
    constraints = [{"metric": f"a_metric_of_the_users_own_{n}", "max": 1.0} for n in range(3)]
    spec = a_packing_spec(24, objective={"constraints": constraints})
    assert pack_size(spec).most == most_members(spec.further_metrics) < 24


def test_those_who_shared_a_process_do_so_again_and_wait_for_each_other() -> None:
    one = [replace_status(a_packable(n), packed_in="one", attempt=1) for n in (0, 2, 4)]
    two = [replace_status(a_packable(n), packed_in="two", attempt=1) for n in (1, 3)]
    fresh = a_packable(5)
    spec = a_packing_spec(4)

    def names(*ready: TrialView) -> list[list[int]]:
        jobs = starting(spec, ready, [*one, *two, fresh])
        return [[trial.spec.index for trial in job.trials] for job in jobs]

    assert names(*two, *one, fresh) == [[0, 2, 4], [1, 3], [5]]
    assert names(*one, two[0]) == [[0, 2, 4]]
    gone = [replace_status(two[1], state="Failed"), *one, two[0]]
    assert [len(job.trials) for job in starting(spec, [two[0]], gone)] == [1]


def timed(index: int, start: int, end: int | None) -> TrialView:
    times = {"start_time": NOW + timedelta(seconds=start)}
    if end is None:
        return replace_status(a_packable(index), state="Running", **times)
    return replace_status(a_packable(index), state="Succeeded", completion_time=NOW + timedelta(seconds=end), **times)


def patience(*trials: TrialView, after: int = 0) -> timedelta:
    return Packing.of(a_packing_spec(4), trials, NOW + timedelta(seconds=after)).patience


def test_a_whole_pack_is_waited_for_as_long_as_the_longest_trial_has_taken() -> None:
    running = timed(2, 0, None)
    ended = [timed(0, 0, 30), timed(1, 10, 20)]
    for now, left in ((30, 30), (50, 10), (60, 0), (99, 0)):
        assert patience(*ended, running, after=now) == timedelta(seconds=left)


def test_while_nothing_has_ended_it_is_waited_for_and_where_nothing_trains_it_is_not() -> None:
    assert patience(timed(0, 0, None), a_packable(1)) == timedelta.max
    assert patience(timed(0, 0, 30), a_packable(1)) == timedelta(0)


def replace_status(trial: TrialView, **changes: Any) -> TrialView:
    return replace(trial, status=TuningTrialStatus.model_validate({**trial.status.model_dump(), **changes}))
