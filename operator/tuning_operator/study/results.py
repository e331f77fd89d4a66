"""A trial's result, from its record or from Prometheus."""

import functools
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from tuning_contract.curve import Curve, MetricValues, Point, Row, best_of, late_median_of, values_of
from tuning_contract.diagnostics import CURVE_METRICS
from tuning_contract.fitting import curve_within
from tuning_contract.numbers import encode_number
from tuning_contract.record import FinalRecord
from tuning_operator.api.study import ObjectiveAt, TuningStudySpec
from tuning_operator.api.trial import Measurement, MetricValue, NonFinite, ResultSource, TrialResult
from tuning_operator.study.snapshot import Sample

CURVE_POINTS = 100
MAX_CURVE = 4096


def from_record(record: FinalRecord, spec: TuningStudySpec) -> TrialResult:
    """Return the result that the container's own record states: exact."""
    metrics = _further(spec, record.metrics)
    late = None
    if record.late_median is not None and record.last is not None:
        late = Point(record.last.step, record.late_median)
    counted = _measurement(record.value_at(spec.objective.at.value))
    return TrialResult(
        **_value_fields(counted),
        best=_measurement(record.best),
        last=_measurement(record.last),
        late_median=_measurement(late),
        curve=_text(record.curve.to_json()) if len(record.curve) else None,
        diagnostics=_text(diagnostics) if (diagnostics := record.diagnostics.to_json()) else None,
        metrics=metrics,
        violations=_violations(spec, metrics),
        source=ResultSource.RECORD,
    )


def from_samples(samples: Sequence[Sample], spec: TuningStudySpec, ended: datetime) -> TrialResult:
    """Return the result that the scraped samples show; `samples` is not empty, and oldest first.

    The last evaluation may be missing: what was reported after the last scrape was never seen.
    """
    if samples[-1].step is None:
        # Without steps nobody can say where an attempt went on, so only the last one's curve is this trial's.
        samples = [sample for sample in samples if sample.attempt == samples[-1].attempt]
    steps = evaluations(samples)
    # A series without steps is numbered, so that best_of and late_median_of see its order; the number is dropped again.
    points = [Point(i if s.step is None else s.step, s.value) for i, s in enumerate(steps)]
    late = late_median_of(points)
    last = points[-1]
    objective = spec.objective
    curve = _curve_of(points, steps, objective.metric)
    metrics = _further(spec, {m: values_of(curve, m, objective.direction.value) for m in spec.further_metrics})
    found = {
        ObjectiveAt.BEST: best_of(points, objective.direction.value),
        ObjectiveAt.LAST: last,
        ObjectiveAt.LATE_MEDIAN: None if late is None else Point(last.step, late),
    }
    has_steps = steps[-1].step is not None
    shown = {at: _measurement(point, has_steps) for at, point in found.items()}
    return TrialResult(
        **_value_fields(shown[objective.at] or shown[ObjectiveAt.LAST]),
        best=shown[ObjectiveAt.BEST],
        last=shown[ObjectiveAt.LAST],
        late_median=shown[ObjectiveAt.LATE_MEDIAN],
        curve=_text(curve_within(curve.thinned(CURVE_POINTS), MAX_CURVE).to_json()),
        metrics=metrics,
        violations=_violations(spec, metrics),
        source=ResultSource.PROMETHEUS,
        sample_age_seconds=max(0.0, round((ended - samples[-1].time).total_seconds(), 3)),
    )


def with_scraped_curve(result: TrialResult, samples: Sequence[Sample], spec: TuningStudySpec) -> TrialResult:
    """Return a result whose own curve was short, with what was scraped of it; what it states stays as it is.

    At a step that both have, the scraped evaluation has more metrics, and the record the exact objective.
    """
    with_steps = [sample for sample in evaluations(samples) if sample.step is not None]
    if not with_steps:
        return result
    objective = spec.objective.metric
    scraped = _curve_of([Point(s.step or 0, s.value) for s in with_steps], with_steps, objective)
    rows = {
        point.step: Row(point.step, (point.value, *[None] * (len(scraped.metrics) - 1)))
        for point in written_points(result)
    }
    rows |= {row.step: Row(row.step, (rows.get(row.step, row).values[0], *row.values[1:])) for row in scraped.rows}
    whole = Curve(scraped.metrics, tuple(rows[step] for step in sorted(rows)))
    return result.model_copy(update={"curve": _text(curve_within(whole.thinned(CURVE_POINTS), MAX_CURVE).to_json())})


def written_curve(result: TrialResult | None) -> Curve:
    """Return the curve that a trial's status holds; an empty one: it holds none that can be read."""
    return Curve() if result is None or result.curve is None else _read_curve(result.curve)


def written_points(result: TrialResult | None) -> list[Point]:
    """Return the objective of the curve that a trial's status holds; empty: it holds none."""
    return list(written_curve(result).points)


@functools.lru_cache(maxsize=1024)
def _read_curve(text: str) -> Curve:
    # The stopping rule looks at the same curves of ended trials again and again.
    try:
        return Curve.from_json(json.loads(text))
    except ValueError:
        return Curve()


def so_far(result: TrialResult | None, samples: Sequence[Sample]) -> list[Sample]:
    """Return a running trial's evaluations that have steps: what was written at a pause, then what was scraped."""
    scraped = [sample for sample in evaluations(samples) if sample.step is not None]
    if not scraped:
        return []
    began = scraped[0]
    before = [point for point in written_points(result) if began.step is not None and point.step < began.step]
    return [Sample(began.time, point.value, point.step, began.attempt) for point in before] + scraped


def evaluations(samples: Sequence[Sample]) -> list[Sample]:
    """Return one sample for each evaluation: a scrape that saw the same step and value again adds nothing.

    Of an attempt that went back to a checkpoint, the steps that were trained again replace the older ones.
    """
    kept: list[Sample] = []
    for sample in samples:
        if sample.step is not None:
            while kept and kept[-1].step is not None and kept[-1].step >= sample.step:
                kept.pop()
            kept.append(sample)
        elif not kept or kept[-1].value != sample.value:
            kept.append(sample)
    return kept


def measured(value: float) -> dict[str, float | NonFinite]:
    """Return the field that holds `value` in the API: `value` where it is finite, else `non_finite`."""
    if math.isfinite(value):
        return {"value": value}
    return {"non_finite": NonFinite(str(encode_number(value)))}


def _measurement(point: Point | None, has_step: bool = True) -> Measurement | None:
    if point is None:
        return None
    return Measurement.model_validate({**measured(point.value), "step": point.step if has_step else None})


def _value_fields(counted: Measurement | None) -> dict[str, object]:
    if counted is None:
        return {}
    return {**counted.model_dump(exclude_none=True), "display": displayed(counted)}


def displayed(measurement: Measurement) -> str:
    """Return a measurement in six digits, as people read it; a value that is not finite by its name."""
    return f"{measurement.value:.6g}" if measurement.value is not None else str(measurement.non_finite or "")


def _curve_of(points: Sequence[Point], samples: Sequence[Sample], objective: str) -> Curve:
    """Return a curve of the objective and of the metrics scraped beside it."""
    seen = {name for sample in samples for name in sample.metrics}
    metrics = [*sorted(seen.difference(CURVE_METRICS)), *(name for name in CURVE_METRICS if name in seen)]
    rows = [
        Row(point.step, (point.value, *(sample.metrics.get(name) for name in metrics)))
        for point, sample in zip(points, samples, strict=True)
    ]
    # A scrape that missed the step has none, and no place among those that have.
    highest = itertools.accumulate((row.step for row in rows), max, initial=-1)
    return Curve((objective, *metrics), tuple(r for r, before in zip(rows, highest, strict=False) if r.step > before))


def missing_measurements(spec: TuningStudySpec, result: TrialResult) -> list[str]:
    """Return what the study needs of a trial beside its objective, and the result does not have; in words."""
    found = {(m.metric, m.at) for m in result.metrics}
    return [f"{metric} (at {at.value})" for metric, at in spec.measurements if (metric, at) not in found]


def violated(spec: TuningStudySpec, result: TrialResult) -> list[str]:
    """Return which constraints a result violates, and by what values; in words."""
    said = []
    for constraint in spec.objective.constraints or ():
        value = result.measured(constraint.metric, constraint.at or spec.objective.at)
        if value is not None and not constraint.holds(value):
            limits = [f"at least {constraint.min:g}"] if constraint.min is not None else []
            limits += [f"at most {constraint.max:g}"] if constraint.max is not None else []
            said.append(f"{constraint.metric} is {value:.6g} and must be {' and '.join(limits)}")
    return said


def _further(spec: TuningStudySpec, known: Mapping[str, MetricValues]) -> list[MetricValue]:
    """Return the metrics that the study needs beside its objective, those that were not measured left out."""
    found = []
    for metric, at in spec.measurements:
        values = known.get(metric, MetricValues())
        value = {
            ObjectiveAt.BEST: values.best,
            ObjectiveAt.LAST: values.last,
            ObjectiveAt.LATE_MEDIAN: values.late_median,
        }[at]
        if value is not None:
            found.append(MetricValue.model_validate({"metric": metric, "at": at, **measured(value)}))
    return found


def _violations(spec: TuningStudySpec, metrics: Sequence[MetricValue]) -> list[str]:
    known = {(m.metric, m.at): m.number for m in metrics}
    constraints = [(c, known.get((c.metric, c.at or spec.objective.at))) for c in spec.objective.constraints or ()]
    return [c.metric for c, value in constraints if value is not None and not c.holds(value)]


def _text(data: object) -> str:
    return json.dumps(data, separators=(",", ":"))
