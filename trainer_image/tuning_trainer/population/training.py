"""The loop of a population: step, evaluate, let each member report, and go on with those that have not ended."""

import threading
from collections.abc import Callable, Mapping, Sequence

from tuning_trainer.endings import DivergenceError, InterruptionError
from tuning_trainer.metrics import require_metric
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
) -> None:
    """Train each member to the last step or to its own end, and tell its reporter, by the trial's name, which it was.

    Args:
        members: of one shape, see `packing`.
        reporters: by trial.
        metrics: what every member's record must have.
        stop: ends all of them, after the current step.
        say: takes lines of progress.
        wanted: asked of each member at each evaluation; one that is not wanted any more is interrupted.
        evaluated: called when all members have reported an evaluation.

    Raises:
        ConfigurationError: the members cannot be one population, or their workload does not measure a metric.
        OutOfMemoryError: all together ask for more memory than there is; fewer of them may not.
        InterruptionError: `stop` was set. No checkpoint is kept.
    """
    with running_out_of_memory_is_an_ending():
        population = Population(members)
        for metric in metrics:
            require_metric(metric, classification=population.workload.classification)
        while population.rows and population.step < population.shared.max_steps:
            if stop.is_set():
                raise InterruptionError(f"stopped after step {population.step} of {population.shared.max_steps}")
            population.take_step()
            if population.evaluation_due:
                keep_those_that_go_on(population, reporters, say, wanted)
                evaluated()
            stop.wait(population.shared.step_delay_seconds)
        complete(population, reporters)


def keep_those_that_go_on(
    population: Population,
    reporters: Mapping[str, Reporter],
    say: Callable[[str], None],
    wanted: Callable[[Member], bool],
) -> None:
    """Let each member report an evaluation, end those that diverged or are not wanted, and take these out."""
    going_on = []
    step, of = population.step, population.shared.max_steps
    for number, (row, metrics) in enumerate(zip(population.rows, population.evaluate(), strict=True)):
        reporter, member = reporters[row.member.trial], row.member
        reporter.diagnose(row.diagnostics())
        reporter.report(step, metrics)
        if reporter.best is not None and reporter.best.step == step:
            population.keep_as_best(number)
        try:
            require_finite(step, row.log, metrics)
        except DivergenceError as error:
            say(f"{member.trial}: {error}")
            reporter.infeasible(error.reason, str(error))
            continue
        if not wanted(member):
            reporter.interrupted(f"not wanted any more after step {step} of {of}")
            continue
        going_on.append(number)
    say(f"step {step}/{of}  {len(going_on)} members")
    if len(going_on) < len(population.rows):
        population.keep(going_on)


def complete(population: Population, reporters: Mapping[str, Reporter]) -> None:
    """Tell of all members that came to the last step."""
    if population.rows:
        for row, diagnostics in zip(population.rows, population.final_diagnostics(), strict=True):
            reporters[row.member.trial].diagnose(diagnostics)
            reporters[row.member.trial].complete()
