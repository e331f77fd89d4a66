"""The command: `PYTHONPATH=operator:. python -m benchmarks.search`; see README.md beside this file."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.search.contestants.entrants import Entry, entries
from benchmarks.search.problems.suite import REPORT, suite
from benchmarks.search.report import report, table
from benchmarks.search.runs import completed, run_missing, scale_of
from benchmarks.search.scoring import BUDGETS

SHORT_CONTESTANTS = "bayesian,quasi-random,random,random x2,optuna-tpe/fail,optuna-tpe/penalty"


def main() -> None:
    """Run what has not been run, and report on all that was."""
    options = _options()
    folder = options.runs / f"instance-{options.instance}"
    folder.mkdir(parents=True, exist_ok=True)
    problems = suite(options.instance, options.groups)
    contestants = entries(dict(pair.split("=", 1) for pair in options.python))
    wanted = options.contestants.split(",") if options.contestants else list(contestants)
    medians, failing = scale_of(folder / "scale.json", problems)
    for name in wanted:
        entry: Entry = contestants[name]
        chosen = [p for p in problems if not entry.only_failing or p.name in failing]
        for record in run_missing(folder, name, entry, chosen, range(options.seeds), options.trials):
            print(f"{name} {record.problem} seed {record.seed}: {record.losses}", file=sys.stderr, flush=True)
    names = {p.name for p in problems}
    records = [
        record
        for path in sorted(folder.glob("*.jsonl"))
        for record in completed(path).values()
        if record.problem in names and record.seed < options.seeds
    ]
    optima = {p.name: p.optimum for p in problems if p.optimum is not None}
    result = report(records, medians, optima, {p.name: p.group for p in problems})
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--short", action="store_true", help="2 seeds, 64 trials, the nearest contestants: minutes")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=BUDGETS[-1], help="how far a run of 128 is watched")
    parser.add_argument("--instance", type=int, default=REPORT, help="1: development; others: reports")
    parser.add_argument("--groups", default="ABCDE")
    parser.add_argument("--contestants", default="", help="comma-separated; default: all")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=INTERPRETER")
    parser.add_argument("--runs", type=Path, default=Path("build/search-runs"), help="where runs are kept")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.short:
        options.seeds, options.trials, options.runs = 2, 64, options.runs / "short"
        options.contestants = options.contestants or SHORT_CONTESTANTS
    return options


if __name__ == "__main__":
    main()
