"""The batch size: the largest that still gains throughput (K17).

It sets how fast training is, and is never tuned for quality (BAT-1).

Source: Deep Learning Tuning Playbook, "Choosing the batch size"; K17.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from tuning_contract.diagnostics import Throughput
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.length.batch_size_changes import compared, stale
from tuning_operator.playbook.length.throughput import Table, as_size, known_throughput, probed
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import Purpose, StudyRecord
from tuning_operator.playbook.run_length import study_length
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

DOUBLING: Final = Threshold(
    "batchDoubling",
    1.8,
    Origin.DEFAULT,
    "Until the device is saturated, doubling the batch must multiply the throughput by this",
    low=1.0,
)
SATURATED: Final = Threshold(
    "batchSaturated", 0.8, Origin.DEFAULT, "A device that is used to this share is saturated", high=1.0
)
GAIN: Final = Threshold(
    "batchGain",
    1.05,
    Origin.DEFAULT,
    "A doubling of the batch that gains less throughput than this is not worth it",
    low=1.0,
)


@dataclass(frozen=True)
class BatchSizeChoice:
    """What the throughputs say."""

    verdict: str
    """Bottleneck, Chosen or Unknown."""
    feasible: tuple[int, ...]
    """The sizes that fit into memory."""
    chosen: int | None = None
    """With Bottleneck, where doubling stopped paying."""
    limit_reached: bool = False
    """Whether a larger size ran out of memory, or gained nothing."""
    ratios: tuple[float, ...] = ()
    """For each feasible size but the first: the throughput's factor, a doubling of the batch."""


def choose(table: Mapping[int, Throughput], thresholds: Thresholds = DEFAULTS) -> BatchSizeChoice:
    """Return the batch size to train with.

    Args:
        table: The throughput at each size. Sizes are usually powers of two; between others the factor is that of a
            doubling at the same slope.
        thresholds: The study's.
    """
    sizes = sorted(table)
    exhausted = [size for size in sizes if table[size].examples_per_second is None]
    fits = [size for size in sizes if not exhausted or size < exhausted[0]]
    if len(fits) < 2:
        return BatchSizeChoice("Unknown", tuple(fits), fits[0] if fits and exhausted else None, bool(exhausted))
    ratios = tuple(_ratio(table[low], table[high]) for low, high in pairwise(fits))
    blocked = _bottleneck(table, fits, ratios, thresholds)
    if blocked is not None:
        return BatchSizeChoice("Bottleneck", tuple(fits), blocked, bool(exhausted), ratios)
    gains = next((n for n, ratio in enumerate(ratios) if ratio < thresholds[GAIN]), len(ratios))  # BAT-11
    reached = bool(exhausted) or gains < len(ratios)
    return BatchSizeChoice("Chosen", tuple(fits), fits[gains], reached, ratios)


def _bottleneck(
    table: Mapping[int, Throughput], fits: Sequence[int], ratios: Sequence[float], thresholds: Thresholds
) -> int | None:
    """Return the size from which doubling brings too little although the device has room: BAT-9, BAT-10."""
    for number, (size, ratio) in enumerate(zip(fits, ratios, strict=False)):
        used = table[size].utilisation
        has_room = number == 0 if used is None else used < thresholds[SATURATED]
        if ratio < thresholds[DOUBLING] and has_room:
            return size
    return None


def _ratio(low: Throughput, high: Throughput) -> float:
    before, after = low.examples_per_second, high.examples_per_second
    if not before or after is None:
        return math.nan
    return float((after / before) ** (1 / math.log2(high.batch_size / low.batch_size)))


def check(study: StudyRecord, earlier: Sequence[StudyRecord] = ()) -> list[Finding]:
    """Return what the probes say of the batch size (K17), what its comparison needs and what its change ends (K18).

    Args:
        study: The study.
        earlier: The studies before it, oldest first: of the probes the newest count, of a change the newest study.
    """
    return [*_of_probes(study, earlier), *_of_accumulation(study), *compared(study), *stale(study, earlier)]


def _of_probes(study: StudyRecord, earlier: Sequence[StudyRecord]) -> list[Finding]:
    table = known_throughput(study, earlier)
    if not table:
        return [_unmeasured(study, earlier)]
    choice = choose(table, study.thresholds)
    if choice.verdict == "Unknown":
        message = f"Which batch size is best is not known: throughput was measured at {len(choice.feasible)} size(s)."
        action = "Probe at least two batch sizes that fit into memory."
        return [unknown(study, Code.BATCH_SIZE, "BAT-7", message, action=action, notes=_rows(table))]
    return _told(study, table, choice)


def _unmeasured(study: StudyRecord, earlier: Sequence[StudyRecord]) -> Finding:
    outdated = next((s for s in reversed(earlier) if probed(s)), None)
    if outdated is None:
        message = "Which batch size is best is not known: no throughput was measured."
        action = "Name growing batch sizes, powers of two, in training.batchSizes: they are probed after the search."
        return unknown(study, Code.BATCH_SIZE, "BAT-7", message, action=action)
    what = "model, optimizer, precision or device changed"
    return answer(
        study,
        Code.BATCH_SIZE,
        "ProbeOutdated",
        Severity.WARN,
        "BAT-14",
        f"The throughput that {outdated.name} measured does not hold here: {what}.",
        action="Repeat the batch-size probe (training.batchSizes).",
    )


def _told(study: StudyRecord, table: Table, choice: BatchSizeChoice) -> list[Finding]:
    size = choice.chosen or choice.feasible[0]
    trials = [t for t in study.trials if t.purpose is Purpose.BATCH_SIZE_PROBE]
    numbers = _numbers(study, table, size)
    if choice.verdict == "Bottleneck":
        ratio = choice.ratios[choice.feasible.index(size)]
        return [
            answer(
                study,
                Code.BATCH_SIZE,
                "Bottleneck",
                Severity.WARN,
                "BAT-10",
                f"Doubling the batch from {size} multiplies the throughput by {ratio:.3g} only: something else than "
                "the device limits it.",
                action="Look for the bottleneck, such as the input pipeline or synchronisation, before going on; or "
                "stay at the smaller batch.",
                numbers=numbers | {"ratio": ratio},
                thresholds=(DOUBLING, SATURATED),
                trials=trials,
                notes=_rows(table),
            )
        ]
    found = [
        answer(
            study,
            Code.BATCH_SIZE,
            "Chosen",
            Severity.INFO,
            "BAT-11",
            f"{size} is the largest batch size that still gains throughput, of {choice.feasible[-1]} that fit.",
            action=f"Train with a batch size of {size}; tune everything for it, and do not change it later (BAT-26).",
            numbers=numbers,
            thresholds=(GAIN,),
            trials=trials,
            notes=_rows(table),
        )
    ]
    if not choice.limit_reached:
        found.append(
            answer(
                study,
                Code.BATCH_SIZE,
                "LimitNotReached",
                Severity.INFO,
                "BAT-7",
                f"No batch size ran out of memory, and {size}, the largest, still gains throughput.",
                action=f"Probe {2 * size} and larger ones.",
                numbers={"largest": size},
                thresholds=(GAIN,),
            )
        )
    return found


def _of_accumulation(study: StudyRecord) -> list[Finding]:
    accumulation = next((h for h in study.spec.hyperparameters if meaning_of(h) is Meaning.GRADIENT_ACCUMULATION), None)
    if accumulation is None:
        return []
    where: dict[str, Any] = {"parameter": accumulation.parameter_name}
    most = max(_steps(accumulation), default=1)
    if most <= 1:
        return [passed(study, Code.BATCH_SIZE, "BAT-13", "Gradients are not accumulated.", **where)]
    return [
        answer(
            study,
            Code.BATCH_SIZE,
            "NoBenefit",
            Severity.INFO,
            "BAT-13",
            f"Gradients are accumulated over {most} steps: that imitates a larger batch without any throughput gain.",
            action="Use the smaller batch, without accumulation.",
            numbers={"accumulation": most},
            **where,
        )
    ]


def _steps(accumulation: Hyperparameter) -> list[int]:
    values = [*(accumulation.values or []), accumulation.value, accumulation.high]
    return [steps for value in values if (steps := as_size(value)) is not None]


def _numbers(study: StudyRecord, table: Table, size: int) -> dict[str, float]:
    """Return the time of a step and of a trial at that size (BAT-8, BAT-15)."""
    rate = table[size].examples_per_second or math.nan
    numbers = {"batchSize": float(size), "secondsPerStep": size / rate if rate else math.nan}
    length = study_length(study)
    return numbers if length is None else numbers | {"secondsPerTrial": numbers["secondsPerStep"] * length}


def _rows(table: Table) -> list[str]:
    """Return the table, the largest sizes last; the evidence keeps eight notes."""
    rows = [
        f"{size}: out of memory" if t.examples_per_second is None else f"{size}: {t.examples_per_second:.6g} examples/s"
        for size, t in table.items()
    ]
    return rows if len(rows) <= 8 else ["; ".join(rows)]
