"""Which trials a study runs after its search: probes where training may be unstable, retrains where they decide."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.findings import finding
from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.api.findings import AdoptionDecision, Code, Conclusion, ConclusionState
from tuning_operator.playbook.comparison.winner import outcome
from tuning_operator.playbook.follow_ups import FollowUp, follow_ups
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord

Shape = dict[str, Any]
OPTIMIZER: Shape = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adam", "sgd"]}
RATE: Shape = {"name": "learning_rate", "type": "Float", "role": "Nuisance", "low": 1e-4, "high": 1.0, "scale": "Log"}
SUSPECTED = finding(Code.INSTABILITY, "Suspected", parameter="learning_rate")
BLOCKED = Conclusion(state=ConclusionState.BLOCKED, reason="Suspected")
UNDECIDED = Conclusion(state=ConclusionState.ALLOWED, decision=AdoptionDecision.NEED_RETRAINS, reason="Winner")


def compared(count: int = 3, **budget: Any) -> StudyRecord:
    """Return a study of whether Adam should replace SGD: it is clearly better, with 12 trials a side."""
    spec = spec_of(
        [OPTIMIZER, RATE],
        goal={"question": "Adam instead of SGD?", "kind": "TryChange"},
        baseline={"scientific": {"optimizer": "sgd"}},
        retrains={"count": count},
        budget={"maxTrials": 24, "maxRetrains": 10, **budget},
    )
    trials = []
    for i in range(24):
        optimizer, rate = ("adam", "sgd")[i % 2], 10 ** (-3.9 + 3.8 * (i // 2) / 11)
        loss = 0.2 + {"adam": 0.0, "sgd": 0.5}[optimizer] + 0.01 * (i // 2 - 6) ** 2 / 36
        trials.append(trial_of(spec, i, {"optimizer": optimizer, "learning_rate": rate}, loss))
    return study_of(spec, trials, "digits")


def probed(max_probes: int = 4) -> StudyRecord:
    spec = spec_of([RATE], budget={"maxTrials": 8, "maxProbes": max_probes})
    trials = [trial_of(spec, i, {"learning_rate": 10 ** (-4 + i / 4)}, 1 - i / 10) for i in range(8)]
    return study_of(spec, trials)


def wanted(study: StudyRecord, conclusion: Conclusion = UNDECIDED, *findings: Any) -> tuple[FollowUp, ...]:
    return follow_ups(study, findings, outcome(study), conclusion)


def ran(study: StudyRecord, follow_up: FollowUp, state: State = State.SUCCEEDED) -> TrialRecord:
    original = next(t for t in study.trials if t.name == follow_up.of)
    return replace(
        original,
        name=f"{follow_up.purpose}-{follow_up.number}",
        purpose=follow_up.purpose,
        index=follow_up.number,
        seed=follow_up.seed,
        state=state,
        of=follow_up.of,
        parameters=follow_up.parameters,
        assignment=follow_up.assignment,
    )


def test_both_sides_are_retrained_with_the_same_seeds() -> None:
    study = compared()
    made = wanted(study)
    assert [f.purpose for f in made] == [Purpose.RETRAIN] * 6
    assert [f.number for f in made] == list(range(6))
    by_side = {of: [f.seed for f in made if f.of == of] for of in {f.of for f in made}}
    assert len(by_side) == 2
    (ours, theirs) = by_side.values()
    assert ours == theirs
    assert len(set(ours)) == 3
    originals = {t.name: t for t in study.trials}
    assert all(f.parameters == originals[f.of].parameters for f in made)
    assert all(f.assignment == originals[f.of].assignment for f in made)


def test_nothing_is_retrained_where_nothing_may_be_concluded_or_all_is_decided() -> None:
    assert wanted(compared(), BLOCKED) == ()
    adopted = UNDECIDED.model_copy(update={"decision": AdoptionDecision.ADOPT})
    assert wanted(compared(), adopted) == ()


def test_where_the_budget_cannot_decide_nothing_is_retrained() -> None:
    assert wanted(compared(maxRetrains=5)) == ()


def test_what_ran_is_not_asked_for_again_and_numbers_are_never_used_twice() -> None:
    study = compared()
    made = wanted(study)
    # Created side by side, number 2 was lost with the operator, and number 3 is there.
    there = [ran(study, made[n]) for n in (0, 1, 3)]
    rest = wanted(replace(study, trials=(*study.trials, *there)))
    assert [f.number for f in rest] == [2, 4, 5]
    assert {(f.of, f.seed) for f in rest} == {(f.of, f.seed) for f in made} - {(t.of, t.seed) for t in there}


def test_probes_come_first_and_within_their_budget() -> None:
    study = probed()
    two = wanted(study, UNDECIDED, SUSPECTED)
    assert [(f.purpose, f.number) for f in two] == [(Purpose.INSTABILITY_PROBE, 0), (Purpose.INSTABILITY_PROBE, 1)]
    best = next(t for t in study.trials if t.name == two[0].of)
    assert two[0].parameters["learning_rate"] == 5 * float(best.parameters["learning_rate"])
    assert two[0].seed != two[1].seed
    assert len(wanted(probed(1), BLOCKED, SUSPECTED)) == 1
    assert wanted(probed(0), BLOCKED, SUSPECTED) == ()


def test_a_probe_that_was_lost_with_the_operator_runs_under_a_number_of_its_own() -> None:
    study = probed()
    _, second = wanted(study, BLOCKED, SUSPECTED)
    (left,) = wanted(replace(study, trials=(*study.trials, ran(study, second))), BLOCKED, SUSPECTED)
    assert left.number == 0
    assert wanted(study, BLOCKED) == ()


@pytest.mark.parametrize(
    ("name", "length", "probed_for"), [("max_steps", 40_000, 500), ("max_steps", 300, 300), ("epochs", 10, 10)]
)
def test_a_probe_of_the_first_steps_is_short_and_never_longer_than_the_trial(
    name: str, length: int, probed_for: int
) -> None:
    fixed: Shape = {"name": name, "type": "Integer", "role": "Fixed", "value": str(length)}
    spec = spec_of([RATE, fixed], budget={"maxTrials": 8, "maxProbes": 4})
    trials = [trial_of(spec, i, {"learning_rate": 10 ** (-4 + i / 4), name: length}, 1 - i / 10) for i in range(8)]
    hidden = finding(Code.INSTABILITY, "NotProbed", parameter="learning_rate")
    (made,) = wanted(study_of(spec, trials), BLOCKED, hidden)
    assert (made.purpose, made.parameters[name]) == (Purpose.HIDDEN_INSTABILITY_PROBE, probed_for)
    assert made.assignment[name] == probed_for


def test_batch_sizes_are_measured_after_instability_and_before_retrains_and_need_no_allowance() -> None:
    sizes = {"batchSizes": [32, 64]}
    size: Shape = {"name": "batch_size", "type": "Integer", "role": "Fixed", "value": "64"}
    spec = spec_of([RATE, size], training=sizes, budget={"maxTrials": 8, "maxProbes": 0})
    trials = [trial_of(spec, i, {"learning_rate": 10 ** (-4 + i / 4), "batch_size": 64}, 1 - i / 10) for i in range(8)]
    study = study_of(spec, trials)
    (made,) = wanted(study, BLOCKED, SUSPECTED)
    assert (made.purpose, made.number, made.parameters["batch_size"]) == (Purpose.BATCH_SIZE_PROBE, 0, 32)
    allowed = replace(study, spec=spec.model_copy(update={"budget": spec.budget.model_copy(update={"max_probes": 4})}))
    assert {f.purpose for f in wanted(allowed, BLOCKED, SUSPECTED)} == {Purpose.INSTABILITY_PROBE}
    (second,) = wanted(replace(study, trials=(*trials, ran(study, made))), BLOCKED)
    assert (second.number, second.parameters["batch_size"]) == (1, 64)
    assert second.seed != made.seed


def test_nothing_starts_beside_a_throughput_that_is_being_measured() -> None:
    study = compared()
    probe = replace(study.trials[0], name="throughput-0", purpose=Purpose.BATCH_SIZE_PROBE, state=State.RUNNING)
    assert wanted(study) != ()
    assert wanted(replace(study, trials=(*study.trials, probe))) == ()
