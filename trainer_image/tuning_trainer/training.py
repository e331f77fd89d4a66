"""The training loop: resume, then step, evaluate, report and save until the last step."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tuning_contract.diagnostics import DENSE_STEPS
from tuning_contract.environment import (
    BATCH_SIZE_PROBE,
    INSTABILITY_PROBES,
    TrialEnvironment,
    parameters_hash,
    parameters_json,
)
from tuning_trainer.checkpoint import BEST, LAST, CheckpointStore
from tuning_trainer.endings import DivergenceError, InterruptionError, OutOfMemoryError, is_lack_of_memory
from tuning_trainer.metrics import require_metric
from tuning_trainer.parallel import Processes, together
from tuning_trainer.parameters import Parameters
from tuning_trainer.probes.throughput import measure
from tuning_trainer.reporting import Reporter
from tuning_trainer.run import Run
from tuning_trainer.step_log import StepLog
from tuning_trainer.workloads.loading import workload_module


def train(
    parameters: Parameters,
    trial: TrialEnvironment,
    reporter: Reporter,
    stop: threading.Event,
    say: Callable[[str], None] = print,
) -> None:
    """Train to the last step, from this trial's newest checkpoint where there is one.

    Raises:
        ConfigurationError: the workload cannot be used, or does not measure the objective.
        DivergenceError: a loss became non-finite.
        OutOfMemoryError: the parameters ask for more memory than there is.
        InterruptionError: `stop` was set; the current step was finished and saved first.
    """
    if trial.purpose in INSTABILITY_PROBES:
        parameters = replace(parameters, dense_loss_steps=DENSE_STEPS)
    with together() as processes, running_out_of_memory_is_an_ending():
        stop = processes.common(stop)
        workload = workload_module(parameters).make_workload(parameters)
        for metric in (trial.metric, *trial.metrics):
            require_metric(metric, classification=workload.classification)
        run = Run.fresh(parameters, trial.seed, workload, processes=processes)
        if trial.purpose == BATCH_SIZE_PROBE:
            throughput = measure(run, stop, lambda: processes.as_the_first_says(time.perf_counter()))
            run = Run.fresh(parameters, trial.seed, workload, throughput, processes)
        store = checkpoint_store(parameters, trial, processes, say)
        run.rank = replace(run.rank, writes_checkpoints=store is not None)
        if saved := processes.as_the_first_says(store and store.load(LAST)):
            run.restore(saved)
            reporter.restore(saved["reporter"], resumed_from=run.step)
            say(f"resumed at step {run.step}")
        while run.step < parameters.max_steps:
            if stop.is_set():
                save(LAST, store, run, reporter)
                raise InterruptionError(f"stopped after step {run.step} of {parameters.max_steps}")
            run.take_step()
            if run.evaluation_due:
                metrics = run.evaluate()
                say(progress_line(run.step, parameters.max_steps, metrics))
                reporter.diagnose(run.diagnostics())
                reporter.report(run.step, metrics)
                require_finite(run.step, run.log, metrics)
                keep(store, run, reporter)
            stop.wait(parameters.step_delay_seconds)
        reporter.diagnose(run.final_diagnostics())


def keep(store: CheckpointStore | None, run: Run, reporter: Reporter) -> None:
    """Keep the evaluated state: as the best where it is, and as the last.

    The best first: killed in between, the next attempt repeats this interval, bit for bit, and saves both again.
    """
    if reporter.best is not None and reporter.best.step == run.step:
        run.keep_as_best()
        save(BEST, store, run, reporter)
    save(LAST, store, run, reporter)


def save(name: str, store: CheckpointStore | None, run: Run, reporter: Reporter) -> None:
    """Write one checkpoint, where this run keeps any and this process is the one that writes them."""
    contents = run.contents()  # made of what all processes have
    if store:
        store.save(name, {**contents, "reporter": reporter.state()})


def require_finite(step: int, log: StepLog, metrics: dict[str, float]) -> None:
    """End the run where a loss is not finite.

    Looking at evaluations is enough, and spares a GPU the synchronisation at every step: once a weight is NaN, every
    later loss is.

    Raises:
        DivergenceError: with the step and the losses.
    """
    losses = {name: metrics[name] for name in ("train_loss", "validation_loss")}
    if not all(map(math.isfinite, losses.values())):
        listed = ", ".join(f"{name} is {value}" for name, value in losses.items())
        first = f"; first at step {log.first_non_finite}" if log.first_non_finite is not None else ""
        rate = metrics["learning_rate"]
        raise DivergenceError(f"{listed} at step {step}{first}, learning rate {rate:.3g}")


def checkpoint_store(
    parameters: Parameters, trial: TrialEnvironment, processes: Processes, say: Callable[[str], None]
) -> CheckpointStore | None:
    """Return the trial's checkpoints; None where it keeps none, and on all processes but the first."""
    if trial.checkpoint_dir is None or not processes.leads:
        return None
    everything = parameters_hash(parameters_json(parameters.as_dict()))
    # With another number of processes sums would be rounded otherwise, and dropout would draw other numbers.
    identity = f"{everything}/{trial.seed}/{trial.metric}/{processes.size}"
    return CheckpointStore(Path(trial.checkpoint_dir), identity, say)


def progress_line(step: int, max_steps: int, metrics: dict[str, float]) -> str:
    """Return one line for people.

    >>> progress_line(20, 600, {"train_loss": 1.23456, "learning_rate": 0.05})
    'step 20/600  train_loss 1.235  learning_rate 0.05'
    """
    return f"step {step}/{max_steps}" + "".join(f"  {name} {value:.4g}" for name, value in metrics.items())


@contextmanager
def running_out_of_memory_is_an_ending() -> Iterator[None]:
    """Tell lack of memory from other errors.

    Raises:
        OutOfMemoryError: in place of what NumPy, Python or PyTorch raise for it.
    """
    try:
        yield
    except Exception as error:
        if is_lack_of_memory(error):
            raise OutOfMemoryError(str(error) or "out of memory") from error
        raise
