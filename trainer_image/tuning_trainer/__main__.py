"""The trainer's command: as a trial or a pack of trials, told by the operator's environment, or alone, by arguments."""

import argparse
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence

from tuning_contract.environment import ContractError, ParameterValue, TrialEnvironment
from tuning_contract.exit_codes import ExitCode
from tuning_contract.pack import PACK_VARIABLE, PackEnvironment
from tuning_trainer import launcher
from tuning_trainer.console import complain, say, stop_on_signals
from tuning_trainer.endings import InfeasibleError, InterruptionError
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.metrics import DEFAULT_OBJECTIVE, require_metric
from tuning_trainer.parameters import parameters_table
from tuning_trainer.population.command import train_pack
from tuning_trainer.reporting import MAX_LINGER_SECONDS, Reporter
from tuning_trainer.workloads.loading import parameters_from

EPILOG = """\
In a pod of the tuning operator the parameters, the seed, the objective and the checkpoint directory come from its
TUNING_ variables, and the options for them are refused. With TUNING_PACK among these, one process trains all trials
that it names. Uses OMP_NUM_THREADS CPU threads, by default 1.
"""


def main(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    """Run the command and return its exit code."""
    # First of all: as a container's first process, one without a handler, the kernel would drop a SIGTERM.
    stop = stop_on_signals()
    options = parser().parse_args(arguments)
    if options.list_parameters:
        print(parameters_table())
        return ExitCode.COMPLETED
    if PACK_VARIABLE in env:
        return pack(options, env, stop)
    if options.processes > 1 and not launcher.is_one_of_several(env):
        command = [sys.executable, "-m", "tuning_trainer", *(sys.argv[1:] if arguments is None else arguments)]
        return launcher.launch(options.processes, command, env, stop)
    try:
        if "TUNING_CONTRACT_VERSION" in env:
            refuse_options_of_a_run_alone(options)
            trial = TrialEnvironment.from_env(env)
            # Of several processes one reports. The others know what it knows, and keep it to themselves.
            reporter = (
                Reporter.from_env(env, linger_seconds=options.linger_seconds, stop=stop)
                if launcher.leads(env)
                else Reporter(trial)
            )
        else:
            trial = trial_alone(options)
            reporter = Reporter(trial)
    except (ContractError, ConfigurationError) as error:
        complain(error)
        return ExitCode.BAD_CONFIGURATION
    return run(trial, reporter, stop, say if launcher.leads(env) else lambda _: None)


def pack(options: argparse.Namespace, env: Mapping[str, str], stop: threading.Event) -> int:
    """Train the trials that share this container and return the exit code of all of them."""
    try:
        refuse_options_of_a_run_alone(options)
        environment = PackEnvironment.from_env(env)
    except (ContractError, ConfigurationError) as error:
        complain(error)
        return ExitCode.BAD_CONFIGURATION
    several = options.processes > 1 or launcher.is_one_of_several(env)
    return train_pack(environment, stop, several_processes=several, linger_seconds=options.linger_seconds)


def run(trial: TrialEnvironment, reporter: Reporter, stop: threading.Event, say: Callable[[str], None]) -> int:
    """Train, and say how it ended: in the record, on standard error and by the exit code that is returned."""
    try:
        parameters = parameters_from(trial.parameters)
        for metric in (trial.metric, *trial.metrics):
            require_metric(metric)
        # More threads than a pod's CPU limit would only wait for each other. PyTorch reads this when it is imported,
        # here and not above: a mistake in the parameters is told at once, and the import takes a second or two.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        from tuning_trainer.training import train

        train(parameters, trial, reporter, stop, say)
    except ConfigurationError as error:
        complain(error)
        reporter.failed("BadConfiguration", str(error))
        return ExitCode.BAD_CONFIGURATION
    except InfeasibleError as error:
        complain(error)
        reporter.infeasible(error.reason, str(error))
        return error.exit_code
    except InterruptionError as error:
        complain(error)
        reporter.interrupted(str(error))
        return ExitCode.INTERRUPTED
    except Exception as error:
        traceback.print_exc()
        # Not repr: an OSError keeps the name of the file to itself there.
        reporter.failed("Crashed", f"{type(error).__name__}: {error}")
        return ExitCode.CRASHED
    reporter.complete()
    return ExitCode.COMPLETED


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    result = argparse.ArgumentParser(
        "tuning_trainer", description="Train one of several small models, or your own.", epilog=EPILOG
    )
    result.add_argument("--list-parameters", action="store_true", help="print all parameters and exit")
    result.add_argument(
        "--linger-seconds",
        type=float,
        default=0.0,
        metavar="S",
        help=f"keep the metrics up this long after the end, 0 to {MAX_LINGER_SECONDS:.0f} (default 0)",
    )
    result.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="train with N processes, each on a share of every batch: one for each GPU (default 1)",
    )
    alone = result.add_argument_group("without the operator")
    alone.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one parameter; repeatable")
    alone.add_argument("--parameters", metavar="JSON", help="all of them: '{\"learning_rate\": 0.01}'")
    alone.add_argument("--seed", type=int, help="root of all randomness (default 0)")
    alone.add_argument(
        "--objective", metavar="METRIC", help=f"what the best checkpoint is best in ({DEFAULT_OBJECTIVE})"
    )
    alone.add_argument("--checkpoint-dir", metavar="DIR", help="save checkpoints here and resume from them")
    return result


def trial_alone(options: argparse.Namespace) -> TrialEnvironment:
    """Return the trial that the command line describes.

    Raises:
        ConfigurationError: the parameters cannot be read.
    """
    return TrialEnvironment(
        study="",
        study_uid="",
        trial="",
        attempt=0,
        parameters=parameters_of(options.parameters, options.set),
        seed=options.seed or 0,
        metric=options.objective or DEFAULT_OBJECTIVE,
        checkpoint_dir=options.checkpoint_dir,
    )


def parameters_of(text: str | None, settings: Sequence[str]) -> dict[str, ParameterValue]:
    """Return the parameters of a JSON object and of NAME=VALUE settings, which win.

    >>> parameters_of('{"learning_rate": 0.1}', ["learning_rate=0.2", "optimizer=adamw"])
    {'learning_rate': 0.2, 'optimizer': 'adamw'}
    """
    try:
        parameters = json.loads(text) if text else {}
    except ValueError as error:
        raise ConfigurationError(f"--parameters is not JSON: {error}") from None
    if not isinstance(parameters, dict):
        raise ConfigurationError("--parameters must be a JSON object")
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigurationError(f"--set {setting}: it must be NAME=VALUE")
        try:
            parameters[name] = json.loads(value)
        except ValueError:
            parameters[name] = value
    return parameters


def refuse_options_of_a_run_alone(options: argparse.Namespace) -> None:
    """Let nothing but the operator say what a trial runs.

    Raises:
        ConfigurationError: an argument would change what the trial's record claims to have run.
    """
    if options.set or any(
        value is not None for value in (options.parameters, options.seed, options.objective, options.checkpoint_dir)
    ):
        raise ConfigurationError("this is a trial of the tuning operator: its study says what it runs, not arguments")


if __name__ == "__main__":
    sys.exit(main())
