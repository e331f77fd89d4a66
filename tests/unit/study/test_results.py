"""A trial's result, from its record or from what was scraped."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.views import a_record, a_spec, a_trial, after, samples
from tuning_contract.curve import Curve, MetricValues, Point, Row
from tuning_contract.diagnostics import CURVE_METRICS, Diagnostics
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_operator.api.study import ObjectiveAt, TuningStudySpec
from tuning_operator.api.trial import TrialResult
from tuning_operator.study.results import (
    MAX_CURVE,
    evaluations,
    from_record,
    from_samples,
    missing_measurements,
    violated,
    with_scraped_curve,
    written_curve,
    written_points,
)
from tuning_operator.study.snapshot import Sample

NAN, INF = math.nan, math.inf
TRIAL = a_trial()


def objective(at: str = "Best", direction: str = "Minimize") -> TuningStudySpec:
    return a_spec(objective={"at": at, "direction": direction})


def recorded(values: list[float], at: str = "Best", direction: str = "Minimize") -> TrialResult:
    record = FinalRecord.decode(a_record(TRIAL, values, direction=direction))
    return from_record(record, objective(at, direction))


def scraped(found: tuple[Sample, ...], at: str = "Best", direction: str = "Minimize") -> TrialResult:
    return from_samples(found, objective(at, direction), after(1000))


def steps_and_values(found: list[Sample]) -> list[tuple[int | None, float]]:
    return [(s.step, s.value) for s in found]


# Of twenty evaluations, the last two are the last tenth.
TWENTY = [1.0] * 17 + [0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("values", "at", "direction", "value", "step"),
    [
        ([0.9, 0.5, 0.6], "Best", "Minimize", 0.5, 20),
        ([0.9, 0.5, 0.6], "Best", "Maximize", 0.9, 10),
        ([0.9, 0.5, 0.6], "Last", "Minimize", 0.6, 30),
        ([0.9, 0.5, 0.6], "LateMedian", "Minimize", 0.6, 30),
        (TWENTY, "LateMedian", "Minimize", 0.625, 200),
        (TWENTY, "Best", "Minimize", 0.25, 180),
        ([0.5, 0.5], "Best", "Minimize", 0.5, 10),
        ([NAN, 0.5, NAN], "Best", "Minimize", 0.5, 20),
        ([0.5, NAN, 0.7], "Last", "Minimize", 0.7, 30),
        ([0.5, -INF], "Best", "Minimize", 0.5, 10),
    ],
)
def test_the_objective_says_which_evaluation_counts(
    values: list[float], at: str, direction: str, value: float, step: int
) -> None:
    for result in (recorded(values, at, direction), scraped(samples(*values), at, direction)):
        assert (result.value, result.step, result.non_finite) == (value, step, None)


@pytest.mark.parametrize(
    ("values", "at", "name"),
    [
        ([0.5, NAN], "Last", "NaN"),
        ([0.5, INF], "Last", "Infinity"),
        ([0.5, -INF], "Last", "-Infinity"),
        ([NAN], "LateMedian", "NaN"),
        ([0.5, INF], "LateMedian", "NaN"),
    ],
)
def test_a_value_that_is_not_finite_is_data(values: list[float], at: str, name: str) -> None:
    for result in (recorded(values, at), scraped(samples(*values), at)):
        assert result.value is None
        assert result.non_finite is not None
        assert result.non_finite.value == name


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.03351679352996741, "0.0335168"), (1234567.8, "1.23457e+06"), (NAN, "NaN"), (-INF, "-Infinity")],
)
def test_people_read_six_digits(value: float, text: str) -> None:
    assert recorded([value], "Last").display == text
    assert scraped(samples(value), "Last").display == text


def test_without_any_finite_value_the_last_one_is_shown() -> None:
    result = scraped(samples(NAN, INF))
    assert (result.best, result.non_finite) == (None, "Infinity")


def test_where_a_result_comes_from() -> None:
    assert recorded([0.5]).source.value == "Record"
    result = from_samples(samples(0.9, 0.5), objective(), after(22.5))
    assert (result.source.value, result.sample_age_seconds) == ("Prometheus", 7.5)
    assert from_samples(samples(0.9, 0.5), objective(), after(0)).sample_age_seconds == 0


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (samples(3.0, 2.0, 1.0), [(10, 3.0), (20, 2.0), (30, 1.0)]),
        # a scrape that saw the same evaluation again
        (samples(3.0) + samples(3.0, start=15) + samples(2.0, start=30, first_step=20), [(10, 3.0), (20, 2.0)]),
        # back to a checkpoint: steps that were trained again replace the older ones
        (
            samples(3.0, 2.0, 1.0) + samples(2.5, 1.5, first_step=20, start=60, attempt=1),
            [(10, 3.0), (20, 2.5), (30, 1.5)],
        ),
        (samples(3.0, 2.0, 1.0) + samples(2.9, first_step=10, start=60, attempt=1), [(10, 2.9)]),
        # without steps, only a change shows another evaluation
        (samples(3.0, 3.0, 2.0, first_step=None), [(None, 3.0), (None, 2.0)]),
        ((), []),
    ],
)
def test_scrapes_become_evaluations(found: tuple[Sample, ...], kept: list[tuple[int | None, float]]) -> None:
    assert steps_and_values(evaluations(found)) == kept


def test_without_steps_a_result_has_none_and_is_the_last_attempt_s_alone() -> None:
    earlier = samples(0.1, 0.2, first_step=None)
    result = scraped(earlier + samples(0.9, 0.5, 0.6, first_step=None, start=60, attempt=1))
    assert (result.value, result.step) == (0.5, None)
    assert (result.last and result.last.value, result.last and result.last.step) == (0.6, None)


def test_with_steps_a_resumed_attempt_goes_on_from_the_earlier_one() -> None:
    found = samples(0.9, 0.1) + samples(0.5, first_step=30, start=60, attempt=1)
    assert (scraped(found).value, scraped(found).step) == (0.1, 20)


@given(st.lists(st.tuples(st.integers(0, 2**53), st.floats()), min_size=1, max_size=300))
def test_a_curve_always_fits_its_field_and_can_be_read(points: list[tuple[int, float]]) -> None:
    found = tuple(
        Sample(after(i), value, step, 0) for i, (step, value) in enumerate(sorted(points, key=lambda p: p[0]))
    )
    result = scraped(found)
    assert result.curve is not None
    assert len(result.curve) <= MAX_CURVE
    assert written_points(result)[-1].step == max(step for step, _ in points)


def test_a_curve_of_long_numbers_is_thinned_and_not_refused() -> None:
    found = tuple(Sample(after(i), -1.2345678901234567e-100, 2**53 - 1000 + i, 0) for i in range(500))
    assert len(scraped(found).curve or "") <= MAX_CURVE


def test_a_record_s_curve_is_kept() -> None:
    assert (
        recorded([0.9, NAN, 0.5]).curve
        == '{"columns":["step","validation_loss"],"rows":[[10,0.9],[20,"NaN"],[30,0.5]]}'
    )


LIMITED = a_spec(
    objective={
        "constraints": [
            {"metric": "latency", "max": 10.0},
            {"metric": "accuracy", "min": 0.5, "max": 0.9, "at": "Last"},
        ]
    },
    secondObjective={"metric": "latency"},
)


def with_metrics(spec: TuningStudySpec = LIMITED, **metrics: MetricValues) -> TrialResult:
    record = FinalRecord.decode(a_record(TRIAL, [0.9, 0.5, 0.6], metrics=metrics))
    return from_record(record, spec)


@pytest.mark.parametrize(
    ("latency", "accuracy", "violations"),
    [
        (MetricValues(10.0, 99.0, 99.0), MetricValues(0.1, 0.5, 0.1), []),
        (MetricValues(10.1, 1.0, 1.0), MetricValues(0.6, 0.6, 0.6), ["latency"]),
        (MetricValues(NAN, 1.0, 1.0), MetricValues(0.6, 0.95, 0.6), ["latency", "accuracy"]),
        (MetricValues(-INF, 1.0, 1.0), MetricValues(0.6, 0.4, 0.6), ["accuracy"]),
        (MetricValues(INF, 1.0, 1.0), MetricValues(0.6, NAN, 0.6), ["latency", "accuracy"]),
    ],
)
def test_a_constraint_is_about_the_evaluation_that_it_names(
    latency: MetricValues, accuracy: MetricValues, violations: list[str]
) -> None:
    result = with_metrics(latency=latency, accuracy=accuracy)
    assert result.violations == violations
    assert repr(result.measured("latency", ObjectiveAt.BEST)) == repr(latency.best)
    assert repr(result.measured("accuracy", ObjectiveAt.LAST)) == repr(accuracy.last)
    assert missing_measurements(LIMITED, result) == []


def test_a_metric_that_was_not_measured_where_it_counts_is_missing_and_violates_nothing() -> None:
    result = with_metrics(latency=MetricValues(None, 1.0, 1.0))
    assert (result.metrics, result.violations) == ([], [])
    assert missing_measurements(LIMITED, result) == ["latency (at Best)", "accuracy (at Last)"]


def test_what_a_violation_is_stands_there_in_words() -> None:
    result = with_metrics(latency=MetricValues(12.5, 1.0, 1.0), accuracy=MetricValues(0.1, 0.95, 0.1))
    assert violated(LIMITED, result) == [
        "latency is 12.5 and must be at most 10",
        "accuracy is 0.95 and must be at least 0.5 and at most 0.9",
    ]


def test_scraped_metrics_count_at_the_same_evaluations() -> None:
    found = [
        replace(sample, metrics={"latency": latency, "accuracy": 0.6, "train_loss": 1.0})
        for sample, latency in zip(samples(0.9, 0.5, 0.6), (1.0, 12.0, 3.0), strict=True)
    ]
    result = from_samples(found, LIMITED, after(1000))
    assert result.measured("latency", ObjectiveAt.BEST) == 12.0
    assert result.violations == ["latency"]
    assert written_curve(result).metrics == ("validation_loss", "accuracy", "latency", "train_loss")


def test_a_scrape_that_missed_the_step_leaves_the_curve_readable() -> None:
    found = (*samples(0.9), *samples(0.8, first_step=None, start=15), *samples(0.5, first_step=20, start=30))
    points = written_points(scraped(found))
    assert (points[0].value, points[-1].value) == (0.9, 0.5)


@pytest.mark.parametrize("curve", ["[[10, 0.5]]", "no JSON", '{"columns": ["step"], "rows": [[1]]}'])
def test_a_curve_that_cannot_be_read_is_none(curve: str) -> None:
    result = TrialResult.model_validate({"source": "Record", "value": 0.5, "curve": curve, "diagnostics": "{"})
    assert written_points(result) == []


def test_the_largest_result_keeps_a_status_below_eight_kibibytes() -> None:
    spec = a_spec(
        objective={"constraints": [{"metric": "m" * 62 + str(n), "max": 1.2345678901234567e-100} for n in range(4)]},
        secondObjective={"metric": "s" * 63},
    )
    value = -1.2345678901234567e-100
    names = (spec.objective.metric, *spec.further_metrics, *CURVE_METRICS)
    record = FinalRecord(
        study_uid="u" * 36,
        trial="t" * 63,
        attempt=0,
        parameters_hash="0" * 64,
        status=RecordStatus.COMPLETED,
        best=Point(2**53, value),
        last=Point(2**53, value),
        late_median=value,
        metrics={name: MetricValues(value, value, value) for name in spec.further_metrics},
        curve=Curve(names, tuple(Row(10**12 + i, (value,) * len(names)) for i in range(500))),
        diagnostics=Diagnostics(dense_loss=(value,) * 500),
    )
    result = from_record(FinalRecord.decode(record.encode()), spec)
    assert result.diagnostics is not None
    assert len(written_curve(result)) > 1
    assert len(json.dumps(result.to_json())) < 8192 - 2048  # the rest of a status, its message first of all


def test_diagnostics_are_written_as_they_were_recorded() -> None:
    diagnostics = Diagnostics(dataset_size=300, dense_loss=(2.5, INF))
    result = from_record(FinalRecord.decode(a_record(TRIAL, diagnostics=diagnostics)), a_spec())
    assert json.loads(result.diagnostics or "") == diagnostics.to_json()
    assert recorded([0.5]).diagnostics is None


def test_a_short_curve_gains_what_was_scraped_and_keeps_what_it_states() -> None:
    exact = recorded([0.9, 0.5, 0.6])
    found = [replace(sample, metrics={"train_loss": 0.25}) for sample in samples(0.9, 0.45, first_step=10)]
    later = [replace(found[0], step=15, value=0.7, time=after(5))]
    result = with_scraped_curve(exact, [found[0], *later, found[1]], a_spec())
    curve = written_curve(result)
    assert (result.value, result.source) == (exact.value, exact.source)
    assert curve.metrics == ("validation_loss", "train_loss")
    assert [row.step for row in curve.rows] == [10, 15, 20, 30]
    assert curve.rows[0].values == (0.9, 0.25)
    assert curve.rows[-1].values == (0.6, None)
    assert curve.rows[2].values == (0.5, 0.25), "the record knows the objective exactly"


def test_without_samples_the_recorded_curve_stays() -> None:
    exact = recorded([0.9, 0.5])
    assert with_scraped_curve(exact, samples(0.7, first_step=None), a_spec()) == exact
