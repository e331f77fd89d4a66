"""Whether a trial's training loss rose after it had fallen, from its curve and from its first steps."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tuning_operator.playbook.arms import is_infeasible, is_lost
from tuning_operator.playbook.records import State, StudyRecord, TrialRecord
from tuning_operator.playbook.series import Series, as_series
from tuning_operator.playbook.stability.rates import is_out_of_memory
from tuning_operator.playbook.stability.rise import first_gone, has_declined, rise_after_decline
from tuning_operator.search.stopping.diverged import RULE as DIVERGED

FEWEST_POINTS: Final = 5
"""Of the training loss: fewer show no decline with a rise after it."""


@dataclass(frozen=True)
class TrialRise:
    """Where the training loss of a trial went up."""

    step: int
    told: str
    """What it did, for a sentence: `rose from 2.3 to 4.1 at step 10000`."""


def rise_of(study: StudyRecord, trial: TrialRecord) -> TrialRise | None:
    """Return the trial's first rise, by its dense loss, its curve, and how it ended; None: none was seen.

    Without a training loss, an objective that had improved and then is not finite counts, and one that merely rises
    does not: it may overfit.
    """
    if is_lost(trial) or is_out_of_memory(trial):
        return None
    found = (_in_first_steps(study, trial), _in_curve(study, trial), _at_end(study, trial))
    return min((rise for rise in found if rise is not None), key=lambda rise: rise.step, default=None)


def was_watched(study: StudyRecord, trial: TrialRecord) -> bool:
    """Whether enough of the trial's training was seen that a smooth loss means something."""
    if is_lost(trial) or is_out_of_memory(trial) or trial.state is State.FAILED:
        return False
    return max(len(_finite(study.train_losses(trial))), len(trial.diagnostics.dense_loss)) >= FEWEST_POINTS


def _in_first_steps(study: StudyRecord, trial: TrialRecord) -> TrialRise | None:
    """Look at the loss of every early step; there, a loss that goes before it ever fell is seen too (UNS-2)."""
    dense = as_series(trial.diagnostics.dense_loss)
    rise = rise_after_decline(range(1, len(dense) + 1), dense.tolist(), study.thresholds)
    if rise is not None:
        return _told(rise.step, rise.lowest, rise.height)
    gone = first_gone(dense)
    return TrialRise(gone + 1, f"was not finite any more at step {gone + 1}") if gone < len(dense) else None


def _in_curve(study: StudyRecord, trial: TrialRecord) -> TrialRise | None:
    losses = study.train_losses(trial)
    if len(losses):
        rise = rise_after_decline(trial.curve.steps, losses.tolist(), study.thresholds)
        return None if rise is None else _told(rise.step, rise.lowest, rise.height)
    objective = study.losses(trial)
    gone = first_gone(objective)
    if gone == len(objective) or not has_declined(_finite(objective[:gone]), study.thresholds):
        return None
    step = trial.curve.steps[gone]
    return TrialRise(step, f"was not finite any more at step {step}, by the objective")


def _at_end(study: StudyRecord, trial: TrialRecord) -> TrialRise | None:
    """Look at a trial that ended as diverged: its last loss, the one that was not finite, may not be in the curve."""
    diverged = trial.state is State.INFEASIBLE or (trial.state is State.STOPPED and trial.stopped_by == DIVERGED)
    losses = study.train_losses(trial)
    if not len(losses):
        losses = study.losses(trial)
    if not diverged or not is_infeasible(study, trial) or not has_declined(_finite(losses), study.thresholds):
        return None
    step = trial.curve.steps[-1]
    return TrialRise(step, f"diverged after step {step}")


def _told(step: int, lowest: float, height: float) -> TrialRise:
    if np.isinf(height):
        return TrialRise(step, f"fell to {lowest:.4g} and was not finite any more at step {step}")
    return TrialRise(step, f"fell to {lowest:.4g} and had risen to {lowest + height:.4g} at step {step}")


def _finite(values: Series) -> Series:
    return values[np.isfinite(values)]
