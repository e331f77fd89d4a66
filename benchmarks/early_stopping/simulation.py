"""A study on a table: eight slots, each trial taking the time that it takes, and a rule that looks at every evaluation.

The rules are the operator's own. What they pause goes on from where it was, without training anything twice. Starting a
pod costs nothing here.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from benchmarks.early_stopping.table import EVALUATE_EVERY, STEPS, WARMUP, Table
from tuning_contract.curve import Point
from tuning_operator.search.stopping.curve import Curve, Progress
from tuning_operator.search.stopping.verdicts import Verdicts

PARALLEL = 8


class Policy(Protocol):
    """What decides at each evaluation."""

    @property
    def pauses(self) -> bool:
        """Whether it pauses and promotes, which needs checkpoints."""

    def answer(self, curves: dict[str, Curve], newest: str) -> Verdicts | None:
        """Return what is to be done after an evaluation of one trial; None: nothing has changed."""


@dataclass
class Study:
    """One run."""

    table: Table
    order: Sequence[int]
    """The configurations, in the order in which they are tried."""
    policy: Policy
    budget: float = math.inf
    """In steps: nothing is trained beyond it."""
    spent: int = 0
    curves: dict[str, Curve] = field(default_factory=dict)
    told: list[tuple[int, float]] = field(default_factory=list)
    """(steps spent, result of the best complete trial) whenever a better one was complete."""

    def run(self) -> "Study":
        """Run until the budget is spent, or until nothing is left to train."""
        agenda: list[tuple[float, str]] = []
        resumes: list[tuple[str, int]] = []
        now, started = 0.0, 0
        while self.spent < self.budget:
            while len(agenda) < PARALLEL and (resumes or started < len(self.order)):
                if resumes:
                    name, passed = resumes.pop(0)
                    self.curves[name] = replace(self.curves[name], progress=Progress.RUNNING, passed=passed)
                else:
                    name, started = self._start(started), started + 1
                heapq.heappush(agenda, (now + self._duration(name), name))
            if not agenda:
                break
            now, name = heapq.heappop(agenda)
            self._evaluate(name)
            found = self.policy.answer(self.curves, name)
            if found is not None:
                self._carry_out(found)
                resumes = [(resume.trial, resume.passed) for resume in found.resumes]
            agenda = [(at, other) for at, other in agenda if self.curves[other].progress is Progress.RUNNING]
            heapq.heapify(agenda)
            if self.curves[name].progress is Progress.RUNNING:
                heapq.heappush(agenda, (now + self._duration(name), name))
        return self

    def best_at(self, steps: float) -> float:
        """Return the result that the user is told after so many steps; infinite while no trial is complete."""
        return min((result for spent, result in self.told if spent <= steps), default=math.inf)

    def is_complete(self, configuration: int) -> bool:
        """Whether a configuration was trained to its end."""
        curve = self.curves.get(_name(configuration))
        return curve is not None and curve.progress is Progress.COMPLETE

    def _start(self, number: int) -> str:
        configuration = self.order[number]
        name = _name(configuration)
        first = Point(0, float(self.table.losses[configuration, 0]))
        self.curves[name] = Curve(name, (first,), STEPS, WARMUP, keeps_best=True)
        return name

    def _duration(self, name: str) -> float:
        return EVALUATE_EVERY * float(self.table.seconds[int(name)])

    def _evaluate(self, name: str) -> None:
        curve = self.curves[name]
        number = len(curve.points)
        point = Point(number * EVALUATE_EVERY, float(self.table.losses[int(name), number]))
        self.spent += EVALUATE_EVERY
        done = point.step == STEPS
        progress = Progress.COMPLETE if done else Progress.RUNNING
        self.curves[name] = replace(curve, points=(*curve.points, point), progress=progress)
        result = float(self.table.results[int(name)]) if done else math.inf
        if result < self.best_at(self.spent):
            self.told.append((self.spent, result))

    def _carry_out(self, found: Verdicts) -> None:
        for stop in found.stops:
            self.curves[stop.trial] = replace(self.curves[stop.trial], progress=Progress.STOPPED)
        for pause in found.pauses:
            self.curves[pause.trial] = replace(self.curves[pause.trial], progress=Progress.PAUSED)
        for step in found.passes:
            self.curves[step.trial] = replace(self.curves[step.trial], passed=step.passed)


def _name(configuration: int) -> str:
    return f"{configuration:03}"
