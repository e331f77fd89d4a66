"""A curve goes there and back, and what stands for a trial is taken from it as the study says."""

import json
import math

import pytest

from tuning_contract.curve import (
    Curve,
    MetricValues,
    Point,
    Row,
    best_few_of,
    best_of,
    by_metric,
    late_median_of,
    significant,
    thinned,
    values_of,
)

NAN, INF = math.nan, math.inf
CURVE = Curve(("loss", "latency"), (Row(10, (1.0, 5.0)), Row(20, (INF, None)), Row(30, (0.5, -INF))))


def test_it_goes_there_and_back_as_json() -> None:
    text = json.dumps(CURVE.to_json(), allow_nan=False)
    assert text == '{"columns": ["step", "loss", "latency"], "rows": [[10, 1.0, 5.0], [20, "Infinity", null], ' + (
        '[30, 0.5, "-Infinity"]]}'
    )
    assert Curve.from_json(json.loads(text)) == CURVE
    assert Curve.from_json(Curve().to_json()) == Curve()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "a curve must be"),
        ([[1, 0.5]], "a curve must be"),
        ({"columns": ["step", "loss"]}, "a curve must be"),
        ({"columns": [], "rows": []}, "begins with step"),
        ({"columns": ["loss", "step"], "rows": []}, "begins with step"),
        ({"columns": ["step", *map(str, range(40))], "rows": []}, "at most 32"),
        ({"columns": ["step", "a", "a"], "rows": []}, "each another one"),
        ({"columns": ["step", 7], "rows": []}, "texts"),
        ({"columns": ["step"], "rows": [[1]]}, "a column beside the step"),
        ({"columns": ["step", "a"], "rows": {"1": 2}}, "must be a list"),
        ({"columns": ["step", "a"], "rows": [[1, 0.5], [2]]}, "row 1 of a curve must be a list of 2"),
        ({"columns": ["step", "a", "b"], "rows": [[1, None, 0.5]]}, "row 0 of a curve has no objective"),
        ({"columns": ["step", "a"], "rows": [[1.5, 0.5]]}, "a step must be"),
        ({"columns": ["step", "a"], "rows": [[True, 0.5]]}, "a step must be"),
        ({"columns": ["step", "a"], "rows": [[1, "nan"]]}, "not a number"),
        ({"columns": ["step", "a"], "rows": [[1, 0.5], [1, 0.5]]}, "must ascend: 1 after 1"),
    ],
)
def test_what_is_no_curve_is_refused_and_the_message_says_where(data: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Curve.from_json(data)


def test_one_metric_of_it_has_a_gap_where_it_was_not_measured() -> None:
    assert CURVE.series("latency") == (5.0, None, -INF)
    assert CURVE.series("unheard_of") == (None, None, None)
    assert CURVE.points == (Point(10, 1.0), Point(20, INF), Point(30, 0.5))
    assert repr(by_metric(CURVE)["latency"]) == "(5.0, nan, -inf)"
    assert "b" not in by_metric(Curve(("a", "b"), (Row(1, (0.5, None)),)))


@pytest.mark.parametrize(
    ("direction", "best"), [("Minimize", MetricValues(-INF, -INF, -INF)), ("Maximize", MetricValues(5.0, -INF, -INF))]
)
def test_a_further_metric_is_taken_where_the_objective_is_best(direction: str, best: MetricValues) -> None:
    found = values_of(CURVE, "latency", direction)  # type: ignore[arg-type]
    assert (found.best, found.last) == (best.best, best.last)
    assert repr(found.late_median) == "nan"


def test_a_further_metric_that_misses_where_it_counts_is_missing_and_not_taken_from_elsewhere() -> None:
    rows = (Row(10, (1.0, 5.0)), Row(20, (0.5, None)))
    assert values_of(Curve(("loss", "latency"), rows), "latency", "Minimize") == MetricValues(None, None, None)
    assert values_of(Curve(("loss",), ()), "latency", "Minimize") == MetricValues()
    twenty = Curve(("loss", "latency"), tuple(Row(i, (1 / (i + 1), float(i))) for i in range(20)))
    assert values_of(twenty, "latency", "Minimize") == MetricValues(19.0, 19.0, 18.5)


@pytest.mark.parametrize(
    ("keep", "kept"), [(0, []), (1, [4]), (2, [0, 4]), (3, [0, 2, 4]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4])]
)
def test_thinning_keeps_the_ends(keep: int, kept: list[int]) -> None:
    assert list(thinned(range(5), keep)) == kept


@pytest.mark.parametrize(
    ("value", "text"),
    [(1 / 3, "0.3333"), (123456.0, "123500.0"), (0.0, "0.0"), (NAN, "nan"), (INF, "inf"), (None, "None")],
)
def test_significant_digits(value: float | None, text: str) -> None:
    assert repr(significant(value, 4)) == text


@pytest.mark.parametrize(
    ("values", "minimal", "maximal"),
    [
        ([], None, None),
        ([math.nan], None, None),
        ([3.0, 1.0, 2.0], 1, 0),
        ([1.0, 1.0], 0, 0),
        ([math.nan, 2.0, -math.inf, math.inf], 1, 1),
    ],
)
def test_best_of(values: list[float], minimal: int | None, maximal: int | None) -> None:
    points = [Point(index, value) for index, value in enumerate(values)]
    assert [best_of(points, "Minimize"), best_of(points, "Maximize")] == [
        None if index is None else points[index] for index in (minimal, maximal)
    ]


@pytest.mark.parametrize(
    ("values", "count", "minimal", "maximal"),
    [
        ([], 3, [], []),
        ([3.0, 1.0, 2.0], 2, [1, 2], [0, 2]),
        ([3.0, 1.0], 3, [1, 0], [0, 1]),
        ([1.0, 2.0, 1.0, 2.0], 3, [0, 2, 1], [1, 3, 0]),
        ([math.nan, 2.0, -math.inf, 1.0, math.inf], 3, [3, 1], [1, 3]),
    ],
)
def test_best_few_of(values: list[float], count: int, minimal: list[int], maximal: list[int]) -> None:
    points = [Point(index, value) for index, value in enumerate(values)]
    assert [point.step for point in best_few_of(points, "Minimize", count)] == minimal
    assert [point.step for point in best_few_of(points, "Maximize", count)] == maximal


@pytest.mark.parametrize(
    ("values", "median"),
    [
        ([], None),
        ([3.0], 3.0),
        ([float(i) for i in range(1, 11)], 10.0),
        ([float(i) for i in range(1, 31)], 29.0),
        ([math.nan, *range(1, 10)], 9),
        ([*range(1, 10), math.nan], math.nan),
        ([*range(1, 10), math.inf], math.nan),
    ],
)
def test_late_median_is_taken_over_the_last_tenth(values: list[float], median: float | None) -> None:
    result = late_median_of([Point(index, value) for index, value in enumerate(values)])
    assert repr(result) == repr(median)
