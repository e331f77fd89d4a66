"""Train a pack and say how it ended: in the records, on standard error and by the exit code. No PyTorch so early."""

import os
import threading
import traceback
from collections.abc import Callable, Mapping

from tuning_contract.exit_codes import ExitCode
from tuning_contract.pack import MAX_MEMBERS, PackEnvironment
from tuning_trainer.console import complain, say
from tuning_trainer.endings import InfeasibleError, InterruptionError
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.metrics import require_metric
from tuning_trainer.population.members import members_of
from tuning_trainer.population.packing import require_packable
from tuning_trainer.population.reporting import PackReport, reporters_of
from tuning_trainer.reporting import RecordFile, Reporter, bounded_linger, serve


def train_pack(
    environment: PackEnvironment, stop: threading.Event, *, several_processes: bool, linger_seconds: float
) -> int:
    """Be the container of a pack: train its trials in this process and return the exit code of all of them.

    Args:
        environment: what the operator has told.
        stop: ends all trials, after the current step; they can go on from their checkpoints.
        several_processes: whether this is one of several, or was asked to start them, which no pack can use.
        linger_seconds: how long the metrics stay up after the end, at most 300, where each trial came to its own.
    """

    shared = environment.members[0]
    report = PackReport(environment, RecordFile(shared.termination_log))
    reporters, collector = reporters_of(environment, report)
    serving = serve(collector, shared.metrics_port) is not None
    code = run(environment, reporters, report, stop, refusal=refusal(environment, several_processes))
    if serving and code == ExitCode.COMPLETED:
        stop.wait(bounded_linger(linger_seconds))
    return code


def refusal(environment: PackEnvironment, several_processes: bool) -> str | None:
    """Say why a container cannot be that of a pack; None where it can."""
    if several_processes:
        return "a pack has one process: leave out --processes"
    if (count := len(environment.members)) > MAX_MEMBERS:
        return f"a pack of {count}: a record has room for {MAX_MEMBERS}"
    return None


def run(
    environment: PackEnvironment,
    reporters: Mapping[str, Reporter],
    report: PackReport,
    stop: threading.Event,
    *,
    refusal: str | None = None,
) -> int:
    """Train, and tell every member that has no end of its own what ended all of them; `refusal`: why not to train."""
    code = _code_of_all(environment, reporters, report, stop, refusal)
    report.write()
    for trial, result in report.results.items():
        at = f"  {result.best.value:.6g} at step {result.best.step}" if result.best else ""
        say(f"{trial}: {result.status}{at}")
    return code


def _code_of_all(
    environment: PackEnvironment,
    reporters: Mapping[str, Reporter],
    report: PackReport,
    stop: threading.Event,
    refusal: str | None,
) -> int:
    def tell_the_unfinished(tell: Callable[[Reporter], None]) -> None:
        for trial, reporter in reporters.items():
            if not report.has_ended(trial):
                tell(reporter)

    try:
        _train(environment, reporters, report, stop, refusal)
    except ConfigurationError as error:
        complain(error)
        said = str(error)
        tell_the_unfinished(lambda reporter: reporter.failed("BadConfiguration", said))
        return ExitCode.BAD_CONFIGURATION
    except InfeasibleError as error:
        # Of all together. It says nothing about one of them alone: their records stay without a result.
        complain(error)
        reason, said = error.reason, f"in a pack of {len(environment.members)}: {error}"
        tell_the_unfinished(lambda reporter: reporter.failed(reason, said))
        return error.exit_code
    except InterruptionError as error:
        complain(error)
        said = str(error)
        tell_the_unfinished(lambda reporter: reporter.interrupted(said))
        return ExitCode.INTERRUPTED
    except Exception as error:
        traceback.print_exc()
        said = f"{type(error).__name__}: {error}"
        tell_the_unfinished(lambda reporter: reporter.failed("Crashed", said))
        return ExitCode.CRASHED
    return ExitCode.COMPLETED


def _train(
    environment: PackEnvironment,
    reporters: Mapping[str, Reporter],
    report: PackReport,
    stop: threading.Event,
    refusal: str | None,
) -> None:
    if refusal:
        raise ConfigurationError(refusal)
    # PyTorch reads it when it is imported: by a user's own workload, or below. Other mistakes are told before that.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    members = members_of(environment)
    require_packable(members)
    for metric in metrics_of(environment):
        require_metric(metric)
    from tuning_trainer.population.checkpoints import stores_of
    from tuning_trainer.population.training import train

    stores = stores_of(environment, members, say)
    train(members, reporters, metrics_of(environment), stop, say, evaluated=report.write, stores=stores)


def metrics_of(environment: PackEnvironment) -> tuple[str, ...]:
    """Return the metrics that each trial's result consists of, the objective first."""
    shared = environment.members[0]
    return (shared.metric, *shared.metrics)
