"""What was counted, as tables for people, in Markdown, and as JSON."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.findings.rates import Rate, Row

TABLES = (
    ("Winner", ("space", "dimensions", "trials", "arms")),
    ("Winner", ("space", "landscape")),
    ("Winner", ("space", "noise")),
    ("WinnerUnequalDimensions", ("dimensions", "trials")),
    ("Adoption", ("retrains", "seed's share")),
)
"""Each table's rule and columns; rows that differ in other things are added."""


def lines(rows: Sequence[Row]) -> Iterable[str]:
    """Return all tables that have rows."""
    for rule, columns in TABLES:
        chosen = [row for row in rows if row.rule == rule and set(columns) <= row.case.keys()]
        if chosen:
            yield from table(rule, columns, chosen)
            yield ""


def table(rule: str, columns: Sequence[str], rows: Sequence[Row]) -> Iterable[str]:
    """Return a table: false alarms with their interval, and the power by the size of the effect."""
    alarms: dict[tuple[object, ...], Rate] = {}
    hits: dict[tuple[object, ...], dict[object, Rate]] = {}
    for row in rows:
        key: tuple[object, ...] = tuple(row.case[column] for column in columns)
        if row.false_alarms is not None:
            alarms[key] = alarms.get(key, Rate(0, 0)) + row.false_alarms
        if row.hits is not None:
            effect = row.case.get("effect", "")
            hits.setdefault(key, {})[effect] = hits.get(key, {}).get(effect, Rate(0, 0)) + row.hits
    effects = sorted({effect for found in hits.values() for effect in found}, key=str)
    yield f"| {rule}: {' | '.join([*columns, 'false alarms', *(f'found: {effect}' for effect in effects)])} |"
    yield f"|{' --- |' * (len(columns) + 1 + len(effects))}"
    for key in alarms:
        powers = (f"{hits[key][effect].value:.0%}" for effect in effects if key in hits)
        yield f"| {' | '.join([*map(str, key), str(alarms[key]), *powers])} |"


def as_json(rows: Sequence[Row], repetitions: int) -> dict[str, Any]:
    """Return everything that was counted."""
    return {"repetitions": repetitions, "rows": [row.as_json() for row in rows]}


def as_text(rows: Sequence[Row], repetitions: int) -> str:
    """Return the same as text, a row a line."""
    found = as_json(rows, repetitions)
    listed = ",\n".join(json.dumps(row) for row in found["rows"])
    return f'{{"repetitions": {repetitions}, "rows": [\n{listed}\n]}}\n'


def broken(rows: Sequence[Row]) -> list[str]:
    """Return the promises that these rows refute: pooled false alarms whose whole interval is above the limit."""
    pooled: dict[tuple[str, float, str], Rate] = {}
    for row in rows:
        if row.limit is not None and row.false_alarms is not None:
            case = ", ".join(f"{k} {v}" for k, v in row.case.items() if k not in ("landscape", "noise"))
            promise = (row.rule, row.limit, case)
            pooled[promise] = pooled.get(promise, Rate(0, 0)) + row.false_alarms
    return [
        f"{rule} ({case}): {rate}, promised {limit:.0%}"
        for (rule, limit, case), rate in pooled.items()
        if rate.interval[0] > limit
    ]
