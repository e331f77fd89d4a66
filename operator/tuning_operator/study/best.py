"""Which trials are the best: by the objective, and in both of two, of those that keep to the constraints."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev

from tuning_contract.curve import thinned
from tuning_operator.api.hyperparameters import Role
from tuning_operator.api.study import SecondObjective, TuningStudySpec
from tuning_operator.api.study_status import PARETO_TRIALS, TOP_TRIALS, ParameterAssignment, ParetoPoint, TrialSummary
from tuning_operator.api.trial import ResultSource, TrialState
from tuning_operator.search.pareto import nondominated
from tuning_operator.study.snapshot import TrialView

MAX_PARAMETER_BYTES = 32_768
"""For names and values of all summaries together: a status stays below 64 KiB."""


@dataclass(frozen=True)
class CompletePoint:
    """A point of the search space that can be the best one: all of its trials have ended well."""

    trials: Sequence[TrialView]
    """Its replicates, by position."""
    values: Sequence[float]
    """Their objectives."""

    @cached_property
    def value(self) -> float:
        """The mean of the objectives."""
        return self.values[0] if len(self.values) == 1 else fmean(self.values)


def complete_points(spec: TuningStudySpec, trials: Iterable[TrialView], over: bool) -> list[CompletePoint]:
    """Return the points that can be the best one.

    Args:
        spec: the study.
        trials: as they stand after this decision.
        over: whether the study is over, so that no replicates come any more.
    """
    replicates = spec.search.replicates
    points: defaultdict[tuple[int, int], list[TrialView]] = defaultdict(list)
    for trial in trials:
        if trial.spec.purpose.is_search:
            points[trial.spec.arm, trial.spec.position // replicates].append(trial)
    return [
        CompletePoint(sorted(of_point, key=lambda trial: trial.spec.position), values)
        for of_point in points.values()
        if (over or len(of_point) == replicates) and (values := _values(of_point))
    ]


def best_trials(spec: TuningStudySpec, points: Iterable[CompletePoint]) -> list[TrialSummary]:
    """Return the ten best points, best first, the earlier of equals before the later."""
    sign = spec.objective.direction.sign
    searched = {h.name for h in spec.hyperparameters if h.role is not Role.FIXED}
    scored = [(sign * point.value, point.trials[0].spec.index, point) for point in points]
    best = heapq.nsmallest(TOP_TRIALS, scored, key=lambda entry: entry[:2])
    return list(_within_limits([_summary(point, searched, spec.search.replicates) for _, _, point in best]))


def pareto_front(spec: TuningStudySpec, points: Iterable[CompletePoint]) -> list[ParetoPoint]:
    """Return the points of which no other is better in both objectives, the best by the first one first."""
    second = spec.second_objective
    if second is None:
        return []
    found = [(point, fmean(values)) for point in points if (values := _second_values(spec, second, point.trials))]
    signs = spec.objective.direction.sign, second.direction.sign
    front = nondominated([(signs[0] * point.value, signs[1] * other) for point, other in found])
    return [
        ParetoPoint(
            trial=point.trials[0].name, value=point.value, second=other, display=f"{point.value:.6g}, {other:.6g}"
        )
        for point, other in (found[i] for i in thinned(front, PARETO_TRIALS))
    ]


def _second_values(spec: TuningStudySpec, second: SecondObjective, of_point: Sequence[TrialView]) -> list[float]:
    results = [trial.status.result for trial in of_point if trial.status.state is TrialState.SUCCEEDED]
    values = [result.measured(second.metric, spec.objective.at) for result in results if result is not None]
    return [value for value in values if value is not None]


def violates(trial: TrialView) -> bool:
    """Return whether the trial has a result that violates a constraint."""
    return trial.status.result is not None and bool(trial.status.result.violations)


def _values(of_point: Sequence[TrialView]) -> list[float]:
    """Return the objectives of a point's trials; none while one is under way, had no good end or violates a constraint.

    The mean of those that a rule let through, or that did not diverge, would be the mean of the lucky ones.
    """
    states = {trial.status.state for trial in of_point}
    cut_short = any(trial.status.stop is not None for trial in of_point)
    if TrialState.INFEASIBLE in states or cut_short or not all(state.is_finished for state in states):
        return []
    if any(map(violates, of_point)):
        return []
    results = [trial.status.result for trial in of_point if trial.status.state is TrialState.SUCCEEDED]
    return [result.value for result in results if result is not None and result.value is not None]


def _within_limits(summaries: Sequence[TrialSummary]) -> Iterator[TrialSummary]:
    """Leave out the parameters of the last ones where all of them would make the status too large to write.

    The best trial, which stands in the status twice, always has its own.
    """
    room = MAX_PARAMETER_BYTES
    for place, summary in enumerate(summaries):
        size = sum(len(f"{a.name}{a.value}".encode()) for a in summary.parameters)
        room -= size if place else 2 * size
        yield summary if place == 0 or room >= 0 else summary.model_copy(update={"parameters": []})


def _summary(point: CompletePoint, searched: set[str], replicates: int) -> TrialSummary:
    first, values = point.trials[0], point.values
    measured = [trial for trial in point.trials if trial.status.state is TrialState.SUCCEEDED]
    results = [trial.status.result for trial in measured if trial.status.result is not None]
    is_exact = all(result.source is ResultSource.RECORD for result in results)
    return TrialSummary(
        trial=first.name,
        value=point.value,
        replicates=len(values) if replicates > 1 else None,
        deviation=stdev(values) if replicates > 1 and len(values) > 1 else None,
        display=f"{point.value:.6g}",
        step=results[0].step if replicates == 1 else None,
        source=(ResultSource.RECORD if is_exact else ResultSource.PROMETHEUS).value,
        parameters=[
            ParameterAssignment(name=a.name, value=a.value) for a in first.spec.assignments if a.name in searched
        ],
    )
