"""The report: scores with intervals, verdicts, ranks, costs; as a table and as JSON."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.search.contestants.entrants import OURS
from benchmarks.search.runs import Record
from benchmarks.search.scoring import BUDGETS, Cell, Scale, bootstrap, holm, mean_ranks, p_value

SIGNIFICANCE = 0.05


def report(
    records: Sequence[Record], medians: Mapping[str, float], optima: Mapping[str, float], groups: Mapping[str, str]
) -> dict[str, Any]:
    """Return the whole report as JSON values.

    Args:
        records: of all contestants.
        medians: of random search at 16 trials, by problem.
        optima: where they are known, by problem.
        groups: of the problems.
    """
    chosen = _with_better_handling(records, medians, optima)
    scales = _scales(records, medians, optima)
    reached = {budget for record in records for budget in record.losses}
    budgets = {str(b): _at_budget(chosen, scales, groups, str(b)) for b in BUDGETS if str(b) in reached}
    return {
        "problems": {n: {"group": groups[n], "random": s.random, "best": s.best} for n, s in scales.items()},
        "seeds": {name: len({r.seed for r in runs}) for name, runs in chosen.items()},
        "handling": {name: sorted({r.contestant for r in runs}) for name, runs in chosen.items()},
        "costs": {name: _costs(runs) for name, runs in chosen.items()},
        "budgets": budgets,
    }


def table(result: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    lines = [line for budget, rows in result["budgets"].items() for line in _score_lines(budget, rows)]
    header = ("contestant", "seeds", "infeasible", "seconds per suggestion at 100", "failures told as")
    lines += ["", _line(*header), _line(*["---"] * len(header))]
    for name, costs in result["costs"].items():
        seconds = "" if costs["seconds"] is None else f"{costs['seconds']:.3f}"
        handling = ", ".join(h.partition("/")[2] for h in result["handling"][name])
        lines.append(_line(name, result["seeds"][name], f"{costs['infeasible']:.1%}", seconds, handling))
    return "\n".join(lines)


def _score_lines(budget: str, rows: Mapping[str, Any]) -> list[str]:
    header = ("contestant", "score", "ours − theirs", "p", "verdict", "rank", "wins", "by group")
    lines = ["", f"**{budget} trials**", "", _line(*header), _line(*["---"] * len(header))]
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["score"]):
        versus = row.get("versus", {})
        interval = f"{versus['difference']:+.1f} [{versus['low']:+.1f}, {versus['high']:+.1f}]" if versus else ""
        groups = " ".join(f"{group} {score:.0f}" for group, score in row["groups"].items())
        compared = (interval, versus.get("p", ""), versus.get("verdict", ""))
        lines.append(
            _line(name, f"{row['score']:.1f}", *compared, f"{row['rank']:.2f}", versus.get("wins", ""), groups)
        )
    return lines


def _line(*cells: Any) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _scales(records: Sequence[Record], medians: Mapping[str, float], optima: Mapping[str, float]) -> dict[str, Scale]:
    least: dict[str, float] = defaultdict(lambda: math.inf, optima)
    for record in records:
        least[record.problem] = min(least[record.problem], record.least)
    return {name: Scale(medians[name], least[name]) for name in medians if least[name] < medians[name]}


def _with_better_handling(
    records: Sequence[Record], medians: Mapping[str, float], optima: Mapping[str, float]
) -> dict[str, list[Record]]:
    """Return the records by contestant; where it handles failures in two ways, those of the better one alone.

    The two differ only on problems with failures: there the handling with the higher mean score at the end is kept.
    """
    scales = _scales(records, medians, optima)
    peers: dict[str, dict[str, dict[Cell, Record]]] = defaultdict(dict)
    for record in records:
        peer, _, handling = record.contestant.partition("/")
        if record.problem in scales:
            peers[peer].setdefault(handling, {})[record.problem, record.seed] = record
    chosen: dict[str, list[Record]] = {}
    for peer, handlings in peers.items():
        first, *others = (handlings[h] for h in sorted(handlings))
        for other in others:
            common = first.keys() & other.keys()
            gain = sum(_last_score(other[c], scales) - _last_score(first[c], scales) for c in common)
            if gain > 0:
                first = {**first, **{c: other[c] for c in common}}
        chosen[peer] = list(first.values())
    return chosen


def _last_score(record: Record, scales: Mapping[str, Scale]) -> float:
    return scales[record.problem].score(record.losses[max(record.losses, key=int)])


def _at_budget(
    chosen: Mapping[str, Sequence[Record]], scales: Mapping[str, Scale], groups: Mapping[str, str], budget: str
) -> dict[str, Any]:
    reached = {name: [run for run in runs if budget in run.losses] for name, runs in chosen.items()}
    losses = {n: {(r.problem, r.seed): r.losses[budget] for r in runs} for n, runs in reached.items() if runs}
    scores = {n: {c: scales[c[0]].score(loss) for c, loss in cells.items()} for n, cells in losses.items()}
    ranks = mean_ranks(losses)
    rows: dict[str, Any] = {
        name: {"score": 100 * _mean_of_problems(cells), "rank": ranks[name], "groups": _by_group(cells, groups)}
        for name, cells in scores.items()
    }
    if OURS not in scores:
        return rows
    peers = [name for name in scores if name != OURS]
    rng = np.random.default_rng(0)
    draws = {name: bootstrap(scores[OURS], scores[name], rng) for name in peers}
    ahead = holm({name: p_value(d) for name, d in draws.items()})
    behind = holm({name: p_value(-d) for name, d in draws.items()})
    for name in peers:
        rows[name]["versus"] = {
            "difference": 100 * float(draws[name].mean()),
            "low": 100 * float(np.quantile(draws[name], SIGNIFICANCE)),
            "high": 100 * float(np.quantile(draws[name], 1 - SIGNIFICANCE)),
            "p": round(ahead[name], 4),
            "verdict": "ahead" if ahead[name] < SIGNIFICANCE else "behind" if behind[name] < SIGNIFICANCE else "level",
            "wins": _wins(losses[OURS], losses[name]),
        }
    return rows


def _mean_of_problems(cells: Mapping[Cell, float]) -> float:
    by_problem: dict[str, list[float]] = defaultdict(list)
    for (problem, _), score in cells.items():
        by_problem[problem].append(score)
    return float(np.mean([np.mean(scores) for scores in by_problem.values()]))


def _by_group(cells: Mapping[Cell, float], groups: Mapping[str, str]) -> dict[str, float]:
    return {
        group: 100 * _mean_of_problems({c: s for c, s in cells.items() if groups[c[0]] == group})
        for group in sorted({groups[problem] for problem, _ in cells})
    }


def _wins(ours: Mapping[Cell, float], theirs: Mapping[Cell, float]) -> float:
    """Return the share of cells where our loss is lower; a tie counts half."""
    common = ours.keys() & theirs.keys()
    return round(sum(0.5 * (ours[c] <= theirs[c]) + 0.5 * (ours[c] < theirs[c]) for c in common) / len(common), 3)


def _costs(runs: Sequence[Record]) -> dict[str, float | None]:
    seconds = [r.seconds for r in runs if r.seconds is not None]
    return {
        "infeasible": float(np.mean([r.infeasible for r in runs])),
        "seconds": float(np.median(seconds)) if seconds else None,
    }
