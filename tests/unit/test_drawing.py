"""Points that depend on results: drawn in sight of each other, in time, and quasi-randomly where that cannot be."""

import json
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import a_choice, a_range
from tests.support.views import NOW, a_job, a_pod, a_record, a_result, a_snapshot, a_study, a_trial
from tuning_operator import drawing
from tuning_operator.api.search import Algorithm
from tuning_operator.api.study_status import ParameterAssignment
from tuning_operator.api.trial import TuningTrialStatus
from tuning_operator.drawing import Drawing
from tuning_operator.search.observation import Observation
from tuning_operator.search.suggest import suggest_adaptively
from tuning_operator.study.decide import decide
from tuning_operator.study.decision import Decision
from tuning_operator.study.snapshot import PreviousStudy, Snapshot, StudyView, TrialView

RATE = a_range("learning_rate", low=1e-4, high=1.0, scale="Log")


def a_bayesian_study(**spec: Any) -> StudyView:
    return a_study(
        **{
            "hyperparameters": [RATE],
            "search": {"algorithm": "Bayesian"},
            "budget": {"maxTrials": 40, "parallelTrials": 4},
            **spec,
        }
    )


def with_results(number: int) -> list[TrialView]:
    """Trials from a learning rate of 1e-4 on, each better than the one before."""
    found = []
    for i in range(number):
        trial = a_trial(i, state="Succeeded", result=a_result(1.0 / (i + 1)))
        rate = ParameterAssignment(name="learning_rate", value=repr(1e-4 * 1.6**i))
        spec = trial.spec.model_copy(update={"assignments": [rate]})
        found.append(TrialView(trial.name, trial.uid, "1", trial.created, False, spec, trial.status))
    return found


async def drawn(snapshot: Snapshot, by: Drawing | None = None) -> Decision:
    """Return the decision after its draws."""
    first = decide(snapshot)
    assert first.new_trials == ()
    suggestions = await (by or Drawing()).draw(snapshot, first)
    return decide(replace(snapshot, suggestions=suggestions))


async def test_places_are_drawn_and_become_trials_that_differ() -> None:
    decision = await drawn(a_snapshot(a_bayesian_study(), with_results(12)))
    assert [t.spec.position for t in decision.new_trials] == [12, 13, 14, 15]
    assert {t.spec.suggested_by for t in decision.new_trials} == {Algorithm.BAYESIAN}
    assert len({t.spec.parameters for t in decision.new_trials}) == 4
    assert decision.draws == ()


async def test_it_begins_quasi_randomly_and_says_why() -> None:
    decision = await drawn(a_snapshot(a_bayesian_study()))
    assert [t.spec.suggested_by for t in decision.new_trials] == [Algorithm.QUASI_RANDOM] * 4
    assert {t.spec.suggestion_note for t in decision.new_trials} == {"too few results to learn from"}
    quasi_random = decide(a_snapshot(a_bayesian_study(search={"algorithm": "QuasiRandom"}))).new_trials
    assert [t.spec.parameters for t in decision.new_trials] == [t.spec.parameters for t in quasi_random]


async def test_a_model_that_takes_too_long_leaves_it_to_quasi_random(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def forever(*_: object) -> None:
        release.wait(60)

    monkeypatch.setattr(drawing, "suggest_adaptively", forever)
    decision = await drawn(a_snapshot(a_bayesian_study(), with_results(12)), Drawing(timedelta(seconds=0.1)))
    release.set()
    assert [t.spec.suggested_by for t in decision.new_trials] == [Algorithm.QUASI_RANDOM] * 4
    assert {t.spec.suggestion_note for t in decision.new_trials} == {"the model took longer than 0.1 s"}


async def test_a_model_that_hangs_costs_its_time_once_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    release, asked = threading.Event(), []

    def forever(*_: object) -> None:
        asked.append(1)
        release.wait(60)

    monkeypatch.setattr(drawing, "suggest_adaptively", forever)
    await drawn(a_snapshot(a_bayesian_study(), with_results(12)), Drawing(timedelta(seconds=0.1)))
    release.set()
    assert len(asked) == 1


async def test_a_model_that_fails_leaves_it_to_quasi_random(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise FloatingPointError("matrix not positive definite")

    monkeypatch.setattr(drawing, "suggest_adaptively", fails)
    decision = await drawn(a_snapshot(a_bayesian_study(), with_results(12)))
    assert {t.spec.suggestion_note for t in decision.new_trials} == {"the model failed: matrix not positive definite"}


async def test_results_of_the_same_decision_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Observation]] = []

    def spy(spec: Any, arm: Any, position: int, observations: list[Observation]) -> Any:
        seen.append(observations)
        return suggest_adaptively(spec, arm, position, observations)

    monkeypatch.setattr(drawing, "suggest_adaptively", spy)
    done = with_results(10)
    ends = replace(done[0], status=TuningTrialStatus(state="Running"))
    job = a_job(ends)
    pod = a_pod(job, exit_code=0, termination_message=a_record(ends, [0.25]))
    study = a_bayesian_study(budget={"maxTrials": 40, "parallelTrials": 2})
    await drawn(a_snapshot(study, [ends, *done[1:]], [job], [pod]))
    assert [len(observations) for observations in seen] == [10, 11]
    assert all(observations[0].loss == 0.25 for observations in seen)
    assert seen[1][-1].is_pending


async def test_a_small_space_is_tried_to_its_end_without_repetition() -> None:
    space = [a_choice(role="Nuisance", values=["a", "b", "c"]), a_range("n", type="Integer", low=1, high=4)]
    study = a_bayesian_study(hyperparameters=space, budget={"maxTrials": 40, "parallelTrials": 4, "maxFailedTrials": 9})
    trials: list[TrialView] = []
    for round_ in range(4):
        decision = await drawn(a_snapshot(study, trials))
        for new in decision.new_trials:
            trial = a_trial(new.spec.index, state="Failed" if round_ == 0 else "Succeeded", result=a_result(0.5))
            trials.append(TrialView(new.name, new.name, "1", trial.created, False, new.spec, trial.status))
    assert len({t.spec.parameters for t in trials}) == len(trials) == 12


async def test_a_study_goes_over_to_the_model_when_it_is_told_to() -> None:
    study = a_bayesian_study(
        search={"algorithm": "QuasiRandom", "switchTo": {"algorithm": "Bayesian", "afterTrials": 14}}
    )
    snapshot = a_snapshot(study, with_results(12))
    first = decide(snapshot)
    assert [t.spec.position for t in first.new_trials] == [12, 13]
    assert first.draws == ((0, 14), (0, 15))
    suggestions = await Drawing().draw(snapshot, first)
    assert {s.algorithm for s in suggestions.values()} == {Algorithm.BAYESIAN}


async def test_what_earlier_studies_found_is_used_from_the_first_trial_on() -> None:
    before = tuple(
        replace(t, spec=t.spec.model_copy(update={"parameters": f'{{"learning_rate": {1e-4 * 1.6**i!r}}}'}))
        for i, t in enumerate(with_results(12))
    )
    snapshot = a_snapshot(a_bayesian_study(), previous=(PreviousStudy("before", a_bayesian_study(), before),))
    decision = await drawn(snapshot)
    assert {t.spec.suggested_by for t in decision.new_trials} == {Algorithm.BAYESIAN}
    # There, losses fell with the learning rate up to 0.0176.
    assert all(json.loads(t.spec.parameters)["learning_rate"] > 1e-3 for t in decision.new_trials)
    assert decision.study_status is not None
    assert [(e.study, e.trials) for e in decision.study_status.evidence] == [("before", 12)]


async def test_a_small_space_that_an_earlier_study_has_used_up_is_tried_again() -> None:
    space = [a_choice(role="Nuisance", values=[f"v{i}" for i in range(9)])]
    study = a_bayesian_study(hyperparameters=space, budget={"maxTrials": 9, "parallelTrials": 9})
    first = await drawn(a_snapshot(study))
    before = tuple(
        TrialView(t.name, t.name, "1", NOW, False, t.spec, TuningTrialStatus(state="Succeeded", result=a_result(0.5)))
        for t in first.new_trials
    )
    again = await drawn(a_snapshot(study, previous=(PreviousStudy("before", study, before),)))
    assert len({t.spec.parameters for t in again.new_trials}) == 9
    assert {t.spec.suggestion_note for t in again.new_trials} == {"all other points were tried, here or before"}
