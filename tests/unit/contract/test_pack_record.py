"""The record of a pack says what is written into it, in 4096 bytes, and nothing malformed is believed."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_contract.curve import Curve, MetricValues, Point
from tuning_contract.environment import ContractError
from tuning_contract.pack import MAX_MEMBERS
from tuning_contract.pack_record import MemberResult, PackRecord, most_members
from tuning_contract.record import MAX_RECORD_BYTES, FinalRecord, RecordStatus, with_checksum

LOSS = 0.06895287334918976


def result(points: int = 0, message: str = "", metrics: int = 0) -> MemberResult:
    return MemberResult(
        RecordStatus.COMPLETED,
        Point(600, LOSS),
        Point(600, LOSS),
        LOSS,
        {f"metric_{n}": MetricValues(LOSS, LOSS, LOSS) for n in range(metrics)},
        tuple(Point(20 * (n + 1), LOSS * (points - n)) for n in range(points)),
        message=message,
    )


def test_what_is_written_is_read() -> None:
    bare = MemberResult(RecordStatus.RUNNING)
    ended = MemberResult(RecordStatus.INFEASIBLE, last=Point(3, math.inf), reason="NonFinite", message="at step 3")
    full = MemberResult(
        RecordStatus.COMPLETED,
        Point(20, 0.5),
        Point(40, 0.75),
        0.625,
        {"validation_error": MetricValues(0.25, 0.5, None)},
        (Point(20, 0.5), Point(40, 0.75)),
        resumed_from=20,
    )
    record = PackRecord("uid", "hash", (full, bare, ended))
    assert PackRecord.decode(record.encode()) == record


def test_a_full_pack_states_every_result_to_the_digits_of_a_float32() -> None:
    record = PackRecord("uid" * 12, "f" * 64, (result(60, "a message " * 9),) * MAX_MEMBERS)
    raw = record.encode()
    read = PackRecord.decode(raw)
    assert len(raw) <= MAX_RECORD_BYTES
    assert len(read.results) == MAX_MEMBERS
    for found in read.results:
        assert found.best == Point(600, 0.0689528733)
        assert found.status is RecordStatus.COMPLETED


def test_room_that_is_left_goes_to_the_curves_alike() -> None:
    read = PackRecord.decode(PackRecord("u", "h", (result(60),) * 8).encode())
    lengths = {len(r.points) for r in read.results}
    assert len(lengths) == 1
    assert lengths.pop() >= 15
    assert read.results[0].points[0].step == 20
    assert read.results[0].points[-1].step == 1200


def test_what_does_not_fit_is_counted() -> None:
    record = PackRecord("uid", "hash", (result(metrics=6),) * 20)
    read = PackRecord.decode(record.encode())
    assert 5 < len(read.results) < 20
    assert len(read.results) + read.left_out == 20


@given(st.integers(1, MAX_MEMBERS), st.integers(0, 300), st.text(max_size=80), st.integers(0, 6))
def test_it_always_fits(members: int, points: int, message: str, metrics: int) -> None:
    raw = PackRecord("u" * 36, "f" * 64, (result(points, message, metrics),) * members).encode()
    assert len(raw) <= MAX_RECORD_BYTES
    PackRecord.decode(raw)


def test_a_result_stands_for_the_record_of_a_container_of_its_own() -> None:
    own = FinalRecord(
        "uid", "t", 1, "hash", RecordStatus.COMPLETED, Point(20, 0.5), Point(20, 0.5), 0.5,
        {"error": MetricValues(0.5, 0.5, 0.5)}, Curve.of("loss", [Point(20, 0.5)]), resumed_from=10,
    )  # fmt: skip
    assert MemberResult.of(own).record("uid", "t", 1, "hash", "loss") == own


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"studyUID": 1, "packHash": "", "results": []},
        {"studyUID": "", "packHash": "", "results": 3},
        {"studyUID": "", "packHash": 3, "results": []},
        {"studyUID": "", "packHash": "", "results": [3]},
        {"studyUID": "", "packHash": "", "results": [], "leftOut": -1},
        {"studyUID": "", "packHash": "", "results": [], "leftOut": 33},
        {"studyUID": "", "packHash": "", "results": [{"status": "Won"}]},
        {"studyUID": "", "packHash": "", "results": [{"status": "Running", "reason": 3}]},
        {"studyUID": "", "packHash": "", "results": [{"status": "Running", "resumedFrom": -3}]},
        {"studyUID": "", "packHash": "", "results": [{"status": "Running", "points": [[2, 1], [1, 1]]}]},
        {"studyUID": "", "packHash": "", "results": [{"status": "Running", "metrics": {"a" * 99: [1, 1, 1]}}]},
    ],
)
def test_what_is_no_record_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ContractError):
        PackRecord.decode(with_checksum({"v": 1, **body}))


def test_a_record_that_was_cut_off_is_refused() -> None:
    with pytest.raises(ContractError, match="cut off"):
        PackRecord.decode(PackRecord("uid", "hash", (result(),)).encode()[:-9])
    with pytest.raises(ContractError, match="at most 4096"):
        PackRecord.decode(b" " * 5000)


LONGEST = -1.23456789e-100
WIDE = MemberResult(RecordStatus.INTERRUPTED, Point(10**9, LONGEST), Point(10**9, LONGEST), LONGEST, resumed_from=10**9)


@pytest.mark.parametrize("names", [(), ("latency",), ("a" * 63,), tuple(f"metric_number_{n}" for n in range(6))])
def test_as_many_results_as_a_pack_may_have_fit_whatever_their_numbers(names: tuple[str, ...]) -> None:
    wide = replace(WIDE, metrics=dict.fromkeys(names, MetricValues(LONGEST, LONGEST, LONGEST)))
    count = most_members(names)
    read = PackRecord.decode(PackRecord("u" * 36, "f" * 32, (wide,) * count).encode())
    assert len(read.results) == count
    assert read.left_out == 0
