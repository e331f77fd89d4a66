"""Which scientific value won: the best arm beyond noise, from Search trials alone, or a tie (K03).

The tests are those of `judging`. Where the arms have different numbers of dimensions, results cannot be alike at equal
numbers of trials even if the optima are: what more trials would still bring, judged by what the second half of them has
brought, is granted to the rival and counts as uncertainty too.

`benchmarks/findings` measures how often identical arms give a winner, and how often a better one is found.
"""

import math
from collections.abc import Sequence

from tuning_operator.playbook.arms import Arm, arms
from tuning_operator.playbook.comparison.judging import WINNER_LEVEL, asked_lead, filled, judged, search_noise
from tuning_operator.playbook.comparison.luck import Lead, lead, smallest_p_value
from tuning_operator.playbook.comparison.outcome import Outcome, Reason, Standing
from tuning_operator.playbook.comparison.ranges import range_outcome, scientific_ranges
from tuning_operator.playbook.comparison.samples import Sample, same_space, samples_of
from tuning_operator.playbook.records import StudyRecord


def outcome(study: StudyRecord) -> Outcome:
    """Return which scientific value won, from Search trials alone; retrains decide on adoption and not on this.

    Of several arms, the best one beyond noise. Without lists of scientific values: the best part of a scientific range,
    or, where nothing is scientific, simply the best trial.
    """
    compared = arms(study)
    if len(compared) < 2:
        ranges = scientific_ranges(study)
        return range_outcome(study, compared[0], ranges) if ranges else _single(study, compared[0])
    samples = samples_of(study, compared)
    if not all(s.feasible for s in samples):
        return _without_test(samples, Reason.ARM_WITHOUT_RESULT, "An arm has no trial with a result.")
    level = study.thresholds[WINNER_LEVEL]
    if smallest_p_value([len(s.losses) for s in samples]) > level or min(s.feasible for s in samples) < 2:
        note = "However clear the lead, so few trials could show it by chance."
        return _without_test(samples, Reason.TOO_FEW_TRIALS, note)
    found = lead(filled([s.losses for s in samples]))
    sigma = search_noise(study, compared)
    standings = [
        Standing(s.arm.scientific, s.best, s.loss, expected, spread, len(s.losses))
        for s, expected, spread in zip(samples, found.expected, found.spreads, strict=True)
    ]
    rivals = [i for i in range(len(samples)) if i != found.leader]
    asked = asked_lead(study, len(samples), same_space(compared))
    return judged(study, standings, rivals, found, sigma, _surest_lead(samples, found, sigma), asked)


def _surest_lead(samples: Sequence[Sample], found: Lead, sigma: float) -> float:
    """Return the leader's smallest lead over any other arm, in standard errors."""
    first = found.leader
    ours = len(samples[first].arm.dimensions)
    leads = []
    for i, sample in enumerate(samples):
        if i == first:
            continue
        theirs = len(sample.arm.dimensions)
        gap = found.expected[i] - found.expected[first]
        variance = 2 * sigma**2 + found.spreads[first] ** 2 + found.spreads[i] ** 2
        if theirs != ours:
            missing = _missing(found.expected[i], sample.loss, theirs)
            gap -= max(0.0, missing - _missing(found.expected[first], samples[first].loss, ours))
            variance += missing**2
        leads.append(gap / math.sqrt(variance) if variance > 0 else math.inf)
    return min(leads)


def _missing(expected: float, best: float, dimensions: int) -> float:
    """Return how far the expected best of half is from the optimum, for a smooth optimum inside the space.

    There the distance of the best of n falls as n^(-2/d): what the second half of the trials has brought tells what all
    further ones would bring.
    """
    brought = max(expected - best, 0.0)
    return brought + brought / (2 ** (2 / max(dimensions, 1)) - 1)


def _single(study: StudyRecord, arm: Arm) -> Outcome:
    sample = samples_of(study, [arm])[0]
    standing = Standing(arm.scientific, sample.best, sample.loss, sample.loss, 0.0, len(sample.losses))
    if sample.best is None:
        return Outcome((standing,), Reason.ARM_WITHOUT_RESULT, note="No trial has a result.")
    return Outcome((standing,), Reason.ONE_ARM, standing, note="No scientific values are compared.")


def _without_test(samples: Sequence[Sample], reason: Reason, note: str) -> Outcome:
    standings = [Standing(s.arm.scientific, s.best, s.loss, s.loss, 0.0, len(s.losses)) for s in samples]
    return Outcome(tuple(sorted(standings, key=lambda s: s.loss)), reason, note=note)
