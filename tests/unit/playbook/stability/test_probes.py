"""Which trials a suspicion of instability asks for."""

import pytest

from tests.support.studies import LEARNING_RATE, study_of
from tests.unit.playbook.stability.sweeps import SMOOTH, figure_7a, probe, sweep_spec
from tuning_operator.playbook.records import Purpose, State
from tuning_operator.playbook.stability import hidden, instability
from tuning_operator.playbook.stability.probes import probes

SPEC = sweep_spec()


def test_a_suspicion_is_probed_at_five_and_ten_times_the_best_rate() -> None:
    study = study_of(SPEC, figure_7a(SPEC))
    found = probes(study, instability.check(study)[0])
    assert [p.parameters["learning_rate"] for p in found] == [pytest.approx(2.05e-2), pytest.approx(4.1e-2)]
    assert {(p.purpose, p.of, p.max_steps) for p in found} == {(Purpose.INSTABILITY_PROBE, "t-5", None)}


def test_what_ran_or_runs_is_not_asked_for_again_and_what_was_lost_is() -> None:
    running = probe(SPEC, 20, 2.05e-2, [], state=State.RUNNING)
    lost = probe(SPEC, 21, 4.1e-2, SMOOTH, state=State.LOST)
    study = study_of(SPEC, [*figure_7a(SPEC), running, lost])
    found = probes(study, instability.check(study)[0])
    assert [p.parameters["learning_rate"] for p in found] == [pytest.approx(4.1e-2)]


def test_hidden_instability_is_probed_for_500_steps_at_twice_the_best_rate() -> None:
    study = study_of(SPEC, figure_7a(SPEC))
    (finding,) = hidden.check(study)
    (one,) = probes(study, finding)
    assert (one.purpose, one.of, one.max_steps) == (Purpose.HIDDEN_INSTABILITY_PROBE, "t-5", 500)
    assert one.parameters == {"learning_rate": pytest.approx(8.2e-3)}


@pytest.mark.parametrize("schedule", [{"warmup_steps": 500}, {"warmup_steps": 100, "decay_steps": 400}])
def test_a_schedule_that_does_not_fit_into_the_first_steps_is_probed_whole(schedule: dict[str, int]) -> None:
    shapes = [{"name": n, "type": "Integer", "role": "Fixed", "value": str(v)} for n, v in schedule.items()]
    spec = sweep_spec(*shapes)
    study = study_of(spec, figure_7a(spec, parameters=schedule))
    (one,) = probes(study, hidden.check(study)[0])
    assert (one.purpose, one.max_steps) == (Purpose.HIDDEN_INSTABILITY_PROBE, None)


def test_a_schedule_that_fits_is_probed_in_the_first_steps() -> None:
    schedule = {"warmup_steps": 100, "decay_steps": 300}
    shapes = [{"name": n, "type": "Integer", "role": "Fixed", "value": str(v)} for n, v in schedule.items()]
    spec = sweep_spec(*shapes, {"name": "schedule", "type": "Categorical", "role": "Fixed", "value": "cosine"})
    study = study_of(spec, figure_7a(spec, parameters=schedule | {"schedule": "cosine"}))
    (one,) = probes(study, hidden.check(study)[0])
    assert one.max_steps == 500


def test_no_probe_goes_beyond_a_hard_limit() -> None:
    spec = sweep_spec(training={})
    spec = spec.model_copy(update={"hyperparameters": [spec.hyperparameters[0].model_copy(update={"hard_high": 0.03})]})
    study = study_of(spec, figure_7a(spec))
    assert len(probes(study, instability.check(study)[0])) == 1


def test_a_finding_that_is_no_suspicion_asks_for_nothing() -> None:
    study = study_of(SPEC, [*figure_7a(SPEC), probe(SPEC, 20, 2.05e-2, SMOOTH)])
    (finding,) = instability.check(study)
    assert (finding.verdict, probes(study, finding)) == ("NotConfirmed", ())


def test_the_study_of_the_probes_is_that_of_the_finding() -> None:
    other = study_of(sweep_spec(LEARNING_RATE | {"name": "wd", "meaning": "weightDecay"}))
    study = study_of(SPEC, figure_7a(SPEC))
    assert probes(other, instability.check(study)[0]) == ()
