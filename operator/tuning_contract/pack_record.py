"""The record of a pack: the results of several trials in the 4096 bytes of one termination message.

The results stand in the order of TUNING_PACK, whose hash says which trials they are of. Each states its best and last
evaluation with nine digits, which is all that a float32 can tell apart. The room that is left over goes to the
trials' curves, the same for each; Prometheus has the rest of them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tuning_contract.curve import Curve, MetricValues, Point, significant, thinned
from tuning_contract.fitting import OBJECTIVE_DIGITS, size_of
from tuning_contract.numbers import decode_number, encode_number
from tuning_contract.pack import MAX_MEMBERS
from tuning_contract.record import (
    MAX_METRIC_NAME,
    MAX_METRICS,
    MAX_RECORD_BYTES,
    RECORD_VERSION,
    FinalRecord,
    RecordStatus,
    decoded,
    with_checksum,
)

MAX_REASON: Final = 63
MAX_MESSAGE: Final = 60
DIGITS: Final = 9
FRAME_BYTES: Final = 140
"""Of the record without its results."""
RESULT_BYTES: Final = 160
"""Of a result without further metrics and curve, its numbers as long as nine digits and an exponent make them."""
METRIC_BYTES: Final = 70
"""Of a further metric beside its name, the first one's frame among them."""


@dataclass(frozen=True)
class MemberResult:
    """How one attempt of one trial fares."""

    status: RecordStatus
    best: Point | None = None
    last: Point | None = None
    late_median: float | None = None
    metrics: dict[str, MetricValues] = field(default_factory=dict)
    """The further metrics that the study needs."""
    points: tuple[Point, ...] = ()
    """The objective's curve, by ascending steps; as much of it as there is room for."""
    resumed_from: int | None = None
    reason: str = ""
    message: str = ""

    @classmethod
    def of(cls, record: FinalRecord) -> "MemberResult":
        """Return the part of a trial's own record that stands in its pack's."""
        return cls(
            record.status,
            record.best,
            record.last,
            record.late_median,
            dict(record.metrics),
            record.curve.points,
            record.resumed_from,
            record.reason,
            record.message,
        )

    def record(self, study_uid: str, trial: str, attempt: int, parameters_hash: str, objective: str) -> FinalRecord:
        """Return it as the record that the trial would have left in a container of its own."""
        return FinalRecord(
            study_uid=study_uid,
            trial=trial,
            attempt=attempt,
            parameters_hash=parameters_hash,
            status=self.status,
            best=self.best,
            last=self.last,
            late_median=self.late_median,
            metrics=self.metrics,
            curve=Curve.of(objective, self.points),
            resumed_from=self.resumed_from,
            reason=self.reason,
            message=self.message,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the object that stands in the record; what is not known is left out."""
        body: dict[str, Any] = {"status": self.status.value}
        for name, point in (("best", self.best), ("last", self.last)):
            if point is not None:
                body[name] = _point(point, DIGITS)
        if self.late_median is not None:
            body["lateMedian"] = _number(self.late_median, DIGITS)
        if self.metrics:
            body["metrics"] = {name: _metric(values) for name, values in self.metrics.items()}
        if self.resumed_from is not None:
            body["resumedFrom"] = self.resumed_from
        if self.reason:
            body["reason"] = self.reason[:MAX_REASON]
        if self.message:
            body["message"] = self.message[:MAX_MESSAGE]
        if self.points:
            body["points"] = [_point(point, OBJECTIVE_DIGITS) for point in self.points]
        return body

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "MemberResult":
        """Read what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is no such object.
        """
        reason, message, resumed = data.get("reason", ""), data.get("message", ""), data.get("resumedFrom")
        if not isinstance(reason, str) or not isinstance(message, str):
            raise ValueError("reason and message must be texts")
        if resumed is not None and (isinstance(resumed, bool) or not isinstance(resumed, int) or resumed < 0):
            raise ValueError("resumedFrom must be a non-negative integer")
        best, last = (Point.from_json(data[name]) if name in data else None for name in ("best", "last"))
        late, metrics = data.get("lateMedian"), data.get("metrics", {})
        if len(metrics) > MAX_METRICS or any(len(name) > MAX_METRIC_NAME for name in metrics):
            raise ValueError(f"metrics must be an object of at most {MAX_METRICS} metrics")
        points = tuple(map(Point.from_json, data.get("points", [])))
        if any(later.step <= sooner.step for sooner, later in itertools.pairwise(points)):
            raise ValueError("the points' steps must ascend")
        return cls(
            RecordStatus(data["status"]),
            best,
            last,
            None if late is None else decode_number(late),
            {name: MetricValues.from_json(values) for name, values in metrics.items()},
            points,
            resumed,
            reason[:MAX_REASON],
            message[:MAX_MESSAGE],
        )


def most_members(metrics: Sequence[str]) -> int:
    """Return how many trials a pack may have so that all of their results fit, with these further metrics.

    >>> most_members(()), most_members(("latency",))
    (24, 16)
    """
    each = RESULT_BYTES + sum(len(name) + METRIC_BYTES for name in metrics)
    return max(1, min(MAX_MEMBERS, (MAX_RECORD_BYTES - FRAME_BYTES) // each))


@dataclass(frozen=True)
class PackRecord:
    """A pack's account of its trials."""

    study_uid: str
    pack_hash: str
    """Of TUNING_PACK."""
    results: tuple[MemberResult, ...]
    """In the order of TUNING_PACK."""
    left_out: int = 0
    """How many of its last trials the record had no room for: many metrics take much of it."""

    def encode(self) -> bytes:
        """Return at most 4096 bytes of JSON with a checksum.

        The curves go first, then the messages, then the last trials.
        """
        bare = [replace(result, points=()) for result in self.results]
        if self._size(bare) > MAX_RECORD_BYTES:
            bare = [replace(result, message="") for result in bare]
        while self._size(bare) > MAX_RECORD_BYTES:
            bare.pop()
        room = MAX_RECORD_BYTES - self._size(bare)
        shares = room // max(len(bare), 1)
        results = [_with_curve(b, r.points, shares) for b, r in zip(bare, self.results, strict=False)]
        return with_checksum(self._body(results))

    def _size(self, results: Sequence[MemberResult]) -> int:
        return size_of({**self._body(results), "crc": 2**32 - 1})

    def _body(self, results: Sequence[MemberResult]) -> dict[str, Any]:
        left_out = self.left_out + len(self.results) - len(results)
        body: dict[str, Any] = {"v": RECORD_VERSION, "studyUID": self.study_uid, "packHash": self.pack_hash}
        if left_out:
            body["leftOut"] = left_out
        return {**body, "results": [result.to_json() for result in results]}

    @classmethod
    def decode(cls, text: str | bytes) -> "PackRecord":
        """Read a termination message. It comes from a user's container: nothing in it is trusted.

        Raises:
            ContractError: it is not a whole record of this version; the message says what is wrong.
        """
        return decoded(text, cls._from_body)

    @classmethod
    def _from_body(cls, body: dict[str, Any]) -> "PackRecord":
        uid, told, left_out = body["studyUID"], body["packHash"], body.get("leftOut", 0)
        if not isinstance(uid, str) or not isinstance(told, str):
            raise ValueError("studyUID and packHash must be texts")
        if isinstance(left_out, bool) or not isinstance(left_out, int) or left_out < 0:
            raise ValueError("leftOut must be a count")
        results = tuple(map(MemberResult.from_json, body["results"]))
        if len(results) + left_out > MAX_MEMBERS:
            raise ValueError(f"at most {MAX_MEMBERS} trials can share a process")
        return cls(uid, told, results, left_out)


def _with_curve(result: MemberResult, points: Sequence[Point], room: int) -> MemberResult:
    """Return a result with as much of its curve as takes at most `room` bytes."""
    bare = size_of(result.to_json())
    keep = min(len(points), room // 5)
    while keep > 0:
        found = replace(result, points=thinned(points, keep))
        size = size_of(found.to_json()) - bare
        if size <= room:
            return found
        keep = min(keep - 1, keep * room // size)
    return result


def _point(point: Point, digits: int) -> list[Any]:
    return Point(point.step, _rounded(point.value, digits)).to_json()


def _number(value: float, digits: int) -> Any:
    return encode_number(_rounded(value, digits))


def _metric(values: MetricValues) -> list[Any]:
    each = (values.best, values.last, values.late_median)
    return [None if value is None else _number(value, DIGITS) for value in each]


def _rounded(value: float, digits: int) -> float:
    rounded = significant(value, digits)
    return value if rounded is None else rounded
