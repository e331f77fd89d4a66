"""When a lead is a victory: the same tests for arms and for the parts of a scientific range.

All of these must hold, and else there is a tie:

1. the best result is ahead by at least `objective.smallestDifferenceThatMatters`, and by more than two standard
   deviations of a single result;
2. so is, with the same leader, the expected best of half as many trials, which one lucky trial hardly moves;
3. so large a lead of any arm has a probability of at most 5 % under chance (`luck.lead`);
4. the lead exceeds a number of standard errors sqrt(S1^2 + S2^2), S^2 being noise and the luck of the search together:
   arms may be equally good at their best and differ elsewhere, which permuting cannot tell;
5. late in training the best trial is ahead of the next arm's as well (CRV-11).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from tuning_operator.playbook.arms import DIFFERENT, Arm, noise
from tuning_operator.playbook.comparison.luck import Lead
from tuning_operator.playbook.comparison.outcome import Outcome, Reason, Standing
from tuning_operator.playbook.comparison.samples import is_adaptive
from tuning_operator.playbook.records import Purpose, StudyRecord, TrialRecord
from tuning_operator.playbook.series import late_median
from tuning_operator.playbook.thresholds import Origin, Threshold

WINNER_LEVEL: Final = Threshold(
    "winnerLevel",
    0.05,
    Origin.DEFAULT,
    "The largest probability, over all arms together, that identical arms give a winner",
    high=1.0,
)
LEAD: Final = Threshold(
    "leadDeviations",
    1.5,
    Origin.DEFAULT,
    "By how many standard errors, times (2 / arms)^(2/3), a winner leads where the arms share one space",
)
LEAD_APART: Final = Threshold(
    "leadDeviationsApart", 2.5, Origin.DEFAULT, "The same where the arms have spaces of their own"
)
LEAD_ADAPTIVE: Final = Threshold(
    "leadDeviationsAdaptive",
    8.0,
    Origin.DEFAULT,
    "The same where results have chosen the next points: one lucky find makes many good results, so that neither "
    "their order nor their spread says how lucky the search was",
)


def asked_lead(study: StudyRecord, arms: int, shared: bool) -> float:
    """Return how many standard errors a winner of so many arms must lead by.

    The more arms, the smaller the gap between the best two of them by chance.
    """
    threshold = LEAD_ADAPTIVE if is_adaptive(study) else LEAD if shared else LEAD_APART
    return study.thresholds[threshold] * math.pow(2 / arms, 2 / 3)


def judged(
    study: StudyRecord,
    standings: Sequence[Standing],
    rivals: Sequence[int],
    found: Lead,
    sigma: float,
    surest: float,
    asked: float,
) -> Outcome:
    """Return whether the leader has won.

    Args:
        study: Their study.
        standings: Of each sample, in the order of the samples.
        rivals: The places of those that the leader is compared with.
        found: Who leads.
        sigma: The standard deviation of a single result.
        surest: The leader's lead in standard errors.
        asked: What it must exceed.
    """
    first, second = standings[found.leader], standings[found.rival]
    ranked = tuple(sorted(standings, key=lambda s: s.loss))
    next_best = min((standings[i] for i in rivals), key=lambda s: s.loss)
    difference = next_best.loss - first.loss
    uncertainty = math.sqrt(2 * sigma**2 + first.spread**2 + second.spread**2)

    def because(reason: Reason, note: str) -> Outcome:
        won = first if reason is Reason.WINNER else None
        return Outcome(ranked, reason, won, abs(difference), uncertainty, found.p_value, note)

    if difference <= 0:
        return because(Reason.TIE, "Half of the trials would have found another arm ahead, or none.")
    if _is_small(study, difference, sigma):
        return because(Reason.TIE, "The difference is too small to matter, or within the noise of a single result.")
    if found.p_value > study.thresholds[WINNER_LEVEL]:
        return because(Reason.TIE, f"Identical arms lead by as much with a probability of {found.p_value:.2g}.")
    if surest <= asked:
        return because(Reason.TIE, f"The lead is {surest:.1f} standard errors, and {asked:.1f} are asked.")
    if not _leads_late(study, first.best, next_best.best):
        return because(Reason.TIE_BY_STEP_VARIANCE, "By its best evaluation it is ahead, late in training it is not.")
    return because(Reason.WINNER, f"Identical arms lead by as much with a probability of {found.p_value:.2g}.")


def filled(losses: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the losses with the worst of all in place of those without a result: they rank last."""
    worst = max(loss for sample in losses for loss in sample if math.isfinite(loss))
    return [[loss if math.isfinite(loss) else worst for loss in sample] for sample in losses]


def search_noise(study: StudyRecord, among: Sequence[Arm]) -> float:
    """Return the standard deviation of a result, as it was known before anything was trained again."""
    before = replace(study, trials=tuple(t for t in study.trials if t.purpose is not Purpose.RETRAIN))
    return noise(before, [t for arm in among for t in arm.top])


def _is_small(study: StudyRecord, difference: float, sigma: float) -> bool:
    matters = study.spec.objective.smallest_difference_that_matters or 0.0
    return difference < matters or difference <= study.thresholds[DIFFERENT] * sigma


def _leads_late(study: StudyRecord, first: TrialRecord | None, second: TrialRecord | None) -> bool:
    """Whether the first trial is ahead late in training too; True where a curve is missing."""
    if first is None or second is None:
        return True
    ours, theirs = (late_median(losses[np.isfinite(losses)]) for losses in map(study.losses, (first, second)))
    return not ours >= theirs
