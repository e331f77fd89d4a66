"""Which batch size to train with, by its throughput (K17)."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_contract.diagnostics import EXAMPLES_PER_SECOND, Diagnostics, Throughput
from tuning_operator.api.findings import Finding
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.length.batch_size import check, choose
from tuning_operator.playbook.records import Curve, Purpose, State, TrialRecord

OOM = None
BATCH = {"name": "batch_size", "type": "Integer", "role": "Fixed", "value": "64"}
SPEC = spec_of([LEARNING_RATE, BATCH], training={"maxSteps": 1000})


def table(rates: Mapping[int, float | None], used: Mapping[int, float] | None = None) -> dict[int, Throughput]:
    return {size: Throughput(size, rate, (used or {}).get(size)) for size, rate in rates.items()}


VECTORS: dict[str, tuple[dict[int, float | None], tuple[str, int | None, bool]]] = {
    "to 512, then memory": ({64: 1000, 128: 1950, 256: 3600, 512: 3650, 1024: OOM}, ("Chosen", 256, True)),
    "a bottleneck": ({64: 1000, 128: 1100}, ("Bottleneck", 64, False)),
    "the limit is not reached": ({64: 1000, 128: 1990, 256: 3900}, ("Chosen", 256, False)),
    "memory at once": ({64: 1000, 128: OOM}, ("Unknown", 64, True)),
    "gains up to the last": ({64: 1000, 128: 1990, 256: 3900, 512: OOM}, ("Chosen", 256, True)),
    "slower when larger": ({64: 1000, 128: 1990, 256: 1500}, ("Chosen", 128, True)),
    "gains again after a stop": ({64: 1000, 128: 1990, 256: 2000, 512: 3000}, ("Chosen", 128, True)),
    "four times at once": ({64: 1000, 256: 3900, 1024: OOM}, ("Chosen", 256, True)),
    "four times, twice as fast": ({64: 1000, 256: 2000}, ("Bottleneck", 64, False)),
    "one size": ({64: 1000}, ("Unknown", None, False)),
    "nothing": ({}, ("Unknown", None, False)),
    "only memory": ({64: OOM}, ("Unknown", None, True)),
}


@pytest.mark.parametrize(("rates", "expected"), VECTORS.values(), ids=VECTORS.keys())
def test_the_largest_size_that_still_gains_is_chosen(
    rates: dict[int, float | None], expected: tuple[str, int | None, bool]
) -> None:
    found = choose(table(rates))
    assert (found.verdict, found.chosen, found.limit_reached) == expected


def test_the_first_vector_in_full() -> None:
    found = choose(table({64: 1000, 128: 1950, 256: 3600, 512: 3650, 1024: OOM}))
    assert found.feasible == (64, 128, 256, 512)
    assert [round(r, 3) for r in found.ratios] == [1.95, 1.846, 1.014]


def test_a_device_that_is_saturated_has_no_bottleneck_and_one_that_is_not_has_it_at_any_size() -> None:
    rates = {64: 1000.0, 128: 1100.0, 256: 1110.0}
    assert choose(table(rates, {64: 0.95, 128: 0.97, 256: 0.98})).verdict == "Chosen"
    later = {64: 1000.0, 128: 1950.0, 256: 2500.0}
    unsaturated = choose(table(later, {64: 0.3, 128: 0.4}))
    assert (unsaturated.verdict, unsaturated.chosen) == ("Bottleneck", 128)
    assert choose(table(later, {64: 0.5, 128: 0.9})).verdict == "Chosen"


def probe(spec: TuningStudySpec, number: int, size: int, rate: float | None, **fields: Any) -> TrialRecord:
    told = Diagnostics(throughput=Throughput(size, rate))
    parameters = {"learning_rate": 0.1, "batch_size": size}
    return trial_of(spec, number, parameters, purpose=Purpose.BATCH_SIZE_PROBE, diagnostics=told, **fields)


def probes(spec: TuningStudySpec, rates: Mapping[int, float | None]) -> list[TrialRecord]:
    return [probe(spec, n, size, rate) for n, (size, rate) in enumerate(rates.items())]


def verdicts(spec: TuningStudySpec, trials: list[TrialRecord], *earlier: Any) -> list[str]:
    return [f.verdict for f in check(study_of(spec, trials), earlier)]


def chosen(trials: list[TrialRecord], spec: TuningStudySpec = SPEC) -> Finding:
    return next(f for f in check(study_of(spec, trials)) if f.verdict == "Chosen")


def test_the_choice_comes_with_the_time_of_a_step_and_of_a_trial() -> None:
    found = chosen(probes(SPEC, {64: 1000, 128: 1950, 256: 3600, 512: 3650, 1024: OOM}))
    assert found.evidence.numbers == {
        "batchSize": 256,
        "secondsPerStep": pytest.approx(256 / 3600),
        "secondsPerTrial": pytest.approx(256 / 3.6),
    }
    assert "1024: out of memory" in found.evidence.notes


def test_larger_ones_are_asked_for_where_memory_and_gain_lasted() -> None:
    assert verdicts(SPEC, probes(SPEC, {64: 1000, 128: 1990, 256: 3900})) == ["Chosen", "LimitNotReached"]
    assert verdicts(SPEC, probes(SPEC, {64: 1000, 128: 1990, 256: 2000})) == ["Chosen"]


def test_without_diagnostics_the_curve_and_the_reason_tell() -> None:
    def bare(number: int, size: int, rates: list[float], **fields: Any) -> TrialRecord:
        parameters = {"learning_rate": 0.1, "batch_size": size}
        trial = trial_of(SPEC, number, parameters, purpose=Purpose.BATCH_SIZE_PROBE, **fields)
        curve = Curve(tuple(range(1, len(rates) + 1)), {EXAMPLES_PER_SECOND: tuple(rates)})
        return TrialRecord(**{**trial.__dict__, "curve": curve})

    trials = [
        bare(0, 64, [50, 1000, 1000]),
        bare(1, 128, [50, 1900, 2000]),
        bare(2, 256, [], state=State.INFEASIBLE, reason="OutOfMemory"),
    ]
    found = chosen(trials)
    assert found.evidence.numbers["batchSize"] == 128
    assert found.evidence.notes == ["64: 1000 examples/s", "128: 1950 examples/s", "256: out of memory"]


def test_of_several_probes_at_one_size_the_median_counts_and_running_out_of_memory_once_counts() -> None:
    trials = probes(SPEC, {64: 1000, 128: 1990})
    trials += [probe(SPEC, 5, 128, 1900), probe(SPEC, 6, 128, 100), probe(SPEC, 7, 256, 3900)]
    trials += [probe(SPEC, 8, 256, 3900, state=State.FAILED, reason="OOMKilled")]
    assert chosen(trials).evidence.numbers["batchSize"] == 128


def test_running_probes_and_other_trials_do_not_count() -> None:
    trials = [
        probe(SPEC, 0, 64, 1000),
        probe(SPEC, 1, 128, 1100, state=State.RUNNING),
        trial_of(SPEC, 2, {"learning_rate": 0.1}, 0.5, diagnostics=Diagnostics(throughput=Throughput(128, 1100))),
    ]
    assert verdicts(SPEC, trials) == ["Unknown"]


@pytest.mark.parametrize("trials", [[], [probe(SPEC, 0, 64, 1000)]], ids=["no trials", "one size"])
def test_too_little_data_is_never_a_pass(trials: list[TrialRecord]) -> None:
    (found,) = check(study_of(SPEC, trials))
    assert (found.verdict, bool(found.action)) == ("Unknown", True)


@pytest.mark.parametrize(("steps", "expected"), [("4", ["Unknown", "NoBenefit"]), ("1", ["Unknown", "Ok"])])
def test_accumulated_gradients_bring_no_throughput(steps: str, expected: list[str]) -> None:
    accumulation = {"name": "gradient_accumulation_steps", "type": "Integer", "role": "Fixed", "value": steps}
    spec = spec_of([LEARNING_RATE, accumulation])
    assert verdicts(spec, []) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "Chosen"),
        ({"training": {"model": "resnet", "maxSteps": 9}}, "ProbeOutdated"),
        ({"optimizer": "adam"}, "ProbeOutdated"),
        ({"gpu": "h100"}, "ProbeOutdated"),
        ({"precision": "bfloat16"}, "ProbeOutdated"),
    ],
    ids=["nothing", "the model", "the optimizer", "the device", "the precision"],
)
def test_an_earlier_probe_holds_until_model_optimizer_precision_or_device_change(
    changed: dict[str, Any], expected: str
) -> None:
    def study(optimizer: str = "sgd", gpu: str = "a100", precision: str = "float32", **fields: Any) -> TuningStudySpec:
        chosen = {"optimizer": optimizer, "precision": precision}
        fixed = [{"name": n, "type": "Categorical", "role": "Fixed", "value": value} for n, value in chosen.items()]
        pod = {"containers": [{"name": "t", "image": "t"}], "nodeSelector": {"gpu": gpu}}
        return spec_of([LEARNING_RATE, BATCH, *fixed], trial={"template": {"spec": pod}}, **fields)

    before = study_of(study(), probes(study(), {64: 1000, 128: 1990, 256: OOM}), "before")
    found = check(study_of(study(**changed)), [before])
    assert found[0].verdict == expected


def test_what_several_studies_have_measured_is_one_table_and_the_newest_counts_at_each_size() -> None:
    spec = spec_of([LEARNING_RATE, BATCH])
    first = study_of(spec, probes(spec, {64: 1000, 128: 1010}), "first")
    second = study_of(spec, probes(spec, {128: 1990}), "second")
    (found, *_) = check(study_of(spec, probes(spec, {256: 2000})), [first, second])
    assert (found.verdict, found.evidence.numbers["batchSize"]) == ("Chosen", 128)
    assert len(found.evidence.notes) == 3


def test_what_was_measured_for_another_model_in_between_ends_nothing() -> None:
    spec, other = (spec_of([LEARNING_RATE, BATCH], training={"model": model, "maxSteps": 9}) for model in ("a", "b"))
    first = study_of(spec, probes(spec, {64: 1000, 128: 1990, 256: OOM}), "first")
    between = study_of(other, probes(other, {64: 1000}), "between")
    (found, *_) = check(study_of(spec), [first, between])
    assert (found.verdict, found.evidence.numbers["batchSize"]) == ("Chosen", 128)
