"""The population's command: members from a JSON file, one process, a record for each trial and one for all."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tuning_contract.exit_codes import ExitCode
from tuning_contract.pack import MAX_MEMBERS
from tuning_trainer.console import complain, stop_on_signals
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.metrics import DEFAULT_OBJECTIVE
from tuning_trainer.population.command import run
from tuning_trainer.population.members import Member, members_from
from tuning_trainer.population.reporting import Objective, PackReport, reporters_of
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
        members = members_of(options)
    except (ConfigurationError, OSError) as error:
        complain(error)
        return ExitCode.BAD_CONFIGURATION
    objective = Objective(options.objective, options.direction, study=options.study, study_uid=options.study_uid)
    environment = objective.environment(members, options.checkpoint_dir)
    report = PackReport(environment, RecordFile(options.record) if options.record else None)
    reporters, collector = reporters_of(environment, report, options.records)
    if options.metrics_port is not None:
        serve(collector, options.metrics_port)
    return run(environment, reporters, report, stop)


def members_of(options: argparse.Namespace) -> list[Member]:
    """Read the members' file.

    Raises:
        ConfigurationError: it is no list of members, or there are more than the record of all has room for.
        OSError: it cannot be read.
    """
    members = members_from(options.members.read_text())
    if options.record and len(members) > MAX_MEMBERS:
        raise ConfigurationError(f"--record: a record has room for {MAX_MEMBERS} members, not for {len(members)}")
    return members


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
    result.add_argument("--checkpoint-dir", type=Path, metavar="DIR", help="each trial saves in DIR/TRIAL and resumes")
    result.add_argument(
        "--metrics-port", type=int, help="serve the metrics of all members, labelled trial=… and attempt=…"
    )
    return result


if __name__ == "__main__":
    sys.exit(main())
