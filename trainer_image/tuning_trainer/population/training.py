"""The loop of a population: resume, then step, evaluate, report and save, with those members that have not ended."""

import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tuning_trainer.endings import DivergenceError, InterruptionError
from tuning_trainer.metrics import require_metric
from tuning_trainer.population.checkpoints import Saved, Stores, common, save, save_ending, save_evaluated, unfinished
from tuning_trainer.population.members import Member
from tuning_trainer.population.population import Population
from tuning_trainer.reporting import Reporter
from tuning_trainer.training import require_finite, running_out_of_memory_is_an_ending


def train(
    members: Sequence[Member],
    reporters: Mapping[str, Reporter],
    metrics: Sequence[str],
    stop: threading.Event,
    say: Callable[[str], None] = print,
    wanted: Callable[[Member], bool] = lambda _: True,
    evaluated: Callable[[], None] = lambda: None,
    stores: Stores = MappingProxyType({}),
) -> None:
    """Train each member to the last step or to its own end, and tell its reporter, by the trial's name, which it was.

    Where all members that have not ended have a checkpoint of the same step, they go on from there.

    Args:
        members: of one shape, see `packing`.
        reporters: by trial.
        metrics: what every member's record must have.
        stop: ends all of them, after the current step, which is saved first.
        say: takes lines of progress.
        wanted: asked of each member at each evaluation; one that is not wanted any more is interrupted.
        evaluated: called when all members have reported an evaluation, or what an attempt before has found out.
        stores: the checkpoints, by trial; of a member without one none are kept.

    Raises:
        ConfigurationError: the members cannot be one population, or their workload does not measure a metric.
        OutOfMemoryError: all together ask for more memory than there is; fewer of them may not.
        InterruptionError: `stop` was set.
    """
    with running_out_of_memory_is_an_ending():
        going_on = unfinished(members, reporters, stores)
        if not going_on:
            return
        population = Population(going_on)
        for metric in metrics:
            require_metric(metric, classification=population.workload.classification)
        if saved := common(going_on, stores, say):
            resume(population, saved, reporters)
            say(f"resumed at step {population.step}")
        evaluated()
        while population.rows and population.step < population.shared.max_steps:
            if stop.is_set():
                save(population, reporters, stores)
                raise InterruptionError(f"stopped after step {population.step} of {population.shared.max_steps}")
            population.take_step()
            if population.evaluation_due:
                evaluate(population, reporters, stores, say, wanted, evaluated)
            stop.wait(population.shared.step_delay_seconds)
        complete(population, reporters)


def resume(population: Population, saved: Sequence[Saved], reporters: Mapping[str, Reporter]) -> None:
    """Go on from the members' checkpoints, given in their order."""
    population.restore(saved)
    for row, contents in zip(population.rows, saved, strict=True):
        reporters[row.member.trial].restore(contents["reporter"], resumed_from=population.step)


def evaluate(
    population: Population,
    reporters: Mapping[str, Reporter],
    stores: Stores,
    say: Callable[[str], None],
    wanted: Callable[[Member], bool],
    evaluated: Callable[[], None],
) -> None:
    """Let each member report an evaluation, end those that diverged or are not wanted, and save the others."""
    step, of = population.step, population.shared.max_steps
    sound, leaving, measured = [], set(), {}
    for number, (row, metrics) in enumerate(zip(population.rows, population.evaluate(), strict=True)):
        reporter, trial = reporters[row.member.trial], row.member.trial
        reporter.diagnose(row.diagnostics())
        reporter.report(step, metrics)
        measured[trial] = metrics
        if reporter.best is not None and reporter.best.step == step:
            population.keep_as_best(number)
        try:
            require_finite(step, row.log, metrics)
        except DivergenceError as error:
            say(f"{trial}: {error}")
            if trial in stores:
                save_ending(row, step, reporter, stores[trial], error)
            reporter.infeasible(error.reason, str(error))
            continue
        sound.append(number)
        if not wanted(row.member):
            leaving.add(trial)
            reporter.interrupted(f"not wanted any more after step {step} of {of}")
    keep(population, sound)
    say(f"step {step}/{of}  {len(sound) - len(leaving)} members")
    evaluated()
    save_evaluated(population, reporters, stores, measured)
    keep(population, [number for number, row in enumerate(population.rows) if row.member.trial not in leaving])


def keep(population: Population, numbers: Sequence[int]) -> None:
    """Go on with these members, where they are not all."""
    if len(numbers) < len(population.rows):
        population.keep(numbers)


def complete(population: Population, reporters: Mapping[str, Reporter]) -> None:
    """Tell of all members that came to the last step."""
    if population.rows:
        for row, diagnostics in zip(population.rows, population.final_diagnostics(), strict=True):
            reporters[row.member.trial].diagnose(diagnostics)
            reporters[row.member.trial].complete()
