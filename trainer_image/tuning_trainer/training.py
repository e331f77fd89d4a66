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
from tuning_trainer.checkpoint import BEST, EVALUATED, LAST, CheckpointStore
from tuning_trainer.endings import DivergenceError, InterruptionError, OutOfMemoryError, is_lack_of_memory
from tuning_trainer.metrics import require_metric
from tuning_trainer.parallel import Processes, require_common_buffers, together
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
        ConfigurationError: the workload cannot be used, or not by several processes, or does not measure the objective.
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
            if store:
                store.keep_only(best_steps(run, reporter))  # the attempt before may have been killed just before that
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
                require_common_buffers(run.model, processes)
                keep(store, run, reporter, metrics)
            stop.wait(parameters.step_delay_seconds)
        reporter.diagnose(run.final_diagnostics())


def keep(store: CheckpointStore | None, run: Run, reporter: Reporter, metrics: dict[str, float]) -> None:
    """Keep what was just evaluated: among the best where it is one of them, and as the last (CKP-3).

    In this order: killed in between, the next attempt repeats this interval and finds all that its own last state calls
    the best. What has become superfluous goes when the new last state is safe.
    """
    steps = best_steps(run, reporter)
    if steps[:1] == [run.step]:
        run.keep_as_best()
    if store and run.step in steps:
        model = {"step": run.step, "metrics": metrics, "model": run.evaluated_model()}
        store.save(EVALUATED.format(step=run.step), model)
    if store and steps:
        store.name_also(BEST, steps[0])
    save(LAST, store, run, reporter)
    if store:
        store.keep_only(steps)


def best_steps(run: Run, reporter: Reporter) -> list[int]:
    """Return the steps of the evaluations whose models are kept, the best first."""
    return [point.step for point in reporter.best_few(run.parameters.keep_best_checkpoints)]


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
