"""From a study's objects to what the stopping rule wants of its trials."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import a_fixed, a_range
from tests.support.views import a_result, a_snapshot, a_study, a_trial, samples
from tuning_contract.curve import Curve, Point
from tuning_operator.api.study_status import ParameterAssignment
from tuning_operator.api.trial import StopRecord, TrialState
from tuning_operator.search.stopping.curve import Progress
from tuning_operator.study.snapshot import MetricsView, Sample, Snapshot, TrialView
from tuning_operator.study.stopping import curves_by_arm, directives

SPACE = [a_range(), a_fixed(value="100"), a_fixed("warmup_steps", value="20")]


def at(trial: TrialView, **values: str) -> TrialView:
    """Return the trial with assignments."""
    given = {"learning_rate": "0.1", "max_steps": "100", "warmup_steps": "20", **values}
    assignments = [ParameterAssignment(name=name, value=value) for name, value in given.items()]
    return replace(trial, spec=trial.spec.model_copy(update={"assignments": assignments}))


def world(trials: list[TrialView], curves: dict[str, tuple[Sample, ...]], **spec: Any) -> Snapshot:
    study = a_study(**{"hyperparameters": SPACE, **spec})
    return a_snapshot(study, trials, metrics=MetricsView(curves=curves))


def ended(index: int, *values: float, state: str = "Succeeded", **status: Any) -> TrialView:
    """A trial with a curve of these values at steps 10, 20, …"""
    points = [Point(10 * (i + 1), value) for i, value in enumerate(values)]
    curve = json.dumps(Curve.of("validation_loss", points).to_json())
    return at(a_trial(index, state=state, result=a_result(values[-1], curve=curve), **status))


@pytest.mark.parametrize(
    ("direction", "values"), [("Minimize", [0.9, 0.5, math.inf]), ("Maximize", [-0.9, -0.5, -math.inf])]
)
def test_a_running_trial_s_curve_is_what_was_scraped(direction: str, values: list[float]) -> None:
    trial = at(a_trial(state="Running"))
    snapshot = world([trial], {trial.name: samples(0.9, 0.5, math.inf)}, objective={"direction": direction})
    (curve,) = curves_by_arm(snapshot)[0]
    assert [(p.step, p.value) for p in curve.points] == list(zip([10, 20, 30], values, strict=True))
    assert (curve.length, curve.warmup, curve.progress) == (100, 20, Progress.RUNNING)
    assert curve.maximised is (direction == "Maximize")


def test_a_resumed_trial_s_curve_begins_before_its_pause() -> None:
    before = ended(0, 0.9, 0.8, 0.7, state="Running", attempt=1)
    snapshot = world([before], {before.name: samples(0.75, 0.6, attempt=1, first_step=30)})
    (curve,) = curves_by_arm(snapshot)[0]
    assert [(p.step, p.value) for p in curve.points] == [(10, 0.9), (20, 0.8), (30, 0.75), (40, 0.6)]


@pytest.mark.parametrize(
    ("state", "progress"),
    [
        ("Pending", Progress.RUNNING),
        ("Suspended", Progress.RUNNING),
        ("Paused", Progress.PAUSED),
        ("Succeeded", Progress.COMPLETE),
        ("Stopped", Progress.STOPPED),
        ("Infeasible", Progress.STOPPED),
        ("Failed", Progress.STOPPED),
    ],
)
def test_states(state: str, progress: Progress) -> None:
    ((curve,),) = curves_by_arm(world([at(a_trial(state=state))], {}, stopping={"rule": "Median"})).values()
    assert curve.progress is progress


def test_the_parameters_may_have_other_names_and_an_unknown_length_is_none() -> None:
    trial = at(a_trial(state="Running"))
    renamed = world([trial], {}, stopping={"stepsParameter": "warmup_steps", "warmupParameter": "none"})
    (curve,) = curves_by_arm(renamed)[0]
    assert (curve.length, curve.warmup) == (20, 0)
    (unknown,) = curves_by_arm(world([trial], {}, stopping={"stepsParameter": "epochs"}))[0]
    assert unknown.length is None


def test_divergence_stops_a_trial_whatever_the_others_do() -> None:
    trial = at(a_trial(state="Running"))
    curve = samples(0.9, 0.8, 0.7, math.nan)
    found = directives(world([trial], {trial.name: curve}), 1, more_to_come=True)
    halt = found[trial.name].halt
    assert halt is not None
    assert halt.stop is not None
    assert (halt.state, halt.stop.rule, halt.stop.reason, halt.stop.step) == (
        TrialState.STOPPED,
        "DivergedOnly",
        "NotFinite",
        40,
    )
    assert directives(world([trial], {trial.name: curve}, stopping={"rule": "None"}), 1, more_to_come=True) == {}


def test_what_was_decided_stays_decided() -> None:
    stop = StopRecord(rule="Median", reason="WorseThanMedian", step=30)
    trial = at(a_trial(state="Running", stop=stop))
    found = directives(world([trial], {trial.name: samples(0.1)}), 1, more_to_come=True)
    halt = found[trial.name].halt
    assert halt is not None
    assert halt.stop == stop


def test_a_trial_is_compared_with_its_own_arm_only() -> None:
    good = [replace(ended(i, *[0.1] * 10), spec=ended(i, 0.1).spec.model_copy(update={"arm": 1})) for i in range(6)]
    bad = at(a_trial(6, state="Running"))
    snapshot = world([*good, bad], {bad.name: samples(*[0.9] * 5)}, stopping={"rule": "Median"})
    assert directives(snapshot, 1, more_to_come=True) == {}
    same_arm = [replace(t, spec=t.spec.model_copy(update={"arm": 0})) for t in good]
    stopped = directives(world([*same_arm, bad], {bad.name: samples(*[0.9] * 5)}, stopping={"rule": "Median"}), 1, True)
    assert list(stopped) == [bad.name]


@pytest.mark.parametrize(("free", "going_on"), [(0, 0), (1, 1), (5, 2)])
def test_as_many_paused_trials_go_on_as_there_is_room_for(free: int, going_on: int) -> None:
    # Of eight at the rung, the best two have not passed it yet.
    paused = [ended(i, 1.0, 1.0, 0.1 * (i + 1), state="Paused") for i in range(8)]
    rule = {"rule": "SuccessiveHalving", "minTrials": 2, "minFraction": 0.3}
    found = directives(world(paused, {}, stopping=rule), free, more_to_come=True)
    assert [name for name, d in found.items() if d.halt is None] == [t.name for t in paused[:going_on]]
    assert all(d.halt.state is TrialState.PAUSED for d in found.values() if d.halt is not None)


def test_when_nothing_more_comes_those_that_wait_are_stopped() -> None:
    done = [ended(i, *[0.1] * 10, passed_rungs=2) for i in range(3)]
    paused = [ended(3 + i, 1.0, 0.9, 0.9, 0.9, state="Paused") for i in range(2)]
    rule = {"rule": "SuccessiveHalving", "minTrials": 2}
    assert {
        d.halt and d.halt.state for d in directives(world([*done, *paused], {}, stopping=rule), 2, True).values()
    } == {TrialState.PAUSED}
    found = directives(world([*done, *paused], {}, stopping=rule), 2, more_to_come=False)
    assert {name: d.halt and d.halt.reason for name, d in found.items()} == {t.name: "NotPromoted" for t in paused}


def test_a_trial_that_violates_a_constraint_is_no_measure_for_others() -> None:
    good = [ended(i, *[0.1] * 10) for i in range(6)]
    bad = at(a_trial(6, state="Running"))
    curves = {bad.name: samples(*[0.9] * 5)}
    assert list(directives(world([*good, bad], curves, stopping={"rule": "Median"}), 1, True)) == [bad.name]
    violating = [
        replace(
            t,
            status=t.status.model_copy(
                update={"result": t.status.result and t.status.result.model_copy(update={"violations": ["latency"]})}
            ),
        )
        for t in good
    ]
    assert directives(world([*violating, bad], curves, stopping={"rule": "Median"}), 1, True) == {}
