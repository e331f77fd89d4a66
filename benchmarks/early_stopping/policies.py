"""The rules that are compared, each asked only where its answer can have changed, and the baseline.

The baseline is what Egele et al. (2024, arXiv 2404.04111) found hard to beat: train everything for a fixed fraction of
its steps and keep the top. It has two forms: one stops for good, as Median does, and one pauses and promotes what rises
into the top later, as successive halving does. Each rule is compared with the form of its own kind.
"""

from dataclasses import dataclass, replace

from tuning_operator.search.stopping.curve import Curve, Progress
from tuning_operator.search.stopping.median import Median
from tuning_operator.search.stopping.rules import DivergedOnly, Nothing, verdicts
from tuning_operator.search.stopping.successive_halving import SuccessiveHalving
from tuning_operator.search.stopping.verdicts import Pass, Pause, Resume, Stop, Verdicts


@dataclass(frozen=True)
class AtEachEvaluation:
    """A rule that judges a trial at its own evaluations; the others only lend their curves."""

    rule: Nothing | DivergedOnly | Median
    keeps_best: bool = True
    """Whether the rule knows that the best evaluation counts."""
    pauses: bool = False

    def answer(self, curves: dict[str, Curve], newest: str) -> Verdicts | None:
        """Judge the trial that was evaluated."""
        if isinstance(self.rule, Median):
            others = (_as_ended(curve) for name, curve in curves.items() if name != newest)
            return verdicts(self.rule, [curves[newest], *others])
        return verdicts(self.rule, [replace(curves[newest], keeps_best=self.keeps_best)])


@dataclass(frozen=True)
class AtRungs:
    """Successive halving: something changes where a trial reaches a rung or its end."""

    rule: SuccessiveHalving
    pauses: bool = True

    def answer(self, curves: dict[str, Curve], newest: str) -> Verdicts | None:
        """Judge all trials where the newest evaluation is at a rung, and divergence at all others."""
        curve = curves[newest]
        newest_step = curve.steps[-1]
        if any(curve.has_reached(r) and curve.first_past(r).step == newest_step for r in self.rule.rungs):
            return verdicts(self.rule, curves.values())
        found = verdicts(DivergedOnly(), [curve])
        return replace(found, resumes=verdicts(self.rule, curves.values()).resumes) if found.stops else None


@dataclass(frozen=True)
class FixedFraction:
    """Train everything for a fraction of its steps, and keep the top."""

    fraction: float
    keep: float
    pauses: bool
    min_trials: int = 5

    def answer(self, curves: dict[str, Curve], newest: str) -> Verdicts | None:
        """Judge all trials that have come as far, where one more has."""
        here = curves[newest]
        if not here.has_reached(self.fraction) or here.first_past(self.fraction).step != here.steps[-1]:
            return None
        there = [curve for curve in curves.values() if curve.has_reached(self.fraction)]
        if len(there) < self.min_trials:
            return Verdicts(passes=(Pass(newest, 1, ""),))
        ranked = sorted(there, key=lambda curve: (curve.best_until(self.fraction), curve.trial))
        top = ranked[: max(1, int(len(there) * self.keep))]
        is_held = newest not in {curve.trial for curve in top}
        if not self.pauses:
            return Verdicts(stops=(Stop(newest, "Fixed", here.steps[-1], "", ""),) if is_held else ())
        risen = tuple(Resume(curve.trial, 1, "") for curve in top if curve.progress is Progress.PAUSED)
        return Verdicts(pauses=(Pause(newest, 0, here.steps[-1], ""),) if is_held else (), resumes=risen)


def _as_ended(curve: Curve) -> Curve:
    return replace(curve, progress=Progress.STOPPED) if curve.progress is Progress.RUNNING else curve
