"""The record of a pack says what is written into it, in 4096 bytes, and nothing malformed is believed."""

import pytest

from tuning_contract.curve import Point
from tuning_contract.environment import ContractError
from tuning_contract.pack import MemberResult, PackRecord
from tuning_contract.record import MAX_RECORD_BYTES, RecordStatus, with_checksum


def results(count: int) -> tuple[MemberResult, ...]:
    return tuple(
        MemberResult(f"study-{n:04}", n, RecordStatus.COMPLETED, Point(n, 0.1 + n), Point(n + 1, float("inf")), "Why")
        for n in range(count)
    )


def test_what_is_written_is_read() -> None:
    bare = MemberResult("a", 0, RecordStatus.RUNNING)
    record = PackRecord("uid", (*results(5), bare))
    assert PackRecord.decode(record.encode()) == record


def test_what_does_not_fit_is_counted() -> None:
    record = PackRecord("uid", results(200))
    raw = record.encode()
    read = PackRecord.decode(raw)
    assert len(raw) <= MAX_RECORD_BYTES
    assert read.results == record.results[: len(read.results)]
    assert len(read.results) + read.left_out == 200
    assert len(read.results) > 25


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"studyUID": 1, "results": []},
        {"studyUID": "", "results": 3},
        {"studyUID": "", "results": [3]},
        {"studyUID": "", "results": [], "leftOut": -1},
        {"studyUID": "", "results": [{"trial": "a", "attempt": -1, "status": "Running"}]},
        {"studyUID": "", "results": [{"trial": "a", "attempt": 0, "status": "Won"}]},
        {"studyUID": "", "results": [{"trial": 3, "attempt": 0, "status": "Running"}]},
    ],
)
def test_what_is_no_record_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ContractError):
        PackRecord.decode(with_checksum({"v": 1, **body}))


def test_a_record_that_was_cut_off_is_refused() -> None:
    with pytest.raises(ContractError, match="cut off"):
        PackRecord.decode(PackRecord("uid", results(2)).encode()[:-9])
    with pytest.raises(ContractError, match="at most 4096"):
        PackRecord.decode(b" " * 5000)
