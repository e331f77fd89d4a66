"""What does not fit into a record goes in the order that is promised: what tells least goes first."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_contract.curve import Curve, Row
from tuning_contract.diagnostics import (
    CURVE_METRICS,
    ClassCount,
    Diagnostics,
    Evaluation,
    LogHistogram,
    Rank,
    Throughput,
)
from tuning_contract.fitting import (
    LEAST_CURVE_BYTES,
    SENSIBLE_ROWS,
    USUAL_CURVE_BYTES,
    curve_within,
    diagnostics_within,
    size_of,
)

SMALL = Diagnostics(
    full_evaluation=Evaluation(0.25, 10_000),
    sample_evaluation=Evaluation(0.26, 500),
    weight_sum=10_000.0,
    dataset_size=10_000,
    throughput=Throughput(64, 1000.0, 0.5),
)
PROBE = Diagnostics(
    grad_norm_histogram=LogHistogram(dict.fromkeys(range(-20, 20), 100)),
    dense_loss=tuple(2.302585092994046 / (1 + i / 100) for i in range(500)),
    full_evaluation=Evaluation(0.25, 10_000),
    per_class={str(k): ClassCount(1000, 900) for k in range(100)},
    ranks=tuple(Rank(k, "a" * 64, "b" * 64) for k in range(8)),
)


def a_curve(evaluations: int, metrics: int = 7) -> Curve:
    names = ("validation_loss", *CURVE_METRICS)[:metrics]
    rows = (Row(20 * i, tuple((k + 1) / (3 + i / 50) for k in range(metrics))) for i in range(evaluations))
    return Curve(names, tuple(rows))


def test_with_room_enough_nothing_goes_but_digits() -> None:
    curve = a_curve(30)
    assert curve_within(curve, 3400) == curve.rounded(7, 5)
    assert diagnostics_within(SMALL, 3400) == SMALL


def test_a_long_curve_is_thinned_before_a_column_goes() -> None:
    found = curve_within(a_curve(1000), 3400)
    assert found.metrics == a_curve(0).metrics
    assert len(found) >= SENSIBLE_ROWS
    assert size_of(found.to_json()) > 0.9 * 3400


@pytest.mark.parametrize(("room", "columns"), [(3400, 7), (2300, 5), (1600, 3), (1000, 1), (450, 1)])
def test_columns_go_before_there_are_fewer_than_forty_evaluations_and_the_objective_never(
    room: int, columns: int
) -> None:
    found = curve_within(a_curve(1000), room)
    assert len(found.metrics) == columns
    assert found.metrics == ("validation_loss", *CURVE_METRICS)[:columns]
    assert len(found) >= (SENSIBLE_ROWS if columns > 1 else 20)


@given(st.integers(0, 400), st.integers(1, 7), st.integers(40, 4000))
def test_a_curve_keeps_its_ends_in_any_room(evaluations: int, metrics: int, room: int) -> None:
    curve = a_curve(evaluations, metrics)
    found = curve_within(curve, room)
    assert size_of(found.to_json()) <= room
    if len(found) > 1:
        assert (found.rows[0].step, found.rows[-1].step) == (0, curve.rows[-1].step)


def test_a_probe_keeps_its_five_hundred_dense_losses_and_the_histogram() -> None:
    found = diagnostics_within(PROBE, 3600)
    assert len(found.dense_loss) == 500
    assert found.grad_norm_histogram == PROBE.grad_norm_histogram
    assert found.full_evaluation == PROBE.full_evaluation
    assert found.dense_loss == pytest.approx(PROBE.dense_loss, rel=0.006)
    assert (found.per_class, found.ranks) == ({}, ())


@pytest.mark.parametrize(
    ("room", "left"),
    [
        (20_000, ["gradNormHistogram", "denseLoss", "fullEvaluation", "perClass", "ranks"]),
        (8600, ["gradNormHistogram", "denseLoss", "fullEvaluation", "ranks"]),
        (4200, ["gradNormHistogram", "denseLoss", "fullEvaluation"]),
        (2000, ["gradNormHistogram", "denseLoss", "fullEvaluation"]),
        (900, ["gradNormHistogram", "fullEvaluation"]),
        (400, ["fullEvaluation"]),
        (310, []),
    ],
)
def test_diagnostics_go_in_the_promised_order(room: int, left: list[str]) -> None:
    assert list(diagnostics_within(PROBE, room).to_json()) == left


@given(st.integers(0, 9000))
def test_diagnostics_leave_the_curve_its_share(room: int) -> None:
    found = diagnostics_within(PROBE, room)
    share = USUAL_CURVE_BYTES if found.ranks or found.per_class else LEAST_CURVE_BYTES
    assert found == Diagnostics() or size_of(found.to_json()) <= room - share


def test_a_histogram_of_many_buckets_keeps_the_high_ones_and_every_count() -> None:
    wide = LogHistogram(dict.fromkeys(range(-1500, 1500), 1))
    kept = diagnostics_within(Diagnostics(wide), 3600).grad_norm_histogram
    assert kept is not None
    assert kept.total == wide.total
    assert max(kept.counts) == 1499


def test_a_diverged_dense_loss_is_kept_as_it_is() -> None:
    found = diagnostics_within(Diagnostics(dense_loss=(2.30123, math.inf, math.nan)), 3600)
    assert repr(found.dense_loss) == "(2.301, inf, nan)"
