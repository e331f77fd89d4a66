"""The checkpoints of a population: each member's own, in its own directory and in the ordinary run's format.

So a trial can go on alone where it began in a pack, and in a pack where it began alone. All members save at the same
steps, and a process can be killed between two of them. So all are prepared before the first is put in place; where only
some were, the next attempt puts the others in place.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tuning_contract.pack import PackEnvironment
from tuning_trainer.checkpoint import BEST, EVALUATED, LAST, CheckpointStore
from tuning_trainer.endings import InfeasibleError
from tuning_trainer.parallel import ALONE
from tuning_trainer.population.members import Member
from tuning_trainer.population.population import Population, Row
from tuning_trainer.reporting import Reporter
from tuning_trainer.step_log import StepLog
from tuning_trainer.training import checkpoint_store

ENDED: Final = "ended.pt"
"""How a member ended before the last step. It is kept beside the last checkpoint from which the member could go on."""

Stores = Mapping[str, CheckpointStore]
"""By trial; a trial that keeps no checkpoints has none."""
Saved = dict[str, Any]


def stores_of(environment: PackEnvironment, members: Sequence[Member], say: Callable[[str], None]) -> Stores:
    """Return the checkpoints of each trial that keeps any."""
    stores = {
        trial.trial: checkpoint_store(member.parameters, trial, ALONE, say)
        for trial, member in zip(environment.members, members, strict=True)
    }
    return {trial: store for trial, store in stores.items() if store is not None}


def save(population: Population, reporters: Mapping[str, Reporter], stores: Stores) -> None:
    """Save each member's state as its last."""
    saving = [(n, row.member.trial) for n, row in enumerate(population.rows) if row.member.trial in stores]
    for number, trial in saving:
        stores[trial].prepare(LAST, {**population.contents(number), "reporter": reporters[trial].state()})
    for _, trial in saving:
        stores[trial].put_in_place(LAST)


def save_evaluated(
    population: Population, reporters: Mapping[str, Reporter], stores: Stores, measured: Mapping[str, dict[str, float]]
) -> None:
    """Save what was just evaluated: among its best where it is one of them, and as the last, as the ordinary run does.

    Args:
        population: the members that go on.
        reporters: by trial; they know of this evaluation.
        stores: by trial.
        measured: the metrics of this evaluation, by trial.
    """
    best = {row.member.trial: best_steps(row, reporters) for row in population.rows if row.member.trial in stores}
    for number, row in enumerate(population.rows):
        trial = row.member.trial
        steps = best.get(trial, [])
        if population.step in steps:
            model = {"metrics": measured[trial], "model": population.evaluated_model(number)}
            stores[trial].save(EVALUATED.format(step=population.step), {"step": population.step, **model})
        if steps:
            stores[trial].name_also(BEST, steps[0])
    save(population, reporters, stores)
    for trial, steps in best.items():
        stores[trial].keep_only(steps)


def best_steps(row: Row, reporters: Mapping[str, Reporter]) -> list[int]:
    """Return the steps of the evaluations whose models are kept, the best first."""
    count = row.member.parameters.keep_best_checkpoints
    return [point.step for point in reporters[row.member.trial].best_few(count)]


def save_ending(row: Row, step: int, reporter: Reporter, store: CheckpointStore, ending: InfeasibleError) -> None:
    """Keep how a member ended, so that the next attempt tells it again and does not train the member."""
    told = {"step": step, "log": row.log.state(), "reporter": reporter.state()}
    store.save(ENDED, {**told, "reason": ending.reason, "message": str(ending)})


def unfinished(members: Sequence[Member], reporters: Mapping[str, Reporter], stores: Stores) -> list[Member]:
    """Return the members that have not ended in an attempt before; the others report their endings again."""
    going_on = []
    for member in members:
        store = stores.get(member.trial)
        ended = store.load(ENDED) if store else None
        if ended is None:
            going_on.append(member)
        else:
            report_again(member, reporters[member.trial], ended)
    return going_on


def report_again(member: Member, reporter: Reporter, ended: Saved) -> None:
    """Tell of a member what it told when it ended."""
    log = StepLog(member.parameters.dense_loss_steps, member.parameters.clip_norm)
    log.restore(ended["log"])
    reporter.restore(ended["reporter"], resumed_from=ended["step"])
    reporter.diagnose(Row(member, log).diagnostics())
    reporter.infeasible(ended["reason"], ended["message"])


def common(members: Sequence[Member], stores: Stores, say: Callable[[str], None]) -> list[Saved] | None:
    """Return the members' last checkpoints, in their order, where all are of the same step.

    None where they are not, and say why: a population has one step. Then each member starts anew.
    """
    last = {m.trial: stores[m.trial].load(LAST) if m.trial in stores else None for m in members}
    newest = max((saved["step"] for saved in last.values() if saved), default=None)
    if newest is None:
        return None
    found = []
    for trial, saved in last.items():
        if trial in stores and (saved is None or saved["step"] < newest):
            saved = put_in_place(stores[trial], newest) or saved
        if saved is None or saved["step"] != newest:
            has = f"one of step {saved['step']}" if saved else "none"
            holder = next(name for name, other in last.items() if other and other["step"] == newest)
            say(f"{holder} has a checkpoint of step {newest} and {trial} has {has}: all start at step 0")
            return None
        found.append(saved)
    return found


def put_in_place(store: CheckpointStore, step: int) -> Saved | None:
    """Let a checkpoint of this step that was prepared become the last one; None where none was."""
    prepared = store.load_prepared(LAST)
    if prepared is None or prepared["step"] != step:
        return None
    store.put_in_place(LAST)
    return prepared
