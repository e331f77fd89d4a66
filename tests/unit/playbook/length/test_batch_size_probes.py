"""The throughput is measured size after size, as long as there is something to find out."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tuning_contract.diagnostics import Diagnostics, Throughput
from tuning_operator.playbook.length.batch_size_probes import PROBE_STEPS, next_batch_size_probe
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord

RATE: dict[str, Any] = {
    "name": "learning_rate", "type": "Float", "role": "Nuisance", "low": 1e-4, "high": 1.0, "scale": "Log",
}  # fmt: skip
SIZE: dict[str, Any] = {"name": "batch_size", "type": "Integer", "role": "Fixed", "value": "64"}
SIZES = [128, 32, 64, 256]


def searched(*hyperparameters: Any, sizes: list[int] | None = SIZES) -> StudyRecord:
    spec = spec_of(list(hyperparameters or (RATE, SIZE)), training={} if sizes is None else {"batchSizes": sizes})
    trials = [trial_of(spec, n, {"learning_rate": 0.01 * (n + 1), "batch_size": 64}, 0.5) for n in range(3)]
    return study_of(spec, trials)


def measured(study: StudyRecord, *rates: float | None, **fields: Any) -> StudyRecord:
    """Return the study after probes of its sizes, in their order, with these examples a second; None: out of memory."""
    return replace(study, trials=(*study.trials, *(probe(study, n, rate, **fields) for n, rate in enumerate(rates))))


def probe(study: StudyRecord, number: int, rate: float | None, **fields: Any) -> TrialRecord:
    size = sorted(SIZES)[number]
    told = Diagnostics(throughput=Throughput(size, rate)) if rate is not None else Diagnostics()
    fields = {"state": State.INFEASIBLE, "reason": "OutOfMemory", **fields} if rate is None else fields
    made = trial_of(study.spec, number, {"learning_rate": 0.01, "batch_size": size}, diagnostics=told)
    return replace(made, **{"purpose": Purpose.BATCH_SIZE_PROBE, "name": f"probe-{number}", **fields})


def test_the_smallest_comes_first_at_the_parameters_of_a_trial_that_succeeded() -> None:
    found = next_batch_size_probe(searched())
    assert found is not None
    assert found.parameters == {"learning_rate": 0.01, "batch_size": 32}
    assert (found.purpose, found.max_steps) == (Purpose.BATCH_SIZE_PROBE, PROBE_STEPS)


def test_size_follows_size_while_throughput_grows() -> None:
    study = searched()
    for rates, size in (((100.0,), 64), ((100.0, 190.0), 128), ((100.0, 190.0, 360.0), 256)):
        found = next_batch_size_probe(measured(study, *rates))
        assert found is not None
        assert found.parameters["batch_size"] == size


@pytest.mark.parametrize(
    "rates",
    [(100.0, 190.0, 360.0, 700.0), (100.0, 190.0, None), (100.0, 190.0, 195.0), (100.0, 101.0), (None,)],
    ids=["all measured", "out of memory", "no gain", "something else limits it", "the smallest does not fit"],
)
def test_it_ends_where_there_is_nothing_left_to_find_out(rates: tuple[float | None, ...]) -> None:
    assert next_batch_size_probe(measured(searched(), *rates)) is None


def test_one_at_a_time() -> None:
    assert next_batch_size_probe(measured(searched(), 100.0, state=State.RUNNING)) is None


@pytest.mark.parametrize(("state", "size"), [(State.FAILED, 64), (State.LOST, 32)])
def test_a_probe_that_failed_is_not_repeated_and_one_that_was_lost_is(state: State, size: int) -> None:
    study = searched()
    lost = probe(study, 0, 100.0, state=state, diagnostics=Diagnostics())
    found = next_batch_size_probe(replace(study, trials=(*study.trials, lost)))
    assert found is not None
    assert found.parameters["batch_size"] == size


def test_nothing_is_measured_that_nobody_asked_for() -> None:
    assert next_batch_size_probe(searched(sizes=None)) is None
    assert next_batch_size_probe(searched(RATE)) is None
