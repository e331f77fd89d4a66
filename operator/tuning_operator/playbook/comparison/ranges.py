"""What it means for a value of a scientific range to win.

A range has no arms. It is divided into the parts of its isolation plot, whose best trials are compared as those of arms
are; a part is compared with those that are not its neighbours, for where the optimum lies between two parts, both have
it. A winner says that the hyperparameter matters: its value is that of the part's best trial, and every value of the
part and of its neighbours may be as good. A tie says that the range does not matter beyond noise, or that there are too
few trials to tell.

Parts share the space of all other hyperparameters, so that results may be permuted over them.
"""

import math
from collections.abc import Sequence

from tuning_operator.api.hyperparameters import Hyperparameter, Role
from tuning_operator.playbook.arms import Arm
from tuning_operator.playbook.comparison.isolation import by_part, edges, number_of_parts
from tuning_operator.playbook.comparison.judging import WINNER_LEVEL, asked_lead, filled, judged, search_noise
from tuning_operator.playbook.comparison.luck import lead, smallest_p_value
from tuning_operator.playbook.comparison.outcome import Outcome, Reason, Standing
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.search.space import is_range

APART = 2
"""Neighbours are no rivals."""


def scientific_ranges(study: StudyRecord) -> list[Hyperparameter]:
    """Return the scientific hyperparameters that are ranges."""
    return [h for h in study.spec.hyperparameters if h.role is Role.SCIENTIFIC and is_range(h)]


def range_outcome(study: StudyRecord, arm: Arm, ranges: Sequence[Hyperparameter]) -> Outcome:
    """Return which value of a scientific range won; of several ranges, the clearest one decides.

    Each of several ranges is another chance to be wrong, so that the probability counts as many times. The winner has
    its best trial's value of every range.
    """
    if arm.best is None:
        return Outcome((), Reason.ARM_WITHOUT_RESULT, note="No trial has a result.")
    found = [_of_one(study, arm, h, ranges) for h in ranges]
    tested = [o for o in found if o.p_value is not None]
    if not tested:
        return found[0]
    outcome = min(tested, key=lambda o: (o.winner is None, o.p_value))
    corrected = min(1.0, (outcome.p_value or 0.0) * len(ranges))
    if outcome.winner is not None and corrected > study.thresholds[WINNER_LEVEL]:
        note = f"One of {len(ranges)} ranges leads by as much with a probability of {corrected:.2g}."
        return Outcome(outcome.ranked, Reason.TIE, None, outcome.difference, outcome.uncertainty, corrected, note)
    return Outcome(
        outcome.ranked,
        outcome.reason,
        outcome.winner,
        outcome.difference,
        outcome.uncertainty,
        corrected,
        outcome.note,
    )


def _of_one(study: StudyRecord, arm: Arm, hyperparameter: Hyperparameter, ranges: Sequence[Hyperparameter]) -> Outcome:
    tried = [*arm.feasible, *arm.infeasible]
    results = {t.name: study.loss(t) for t in arm.feasible}
    parts = number_of_parts(study, len(tried))
    members = by_part(hyperparameter, tried, parts)
    kept = [k for k in range(parts) if any(t.name in results for t in members[k])]
    sizes = [len(members[k]) for k in kept]
    if len(kept) <= APART + 1 or smallest_p_value(sizes) > study.thresholds[WINNER_LEVEL]:
        return Outcome((), Reason.TOO_FEW_TRIALS, note="Too few parts of the range have a result.")
    found = lead(filled([[results.get(t.name, math.inf) for t in members[k]] for k in kept]), APART)
    standings = []
    for i, k in enumerate(kept):
        top = _best(members[k], results)
        standings.append(
            Standing(
                {h.parameter_name: top.assignment[h.name] for h in ranges},
                top,
                results[top.name],
                found.expected[i],
                found.spreads[i],
                len(members[k]),
                (
                    edges(hyperparameter, max(k - 1, 0), parts)[0],
                    edges(hyperparameter, min(k + 1, parts - 1), parts)[1],
                ),
            )
        )
    rivals = [i for i in range(len(kept)) if abs(i - found.leader) >= APART]
    sigma = search_noise(study, [arm])
    gap = found.expected[found.rival] - found.expected[found.leader]
    error = math.sqrt(2 * sigma**2 + found.spreads[found.leader] ** 2 + found.spreads[found.rival] ** 2)
    surest = gap / error if error > 0 else math.inf
    asked = asked_lead(study, len(kept), shared=True)
    return judged(study, standings, rivals, found, sigma, surest, asked)


def _best(trials: Sequence[TrialRecord], results: dict[str, float]) -> TrialRecord:
    return min((t for t in trials if t.name in results), key=lambda t: results[t.name])


def _with_neighbours(hyperparameter: Hyperparameter, part: int, parts: int) -> tuple[float, float]:
    low, _ = edges(hyperparameter, max(part - 1, 0), parts)
    _, high = edges(hyperparameter, min(part + 1, parts - 1), parts)
    return low, high
