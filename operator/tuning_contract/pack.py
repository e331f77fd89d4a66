"""The record of several trials that one process trains: as much as 4096 bytes of a termination message can say.

Each trial's own record, with its curve and diagnostics, lies elsewhere, beside its checkpoint; this one names the
results. The operator does not start such processes yet; trainer and reader agree here on what one of them leaves.
"""

from dataclasses import dataclass
from typing import Any

from tuning_contract.curve import Point
from tuning_contract.environment import ContractError
from tuning_contract.record import MAX_RECORD_BYTES, RECORD_VERSION, RecordStatus, checked_body, with_checksum

MAX_REASON = 63


@dataclass(frozen=True)
class MemberResult:
    """How one attempt of one trial fares."""

    trial: str
    attempt: int
    status: RecordStatus
    best: Point | None = None
    last: Point | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the object that stands in the record; what is not known is left out."""
        body: dict[str, Any] = {"trial": self.trial, "attempt": self.attempt, "status": self.status.value}
        if self.best is not None:
            body["best"] = self.best.to_json()
        if self.last is not None:
            body["last"] = self.last.to_json()
        return {**body, "reason": self.reason[:MAX_REASON]} if self.reason else body

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "MemberResult":
        """Read what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: it is no such object.
        """
        trial, attempt, reason = data["trial"], data["attempt"], data.get("reason", "")
        if not isinstance(trial, str) or not isinstance(reason, str):
            raise ValueError("trial and reason must be texts")
        if isinstance(attempt, bool) or not isinstance(attempt, int) or not 0 <= attempt <= 2**53:
            raise ValueError("attempt must be an integer in [0, 2**53]")
        best, last = (Point.from_json(data[name]) if name in data else None for name in ("best", "last"))
        return cls(trial, attempt, RecordStatus(data["status"]), best, last, reason)


@dataclass(frozen=True)
class PackRecord:
    """A pack's account of its trials."""

    study_uid: str
    results: tuple[MemberResult, ...]
    left_out: int = 0
    """How many trials the record had no room for."""

    def encode(self) -> bytes:
        """Return at most 4096 bytes of JSON with a checksum; the last trials are left out where it gets longer."""
        fits, too_many = 0, len(self.results) + 1
        while too_many - fits > 1:  # the longest start that fits
            middle = (fits + too_many) // 2
            fits, too_many = (middle, too_many) if self._fits(middle) else (fits, middle)
        return self._first(fits)

    def _fits(self, count: int) -> bool:
        return len(self._first(count)) <= MAX_RECORD_BYTES

    def _first(self, count: int) -> bytes:
        left_out = self.left_out + len(self.results) - count
        body: dict[str, Any] = {"v": RECORD_VERSION, "studyUID": self.study_uid}
        if left_out:
            body["leftOut"] = left_out
        return with_checksum({**body, "results": [result.to_json() for result in self.results[:count]]})

    @classmethod
    def decode(cls, raw: bytes) -> "PackRecord":
        """Read a termination message. It comes from a user's container: nothing in it is trusted.

        Raises:
            ContractError: it is not a whole record of this version; the message says what is wrong.
        """
        if len(raw) > MAX_RECORD_BYTES:
            raise ContractError(f"the record has {len(raw)} bytes; at most {MAX_RECORD_BYTES} are kept")
        try:
            body = checked_body(raw)
            uid, left_out = body["studyUID"], body.get("leftOut", 0)
            if not isinstance(uid, str) or isinstance(left_out, bool) or not isinstance(left_out, int) or left_out < 0:
                raise ValueError("studyUID must be a text and leftOut a count")
            return cls(uid, tuple(map(MemberResult.from_json, body["results"])), left_out)
        except ContractError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ContractError(f"the record is malformed: {error!r:.200}") from None
