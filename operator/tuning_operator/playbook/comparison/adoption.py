"""Is the change to be adopted? Decided on trainings that were not chosen for their luck (K06: ADP-1 to ADP-9, INC-7).

How often each side is trained again is fixed by the study before anybody looks (`retrains.count`), and nothing is
decided before: whoever looks after each retrain and stops when it pleases adopts what is no better. A later study with
the same question looks again, at half the level of the look before, so that however many studies ask, a change that
brings nothing is adopted with a probability below twice the level.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.procedure import Retrains
from tuning_operator.playbook.answers import answer
from tuning_operator.playbook.comparison.question import Question, question
from tuning_operator.playbook.comparison.superiority import Superiority, known, paired, signs, welch
from tuning_operator.playbook.comparison.variance import data_deviation
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.thresholds import Origin, Threshold

LEVEL: Final = Threshold(
    "adoptionLevel",
    0.15,
    Origin.DEFAULT,
    "With which probability a change that brings nothing may be adopted, where it adds no complexity",
    high=0.5,
)
COMPLEX_LEVEL: Final = Threshold(
    "adoptionLevelComplex", 0.05, Origin.DEFAULT, "The same where the change adds code or dependencies", high=0.5
)
CONFIRM_LEVEL: Final = Threshold(
    "confirmationLevel", 0.05, Origin.DEFAULT, "The same for the confirming test of pairs", high=0.5
)
WANTED: Final = Threshold(
    "retrainsWanted", 5, Origin.DEFAULT, "How many retrains a side are asked for, where the study names no number"
)
FEWEST: Final = Threshold(
    "retrainsFewest",
    3,
    Origin.DEFAULT,
    "With how many retrains a side a decision is made, where the study names no number and knows no deviation",
    low=2,
)
CONFIRM_PAIRS: Final = 29
"""Bouthillier et al. 2021, with Noether's formula (1987): see `superiority.signs`."""


def check(study: StudyRecord, earlier: Sequence[StudyRecord] = ()) -> list[Finding]:
    """Return whether to adopt the change; nothing where the study asks about none.

    Args:
        study: The study, with its retrains.
        earlier: Studies before it; those with the same goal, and retrains of both sides, have looked before.
    """
    asked = question(study)
    if asked is None:
        return []
    if not is_complete(study, asked):
        return [_need(study, asked)]
    if asked.candidate.infeasible:
        return [_unreliable(study, asked)]
    if len(asked.baseline.losses) < (1 if _deviation(study) is not None else 2):
        return [_need(study, asked)]
    return [_decided(study, asked, earlier_looks(study, earlier))]


def retrains_wanted(study: StudyRecord) -> int:
    """Return how often each side is to be trained again."""
    plan = study.spec.retrains
    if plan is None:
        return int(study.thresholds[WANTED])
    return CONFIRM_PAIRS if plan.confirm else plan.count


def is_complete(study: StudyRecord, asked: Question) -> bool:
    """Whether both sides were trained as often as it was fixed, or as it takes where nothing was fixed."""
    enough = retrains_wanted(study)
    if study.spec.retrains is None:
        enough = 1 if _deviation(study) is not None else int(study.thresholds[FEWEST])
    return all(len(side.retrains) >= enough for side in (asked.baseline, asked.candidate))


def earlier_looks(study: StudyRecord, earlier: Sequence[StudyRecord]) -> int:
    """Return how many of the earlier studies have decided on the same question."""
    goal = study.spec.goal
    if goal is None:
        return 0
    looks = 0
    for other in earlier:
        if other.name == study.name or other.spec.goal is None:
            continue
        if _plain(other.spec.goal.question) != _plain(goal.question):
            continue
        asked = question(other)
        looks += asked is not None and is_complete(other, asked)
    return looks


def compare(study: StudyRecord, asked: Question) -> Superiority:
    """Return how surely the candidate is better by more than its complexity costs.

    Seeds that both sides had are pairs: what the seed does to both falls out. Without them the sides are independent.
    """
    plan = study.spec.retrains or Retrains()
    number = retrains_wanted(study) if study.spec.retrains is not None else None
    # Only as many as were fixed, the first ones: who adds some afterwards has looked.
    sides = [side.results[:number] for side in (asked.baseline, asked.candidate)]
    ours, theirs = ([study.loss(t) for t in side] for side in sides)
    first, second = _pairs(study, *sides)
    fewest, cost = min(len(ours), len(theirs)), plan.complexity_cost
    is_paired = len(first) == fewest >= 2
    if plan.confirm:
        return signs(first, second, cost) if is_paired else signs(ours[:fewest], theirs[:fewest], cost)
    deviation = _deviation(study)
    if fewest < study.thresholds[FEWEST] and deviation is not None:
        return known(ours, theirs, cost, deviation)
    return paired(first, second, cost) if is_paired else welch(ours, theirs, cost)


def _pairs(
    study: StudyRecord, ours: Sequence[TrialRecord], theirs: Sequence[TrialRecord]
) -> tuple[list[float], list[float]]:
    """Return the losses of both sides for the seeds that both had."""
    first, second = ({t.seed: study.loss(t) for t in side if t.seed is not None} for side in (ours, theirs))
    shared = [seed for seed in first if seed in second]
    return [first[seed] for seed in shared], [second[seed] for seed in shared]


def _decided(study: StudyRecord, asked: Question, looks: int) -> Finding:
    plan = study.spec.retrains or Retrains()
    base = CONFIRM_LEVEL if plan.confirm else COMPLEX_LEVEL if plan.adds_complexity else LEVEL
    level = study.thresholds[base] / 2**looks
    found = compare(study, asked)
    is_adopted = found.p_value <= level
    low, high = found.interval(level)
    is_worse = high < 0
    candidate, baseline = asked.candidate, asked.baseline
    verdict = "Adopt" if is_adopted else "KeepBaseline"
    why = (
        "the candidate is better, given the variance of retraining"
        if is_adopted
        else "the candidate is worse"
        if is_worse
        else "the candidate has no consistent advantage"
    )
    cost = f" after a complexity cost of {plan.complexity_cost:g}" if plan.complexity_cost else ""
    return answer(
        study,
        Code.ADOPTION,
        verdict,
        Severity.INFO,
        "ADP-8",
        f"{len(baseline.losses)} retrains of the baseline and {len(candidate.losses)} of the candidate: {why}{cost}. "
        f"The candidate gains {found.difference:.4g} with a standard error of {found.error:.2g}.",
        action="Make the candidate the new baseline." if is_adopted else "Keep the baseline.",
        scientific=candidate.arm.scientific,
        numbers=_numbers(study, asked, found)
        | {"level": level, "looks": looks + 1, "low": low, "high": high, "complexityCost": plan.complexity_cost},
        thresholds=[base],
        trials=[*candidate.results[:5], *baseline.results[:5]],
        notes=_notes(study, asked, found, looks),
    )


def _numbers(study: StudyRecord, asked: Question, found: Superiority) -> dict[str, float]:
    candidate, baseline = asked.candidate, asked.baseline
    numbers = {
        "baselineRetrains": len(baseline.losses),
        "candidateRetrains": len(candidate.losses),
        "baselineMean": study.shown(float(np.mean(baseline.losses))),
        "candidateMean": study.shown(float(np.mean(candidate.losses))),
        "difference": found.difference,
        "standardError": found.error,
        "pValue": found.p_value,
        "candidateWins": found.wins,
    }
    if candidate.best is not None:
        # How much of the search's best result was luck: it was chosen for being the smallest.
        numbers["selectionBias"] = float(np.mean(candidate.losses)) - study.loss(candidate.best)
        data = data_deviation(study, candidate.best)
        if data is not None:
            numbers["dataDeviation"] = data
    return numbers


def _notes(study: StudyRecord, asked: Question, found: Superiority, looks: int) -> list[str]:
    notes = [f"{found.method.value.capitalize()}, one-sided."]
    if study.spec.retrains is None:
        notes.append("The study fixed no number of retrains beforehand: whoever stops when it pleases errs more often.")
    if looks:
        notes.append(
            f"{looks} earlier stud{'y has' if looks == 1 else 'ies have'} asked the same: the level is halved for each."
        )
    if asked.baseline.infeasible:
        notes.append(f"{len(asked.baseline.infeasible)} retrains of the baseline came to nothing and are left out.")
    if study.spec.baseline is None or study.spec.baseline.retrain_deviation is None:
        notes.append(
            "The retrain deviation can be reused until the pipeline changes much: baseline.retrainDeviation (ADP-7)."
        )
    return notes


def _unreliable(study: StudyRecord, asked: Question) -> Finding:
    side = asked.candidate
    return answer(
        study,
        Code.ADOPTION,
        "KeepBaseline",
        Severity.INFO,
        "ADP-8",
        f"{len(side.infeasible)} of {len(side.retrains)} retrains of the candidate came to nothing: it does not train "
        "reliably.",
        action="Keep the baseline; look at the candidate's stability.",
        scientific=side.arm.scientific,
        numbers={"infeasible": len(side.infeasible), "candidateRetrains": len(side.retrains)},
        trials=side.infeasible,
    )


def _need(study: StudyRecord, asked: Question) -> Finding:
    wanted = retrains_wanted(study)
    missing = {
        "baseline": max(wanted - len(asked.baseline.losses), 0),
        "candidate": max(wanted - len(asked.candidate.retrains), 0),
    }
    total = sum(missing.values())
    return answer(
        study,
        Code.ADOPTION,
        "NeedRetrains",
        Severity.INFO,
        "ADP-7",
        f"The candidate was found by its best result, which is partly luck: {missing['baseline']} more retrains of the "
        f"baseline and {missing['candidate']} of the candidate are needed to decide.",
        action=_how_to_retrain(study, wanted),
        scientific=asked.candidate.arm.scientific,
        numbers={
            "baselineRetrains": len(asked.baseline.retrains),
            "candidateRetrains": len(asked.candidate.retrains),
            "baselineMissing": missing["baseline"],
            "candidateMissing": missing["candidate"],
            "missing": total,
        },
        thresholds=[WANTED] if study.spec.retrains is None else [],
        trials=[side.best for side in (asked.candidate, asked.baseline) if side.best is not None],
    )


def _how_to_retrain(study: StudyRecord, wanted: int) -> str:
    if study.spec.retrains is None:
        return f"Set retrains: {{count: {wanted}}}, and the study runs them."
    if study.spec.budget.max_retrains < 2 * wanted:
        return f"Raise budget.maxRetrains to {2 * wanted}: both sides need {wanted} retrains."
    return "The study runs them when its search is done."


def _deviation(study: StudyRecord) -> float | None:
    return None if study.spec.baseline is None else study.spec.baseline.retrain_deviation


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip("?!. ")
