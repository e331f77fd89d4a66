"""Run the benchmark: `PYTHONPATH=operator:. python -m benchmarks.early_stopping`."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.early_stopping import measure, report
from benchmarks.early_stopping.policies import AtEachEvaluation, AtRungs
from benchmarks.early_stopping.simulation import Policy
from benchmarks.early_stopping.tables import default_cache, table_of
from benchmarks.early_stopping.training import PROBLEMS
from tuning_operator.search.stopping.median import Median
from tuning_operator.search.stopping.rules import DivergedOnly, Nothing
from tuning_operator.search.stopping.successive_halving import SuccessiveHalving

RULES: dict[str, Policy] = {
    "None": AtEachEvaluation(Nothing()),
    "DivergedOnly": AtEachEvaluation(DivergedOnly()),
    "DivergedOnly as if at: Last": AtEachEvaluation(DivergedOnly(), keeps_best=False),
    "Median": AtEachEvaluation(Median()),
    "SuccessiveHalving": AtRungs(SuccessiveHalving()),
}
"""With the settings that a study gets when it names none."""


def main() -> None:
    """Train what is missing, run all studies, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=10, help="studies of each policy on each table")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where trained curves are kept")
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks/early_stopping.json"))
    options = parser.parse_args()
    tables = []
    for problem in PROBLEMS:
        tables.append(table_of(problem, options.cache))
        _say(f"curves of {problem.name}")
    rules = []
    for name, policy in RULES.items():
        rules.append(measure.outcome_of(name, policy, tables, options.repetitions))
        _say(name)
    fixed = measure.baselines(tables, options.repetitions, _say)
    for lines in (
        report.table_lines(tables),
        report.outcome_lines(rules, fixed),
        report.difference_lines(rules, fixed),
        report.per_table_lines(rules, tables),
    ):
        print(*lines, sep="\n", end="\n\n")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report.as_json(rules, fixed, tables), indent=2))
    _say(f"wrote {options.json}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
