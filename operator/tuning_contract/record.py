"""The final record: what a trial's container leaves in its termination message.

A pod's last scrape is easily lost, and a GPU must not wait for one. So the container rewrites this record at every
evaluation, and the kubelet carries the last one into the pod's status, where the operator reads it. Kubernetes keeps
at most 4096 bytes of a termination message.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, TypeVar

from tuning_contract.curve import Curve, MetricValues, Point
from tuning_contract.diagnostics import Diagnostics
from tuning_contract.environment import ContractError, ObjectiveAt
from tuning_contract.fitting import curve_within, diagnostics_within, size_of
from tuning_contract.numbers import decode_number, encode_number

T = TypeVar("T")

RECORD_VERSION: Final = 1
MAX_RECORD_BYTES: Final = 4096
MAX_TEXT: Final = 400
MAX_ESCAPED_TEXT: Final = 1000
"""In bytes: one character can take twelve of them in JSON's ASCII, and message and reason must both fit."""
MAX_METRICS: Final = 6
"""Further metrics whose values a record states exactly: so many always fit."""
MAX_METRIC_NAME: Final = 63


class RecordStatus(StrEnum):
    """How far the trial came, by its own word."""

    RUNNING = "Running"
    COMPLETED = "Completed"
    INFEASIBLE = "Infeasible"
    INTERRUPTED = "Interrupted"


@dataclass(frozen=True)
class FinalRecord:
    """One attempt's own account of itself."""

    study_uid: str
    trial: str
    attempt: int
    parameters_hash: str
    status: RecordStatus
    best: Point | None = None
    """The best finite evaluation; None before the first."""
    last: Point | None = None
    late_median: float | None = None
    metrics: Mapping[str, MetricValues] = field(default_factory=dict)
    """The further metrics that the study needs, such as those of its constraints; at most six, exact."""
    curve: Curve = field(default_factory=Curve)
    """The whole run's evaluations; written with seven significant digits, and as many of them as fit."""
    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    """What else was measured, as far as it fits."""
    resumed_from: int | None = None
    """The step of the checkpoint that this attempt went on from; None: it started at step 0."""
    reason: str = ""
    """CamelCase, such as `NonFiniteObjective`; empty for a plain result."""
    message: str = ""
    """For people; cut to 400 characters, fewer where they are not ASCII."""

    def value_at(self, at: ObjectiveAt) -> Point | None:
        """Return the evaluation that counts as the trial's result; None where there was none."""
        if at == "Best":
            return self.best
        if at == "Last" or self.last is None or self.late_median is None:
            return self.last
        return Point(self.last.step, self.late_median)

    def encode(self) -> bytes:
        """Return at most 4096 bytes of JSON with a checksum.

        The curve and the diagnostics are cut down to what fits, in the order of `tuning_contract.fitting`.

        Raises:
            ValueError: a number in the diagnostics is not finite where it must be.
        """
        body = replace(self, message=_cut(self.message), reason=_cut(self.reason))._body()
        room = MAX_RECORD_BYTES - size_of({**body, "curve": 0, "diagnostics": 0, "crc": 2**32 - 1}) + 2
        if (diagnostics := diagnostics_within(self.diagnostics, room).to_json()) != {}:
            body["diagnostics"] = diagnostics
            room -= size_of(diagnostics)
        body["curve"] = curve_within(self.curve, room).to_json()
        return with_checksum(body)

    def _body(self) -> dict[str, Any]:
        """Return all but curve and diagnostics."""
        body: dict[str, Any] = {
            "v": RECORD_VERSION,
            "studyUID": self.study_uid,
            "trial": self.trial,
            "attempt": self.attempt,
            "parametersHash": self.parameters_hash,
            "status": self.status.value,
        }
        if self.best is not None:
            body["best"] = self.best.to_json()
        if self.last is not None:
            body["last"] = self.last.to_json()
        if self.late_median is not None:
            body["lateMedian"] = encode_number(self.late_median)
        if self.metrics:
            body["metrics"] = {name: values.to_json() for name, values in self.metrics.items()}
        if self.resumed_from is not None:
            body["resumedFrom"] = self.resumed_from
        if self.reason:
            body["reason"] = self.reason
        if self.message:
            body["message"] = self.message
        return body

    @classmethod
    def decode(cls, text: str | bytes) -> "FinalRecord":
        """Read a termination message. It comes from a user's container: nothing in it is trusted.

        Raises:
            ContractError: it is not a whole record of this version; the message says what is wrong.
        """
        return decoded(text, cls._from_body)

    @classmethod
    def _from_body(cls, body: dict[str, Any]) -> "FinalRecord":
        attempt = body["attempt"]
        resumed_from = body.get("resumedFrom")
        for name, value in (("attempt", attempt), ("resumedFrom", 0 if resumed_from is None else resumed_from)):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 2**53:
                raise ValueError(f"{name} must be an integer in [0, 2**53]")
        late = body.get("lateMedian")
        return cls(
            study_uid=_text(body["studyUID"]),
            trial=_text(body["trial"]),
            attempt=attempt,
            parameters_hash=_text(body["parametersHash"]),
            status=RecordStatus(body["status"]),
            best=Point.from_json(body["best"]) if "best" in body else None,
            last=Point.from_json(body["last"]) if "last" in body else None,
            late_median=None if late is None else decode_number(late),
            metrics=_metrics(body.get("metrics", {})),
            curve=Curve.from_json(body["curve"]),
            diagnostics=Diagnostics.from_json(body.get("diagnostics", {})),
            resumed_from=resumed_from,
            reason=_text(body.get("reason", "")),
            message=_text(body.get("message", "")),
        )


def with_checksum(body: dict[str, Any]) -> bytes:
    """Return an object as JSON, its checksum the last field."""
    text = json.dumps(body, separators=(",", ":"), allow_nan=False)
    return f'{text[:-1]},"crc":{zlib.crc32(text.encode())}}}'.encode()


def decoded(text: str | bytes, read: Callable[[dict[str, Any]], T]) -> T:
    """Return what `read` makes of a termination message's object.

    Raises:
        ContractError: it is not a whole record of this version, or `read` cannot read it.
    """
    raw = text.encode(errors="replace") if isinstance(text, str) else text
    if len(raw) > MAX_RECORD_BYTES:
        raise ContractError(f"the record has {len(raw)} bytes; at most {MAX_RECORD_BYTES} are kept")
    try:
        return read(checked_body(raw))
    except ContractError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ContractError(f"the record is malformed: {error!r:.200}") from None


def checked_body(raw: bytes) -> dict[str, Any]:
    """Read what `with_checksum` wrote.

    Raises:
        ContractError: it was cut off or changed, or is of another version.
        ValueError: it is not JSON.
    """
    head, mark, tail = raw.strip().rpartition(b',"crc":')
    if not mark or not tail.endswith(b"}"):
        raise ContractError("the message is not a final record, or it was cut off")
    text = head + b"}"
    if not tail[:-1].isdigit() or int(tail[:-1]) != zlib.crc32(text):
        raise ContractError("the record's checksum does not fit: it was cut off or written by two processes")
    body = json.loads(text)
    if not isinstance(body, dict) or body.get("v") != RECORD_VERSION:
        raise ContractError(f"the record's version is not {RECORD_VERSION}")
    return body


def _cut(text: str) -> str:
    """Return the start of a text: at most 400 characters, and few enough to fit when they are written as escapes."""
    text = text[:MAX_TEXT]
    while len(json.dumps(text)) > MAX_ESCAPED_TEXT:
        text = text[:-1]
    return text


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"not a text: {value!r:.60}")
    return value[: MAX_TEXT * 2]


def _metrics(data: object) -> dict[str, MetricValues]:
    if not isinstance(data, dict) or len(data) > MAX_METRICS or any(len(name) > MAX_METRIC_NAME for name in data):
        raise ValueError(f"metrics must be an object of at most {MAX_METRICS} metrics")
    return {name: MetricValues.from_json(values) for name, values in data.items()}
