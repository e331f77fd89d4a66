"""Many infeasible trials: a range too wide, a space cut the wrong way, or a bug (K07; INF-1 to INF-4)?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from scipy import stats

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import Arm, arms, whole
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.space.cuts import Cut, best_cuts
from tuning_operator.playbook.space.wording import arm_text, counted
from tuning_operator.playbook.thresholds import Origin, Threshold

LEAST: Final = Threshold(
    "infeasibleTrials", 5, Origin.DEFAULT, "The fewest trials whose infeasible share says anything"
)
SOME: Final = Threshold("infeasibleSome", 0.2, Origin.DEFAULT, "The infeasible share that is worth a note", 0.0, 1.0)
MOST: Final = Threshold(
    "infeasibleMost", 0.5, Origin.DEFAULT, "The infeasible share from which on the space must change", 0.0, 1.0
)
ALL: Final = Threshold(
    "infeasibleAll", 0.95, Origin.DEFAULT, "The infeasible share that points to a bug wherever the trials lie", 0.0, 1.0
)
CLEAN: Final = Threshold(
    "infeasibleCut",
    0.9,
    Origin.DEFAULT,
    "The balanced accuracy of a cut that tells where trials are infeasible",
    0.5,
    1,
)
DERIVED_GAIN: Final = Threshold(
    "infeasibleDerivedGain",
    0.08,
    Origin.DEFAULT,
    "By how much a product or ratio must be more accurate than one hyperparameter",
)
NO_CUT: Final = Threshold(
    "infeasibleNoCut", 0.75, Origin.DEFAULT, "Below this balanced accuracy no cut tells anything", 0.5, 1.0
)
CHANCE: Final = Threshold(
    "infeasibleChance", 0.05, Origin.DEFAULT, "How probable a cut may be among trials that fail at random", 0.0, 1.0
)


def check(study: StudyRecord) -> list[Finding]:
    """Return what the infeasible trials say of the space, and which trials the infrastructure has lost.

    Of the whole study; of each arm where hyperparameters are conditional, as the same name is not the same one there
    (ROL-23); of one arm beside the whole where it holds all infeasible trials, and more than by chance.
    """
    everything = whole(study)
    lost = [_lost(study, everything.lost)] if everything.lost else []
    divided = arms(study)
    if any(h.when is not None for h in study.spec.hyperparameters):
        return lost + [_of_arm(arm) for arm in divided]
    alone = _alone(divided)
    return [*lost, _of_arm(everything), *([_of_arm(alone)] if alone is not None else [])]


def _lost(study: StudyRecord, trials: Sequence[TrialRecord]) -> Finding:
    reasons = Counter(trial.reason or "Lost" for trial in trials)
    listed = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common(5))
    return answer(
        study,
        Code.INFEASIBLE,
        "InfrastructureLoss",
        Severity.INFO,
        "INF-1",
        f"The infrastructure has ended {counted(len(trials), 'trial')} ({listed}): no evidence about the space.",
        action="Run them again with the same parameters.",
        numbers={"lost": len(trials)},
        trials=trials,
    )


def _alone(divided: Sequence[Arm]) -> Arm | None:
    """Return the arm in which all infeasible trials lie, where chance would rarely put them there."""
    having = [arm for arm in divided if arm.infeasible]
    if len(divided) < 2 or len(having) != 1:
        return None
    (arm,) = having
    t = arm.study.thresholds
    total, inside, infeasible = sum(len(a.launched) for a in divided), len(arm.launched), len(arm.infeasible)
    by_chance = len(divided) * float(stats.hypergeom.pmf(infeasible, total, inside, infeasible))
    return arm if by_chance <= t[CHANCE] and infeasible / inside >= t[SOME] else None


@dataclass(frozen=True)
class _Count:
    launched: int
    infeasible: int
    failed: int

    @property
    def share(self) -> float:
        return self.infeasible / self.launched

    @property
    def numbers(self) -> dict[str, float]:
        return {
            "launched": self.launched,
            "infeasible": self.infeasible,
            "failed": self.failed,
            "infeasibleShare": self.share,
        }


def _of_arm(arm: Arm) -> Finding:
    study, t, text = arm.study, arm.study.thresholds, arm_text(arm.scientific)
    count = _Count(len(arm.launched), len(arm.infeasible), len(arm.failed))
    where: dict[str, Any] = {"scientific": arm.scientific, "trials": arm.infeasible or arm.failed}
    if count.launched < max(t[LEAST], 1):
        return unknown(
            study,
            Code.INFEASIBLE,
            "INF-1",
            f"{counted(count.launched, 'trial')}{text} cannot show how much of the space is infeasible.",
            action=f"Run at least {t[LEAST]:g} trials.",
            numbers={"launched": count.launched},
            thresholds=[LEAST],
            **where,
        )
    found = f"{count.infeasible} of {counted(count.launched, 'trial')}{text} are infeasible"
    failed = f", and {count.failed} failed" if count.failed else ""
    # Failed trials are evidence of a bug, never about a range.
    if count.share < t[MOST] <= (count.infeasible + count.failed) / count.launched:
        return _bug(arm, count, f"{found}{failed}: most came to nothing.")
    if count.share < t[SOME]:
        return passed(
            study,
            Code.INFEASIBLE,
            "INF-1",
            f"{found}{failed}.",
            numbers=count.numbers,
            thresholds=[SOME],
            notes=_reasons([*arm.infeasible, *arm.failed]),
            **where,
        )
    if count.share < t[MOST]:
        return answer(
            study,
            Code.INFEASIBLE,
            "Note",
            Severity.INFO,
            "INF-1",
            f"{found}{failed}.",
            numbers=count.numbers,
            thresholds=[SOME, MOST],
            notes=_reasons([*arm.infeasible, *arm.failed]),
            **where,
        )
    return _most(arm, count, found + failed)


def _most(arm: Arm, count: _Count, found: str) -> Finding:
    """Answer where most trials are infeasible: where do they lie?"""
    t = arm.study.thresholds
    trained = [*arm.feasible, *arm.violating, *arm.stopped]
    if count.share >= t[ALL] or not trained:
        return _bug(arm, count, f"{found}, wherever they lie.")
    trials = [*trained, *arm.infeasible]
    single, derived = best_cuts(arm.numeric, trials, [False] * len(trained) + [True] * len(arm.infeasible))
    q1, q2 = (cut.quality if cut is not None else 0.5 for cut in (single, derived))
    if derived is not None and q2 >= t[CLEAN] and q2 >= q1 + t[DERIVED_GAIN] and derived.chance <= t[CHANCE]:
        return _cut(arm, count, derived, found)
    # INF-3 asks for the simpler description: a product only where it is clearly better.
    if single is not None and q1 >= t[CLEAN] and single.chance <= t[CHANCE]:
        return _cut(arm, count, single, found)
    best = max((c for c in (single, derived) if c is not None), key=lambda c: c.quality, default=None)
    # A cut that is good by chance alone is none, unless it is too good to be left unsaid.
    if best is None or best.quality < t[NO_CUT] or (best.chance > t[CHANCE] and best.quality < t[CLEAN]):
        return _bug(arm, count, f"{found}, and no cut of the space tells where.", best)
    return answer(
        arm.study,
        Code.INFEASIBLE,
        "AdjustSpace",
        Severity.BLOCK,
        "INF-2",
        f"{found}, and no single cut tells all of them: the best, {best.text}, does with an accuracy of "
        f"{best.quality:.0%}.",
        action="Look at the plots, and leave out the region where trials are infeasible.",
        numbers=count.numbers | _measured(best),
        thresholds=[MOST, CLEAN, NO_CUT, CHANCE],
        trials=arm.infeasible,
        scientific=arm.scientific,
        notes=_reasons(arm.infeasible)
        + (
            [f"So few trials would show such a cut by chance, too ({best.chance:.0%})."]
            if best.chance > t[CHANCE]
            else []
        ),
    )


def _cut(arm: Arm, count: _Count, cut: Cut, found: str) -> Finding:
    value = float(f"{cut.value:.6g}")
    shared: dict[str, Any] = {
        "numbers": count.numbers | _measured(cut),
        "thresholds": [MOST, CLEAN, DERIVED_GAIN, CHANCE],
        "trials": arm.infeasible,
        "scientific": arm.scientific,
        "side": cut.side,
        "cut": value,
        "notes": _reasons(arm.infeasible),
    }
    message = f"{found}, and {cut.quality:.0%} accurately those with {cut.text}."
    if cut.is_derived:
        return answer(
            arm.study,
            Code.INFEASIBLE,
            "Reparameterise",
            Severity.BLOCK,
            "INF-3",
            message,
            action=f"Search {cut.expression} in place of one of the two, up to {value:g}."
            if cut.side.value == "high"
            else f"Search {cut.expression} in place of one of the two, from {value:g} on.",
            expression=cut.expression,
            **shared,
        )
    return answer(
        arm.study,
        Code.INFEASIBLE,
        "AdjustRange",
        Severity.BLOCK,
        "INF-2",
        message,
        action=f"Let the range of {cut.expression} {'end' if cut.side.value == 'high' else 'begin'} at {value:g}.",
        parameter=cut.expression,
        **shared,
    )


def _bug(arm: Arm, count: _Count, message: str, best: Cut | None = None) -> Finding:
    ended = [*arm.infeasible, *arm.failed]
    steps = [trial.curve.steps[-1] for trial in ended if len(trial.curve)]
    last = {"lastStepMedian": float(sorted(steps)[len(steps) // 2])} if steps else {}
    return answer(
        arm.study,
        Code.INFEASIBLE,
        "PossibleBug",
        Severity.BLOCK,
        "INF-4",
        message,
        action="Look for a bug in the training code: run one of these trials by hand, with a low learning rate.",
        numbers=count.numbers | last | (_measured(best) if best else {}),
        thresholds=[MOST, ALL, NO_CUT, CHANCE],
        trials=ended,
        scientific=arm.scientific,
        notes=_reasons(ended),
    )


def _measured(cut: Cut) -> dict[str, float]:
    return {"accuracy": cut.quality, "cutByChance": cut.chance}


def _reasons(trials: Sequence[TrialRecord]) -> list[str]:
    """Return the commonest reason and the commonest message, each with its count."""
    notes = []
    for what, texts in (("reason", (t.reason for t in trials)), ("message", (t.message for t in trials))):
        commonest = Counter(filter(None, texts)).most_common(1)
        notes += [f"Commonest {what} ({number} of {len(trials)}): {text}" for text, number in commonest]
    return notes
