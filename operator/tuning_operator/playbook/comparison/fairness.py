"""Were the scientific values compared fairly? (K03: ROL-2, ROL-6, STU-3, BAL-3, BAL-4, ISO-3, ISO-4).

Edges, overfitting, step variance and sparse sampling make a comparison unfair, too; each has a finding of its own, and
here it is only named as the reason why the comparison is not `Ok`.
"""

from collections.abc import Sequence
from typing import Final

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.api.study import GoalKind
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import Arm, arms, position
from tuning_operator.playbook.comparison.question import baseline_arm
from tuning_operator.playbook.comparison.tuned import TUNED_VALUES, fixed_everywhere, not_tuned
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.thresholds import Origin, Threshold
from tuning_operator.search.space import is_range

BUDGET_SHARE: Final = Threshold(
    "budgetShare",
    0.8,
    Origin.DEFAULT,
    "The smallest number of trials of an arm, as a fraction of the largest, that is still equal effort",
    high=1.0,
)
RANGE_DIFFERENCE: Final = Threshold(
    "coveredRangeDifference",
    0.2,
    Origin.DEFAULT,
    "By how much of the range the parts that two arms have covered may differ",
    high=1.0,
)
STOPPED_SHARE: Final = Threshold(
    "stoppedShare",
    0.2,
    Origin.DEFAULT,
    "The largest fraction of an arm's trials that a comparing rule may stop, for the arm to be compared",
    high=1.0,
)
FEWEST: Final = 5
"""Below so many trials with a result, an arm's values say little about how it was tuned."""
RARE: Final = 0.001
"""How often an arm's points leave the end of a range empty, by chance, that is called another range."""
UNFAIR: Final = {
    (Code.SEARCH_SPACE_EDGE, "Expand"): "the best trials of an arm lie at the edge of a range",
    (Code.OVERFITTING, "BestTrial"): "the best trial of an arm overfits",
    (Code.STEP_VARIANCE, "High"): "the objective jumps from step to step",
    (Code.SAMPLING, "Sparse"): "too few points of an arm lie in the good region",
    (Code.FAIR_COMPARISON, "UnevenSampling"): "the scientific values were sampled unevenly",
}
"""What other rules find that makes a comparison unfair."""


def check(study: StudyRecord, findings: Sequence[Finding] = ()) -> list[Finding]:
    """Return what makes the comparison of the arms unfair, or restricts it.

    Args:
        study: The study; without at least two arms there is nothing to compare, and nothing is returned.
        findings: Those of the other rules about the same study.
    """
    compared = arms(study)
    if len(compared) < 2:
        return no_baseline(study, compared)
    found = [
        *no_baseline(study, compared),
        *not_tuned(study, compared),
        *fixed_everywhere(study, compared),
        *budget(study, compared),
        *covered_ranges(study, compared),
        *censored(study, compared),
    ]
    unclear = [arm for arm in compared if len(arm.feasible) < FEWEST]
    if unclear:
        found.append(_too_little(study, unclear))
    elif not any(f.severity is Severity.BLOCK or f.verdict == "Censored" for f in found):
        found += _fair(study, compared, findings)
    return found


def budget(study: StudyRecord, compared: Sequence[Arm]) -> list[Finding]:
    """Return the arms that had clearly fewer trials than others (BAL-4)."""
    most = max(len(arm.launched) for arm in compared)
    share = study.thresholds[BUDGET_SHARE]
    return [
        answer(
            study,
            Code.FAIR_COMPARISON,
            "Budget",
            Severity.BLOCK,
            "BAL-4",
            f"This arm had {len(arm.launched)} trials and another had {most}: the best of more is better by luck.",
            action=f"Run {most - len(arm.launched)} more trials of this arm.",
            scientific=arm.scientific,
            numbers={"trials": len(arm.launched), "most": most},
            thresholds=[BUDGET_SHARE],
        )
        for arm in compared
        # The operator's own shares differ by one.
        if len(arm.launched) < min(share * most, most - 1)
    ]


def covered_ranges(study: StudyRecord, compared: Sequence[Arm]) -> list[Finding]:
    """Return the ranges, common to the arms, of which the arms have covered different parts (BAL-3).

    Only arms that have tuned it are looked at: with one value nothing is covered, which `NotTuned` says.
    """
    found = []
    for h in _common_ranges(compared):
        covered = []
        for arm in compared:
            units = [u for t in arm.launched if (u := position(h, t)) is not None]
            if len(set(units)) >= study.thresholds[TUNED_VALUES]:
                covered.append((arm, min(units), max(units)))
        if len(covered) < 2:
            continue
        # Few points end farther from the ends of a range than many, without any difference of the ranges.
        gap = 1 - RARE ** (1 / min(len(arm.launched) for arm, _, _ in covered))
        lowest, highest = min(a for _, a, _ in covered), max(b for _, _, b in covered)
        allowed = max(study.thresholds[RANGE_DIFFERENCE], gap)
        for arm, below, above in covered:
            missing = max(below - lowest, highest - above)
            if missing <= allowed:
                continue
            found.append(
                answer(
                    study,
                    Code.FAIR_COMPARISON,
                    "Range",
                    Severity.BLOCK,
                    "BAL-3",
                    f"This arm has covered {h.parameter_name} from {below:.0%} to {above:.0%} of its range, and others "
                    f"from {lowest:.0%} to {highest:.0%}.",
                    action=f"Search {h.parameter_name} over the same range in every arm.",
                    parameter=h.parameter_name,
                    scientific=arm.scientific,
                    numbers={"low": below, "high": above, "lowest": lowest, "highest": highest},
                    thresholds=[RANGE_DIFFERENCE],
                )
            )
    return found


def censored(study: StudyRecord, compared: Sequence[Arm]) -> list[Finding]:
    """Return the arms of which a comparing rule has stopped too many trials."""
    share = study.thresholds[STOPPED_SHARE]
    return [
        answer(
            study,
            Code.FAIR_COMPARISON,
            "Censored",
            Severity.WARN,
            "STU-3",
            f"{len(arm.stopped)} of {len(arm.launched)} trials of this arm were stopped by comparison: nobody knows "
            "how good they would have become.",
            action="Run the study with stopping.rule: DivergedOnly.",
            scientific=arm.scientific,
            numbers={"stopped": len(arm.stopped), "trials": len(arm.launched)},
            thresholds=[STOPPED_SHARE],
            trials=arm.stopped,
        )
        for arm in compared
        if arm.launched and len(arm.stopped) > share * len(arm.launched)
    ]


def no_baseline(study: StudyRecord, compared: Sequence[Arm]) -> list[Finding]:
    """Return whether a change is to be tried without the arm that does not have it (ISO-3)."""
    goal = study.spec.goal
    if goal is None or goal.kind is not GoalKind.TRY_CHANGE or baseline_arm(study, compared) is not None:
        return []
    return [
        answer(
            study,
            Code.FAIR_COMPARISON,
            "NoBaseline",
            Severity.BLOCK,
            "ISO-3",
            "The goal is to try a change, and no arm is named as the one without it.",
            action="Set baseline.scientific to the scientific values of the arm without the change.",
        )
    ]


def _too_little(study: StudyRecord, unclear: Sequence[Arm]) -> Finding:
    fewest = min(unclear, key=lambda arm: len(arm.feasible))
    return unknown(
        study,
        Code.FAIR_COMPARISON,
        "STU-3",
        f"{len(unclear)} arm{' has' if len(unclear) == 1 else 's have'} fewer than {FEWEST} trials with a result: too "
        "few to say whether the comparison is fair.",
        action="Run more trials of each arm.",
        scientific=fewest.scientific,
        numbers={"feasible": len(fewest.feasible)},
    )


def _fair(study: StudyRecord, compared: Sequence[Arm], findings: Sequence[Finding]) -> list[Finding]:
    """Return that the arms had the same chances, and which other findings make the comparison unfair all the same."""
    reasons = sorted({why for f in findings if (why := UNFAIR.get((f.code, f.verdict))) is not None})
    counts = sorted(len(arm.launched) for arm in compared)
    but = f" The comparison is unfair all the same: {'; '.join(reasons)}." if reasons else ""
    return [
        passed(
            study,
            Code.FAIR_COMPARISON,
            "STU-3",
            f"{len(compared)} arms were tuned alike, with {counts[0]} to {counts[-1]} trials each.{but}",
            numbers={"arms": len(compared), "fewest": counts[0], "most": counts[-1]},
            thresholds=[TUNED_VALUES, BUDGET_SHARE, RANGE_DIFFERENCE, STOPPED_SHARE],
            notes=reasons,
        )
    ]


def _common_ranges(compared: Sequence[Arm]) -> list[Hyperparameter]:
    """Return the ranges that all arms search."""
    names = set.intersection(*({h.name for h in arm.dimensions} for arm in compared))
    return [h for h in compared[0].dimensions if is_range(h) and h.name in names]
