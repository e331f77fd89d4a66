"""The throughput is measured size after size, as long as there is something to find out."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tuning_contract.diagnostics import Diagnostics, Throughput
from tuning_operator.playbook.length.batch_size_probes import PROBE_STEPS, is_measuring, next_batch_size_probe
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord

RATE: dict[str, Any] = {
    "name": "learning_rate", "type": "Float", "role": "Nuisance", "low": 1e-4, "high": 1.0, "scale": "Log",
}  # fmt: skip
SIZE: dict[str, Any] = {"name": "batch_size", "type": "Integer", "role": "Fixed", "value": "64"}
SIZES = [128, 32, 64, 256]
ARMS = ("adam", "sgd")


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


def fixed(name: str, value: str, kind: str = "Integer", **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "role": "Fixed", "value": value, **fields}


def searched_with(parameters: dict[str, Any], *hyperparameters: Any, **fields: Any) -> StudyRecord:
    """Return a study of three trials that have these parameters, beside a rate; the last one is the best."""
    spec = spec_of([RATE, *hyperparameters], **{"training": {"batchSizes": SIZES}, **fields})
    return study_of(spec, [trial_of(spec, n, {"learning_rate": 0.1, **parameters}, 0.5 - 0.1 * n) for n in range(3)])


def probed_parameters(study: StudyRecord) -> dict[str, Any]:
    found = next_batch_size_probe(study)
    assert found is not None
    return {name: value for name, value in found.parameters.items() if name != "learning_rate"}


def test_the_smallest_comes_first_at_the_parameters_of_the_best_trial() -> None:
    study = searched()
    better = trial_of(study.spec, 3, {"learning_rate": 0.07, "batch_size": 64}, 0.4)
    diverged = trial_of(study.spec, 4, {"learning_rate": 0.9, "batch_size": 64}, 0.1, state=State.INFEASIBLE)
    violating = trial_of(study.spec, 5, {"learning_rate": 0.8, "batch_size": 64}, 0.2, violations=("latency",))
    found = next_batch_size_probe(replace(study, trials=(*study.trials, better, diverged, violating)))
    assert found is not None
    assert found.parameters == {"learning_rate": 0.07, "batch_size": 32}
    assert (found.purpose, found.of) == (Purpose.BATCH_SIZE_PROBE, "t-3")


def test_only_the_size_differs_between_probes_whatever_becomes_the_best_meanwhile() -> None:
    study = measured(searched(), 100.0, of="t-1")
    better = trial_of(study.spec, 3, {"learning_rate": 0.07, "batch_size": 64}, 0.4)
    found = next_batch_size_probe(replace(study, trials=(*study.trials, better)))
    assert found is not None
    assert (found.of, found.parameters["learning_rate"]) == ("t-1", 0.02)


def test_a_probe_is_short_and_its_schedule_still_fits_into_it() -> None:
    hyperparameters = [SIZE, fixed("max_steps", "600"), fixed("warmup_steps", "200"), fixed("decay_steps", "399")]
    told = probed_parameters(
        searched_with({"batch_size": 64, "max_steps": 600, "warmup_steps": 200, "decay_steps": 399}, *hyperparameters)
    )
    assert told == {"batch_size": 32, "max_steps": PROBE_STEPS, "warmup_steps": 33, "decay_steps": 66}
    assert told["warmup_steps"] + told["decay_steps"] < told["max_steps"]


@pytest.mark.parametrize(
    ("parameters", "hyperparameters", "told"),
    [
        ({"max_steps": 60}, [fixed("max_steps", "60")], {"max_steps": 60}),
        ({"epochs": 3}, [fixed("epochs", "3")], {"epochs": 1}),
        ({"max_steps": "600"}, [fixed("max_steps", "600", "Categorical")], {"max_steps": "100"}),
        ({"decay": 1, "warmup_steps": 9}, [fixed("decay", "1"), fixed("warmup_steps", "9")], {"warmup_steps": 9}),
        (
            {"max_steps": 600, "rate_of_long_ones": 0.5},
            [
                fixed("max_steps", "600", "Categorical", valueType="Integer"),
                {**RATE, "name": "rate_of_long_ones", "when": {"name": "max_steps", "values": ["600"]}},
            ],
            {"max_steps": 600},
        ),
    ],
    ids=["it is short already", "epochs", "a text", "no length is told", "something depends on the length"],
)
def test_a_length_is_never_raised_and_stays_of_its_kind(
    parameters: dict[str, Any], hyperparameters: list[Any], told: dict[str, Any]
) -> None:
    study = searched_with({"batch_size": 64, **parameters}, SIZE, *hyperparameters)
    assert probed_parameters(study) == {**parameters, **told, "batch_size": 32}


def test_a_size_that_trials_have_as_a_text_stays_a_text() -> None:
    study = searched_with({"batch_size": "64"}, fixed("batch_size", "64", "Categorical"))
    assert probed_parameters(study) == {"batch_size": "32"}


def test_where_arms_have_their_batch_sizes_under_several_names_the_one_of_the_trial_is_replaced() -> None:
    arms = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adam", "sgd"]}
    sizes = [fixed(f"{n}_batch", "64", meaning="batchSize", when={"name": "optimizer", "values": [n]}) for n in ARMS]
    spec = spec_of([RATE, arms, *sizes], training={"batchSizes": SIZES})
    trials = [
        trial_of(spec, n, {"learning_rate": 0.1, "optimizer": arm, f"{arm}_batch": 64}, 0.5 - 0.1 * n)
        for n, arm in enumerate(ARMS)
    ]
    assert probed_parameters(study_of(spec, trials)) == {"optimizer": "sgd", "sgd_batch": 32}


def test_where_other_hyperparameters_depend_on_the_size_no_trial_could_have_another_one() -> None:
    dependent = {**RATE, "name": "small_rate", "when": {"name": "batch_size", "values": ["64"]}}
    size = fixed("batch_size", "64", "Ordinal", valueType="Integer")
    assert next_batch_size_probe(searched_with({"batch_size": 64, "small_rate": 0.1}, size, dependent)) is None


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


def test_one_at_a_time_and_beside_no_other_trial() -> None:
    study = searched()
    running = measured(study, 100.0, state=State.RUNNING)
    assert next_batch_size_probe(running) is None
    assert is_measuring(running)
    retrain = trial_of(study.spec, 0, {"learning_rate": 0.01, "batch_size": 64}, state=State.RUNNING)
    beside = replace(study, trials=(*study.trials, replace(retrain, purpose=Purpose.RETRAIN)))
    assert next_batch_size_probe(beside) is None
    assert not is_measuring(beside)


def test_a_probe_that_was_lost_is_repeated() -> None:
    assert probed_parameters(measured(searched(), 100.0, state=State.LOST, diagnostics=Diagnostics())) == {
        "batch_size": 32
    }


def test_one_failure_ends_the_measurement_since_failures_would_end_the_study() -> None:
    assert next_batch_size_probe(measured(searched(), 100.0, state=State.FAILED, diagnostics=Diagnostics())) is None


def test_a_size_at_which_training_diverged_without_a_figure_is_passed_over() -> None:
    diverged = measured(searched(), 100.0, state=State.INFEASIBLE, diagnostics=Diagnostics())
    assert probed_parameters(diverged) == {"batch_size": 64}


def test_nothing_is_measured_that_nobody_asked_for() -> None:
    assert next_batch_size_probe(searched(sizes=None)) is None
    assert next_batch_size_probe(searched(RATE)) is None


def test_a_probe_that_is_lost_again_is_given_up() -> None:
    study = searched()
    lost = [probe(study, 0, None, state=State.LOST, reason="ResultLost", name=f"lost-{n}") for n in range(2)]
    assert next_batch_size_probe(replace(study, trials=(*study.trials, lost[0]))) is not None
    assert next_batch_size_probe(replace(study, trials=(*study.trials, *lost))) is None


def test_what_an_earlier_study_has_measured_is_known_and_only_the_rest_is_probed() -> None:
    before = measured(searched(), 100.0, 195.0)
    found = next_batch_size_probe(searched(), [before])
    assert found is not None
    assert found.parameters["batch_size"] == 128
    assert next_batch_size_probe(searched(), [measured(searched(), 100.0, 195.0, 196.0)]) is None


def test_what_does_not_hold_any_more_is_probed_again() -> None:
    other = searched(RATE, SIZE, fixed("optimizer", "adamw", "Categorical"))
    before = measured(other, 100.0, 195.0, 196.0)
    found = next_batch_size_probe(searched(), [before])
    assert found is not None
    assert found.parameters["batch_size"] == 32


def test_a_probe_that_was_stopped_before_it_told_anything_is_made_again() -> None:
    found = next_batch_size_probe(measured(searched(), 100.0, state=State.STOPPED, diagnostics=Diagnostics()))
    assert found is not None
    assert found.parameters["batch_size"] == 32
