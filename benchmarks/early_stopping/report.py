"""The outcomes as tables for people, in Markdown, and as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.early_stopping.measure import PARTS, Outcome, difference, rival_of
from benchmarks.early_stopping.table import Table


def table_lines(tables: Sequence[Table]) -> Iterable[str]:
    """Describe the curves."""
    yield "| table | best loss | median loss | ends worse than it began |"
    yield "| --- | --- | --- | --- |"
    for t in tables:
        yield f"| {t.name} | {t.results.min():.4f} | {t.results.min() + t.scale:.4f} | {t.lost:.0%} |"


def outcome_lines(rules: Sequence[Outcome], fixed: Sequence[Outcome]) -> Iterable[str]:
    """Compare the rules, each followed by its rival."""
    parts = " | ".join(f"{part:.0%}" for part in PARTS)
    yield f"| policy | {parts} | best killed | steps for the same 64 |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for outcome in rules:
        yield _row(outcome, outcome.name)
        rival = rival_of(outcome, fixed)
        if outcome.share.mean() < 1 and rival is not None:
            yield _row(rival, f"&emsp;against {rival.name}")


def difference_lines(rules: Sequence[Outcome], fixed: Sequence[Outcome]) -> Iterable[str]:
    """Say of each rule whether it is ahead of its rival and of training everything."""
    parts = " | ".join(f"{part:.0%}" for part in PARTS)
    yield f"| regret of … minus that of … | {parts} |"
    yield "| --- | --- | --- | --- | --- |"
    plain, *others = rules
    for outcome in others:
        for other in (plain, rival_of(outcome, fixed)):
            if other is not None:
                cells = (_cell(*difference(outcome, other, part)) for part in range(len(PARTS)))
                yield f"| {outcome.name} − {other.name} | {' | '.join(cells)} |"


def per_table_lines(rules: Sequence[Outcome], tables: Sequence[Table]) -> Iterable[str]:
    """Return the rules' regret at the whole compute, table by table."""
    yield f"| regret at 100% | {' | '.join(outcome.name for outcome in rules)} |"
    yield f"| --- |{' --- |' * len(rules)}"
    for t, table in enumerate(tables):
        yield f"| {table.name} | {' | '.join(f'{outcome.regret[t, :, -1].mean():.3f}' for outcome in rules)} |"


def as_json(rules: Sequence[Outcome], fixed: Sequence[Outcome], tables: Sequence[Table]) -> dict[str, Any]:
    """Return everything that was measured, means over tables and repetitions."""
    return {
        "parts": PARTS,
        "repetitions": rules[0].killed.shape[1],
        "tables": {t.name: {"best": float(t.results.min()), "scale": t.scale, "lost": t.lost} for t in tables},
        "policies": {o.name: _values(o, tables) for o in (*rules, *fixed)},
        "rivals": {o.name: getattr(rival_of(o, fixed), "name", None) for o in rules},
    }


def _values(outcome: Outcome, tables: Sequence[Table]) -> dict[str, Any]:
    return {
        "regret": outcome.regret.mean(axis=(0, 1)).tolist(),
        "regretByTable": {t.name: outcome.regret[i].mean(axis=0).tolist() for i, t in enumerate(tables)},
        "bestKilled": outcome.kill_rate,
        "steps": float(outcome.share.mean()),
    }


def _row(outcome: Outcome, name: str) -> str:
    regrets = " | ".join(f"{value:.3f}" for value in outcome.regret.mean(axis=(0, 1)))
    return f"| {name} | {regrets} | {outcome.kill_rate:.1%} | {outcome.share.mean():.0%} |"


def _cell(mean: float, low: float, high: float) -> str:
    verdict = "ahead" if high < 0 else "behind" if low > 0 else "level"
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}] {verdict}"
