"""`python -m tuning_trainer.probes batch_size|learning_rate --set …`: a probe by hand, without the operator."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from tuning_contract.diagnostics import DENSE_STEPS
from tuning_contract.exit_codes import ExitCode
from tuning_trainer.__main__ import parameters_of
from tuning_trainer.endings import OutOfMemoryError
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.probes import batch_size, learning_rate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one probe, print its table or JSON, and return the exit code."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = parser().parse_args(arguments)
    try:
        print(probe(options))
    except (ConfigurationError, batch_size.ProbeError) as error:
        print(f"probes: {error}", file=sys.stderr)
        return ExitCode.BAD_CONFIGURATION
    except OutOfMemoryError as error:
        print(f"probes: {error}", file=sys.stderr)
        return ExitCode.OUT_OF_MEMORY
    return ExitCode.COMPLETED


def probe(options: argparse.Namespace) -> str:
    """Run the probe that the options name and return what is to be printed."""
    given = parameters_of(options.parameters, options.set)
    if options.probe == "throughput":
        return json.dumps(batch_size.one_size(given))
    if options.probe == "batch_size":
        sizes = batch_size.sweep(lambda size: batch_size.in_a_fresh_process(given, size), options.smallest)
        return json.dumps([size.to_json() for size in sizes]) if options.json else batch_size.table(sizes)
    outcomes = [learning_rate.one_rate(given, rate, options.steps) for rate in options.rates]
    return json.dumps([o.to_json() for o in outcomes]) if options.json else learning_rate.table(outcomes)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    result = argparse.ArgumentParser("tuning_trainer.probes", description="Measure before you search.")
    result.add_argument("probe", choices=("batch_size", "learning_rate", "throughput"), help="throughput: of one size")
    result.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one parameter; repeatable")
    result.add_argument("--parameters", metavar="JSON", help="all of them")
    result.add_argument("--smallest", type=int, default=1, metavar="N", help="batch size to begin with (1)")
    result.add_argument("--rates", type=float, nargs="+", default=learning_rate.RATES, metavar="R", help="to try")
    result.add_argument("--steps", type=int, default=DENSE_STEPS, metavar="N", help=f"at each rate ({DENSE_STEPS})")
    result.add_argument("--json", action="store_true", help="print JSON and no table")
    return result


if __name__ == "__main__":
    sys.exit(main())
