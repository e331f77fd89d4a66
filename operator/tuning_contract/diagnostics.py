"""What a trial measures beside its objective, for the Playbook's rules: names and shapes, in JSON as in Python.

The same shapes stand in the final record, in a TuningTrial's status, and in the files that `kubectl tuning analyze`
reads. All of it is optional: a rule that needs what is missing says that it does not know.
"""

import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tuning_contract.numbers import decode_number, encode_number

TRAIN_LOSS: Final = "train_loss"
LEARNING_RATE: Final = "learning_rate"
GRAD_NORM: Final = "grad_norm"
"""L2 norm of the whole gradient, before clipping (playbook: CLP-4)."""
GRAD_NORM_STEPS: Final = "grad_norm_steps"
"""The norms of all steps, as a Prometheus histogram: those between two evaluations too (playbook: CLP-4)."""
CLIPPED_FRACTION: Final = "clipped_fraction"
"""Of the updates since the last evaluation, the fraction whose gradient was clipped, in [0, 1] (playbook: CLP-8)."""
EXAMPLES_PER_SECOND: Final = "examples_per_second"
DATA_WAIT_FRACTION: Final = "data_wait_fraction"
"""The share of the time since the last evaluation that was spent waiting for data, in [0, 1] (playbook: INP-1)."""

CURVE_METRICS: Final = (
    TRAIN_LOSS,
    LEARNING_RATE,
    GRAD_NORM,
    CLIPPED_FRACTION,
    EXAMPLES_PER_SECOND,
    DATA_WAIT_FRACTION,
)
"""Metrics that rules look at, beside the objective, the most useful first: a record keeps as many as fit."""

BUCKETS_PER_DECADE: Final = 10
LOWEST_BUCKET, HIGHEST_BUCKET = -3240, 3082
"""Of the smallest and the largest double."""
LARGEST: Final = sys.float_info.max
DENSE_STEPS: Final = 500
"""Of how many first steps a probe reports each one's training loss (playbook: UNS-9)."""


@dataclass(frozen=True)
class LogHistogram:
    """Counts of positive numbers in buckets of equal width on a logarithmic axis; mergeable by adding.

    Bucket `k` holds [10^(k/10), 10^((k+1)/10)).
    """

    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many numbers were counted."""
        return sum(self.counts.values())

    @staticmethod
    def bucket_of(value: float) -> int:
        """Return the bucket of a positive finite number.

        >>> LogHistogram.bucket_of(1.0), LogHistogram.bucket_of(0.99)
        (0, -1)
        """
        return math.floor(math.log10(value) * BUCKETS_PER_DECADE)

    @classmethod
    def of(cls, values: Iterable[float]) -> "LogHistogram":
        """Count the positive finite ones of the values."""
        counts: dict[int, int] = {}
        for value in values:
            if value > 0 and math.isfinite(value):
                bucket = cls.bucket_of(value)
                counts[bucket] = counts.get(bucket, 0) + 1
        return cls(counts)

    def merged(self, other: "LogHistogram") -> "LogHistogram":
        """Return the histogram of both together."""
        keys = self.counts.keys() | other.counts.keys()
        return LogHistogram({k: self.counts.get(k, 0) + other.counts.get(k, 0) for k in keys})

    def percentile(self, q: float) -> float:
        """Return the number below which a share `q` in [0, 1] lies, to within a bucket (26 %).

        Within a bucket the numbers are taken to be spread evenly on the logarithmic axis.

        Raises:
            ValueError: nothing was counted.
        """
        wanted, seen = q * self.total, 0
        if not self.total:
            raise ValueError("the histogram is empty")
        for bucket in sorted(self.counts):
            count = self.counts[bucket]
            if count and seen + count >= wanted:
                inside = (wanted - seen) / count
                return float(10 ** ((bucket + inside) / BUCKETS_PER_DECADE))
            seen += count
        return float(10 ** ((max(self.counts) + 1) / BUCKETS_PER_DECADE))

    def narrowed(self, most: int) -> "LogHistogram":
        """Return at most the `most` highest buckets; what was counted below them is counted in the lowest one kept."""
        kept = sorted(self.counts)[-most:]
        if len(kept) == len(self.counts):
            return self
        below = self.total - sum(self.counts[k] for k in kept)
        return LogHistogram({k: self.counts[k] + (below if k == kept[0] else 0) for k in kept})

    def to_json(self) -> dict[str, Any]:
        """Return `{"bucketsPerDecade": 10, "counts": {"-3": 5, …}}`."""
        return {"bucketsPerDecade": BUCKETS_PER_DECADE, "counts": {str(k): self.counts[k] for k in sorted(self.counts)}}

    @classmethod
    def from_json(cls, data: object) -> "LogHistogram":
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no such object; the message says what is wrong.
        """
        if not isinstance(data, dict) or not isinstance(data.get("counts"), dict):
            raise ValueError('a histogram must be {"bucketsPerDecade": 10, "counts": {"<bucket>": <count>, …}}')
        if data.get("bucketsPerDecade", BUCKETS_PER_DECADE) != BUCKETS_PER_DECADE:
            raise ValueError(f"bucketsPerDecade must be {BUCKETS_PER_DECADE}")
        return cls({_bucket(k): _count(v, "a bucket's count") for k, v in data["counts"].items()})


@dataclass(frozen=True)
class Evaluation:
    """A misclassified fraction, and over how many examples it was measured (playbook: SMPL-2)."""

    error: float
    examples: int

    def to_json(self) -> dict[str, Any]:
        """Return `{"error": 0.03, "examples": 500}`."""
        return {"error": self.error, "examples": self.examples}

    @classmethod
    def from_json(cls, data: object) -> "Evaluation":
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no such object.
        """
        if not isinstance(data, dict) or data.keys() != {"error", "examples"}:
            raise ValueError('an evaluation must be {"error": <0 to 1>, "examples": <count>}')
        return cls(_fraction(data["error"], "error"), _count(data["examples"], "examples"))


@dataclass(frozen=True)
class ClassCount:
    """How many examples of one class the validation set has, and how many were classified correctly (SMPL-5)."""

    examples: int
    correct: int

    def to_json(self) -> dict[str, Any]:
        """Return `{"examples": 20, "correct": 18}`."""
        return {"examples": self.examples, "correct": self.correct}

    @classmethod
    def from_json(cls, data: object) -> "ClassCount":
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no such object.
        """
        if not isinstance(data, dict) or data.keys() != {"examples", "correct"}:
            raise ValueError('a class must be {"examples": <count>, "correct": <count>}')
        return cls(_count(data["examples"], "examples"), _count(data["correct"], "correct"))


@dataclass(frozen=True)
class Rank:
    """What one process of a distributed run says of itself (playbook: HST-1 to HST-3)."""

    rank: int
    initial_weights: str = ""
    """A hash of its weights before the first step: the same on all ranks."""
    first_batch: str = ""
    """A hash of its first batch of data: another one on each rank."""
    buffers: str = ""
    """A hash of its batch-norm buffers when the checkpoint was saved: the same on all ranks."""
    writes_checkpoints: bool = False
    """Only one rank does."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields in camelCase; what is not known is left out."""
        known = {"initialWeights": self.initial_weights, "firstBatch": self.first_batch, "buffers": self.buffers}
        told = {name: text for name, text in known.items() if text}
        return {"rank": self.rank, **told, "writesCheckpoints": self.writes_checkpoints}

    @classmethod
    def from_json(cls, data: object) -> "Rank":
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no such object.
        """
        if not isinstance(data, dict) or "rank" not in data:
            raise ValueError('a rank must be {"rank": 0, "initialWeights": "…", "firstBatch": "…", …}')
        weights, batch, buffers = (_text(data, name) for name in ("initialWeights", "firstBatch", "buffers"))
        writes = data.get("writesCheckpoints", False)
        if not isinstance(writes, bool):
            raise ValueError(f"writesCheckpoints must be true or false, not {writes!r:.60}")
        return cls(_count(data["rank"], "rank"), weights, batch, buffers, writes)


@dataclass(frozen=True)
class Throughput:
    """What a batch-size probe has measured (playbook: BAT-7, BAT-8)."""

    batch_size: int
    examples_per_second: float | None
    """None: out of memory."""
    utilisation: float | None = None
    """Of the device, in [0, 1]; None: not known."""

    def to_json(self) -> dict[str, Any]:
        """Return `{"batchSize": 64, "examplesPerSecond": 1000.0}`; null where memory ran out."""
        body: dict[str, Any] = {"batchSize": self.batch_size, "examplesPerSecond": self.examples_per_second}
        return body if self.utilisation is None else {**body, "utilisation": self.utilisation}

    @classmethod
    def from_json(cls, data: object) -> "Throughput":
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no such object.
        """
        if not isinstance(data, dict) or "batchSize" not in data:
            raise ValueError('a throughput must be {"batchSize": 64, "examplesPerSecond": 1000.0}')
        rate, utilisation = data.get("examplesPerSecond"), data.get("utilisation")
        return cls(
            _count(data["batchSize"], "batchSize"),
            None if rate is None else _number(rate, "examplesPerSecond"),
            None if utilisation is None else _fraction(utilisation, "utilisation"),
        )


@dataclass(frozen=True)
class Diagnostics:
    """All that a trial says about itself beside its curve; what it does not measure is None or empty."""

    grad_norm_histogram: LogHistogram | None = None
    """Of every step's unclipped gradient norm."""
    dense_loss: tuple[float, ...] = ()
    """The training loss of each of the first steps, beginning with step 1: of a probe (UNS-9)."""
    full_evaluation: Evaluation | None = None
    """Of the best checkpoint, on the whole validation set."""
    sample_evaluation: Evaluation | None = None
    """Of the same checkpoint, on the sample that periodic evaluations use."""
    weight_sum: float | None = None
    """The sum of the examples' weights in a full evaluation; padding must not count (EVS-6)."""
    dataset_size: int | None = None
    """How many examples that evaluation has."""
    per_class: Mapping[str, ClassCount] = field(default_factory=dict)
    ranks: tuple[Rank, ...] = ()
    throughput: Throughput | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the object that stands in records, statuses and files; what is missing is left out."""
        body: dict[str, Any] = {}
        if self.grad_norm_histogram is not None:
            body["gradNormHistogram"] = self.grad_norm_histogram.to_json()
        if self.dense_loss:
            body["denseLoss"] = [encode_number(value) for value in self.dense_loss]
        if self.full_evaluation is not None:
            body["fullEvaluation"] = self.full_evaluation.to_json()
        if self.sample_evaluation is not None:
            body["sampleEvaluation"] = self.sample_evaluation.to_json()
        if self.weight_sum is not None:
            body["weightSum"] = encode_number(self.weight_sum)
        if self.dataset_size is not None:
            body["datasetSize"] = self.dataset_size
        if self.per_class:
            body["perClass"] = {name: count.to_json() for name, count in self.per_class.items()}
        if self.ranks:
            body["ranks"] = [rank.to_json() for rank in self.ranks]
        if self.throughput is not None:
            body["throughput"] = self.throughput.to_json()
        return body

    @classmethod
    def from_json(cls, data: object) -> "Diagnostics":
        """Read what `to_json` wrote; unknown names are ignored.

        Raises:
            ValueError: a field is malformed; the message begins with its name.
        """
        if not isinstance(data, dict):
            raise ValueError("diagnostics must be an object")
        read: dict[str, Any] = {}
        for key, (name, reader) in _READERS.items():
            if data.get(key) is not None:
                read[name] = _named(key, reader, data[key])
        dense = data.get("denseLoss")
        if dense is not None:
            read["dense_loss"] = _named("denseLoss", lambda d: tuple(map(decode_number, _list(d))), dense)
        return cls(**read)


_READERS: Final[Mapping[str, tuple[str, Any]]] = {
    "gradNormHistogram": ("grad_norm_histogram", LogHistogram.from_json),
    "fullEvaluation": ("full_evaluation", Evaluation.from_json),
    "sampleEvaluation": ("sample_evaluation", Evaluation.from_json),
    "weightSum": ("weight_sum", decode_number),
    "datasetSize": ("dataset_size", lambda d: _count(d, "datasetSize")),
    "perClass": ("per_class", lambda d: {str(k): ClassCount.from_json(v) for k, v in _object(d).items()}),
    "ranks": ("ranks", lambda d: tuple(map(Rank.from_json, _list(d)))),
    "throughput": ("throughput", Throughput.from_json),
}


def _named(key: str, reader: Any, data: object) -> Any:
    try:
        return reader(data)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _list(data: object) -> list[Any]:
    if not isinstance(data, list):
        raise ValueError("must be a list")
    return data


def _object(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError("must be an object")
    return data


def _text(data: Mapping[str, Any], name: str) -> str:
    text = data.get(name, "")
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a text")
    return text


def _number(value: object, name: str) -> float:
    # Not math.isfinite: it fails where a whole number of JSON has more digits than a double.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise ValueError(f"{name} must be a finite number, not {value!r:.60}")
    return float(value)


def _fraction(value: object, name: str) -> float:
    number = _number(value, name)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must lie in [0, 1], not {number:g}")
    return number


def _count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 2**53:
        raise ValueError(f"{name} must be an integer in [0, 2**53], not {value!r:.60}")
    return value


def _bucket(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,4}", text) or not LOWEST_BUCKET <= int(text) <= HIGHEST_BUCKET:
        raise ValueError(f"a bucket must be an integer in [{LOWEST_BUCKET}, {HIGHEST_BUCKET}], not {text!r:.60}")
    return int(text)
