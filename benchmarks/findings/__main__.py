"""Run the benchmark: `PYTHONPATH=operator:. python -m benchmarks.findings`."""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.findings import report
from benchmarks.findings.measures import Measure, all_measures
from benchmarks.findings.rates import Row


def main() -> int:
    """Run all simulated studies, print the tables and write the JSON; return 1 where a promise is refuted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few corners of the grid, in a minute or two")
    parser.add_argument("--repetitions", type=int, help="studies of each landscape and noise (default: 25, quick: 5)")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks/findings.json"))
    options = parser.parse_args()
    repetitions = options.repetitions or (5 if options.quick else 25)
    measures = all_measures(options.quick)
    rows: list[Row] = []
    options.json.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.processes) as pool:
        for done, found in enumerate(pool.map(_rows, measures, [repetitions] * len(measures)), 1):
            rows += found
            # What was counted so far stays, whatever comes.
            options.json.write_text(report.as_text(rows, repetitions))
            print(f"{done} of {len(measures)}: {found[0].rule}", file=sys.stderr, flush=True)
    print(*report.lines(rows), sep="\n")
    broken = report.broken(rows)
    print(*broken, sep="\n", file=sys.stderr)
    return 1 if broken else 0


def _rows(measure: Measure, repetitions: int) -> list[Row]:
    return measure.rows(repetitions)


if __name__ == "__main__":
    sys.exit(main())
