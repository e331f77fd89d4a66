"""The final record goes there and back, always fits, and is refused as a whole when a part of it is wrong."""

import json
import math
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_contract.curve import Curve, MetricValues, Point, Row
from tuning_contract.diagnostics import ClassCount, Diagnostics, LogHistogram, Rank
from tuning_contract.environment import ContractError, ObjectiveAt
from tuning_contract.fitting import OBJECTIVE_DIGITS, OTHER_DIGITS
from tuning_contract.record import MAX_METRICS, MAX_RECORD_BYTES, FinalRecord, RecordStatus

RECORD = FinalRecord(
    study_uid="5f6b0a51-0a4e-4b86-9c4e-2f8f2a4c9d11",
    trial="digits-0007",
    attempt=1,
    parameters_hash="0" * 64,
    status=RecordStatus.COMPLETED,
    best=Point(40, 0.25),
    last=Point(60, 0.5),
    late_median=0.5,
    metrics={"latency": MetricValues(3.5, math.inf, None)},
    curve=Curve(
        ("validation_loss", "train_loss"),
        (Row(20, (1.0, 0.75)), Row(40, (0.25, None)), Row(60, (0.5, -math.inf))),
    ),
    diagnostics=Diagnostics(grad_norm_histogram=LogHistogram({-3: 5, 2: 1}), dataset_size=300),
    resumed_from=30,
)

POINTS = st.builds(Point, st.integers(0, 2**53), st.floats(allow_nan=False))
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", max_size=253)
VALUE = st.floats(allow_nan=False)
VALUES = st.builds(MetricValues, *[st.none() | VALUE] * 3)


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    """Return a curve of up to eight metrics, of which the first was always measured."""
    metrics = draw(st.lists(st.text("abc_", min_size=1, max_size=63), max_size=8, unique=True))
    if not metrics:
        return Curve()
    further = st.tuples(*[st.none() | VALUE] * (len(metrics) - 1))
    rows = draw(st.lists(st.tuples(st.integers(0, 2**53), VALUE, further), max_size=60, unique_by=lambda row: row[0]))
    return Curve(tuple(metrics), tuple(Row(step, (value, *more)) for step, value, more in sorted(rows)))


CURVES = curves()
DIAGNOSTICS = st.builds(
    Diagnostics,
    grad_norm_histogram=st.none()
    | st.builds(LogHistogram, st.dictionaries(st.integers(-3240, 3082), st.integers(0, 2**53), max_size=200)),
    dense_loss=st.lists(VALUE, max_size=500).map(tuple),
    weight_sum=st.none() | VALUE,
    per_class=st.dictionaries(st.text(max_size=20), st.builds(ClassCount, st.integers(0, 99), st.integers(0, 99))),
    ranks=st.lists(st.builds(Rank, st.integers(0, 9), st.text(max_size=600)), max_size=9).map(tuple),
)
RECORDS = st.builds(
    FinalRecord,
    study_uid=NAMES,
    trial=NAMES,
    attempt=st.integers(0, 2**53),
    parameters_hash=st.text("0123456789abcdef", min_size=64, max_size=64),
    status=st.sampled_from(RecordStatus),
    best=st.none() | POINTS,
    last=st.none() | POINTS,
    late_median=st.none() | st.floats(allow_nan=False),
    metrics=st.dictionaries(st.text("ab_", min_size=50, max_size=63), VALUES, max_size=MAX_METRICS),
    curve=CURVES,
    diagnostics=DIAGNOSTICS,
    resumed_from=st.none() | st.integers(0, 2**53),
    reason=st.text(max_size=600),
    message=st.text(max_size=1500),
)


def signed(body: object) -> bytes:
    """Return a record with a correct checksum around any body, as a hostile container could write it."""
    text = json.dumps(body, separators=(",", ":"))
    return f'{text[:-1]},"crc":{zlib.crc32(text.encode())}}}'.encode()


def body(**changes: object) -> dict[str, object]:
    """Return RECORD's JSON with some fields changed."""
    whole: dict[str, object] = json.loads(RECORD.encode())
    del whole["crc"]
    return whole | changes


def test_there_and_back() -> None:
    assert FinalRecord.decode(RECORD.encode()) == RECORD
    assert FinalRecord.decode(RECORD.encode().decode()) == RECORD


def test_an_attempt_that_has_just_begun_has_a_record_too() -> None:
    begun = FinalRecord("u", "t", 0, "h", RecordStatus.RUNNING)
    assert FinalRecord.decode(begun.encode()) == begun


def headless(record: FinalRecord) -> FinalRecord:
    """Return what a record never loses."""
    return replace(record, curve=Curve(), diagnostics=Diagnostics(), reason="", message="")


@given(RECORDS)
def test_a_record_always_fits_and_loses_no_result(record: FinalRecord) -> None:
    text = record.encode()
    back = FinalRecord.decode(text)
    assert len(text) <= MAX_RECORD_BYTES
    assert headless(back) == headless(record)
    assert back.curve.metrics == record.curve.metrics[: len(back.curve.metrics)]
    whole = record.curve.with_columns(len(back.curve.metrics)).rounded(OBJECTIVE_DIGITS, OTHER_DIGITS)
    assert set(back.curve.rows) <= set(whole.rows)
    assert record.reason.startswith(back.reason)
    assert record.message.startswith(back.message)


@pytest.mark.parametrize("character", ["x", "é", "\0", "\U0001f525", "\ud800"])
def test_texts_that_json_makes_longer_fit_as_well(character: str) -> None:
    record = replace(RECORD, reason=character * 4000, message=character * 4000, curve=a_curve(1000))
    assert len(record.encode()) <= MAX_RECORD_BYTES
    assert FinalRecord.decode(record.encode()).message


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_diverged_loss_is_data(value: float) -> None:
    text = replace(
        RECORD, last=Point(60, value), late_median=value, curve=Curve.of("loss", [Point(60, value)])
    ).encode()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    back = FinalRecord.decode(text)
    assert back.last is not None
    assert [repr(v) for v in (back.last.value, back.late_median, back.curve.points[0].value)] == [repr(value)] * 3


def a_curve(evaluations: int) -> Curve:
    """Return a curve of the objective alone."""
    return Curve.of("loss", [Point(20 * i, 1 / i) for i in range(1, evaluations + 1)])


@pytest.mark.parametrize("evaluations", [3, 100, 500, 10_000])
def test_a_thinned_curve_keeps_its_ends_and_uses_the_room(evaluations: int) -> None:
    curve = a_curve(evaluations)
    text = replace(RECORD, curve=curve).encode()
    back = FinalRecord.decode(text).curve
    assert [back.rows[0].step, back.rows[-1].step] == [20, 20 * evaluations]
    assert len(back) == len(curve) or len(text) > 0.9 * MAX_RECORD_BYTES


@given(st.integers(0, len(RECORD.encode()) - 1))
def test_a_record_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(ContractError):
        FinalRecord.decode(RECORD.encode()[:length])


@given(st.integers(0, len(RECORD.encode()) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unseen(position: int, change: int) -> None:
    text = bytearray(RECORD.encode())
    text[position] ^= change
    try:
        back = FinalRecord.decode(bytes(text))
    except ContractError:
        return
    assert back == RECORD  # such as a blank in place of the newline at the end; never other values


@given(st.binary(max_size=5000) | st.text(max_size=5000))
def test_rubbish_is_refused_by_our_own_error(text: str | bytes) -> None:
    with pytest.raises(ContractError):
        FinalRecord.decode(text)


def test_blanks_after_a_record_do_no_harm() -> None:
    assert FinalRecord.decode(RECORD.encode() + b"   \n") == RECORD


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"Traceback (most recent call last):",
        "a lone \ud800 surrogate",
        RECORD.encode() + b"tail of a longer record before it}",
        RECORD.encode() * 2,
        RECORD.encode().ljust(MAX_RECORD_BYTES + 1),
        RECORD.encode().replace(b"Completed", b"Infeasible"),
        RECORD.encode()[:-2] + b"}",
        b'{"v":1,"crc":' + b"9" * 4000 + b"}",
        signed([1, 2]),
        signed(body(v=2)),
        signed(body(v=None)),
        signed(body(status="Succeeded")),
        signed(body(status=[])),
        signed(body(attempt=-1)),
        signed(body(attempt=True)),
        signed(body(attempt=10**400)),
        signed(body(attempt="1")),
        signed(body(resumedFrom=0.5)),
        signed(body(best=[20, math.nan])),
        signed(body(best=[20, math.inf])),
        signed(body(best=[20, "nan"])),
        signed(body(best=[20, 10**400])),
        signed(body(best=[20, True])),
        signed(body(best=[10**400, 0.5])),
        signed(body(best=[20.0, 0.5])),
        signed(body(best=[-20, 0.5])),
        signed(body(best=[20])),
        signed(body(best=None)),
        signed(body(last={"step": 20})),
        signed(body(lateMedian="many")),
        signed(body(curve=None)),
        signed(body(curve=[[20, 0.5]])),
        signed(body(curve={"columns": ["step", "loss"]})),
        signed(body(curve={"columns": ["step", "loss"], "rows": [[20, None]]})),
        signed(body(diagnostics=[])),
        signed(body(diagnostics={"datasetSize": 10**400})),
        signed(body(diagnostics={"throughput": {"batchSize": 1, "examplesPerSecond": 10**400}})),
        signed(body(metrics=None)),
        signed(body(metrics={"latency": [1, 2]})),
        signed(body(metrics={"latency": 1})),
        signed(body(metrics={"x" * 64: [1, 2, 3]})),
        signed(body(metrics={str(n): [1, 2, 3] for n in range(7)})),
        signed(body(trial=7)),
        signed(body(studyUID=None)),
        signed(body(message={"html": "<b>"})),
    ],
)
def test_hostile_records_are_refused_by_our_own_error(text: str | bytes) -> None:
    with pytest.raises(ContractError):
        FinalRecord.decode(text)


@given(depth=st.integers(1, 1900))
def test_deep_nesting_is_refused_by_our_own_error(depth: int) -> None:
    nested = "[" * depth + "]" * depth
    text = f'{{"v":1,"curve":{nested}}}'
    with pytest.raises(ContractError):
        FinalRecord.decode(f'{text[:-1]},"crc":{zlib.crc32(text.encode())}}}')


@given(
    st.dictionaries(
        st.sampled_from(sorted(body())),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        ),
        min_size=1,
    )
)
def test_any_field_of_any_type_is_read_or_refused_by_our_own_error(changes: dict[str, object]) -> None:
    try:
        record = FinalRecord.decode(signed(body(**changes)))
    except ContractError:
        return
    assert FinalRecord.decode(record.encode()) is not None


@pytest.mark.parametrize(
    ("at", "point"), [("Best", Point(40, 0.25)), ("Last", Point(60, 0.5)), ("LateMedian", Point(60, 0.4))]
)
def test_which_evaluation_counts(at: ObjectiveAt, point: Point) -> None:
    assert replace(RECORD, late_median=0.4).value_at(at) == point
    assert FinalRecord("u", "t", 0, "h", RecordStatus.RUNNING).value_at(at) is None
