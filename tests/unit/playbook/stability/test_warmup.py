"""Which warm-up to try, and which one was found (K14)."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tests.unit.playbook.stability.sweeps import BREAKS, SMOOTH, bad, figure_7a, good, probe, sweep_spec
from tuning_contract.diagnostics import Diagnostics
from tuning_operator.api.findings import Finding
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord
from tuning_operator.playbook.stability.warmup import Choice, candidates, check, choose, plan

SPEC = sweep_spec()
UNSTABLE = study_of(SPEC, [*figure_7a(SPEC), probe(SPEC, 20, 2.05e-2, BREAKS)], "before")


@pytest.mark.parametrize(
    ("max_steps", "expected"),
    [
        (100_000, (10, 1000, 10_000)),
        (2_000_000, (10, 1000, 10_000, 100_000)),
        (50_000, (10, 1000, 5000)),
        (10_000, (10, 100, 1000)),
        (2000, (10, 45, 200)),
        (600, (10, 24, 60)),
        (100, (1, 3, 10)),
        (30, (1, 2, 3)),
        (10, (1,)),
        (9, ()),
    ],
)
def test_the_texts_lengths_that_fit_are_tried_and_filled_up_to_three(max_steps: int, expected: tuple[int, ...]) -> None:
    assert candidates(max_steps) == expected


@pytest.mark.parametrize("max_steps", [1, 7, 20, 33, 110, 250, 999, 12_345, 10**7])
def test_no_candidate_is_longer_than_a_tenth_of_the_run(max_steps: int) -> None:
    found = candidates(max_steps)
    assert all(0 < steps <= max_steps / 10 for steps in found)
    assert list(found) == sorted(set(found))
    assert len(found) == 3 or max_steps < 30 or max_steps > 10**6


def test_a_warm_up_that_does_not_help_is_followed_by_longer_ones_only() -> None:
    assert candidates(100_000, shorter=1000) == (2154, 4642, 10_000)
    assert candidates(100_000, shorter=10_000) == ()


def test_base_rates_are_ten_and_a_hundred_times_the_unstable_one() -> None:
    assert list(plan(1e-3, 100_000).base_rates) == pytest.approx([1e-2, 1e-1])


@pytest.mark.parametrize(
    ("survived", "max_steps", "expected"),
    [
        ({10: False, 1000: False, 10_000: True}, 100_000, Choice("RaiseSteps", 10_000, 110_000)),
        ({10: False, 1000: True, 5000: True}, 50_000, Choice("Found", 1000, 51_000)),
        ({1000: True}, 10_000, Choice("RaiseSteps", 1000, 11_000)),
        ({500: True}, 10_000, Choice("Found", 500, 10_500)),
        ({10: False, 45: False, 200: False}, 2000, Choice("Insufficient")),
        ({300: True}, 2000, Choice("Insufficient")),
        ({}, 2000, Choice("Insufficient")),
    ],
    ids=["advice", "no advice", "the text's 11,000", "exactly a twentieth", "none", "only too long ones", "nothing"],
)
def test_the_shortest_that_survives_is_chosen(survived: dict[int, bool], max_steps: int, expected: Choice) -> None:
    assert choose(survived, max_steps) == expected


def only(study: StudyRecord, earlier: Sequence[StudyRecord] = ()) -> Finding:
    (finding,) = check(study, earlier)
    return finding


def test_a_confirmed_instability_plans_warm_ups_at_ten_times_its_rate() -> None:
    found = only(UNSTABLE)
    assert (found.verdict, found.parameter) == ("Plan", "learning_rate")
    assert found.evidence.numbers == {
        "unstableBaseLearningRate": 1.5e-2,
        "baseLearningRate": pytest.approx(0.15),
        "secondBaseLearningRate": pytest.approx(1.5),
        "maxSteps": 40_000,
        "warmupSteps1": 10,
        "warmupSteps2": 1000,
        "warmupSteps3": 4000,
    }
    assert "10, 1000, 4000" in found.action


def test_a_hidden_instability_plans_a_warm_up_too() -> None:
    dense = Diagnostics(dense_loss=(2.3, 52, 60, 101, 94, 58, 15, 6, *np.geomspace(5, 2, 492)))
    hidden = trial_of(
        SPEC, 20, {"learning_rate": 8.2e-3}, 1.0, purpose=Purpose.HIDDEN_INSTABILITY_PROBE, diagnostics=dense
    )
    smooth = probe(SPEC, 21, 2.05e-2, SMOOTH)
    assert only(study_of(SPEC, [*figure_7a(SPEC), smooth, hidden])).verdict == "Plan"


def test_a_mere_suspicion_has_to_be_probed_first_unless_the_study_allows_no_probes() -> None:
    assert only(study_of(SPEC, figure_7a(SPEC))).verdict == "Unknown"
    without = sweep_spec(budget={"maxProbes": 0})
    found = only(study_of(without, figure_7a(without)))
    assert found.verdict == "Plan"
    assert "maxProbes" in found.evidence.notes[0]


def test_stable_training_needs_no_warm_up() -> None:
    steps = range(100, 4001, 100)
    rates = np.geomspace(1e-4, 1, 12)
    trials = [good(SPEC, n, rate, abs(math.log(rate / 1e-2)), steps=steps) for n, rate in enumerate(rates)]
    assert only(study_of(SPEC, trials)).verdict == "Ok"


def test_a_warm_up_as_long_as_is_allowed_that_does_not_help_is_insufficient() -> None:
    spec = sweep_spec(training={"schedule": {"family": "Cosine", "warmupSteps": 4000}})
    study = study_of(spec, [*figure_7a(spec), probe(spec, 20, 2.05e-2, BREAKS)])
    found = only(study)
    assert (found.verdict, "Clip" in found.action) == ("Insufficient", True)


def test_without_the_length_of_a_run_no_warm_up_can_be_planned() -> None:
    spec = spec_of([LEARNING_RATE])
    trials = [bad(spec, n, r) if r > 1e-2 else trial_of(spec, n, {"learning_rate": r}, 1 / r) for n, r in enumerate(
        [1e-3, 1e-2, 2e-2, 4e-2])]  # fmt: skip
    dense = Diagnostics(dense_loss=(10, 11, 50, math.inf))
    one = trial_of(
        spec, 9, {"learning_rate": 5e-2}, state=State.INFEASIBLE, purpose=Purpose.INSTABILITY_PROBE, diagnostics=dense
    )
    found = only(study_of(spec, [*trials, one]))
    assert (found.verdict, found.action) == ("Unknown", "Set training.maxSteps.")


@pytest.mark.parametrize("trials", [[], [good(SPEC, 0, 0.1, 0.5)]], ids=["no trials", "one trial"])
def test_too_few_trials_are_never_a_pass(trials: list[TrialRecord]) -> None:
    assert only(study_of(SPEC, trials)).verdict == "Unknown"


# Trials with warm-ups, in the study after the unstable one.

WARMUP = {"name": "warmup_steps", "type": "Ordinal", "role": "Scientific", "valueType": "Integer"}
TRYING = sweep_spec(WARMUP | {"values": ["10", "1000", "4000"]})
COLLAPSES_AT_THE_END_OF_THE_RAMP = (*np.geomspace(10, 5, 10), *[9.5] * 30)


def evaluated(train: Sequence[float], warmup_steps: int) -> tuple[int, ...]:
    """Return the steps of evaluations of which ten are in the ramp."""
    return tuple(range(warmup_steps // 10, warmup_steps // 10 * len(train) + 1, warmup_steps // 10))


def with_warmup(number: int, warmup_steps: int, train: Sequence[float], rate: float = 0.15) -> TrialRecord:
    parameters = {"warmup_steps": warmup_steps}
    return good(TRYING, number, rate, 0.5, train, parameters=parameters, steps=evaluated(train, warmup_steps))


def failed_warmup(number: int, warmup_steps: int, train: Sequence[float]) -> TrialRecord:
    parameters = {"warmup_steps": warmup_steps}
    return bad(TRYING, number, 0.15, train, parameters=parameters, steps=evaluated(train, warmup_steps))


def trying(*trials: TrialRecord) -> Finding:
    (found,) = check(study_of(TRYING, trials), [UNSTABLE])
    return found


def test_the_shortest_warm_up_that_survives_ramp_and_plateau_is_found() -> None:
    found = trying(
        failed_warmup(0, 10, (*SMOOTH[:1], math.nan)),
        with_warmup(1, 1000, SMOOTH),
        with_warmup(2, 4000, SMOOTH),
    )
    assert (found.verdict, found.parameter, found.scientific) == ("Found", "warmup_steps", {})
    numbers = found.evidence.numbers
    assert (numbers["warmupSteps"], numbers["totalSteps"], numbers["baseLearningRate"]) == (1000, 41_000, 0.15)
    assert found.evidence.trials == ["t-1"]


def test_a_run_that_collapses_late_in_the_ramp_has_not_survived() -> None:
    found = trying(with_warmup(1, 1000, BREAKS), with_warmup(2, 4000, COLLAPSES_AT_THE_END_OF_THE_RAMP))
    assert found.verdict == "Insufficient"


def test_one_that_takes_more_than_a_twentieth_of_the_run_advises_a_longer_one() -> None:
    found = trying(failed_warmup(1, 1000, COLLAPSES_AT_THE_END_OF_THE_RAMP[:10]), with_warmup(2, 4000, SMOOTH))
    assert (found.verdict, found.evidence.numbers["totalSteps"]) == ("RaiseSteps", 44_000)


def test_a_search_that_went_well_above_the_unstable_rate_tells_and_names_the_highest_rate() -> None:
    found = trying(with_warmup(1, 1000, SMOOTH, rate=0.05), with_warmup(2, 1000, SMOOTH, rate=0.09))
    assert (found.verdict, found.evidence.numbers["baseLearningRate"]) == ("Found", 0.09)
    assert found.evidence.trials == ["t-2", "t-1"]


def test_surviving_at_a_rate_that_was_stable_before_is_no_evidence() -> None:
    found = trying(with_warmup(1, 1000, SMOOTH, rate=1e-2))
    assert (found.verdict, "0.15, 10 times" in found.action) == ("Unknown", True)


def test_a_run_that_was_not_followed_to_the_plateau_is_no_evidence() -> None:
    assert trying(with_warmup(1, 4000, SMOOTH[:20])).verdict == "Unknown"


def test_without_the_unstable_study_nobody_knows_which_rate_is_high() -> None:
    (found,) = check(study_of(TRYING, [with_warmup(1, 1000, SMOOTH)]))
    assert (found.verdict, "previousStudies" in found.action) == ("Unknown", True)


def test_a_searched_fraction_is_read_in_steps() -> None:
    fraction = {"name": "warmup_ratio", "type": "Float", "role": "Nuisance", "low": 0.001, "high": 0.1, "scale": "Log"}
    spec = sweep_spec(fraction)
    one = good(spec, 0, 0.15, 0.5, SMOOTH, parameters={"warmup_ratio": 0.025})
    (found,) = check(study_of(spec, [one]), [UNSTABLE])
    assert (found.verdict, found.evidence.numbers["warmupSteps"]) == ("Found", 1000)
