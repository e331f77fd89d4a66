"""Trials that are about to start share a process where they differ in numbers of a training step alone."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.support.views import a_spec, a_trial
from tuning_contract.environment import ParameterValue, parameters_json
from tuning_contract.pack import MAX_PACK_TEXT
from tuning_operator.api.trial import TrialPurpose
from tuning_operator.study.packing import packed
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
    return [len(job.trials) for job in packed(a_spec(trial={"maxPacked": most, "template": TEMPLATE}), trials)]


def test_as_few_processes_as_may_be() -> None:
    trials = [a_packable(n) for n in range(10)]
    assert sizes(trials) == [4, 4, 2]
    assert sizes(trials, most=1) == [1] * 10


def test_every_trial_starts_once_in_the_order_given() -> None:
    trials = [a_packable(n, more={"batch_size": 16 + n % 2}) for n in range(9)]
    jobs = packed(a_spec(trial={"maxPacked": 3, "template": TEMPLATE}), trials)
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


@pytest.mark.parametrize("purpose", [TrialPurpose.INSTABILITY_PROBE, TrialPurpose.HIDDEN_INSTABILITY_PROBE])
def test_a_probe_is_alone(purpose: TrialPurpose) -> None:
    assert sizes([a_packable(0, purpose), a_packable(1, purpose)]) == [1, 1]


def test_a_trial_of_a_pack_that_was_too_large_goes_on_in_a_smaller_one() -> None:
    trials = [a_packable(0, most=2), a_packable(1, most=2), a_packable(2, most=2), a_packable(3, most=1), a_packable(4)]
    assert sizes(trials) == [2, 1, 1, 1]


def test_what_all_are_told_fits_into_one_variable() -> None:
    long = "x" * 16000
    found = sizes([a_packable(n, more={"text": long}) for n in range(8)], most=8)
    assert max(found) * 16000 < MAX_PACK_TEXT
    assert len(found) == 2
