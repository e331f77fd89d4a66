"""The stopping rule, applied to a study's trials as they stand: which end, which wait, which go on."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tuning_contract.curve import Point
from tuning_operator.api.stopping import Stopping as Spec
from tuning_operator.api.stopping import StoppingRule
from tuning_operator.api.study import Direction, ObjectiveAt
from tuning_operator.api.trial import StopRecord, TrialState
from tuning_operator.search.stopping.curve import Curve, Progress
from tuning_operator.search.stopping.median import Median
from tuning_operator.search.stopping.rules import DivergedOnly, Nothing, Rule, at_the_end, verdicts
from tuning_operator.search.stopping.successive_halving import SuccessiveHalving
from tuning_operator.search.stopping.verdicts import Stop
from tuning_operator.study.results import so_far, written_points
from tuning_operator.study.snapshot import Snapshot, TrialView
from tuning_operator.study.trials import Halt

WAITS = "WaitsAtRung"
MOST_COMPARED = 32
"""That the status names."""

PROGRESS = {
    TrialState.SUCCEEDED: Progress.COMPLETE,
    TrialState.PAUSED: Progress.PAUSED,
    **dict.fromkeys((TrialState.PENDING, TrialState.RUNNING, TrialState.SUSPENDED), Progress.RUNNING),
}
"""Everything else has ended before its schedule did."""


@dataclass(frozen=True)
class Directive:
    """What the rule wants of one trial."""

    halt: Halt | None = None
    """None: it may run."""
    passed: int | None = None
    """How many rungs are behind it from now on; None: as many as before."""


def directives(snapshot: Snapshot, free: int, more_to_come: bool) -> Mapping[str, Directive]:
    """Return what is wanted of the trials that the rule has something to say about, by name.

    Args:
        snapshot: the world.
        free: how many paused trials may go on now.
        more_to_come: whether new trials will still start.
    """
    spec = snapshot.study.spec.stopping
    found = dict(_recorded(snapshot))
    rule = rule_of(spec)
    for curves in curves_by_arm(snapshot).values():
        said = verdicts(rule, curves)
        found |= {stop.trial: Directive(_halt_of(stop)) for stop in said.stops}
        found |= {each.trial: Directive(passed=each.passed) for each in said.passes}
        found |= {p.trial: Directive(Halt(TrialState.PAUSED, WAITS, p.message)) for p in said.pauses}
        going_on = {each.trial: each.passed for each in said.resumes[: max(free, 0)]}
        free -= len(going_on)
        found |= {trial: Directive(passed=passed) for trial, passed in going_on.items()}
        left_over = {stop.trial: stop for stop in at_the_end(rule, curves)}
        is_over = not more_to_come and not said.resumes and all(c.progress is not Progress.RUNNING for c in curves)
        waiting = {*left_over, *(each.trial for each in said.resumes)} - going_on.keys()
        for name in waiting:
            found[name] = Directive(_halt_of(left_over[name]) if is_over else _paused(snapshot.trials[name]))
    # Paused ones of which the rule says nothing were let go on before, or the rule was another one: as room allows.
    for trial in snapshot.trials.values():
        if trial.status.state is TrialState.PAUSED and trial.name not in found and trial.status.job is None:
            free -= 1
            if free < 0:
                found[trial.name] = Directive(_paused(trial))
    return found


def standing(snapshot: Snapshot) -> Mapping[str, Directive]:
    """Return what was decided before: the stops, and who waits; for a study whose trials are not judged now."""
    paused = {t.name: Directive(_paused(t)) for t in snapshot.trials.values() if t.status.state is TrialState.PAUSED}
    return {**paused, **dict(_recorded(snapshot))}


def _paused(trial: TrialView) -> Halt:
    return Halt(TrialState.PAUSED, WAITS, trial.status.message or "It waits at its rung.")


def rule_of(spec: Spec) -> Rule:
    """Return the rule with the study's settings, and its own defaults where the study has none."""
    match spec.rule:
        case StoppingRule.NONE:
            return Nothing()
        case StoppingRule.DIVERGED_ONLY:
            return DivergedOnly()
        case StoppingRule.MEDIAN:
            settings = {"min_trials": spec.min_trials, "grace_fraction": spec.grace_fraction}
            return Median(**{name: value for name, value in settings.items() if value is not None})  # type: ignore[arg-type]
        case StoppingRule.SUCCESSIVE_HALVING:
            chosen = {"min_trials": spec.min_trials, "eta": spec.eta, "min_fraction": spec.min_fraction}
            return SuccessiveHalving(**{name: value for name, value in chosen.items() if value is not None})  # type: ignore[arg-type]


def curves_by_arm(snapshot: Snapshot) -> Mapping[int, list[Curve]]:
    """Return the curves that the rule looks at, by arm: what stops in one arm must not depend on another one."""
    found: defaultdict[int, list[Curve]] = defaultdict(list)
    compares = snapshot.study.spec.stopping.rule.compares
    for trial in snapshot.trials.values():
        if not trial.spec.purpose.is_search:
            continue  # A retrain is to end as the others did, and a probe is meant to go wrong.
        job = snapshot.job_of(trial)
        if job is not None and job.size > 1:
            continue  # Its process cannot be ended for it alone, and trains the others no faster without it.
        # A rule that compares nothing needs no curve of what has ended: of ten thousand trials, a few run.
        ended = trial.status.state.is_finished
        # Nor is a trial measured by one that violates a constraint: it could never be the best.
        counts = compares and not (trial.status.result is not None and trial.status.result.violations)
        if counts or not ended:
            found[trial.spec.arm].append(_curve(snapshot, trial))
    return found


def _recorded(snapshot: Snapshot) -> Iterator[tuple[str, Directive]]:
    """What was decided before stays decided."""
    for trial in snapshot.trials.values():
        stop = trial.status.stop
        if stop is not None and not trial.status.state.is_finished:
            message = f"It is being stopped: {stop.rule}, {stop.reason}."
            yield trial.name, Directive(Halt(TrialState.STOPPED, stop.reason, trial.status.message or message, stop))


def _halt_of(stop: Stop) -> Halt:
    record = StopRecord(
        rule=stop.rule,
        reason=stop.reason,
        step=stop.step,
        evidence=dict(stop.evidence),
        compared=list(stop.compared[:MOST_COMPARED]),
    )
    return Halt(TrialState.STOPPED, stop.reason, stop.message, record)


def _curve(snapshot: Snapshot, trial: TrialView) -> Curve:
    spec = snapshot.study.spec
    maximised = spec.objective.direction is Direction.MAXIMIZE
    sign = spec.objective.direction.sign
    texts = {a.name: a.value for a in trial.spec.assignments}
    numbers = {h.parameter_name: texts[h.name] for h in spec.hyperparameters if h.name in texts}
    length = _steps(numbers.get(spec.stopping.steps_parameter))
    return Curve(
        trial=trial.name,
        points=tuple(Point(point.step, sign * point.value) for point in _points(snapshot, trial)),
        length=length or None,
        warmup=_steps(numbers.get(spec.stopping.warmup_parameter)),
        progress=PROGRESS.get(trial.status.state, Progress.STOPPED) if trial.status.stop is None else Progress.STOPPED,
        passed=trial.status.passed_rungs,
        keeps_best=spec.objective.at is ObjectiveAt.BEST,
        maximised=maximised,
    )


def _points(snapshot: Snapshot, trial: TrialView) -> list[Point]:
    """Return a trial's evaluations, each step once: what its status has of its end or pause, then what was scraped."""
    written = written_points(trial.status.result)
    if trial.status.state.is_finished:
        return written
    samples = so_far(trial.status.result, snapshot.metrics.curves.get(trial.name, ()))
    return [Point(sample.step, sample.value) for sample in samples if sample.step is not None] or written


def _steps(text: str | None) -> int:
    try:
        return max(int(float(text or 0)), 0)
    except (ValueError, OverflowError):
        return 0
