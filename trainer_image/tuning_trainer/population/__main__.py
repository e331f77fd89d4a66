"""The population's command: members from a JSON file, one process, a record for each trial and one for all."""

import argparse
import os
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from tuning_contract.exit_codes import ExitCode
from tuning_trainer.__main__ import complain, say, stop_on_signals
from tuning_trainer.endings import InfeasibleError, InterruptionError
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.metrics import DEFAULT_OBJECTIVE, require_metric
from tuning_trainer.population.members import Member, members_from
from tuning_trainer.population.packing import require_packable
from tuning_trainer.population.reporting import MemberReporter, Objective, PackReport, reporters_of
from tuning_trainer.reporting import RecordFile, serve

EPILOG = """\
The members' file is a JSON list: [{"trial": "a", "parameters": {"learning_rate": 0.1}, "seed": 1, "attempt": 0}, …].
They may differ in numbers, schedule and seeds, and not in workload, model, optimizer, batch size and number of steps.
Exit code 0 says that every member has come to its own end, good or bad, and that its record tells which.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    stop = stop_on_signals()
    options = parser().parse_args(arguments)
    try:
        members = members_from(options.members.read_text())
        require_packable(members)
        require_metric(options.objective)
    except (ConfigurationError, OSError) as error:
        complain(error)
        return ExitCode.BAD_CONFIGURATION
    objective = Objective(options.objective, options.direction, study=options.study, study_uid=options.study_uid)
    pack = PackReport(objective, members, RecordFile(options.record) if options.record else None)
    reporters, collector = reporters_of(objective, members, pack, options.records)
    if options.metrics_port is not None:
        serve(collector, options.metrics_port)
    code = run(members, reporters, objective, pack, stop)
    pack.write()
    for result in pack.results:
        at = f"  {result.best.value:.6g} at step {result.best.step}" if result.best else ""
        say(f"{result.trial}: {result.status}{at}")
    return code


def run(
    members: Sequence[Member],
    reporters: Mapping[str, MemberReporter],
    objective: Objective,
    pack: PackReport,
    stop: threading.Event,
) -> int:
    """Train, and tell every member that has no end of its own what ended all of them."""
    try:
        # PyTorch reads it when it is imported, here and not above.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        from tuning_trainer.population.training import train

        train(members, reporters, (objective.metric, *objective.metrics), stop, say, evaluated=pack.write)
    except ConfigurationError as error:
        complain(error)
        for reporter in unfinished(reporters):
            reporter.failed("BadConfiguration", str(error))
        return ExitCode.BAD_CONFIGURATION
    except InfeasibleError as error:
        # Of all together. It says nothing about one of them alone: their records stay without a result.
        complain(error)
        for reporter in unfinished(reporters):
            reporter.failed(error.reason, f"in a pack of {len(members)}: {error}")
        return error.exit_code
    except InterruptionError as error:
        complain(error)
        for reporter in unfinished(reporters):
            reporter.interrupted(str(error))
        return ExitCode.INTERRUPTED
    except Exception as error:
        traceback.print_exc()
        for reporter in unfinished(reporters):
            reporter.failed("Crashed", f"{type(error).__name__}: {error}")
        return ExitCode.CRASHED
    return ExitCode.COMPLETED


def unfinished(reporters: Mapping[str, MemberReporter]) -> list[MemberReporter]:
    """Return the reporters of the members that have not come to an end."""
    return [reporter for reporter in reporters.values() if not reporter.ended]


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    result = argparse.ArgumentParser(
        "tuning_trainer.population",
        description="Train several trials of the same shape in one process.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("members", type=Path, help="JSON file with the members")
    result.add_argument("--objective", default=DEFAULT_OBJECTIVE, metavar="METRIC")
    result.add_argument("--direction", choices=("Minimize", "Maximize"), default="Minimize")
    result.add_argument("--study", default="", help="the study's name and UID, for the records")
    result.add_argument("--study-uid", default="")
    result.add_argument("--records", type=Path, metavar="DIR", help="where each trial's final record is kept")
    result.add_argument("--record", metavar="FILE", help="an existing file for the record of all, 4096 bytes at most")
    result.add_argument("--metrics-port", type=int, help="serve the metrics of all members, labelled trial=…")
    return result


if __name__ == "__main__":
    sys.exit(main())
