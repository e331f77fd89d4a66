"""How a schedule goes over from a short run to a longer one (RD2-2 to RD2-4), and what it spends at low rates (CMP-9).

That the extra steps should extend the phase of the high rate is marked as speculative by the Playbook's authors.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from tuning_contract.diagnostics import LEARNING_RATE
from tuning_operator.api.procedure import Schedule, ScheduleFamily, Training
from tuning_operator.playbook.records import TrialRecord
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

LOW_RATE: Final = Threshold(
    "lowRate", 0.1, Origin.DEFAULT, "A learning rate below this share of its peak, after it, is low", high=1.0
)


@dataclass(frozen=True)
class Phases:
    """The phases of a schedule, in steps: warm-up, the constant peak, and decay; their sum is the run."""

    family: ScheduleFamily
    warmup: int
    constant: int
    decay: int

    @property
    def steps(self) -> int:
        """The length of the run."""
        return self.warmup + self.constant + self.decay


def phases_of(schedule: Schedule | None, steps: int) -> Phases | None:
    """Return the phases of a schedule in a run of that length; None where the family is not known."""
    if schedule is None or schedule.family is None:
        return None
    warmup = min(schedule.warmup_steps or 0, steps)
    rest = steps - warmup
    decay = 0 if schedule.family is ScheduleFamily.CONSTANT else min(schedule.decay_steps or rest, rest)
    return Phases(schedule.family, warmup, rest - decay, decay)


def carried_over(phases: Phases, to_steps: int) -> Phases:
    """Return the schedule of the longer run.

    Warm-up is carried over as it is (RD1-2). Linear: the decay keeps its length, and the constant phase grows (RD2-3).
    Cosine: the base rate stays, and the decay is as long as the run (RD2-4); where it did not begin after the warm-up,
    the constant phase stays. Others are kept as they are, only longer at the peak, and have to be checked.

    Raises:
        ValueError: the run would not be longer.
    """
    extra = to_steps - phases.steps
    if extra < 0:
        raise ValueError(f"{to_steps} steps are fewer than {phases.steps}")
    if phases.family is ScheduleFamily.COSINE:
        return Phases(phases.family, phases.warmup, phases.constant, phases.decay + extra)
    return Phases(phases.family, phases.warmup, phases.constant + extra, phases.decay)


def longer_training(training: Training, from_steps: int, to_steps: int) -> Training:
    """Return what the next, longer round says of its training: `maxSteps`, and the schedule carried over.

    A schedule whose family is not known stays as it is.

    Raises:
        ValueError: the run would not be longer.
    """
    phases = phases_of(training.schedule, from_steps)
    if to_steps < from_steps:
        raise ValueError(f"{to_steps} steps are fewer than {from_steps}")
    if phases is None or training.schedule is None:
        return training.model_copy(update={"max_steps": to_steps})
    carried = carried_over(phases, to_steps)
    schedule = training.schedule.model_copy(update={"decay_steps": carried.decay or None})
    return training.model_copy(update={"max_steps": to_steps, "schedule": schedule})


def low_share_planned(phases: Phases, thresholds: Thresholds = DEFAULTS) -> float | None:
    """Return the share of a run that a schedule spends at low rates; None for families whose form is not known."""
    low = thresholds[LOW_RATE]
    match phases.family:
        case ScheduleFamily.CONSTANT:
            of_decay = 0.0
        case ScheduleFamily.LINEAR:
            of_decay = low
        case ScheduleFamily.COSINE:
            of_decay = 1 - math.acos(2 * low - 1) / math.pi
        case _:
            return None
    return of_decay * phases.decay / phases.steps if phases.steps else None


def low_share_seen(trial: TrialRecord, thresholds: Thresholds = DEFAULTS) -> float | None:
    """Return the share of a trial's steps, by its curve, at a rate below a tenth of the peak and after it.

    None where the curve does not tell the learning rate. A warm-up comes before the peak and does not count.
    """
    rates = trial.curve.series(LEARNING_RATE)
    known = np.flatnonzero(np.isfinite(rates))
    if len(known) < 2:
        return None
    rates, steps = rates[known], np.asarray(trial.curve.steps, dtype=np.float64)[known]
    peak = int(np.argmax(rates))
    low = (rates < thresholds[LOW_RATE] * rates[peak]) & (np.arange(len(rates)) > peak)
    # Each evaluation stands for the steps since the one before.
    return float(np.diff(steps, prepend=0.0)[low].sum() / steps[-1])
