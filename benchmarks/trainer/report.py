"""What was measured, as tables for people, in Markdown, and as JSON."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.trainer.loops import LoopTimes
from benchmarks.trainer.populations import ONE_BY_ONE, Rate, median_loss


def loop_lines(all_times: Sequence[LoopTimes]) -> Iterable[str]:
    """Compare the loops: milliseconds a step, evaluations among them, and throughput as a share of the plain one's."""
    yield "| workload | plain, ms a step | ours, ms a step | ours / plain | without diagnostics / plain | losses |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for t in all_times:
        a_step = {name: 1000 * statistics.median(seconds) / t.steps for name, seconds in t.seconds.items()}
        losses = " and ".join(f"{statistics.median(t.losses[name]):.4f}" for name in ("plain", "ours"))
        yield (
            f"| {t.workload} | {a_step['plain']:.2f} | {a_step['ours']:.2f} | {t.ratio('ours'):.2f} "
            f"| {t.ratio('ours, bare'):.2f} | {losses} |"
        )


def rate_lines(rates: Sequence[Rate]) -> Iterable[str]:
    """Compare trials a minute by k with those one by one, workload by workload."""
    yield "| workload | k | trials a minute | times one by one | median loss of the same trials | peak memory, MB |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for rate in rates:
        alone = next(r for r in rates if r.workload == rate.workload and r.k == ONE_BY_ONE and r.processes == 1)
        same = min(alone.trials, rate.trials)
        losses = f"{median_loss(rate, same):.5f} ({median_loss(alone, same):.5f} one by one)"
        yield (
            f"| {rate.workload} | {_how(rate)} | {rate.trials_a_minute:.1f} "
            f"| {rate.trials_a_minute / alone.trials_a_minute:.2f} | {losses} | {rate.peak_memory_bytes / 1e6:.0f} |"
        )


def _how(rate: Rate) -> str:
    if rate.processes > 1:
        return f"one by one, {rate.processes} processes"
    if rate.shared_batches:
        return f"{rate.k}, shared batches"
    return str(rate.k) if rate.k != ONE_BY_ONE else "one by one"


def as_json(device: str, clock: str, times: Sequence[LoopTimes], rates: Sequence[Rate]) -> dict[str, Any]:
    """Return everything that was measured."""
    return {
        "device": device,
        "clock": clock,
        "loops": [asdict(t) | {"ratios": {name: t.ratio(name) for name in t.seconds}} for t in times],
        "populations": [asdict(r) | {"trials_a_minute": r.trials_a_minute} for r in rates],
    }
