"""Whether the best learning rate is held down by instability, or the range merely ends too early (K08)."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tests.unit.playbook.stability.sweeps import (
    BREAKS,
    EVERY_1000,
    SMOOTH,
    bad,
    figure_7a,
    good,
    probe,
    sweep_spec,
)
from tuning_contract.diagnostics import Diagnostics
from tuning_operator.api.findings import Finding, Severity
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.records import Purpose, State, TrialRecord
from tuning_operator.playbook.stability import instability
from tuning_operator.playbook.stability.instability import check, kind_of

SPEC = sweep_spec()
Trials = Callable[[TuningStudySpec], Sequence[TrialRecord]]


def verdict(trials: Sequence[TrialRecord], spec: TuningStudySpec = SPEC) -> Finding:
    (finding,) = check(study_of(spec, trials))
    return finding


def broad(spec: TuningStudySpec, beyond: Sequence[TrialRecord] = ()) -> list[TrialRecord]:
    """Return a sweep whose best rate, 2e-3, lies far below its cliff at 2e-2, with sixteen stable trials between."""
    below = [
        good(spec, n, rate, 0.5 + abs(math.log(rate / 2e-3))) for n, rate in enumerate(np.geomspace(1e-4, 2e-3, 8))
    ]
    between = np.geomspace(2.2e-3, 1.9e-2, 16)
    above = [good(spec, 10 + n, rate, 0.5 + math.log(rate / 2e-3)) for n, rate in enumerate(between)]
    return [*below, *above, *(beyond or [bad(spec, 30, 2e-2), bad(spec, 31, 0.1), bad(spec, 32, 0.9)])]


def test_figure_7a_is_suspected_and_only_warns_as_one_usable_trial_lies_between() -> None:
    found = verdict(figure_7a(SPEC))
    assert (found.verdict, found.severity, found.parameter) == ("Suspected", Severity.WARN, "learning_rate")
    numbers = found.evidence.numbers
    assert numbers == {"best": 4.1e-3, "cliff": 1.5e-2, "between": 1, "baseLearningRate": 1.5e-2}
    assert found.evidence.trials[0] == "t-5"
    assert "0.0205" in found.action
    assert "0.041" in found.action


def test_a_best_trial_right_below_the_cliff_blocks() -> None:
    found = verdict([t for t in figure_7a(SPEC) if t.name != "t-6"])
    assert (found.verdict, found.severity) == ("Suspected", Severity.BLOCK)


def test_a_best_rate_far_below_the_cliff_does_not_matter() -> None:
    found = verdict(broad(SPEC))
    assert found.verdict == "Ok"
    assert found.evidence.numbers == {"best": pytest.approx(2e-3), "cliff": 2e-2, "between": 16}


def test_a_range_that_ends_too_early_is_no_instability() -> None:
    rates = np.geomspace(1e-5, 2e-4, 12)
    found = verdict([good(SPEC, n, rate, 1 / (n + 1)) for n, rate in enumerate(rates)])
    assert found.verdict == "Unknown"
    assert "SearchSpaceEdge" in found.action


def test_the_second_best_trial_at_the_upper_end_without_any_failure_passes() -> None:
    trials = [good(SPEC, n, rate, 1 / (n + 1)) for n, rate in enumerate(np.geomspace(1e-4, 0.8, 12))]
    assert verdict([*trials, good(SPEC, 12, 0.9, 0.4)]).verdict == "Ok"


CONFIRMING: dict[str, tuple[Trials, str]] = {
    "a probe that rises at a tenth of the run": (lambda s: [probe(s, 20, 2.05e-2, BREAKS)], "ConfirmedMid"),
    "a probe with NaN at step 40 of 10,000 after a decline": (
        lambda s: [bad(s, 20, 4.1e-2, [9, 8, 6, math.nan], steps=[10, 20, 30, 40], purpose=Purpose.INSTABILITY_PROBE)],
        "ConfirmedEarly",
    ),
    "a probe whose first steps rise": (
        lambda s: [
            probe(
                s, 20, 2.05e-2, SMOOTH, diagnostics=Diagnostics(dense_loss=(*np.geomspace(10, 3, 100), *[9.0] * 400))
            )
        ],
        "ConfirmedEarly",
    ),
    "a probe that goes at once, seen step by step": (
        lambda s: [
            bad(
                s, 20, 2.05e-2, [], purpose=Purpose.INSTABILITY_PROBE,
                diagnostics=Diagnostics(dense_loss=(10, 11, 50, math.inf)),
            )
        ],
        "ConfirmedEarly",
    ),
    "one smooth probe and one that rises": (
        lambda s: [probe(s, 20, 2.05e-2, SMOOTH), probe(s, 21, 4.1e-2, BREAKS)],
        "ConfirmedMid",
    ),
    "a probe that ended as diverged, whose curve has only the decline": (
        lambda s: [bad(s, 20, 2.05e-2, SMOOTH[:20], purpose=Purpose.INSTABILITY_PROBE)],
        "ConfirmedMid",
    ),
    "an ordinary trial above that fell and failed": (
        lambda s: [bad(s, 20, 3e-2, [*SMOOTH[:20], math.nan])],
        "ConfirmedMid",
    ),
    "an ordinary trial above that finished and rose": (lambda s: [good(s, 20, 3e-2, 0.6, BREAKS)], "ConfirmedMid"),
}  # fmt: skip


@pytest.mark.parametrize(("more", "expected"), CONFIRMING.values(), ids=CONFIRMING.keys())
def test_a_rise_just_above_the_best_rate_confirms_and_blocks(more: Trials, expected: str) -> None:
    found = verdict([*figure_7a(SPEC), *more(SPEC)])
    assert (found.verdict, found.severity, found.rule) == (expected, Severity.BLOCK, "UNS-2")
    assert found.evidence.numbers["baseLearningRate"] == 1.5e-2
    assert found.evidence.numbers["best"] == 4.1e-3


def test_remedies_come_in_the_order_of_the_kind_and_a_lower_rate_is_the_last() -> None:
    early, mid = instability.REMEDIES["ConfirmedEarly"], instability.REMEDIES["ConfirmedMid"]
    assert early.index("warm-up") < early.index("clipping") < early.index("lower learning rate")
    assert mid.index("clipping") < mid.index("warm-up") < mid.index("lower learning rate")


SILENT: dict[str, Trials] = {
    "smooth probes": lambda s: [probe(s, 20, 2.05e-2, SMOOTH), probe(s, 21, 4.1e-2, SMOOTH)],
    "one smooth probe": lambda s: [probe(s, 20, 2.05e-2, SMOOTH)],
}


@pytest.mark.parametrize("more", SILENT.values(), ids=SILENT.keys())
def test_probes_that_train_smoothly_clear_the_suspicion(more: Trials) -> None:
    found = verdict([*figure_7a(SPEC), *more(SPEC)])
    assert (found.verdict, found.severity) == ("NotConfirmed", Severity.INFO)


OPEN: dict[str, Trials] = {
    "no probe": lambda s: [],
    "a lost probe": lambda s: [probe(s, 20, 2.05e-2, SMOOTH, state=State.LOST)],
    "a crashed probe": lambda s: [probe(s, 20, 2.05e-2, SMOOTH, state=State.FAILED)],
    "a running probe": lambda s: [probe(s, 20, 2.05e-2, SMOOTH, state=State.RUNNING)],
    "a probe without memory": lambda s: [
        bad(s, 20, 2.05e-2, SMOOTH[:9], reason="OutOfMemory", purpose=Purpose.INSTABILITY_PROBE)
    ],
    "a probe without a training loss": lambda s: [probe(s, 20, 2.05e-2, [])],
    "a probe with four evaluations": lambda s: [probe(s, 20, 2.05e-2, SMOOTH[::10])],
    "a probe that failed unseen": lambda s: [
        bad(s, 20, 2.05e-2, [math.nan], purpose=Purpose.INSTABILITY_PROBE)
    ],
    "a rise a hundred times above": lambda s: [probe(s, 20, 0.41, BREAKS)],
    "a probe of another kind": lambda s: [probe(s, 20, 2.05e-2, BREAKS, purpose=Purpose.BATCH_SIZE_PROBE)],
}  # fmt: skip


@pytest.mark.parametrize("more", OPEN.values(), ids=OPEN.keys())
def test_what_says_nothing_leaves_the_suspicion_open(more: Trials) -> None:
    assert verdict([*figure_7a(SPEC), *more(SPEC)]).verdict == "Suspected"


NO_CLIFF: dict[str, list[TrialRecord]] = {
    "one failure": [*figure_7a(SPEC)[:7], bad(SPEC, 8, 0.1)],
    "a stable trial above": [*figure_7a(SPEC), good(SPEC, 20, 0.9, 0.6)],
    "out of memory": [*figure_7a(SPEC)[:7], *(bad(SPEC, 8 + n, 0.1, reason="OutOfMemory") for n in range(4))],
    "failures below only": [*figure_7a(SPEC)[:7], *(bad(SPEC, 8 + n, 1.1e-4) for n in range(4))],
    "crashes above": [
        *figure_7a(SPEC)[:7],
        *(bad(SPEC, 8 + n, 0.1) for n in range(1)),
        *(trial_of(SPEC, 20 + n, {"learning_rate": 0.2}, state=State.FAILED, reason="Error") for n in range(4)),
    ],
}


@pytest.mark.parametrize("trials", NO_CLIFF.values(), ids=NO_CLIFF.keys())
def test_without_a_cliff_there_is_no_instability(trials: list[TrialRecord]) -> None:
    assert verdict(trials).verdict == "Ok"


def test_trials_that_finished_with_a_rise_make_a_cliff_like_those_that_failed() -> None:
    trials = [*figure_7a(SPEC)[:7], good(SPEC, 8, 1.5e-2, 0.7, BREAKS), good(SPEC, 9, 2.9e-2, 0.8, BREAKS)]
    assert verdict(trials).verdict == "ConfirmedMid"


def test_a_maximised_objective_is_read_the_right_way_round() -> None:
    spec = sweep_spec(objective={"metric": "accuracy", "direction": "Maximize"})
    trials = [good(spec, n, rate, n / 10) for n, rate in enumerate(np.geomspace(1e-4, 1e-2, 8))]
    found = verdict([*trials, bad(spec, 8, 2e-2), bad(spec, 9, 4e-2)], spec)
    assert found.verdict == "Suspected"
    assert found.evidence.numbers["best"] == pytest.approx(1e-2)


def test_without_a_training_loss_an_objective_that_goes_after_it_fell_confirms_and_one_that_rises_does_not() -> None:
    gone = bad(
        SPEC, 20, 2.05e-2, curve=[*SMOOTH[:10], math.nan], steps=EVERY_1000[:11], purpose=Purpose.INSTABILITY_PROBE
    )
    assert verdict([*figure_7a(SPEC), gone]).verdict == "ConfirmedMid"
    overfits = trial_of(
        SPEC, 20, {"learning_rate": 2.05e-2}, curve=BREAKS, steps=EVERY_1000, purpose=Purpose.INSTABILITY_PROBE
    )
    assert verdict([*figure_7a(SPEC), overfits]).verdict == "Suspected"


@pytest.mark.parametrize(
    "trials",
    [[], [bad(SPEC, 0, 0.1)], [trial_of(SPEC, 0, {"learning_rate": 0.1}, math.nan)], [good(SPEC, 0, 0.1, 0.5)]],
    ids=["no trials", "only failures", "all NaN", "one trial"],
)
def test_too_few_trials_are_never_a_pass(trials: list[TrialRecord]) -> None:
    found = verdict(trials)
    assert found.verdict == "Unknown"
    assert found.action


def test_a_learning_rate_that_nobody_recognises_has_to_be_named() -> None:
    spec = spec_of([LEARNING_RATE | {"name": "speed"}])
    found = verdict([trial_of(spec, 0, {"speed": 0.1}, 0.5)], spec)
    assert (found.verdict, "meaning: learningRate" in found.action) == ("Unknown", True)


def test_a_fixed_learning_rate_says_nothing() -> None:
    spec = spec_of(
        [
            {"name": "learning_rate", "type": "Float", "role": "Fixed", "value": "0.1"},
            {"name": "dropout", "type": "Float", "role": "Nuisance", "low": 0.0, "high": 0.5},
        ]
    )
    found = verdict([trial_of(spec, 0, {"dropout": 0.1}, 0.5)], spec)
    assert (found.verdict, "not searched" in found.message) == ("Unknown", True)


OPTIMIZERS = spec_of(
    [
        {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adam", "sgd"]},
        *(
            LEARNING_RATE
            | {"name": f"{o}_lr", "parameter": "learning_rate", "when": {"name": "optimizer", "values": [o]}}
            for o in ("adam", "sgd")
        ),
    ],
    training={"maxSteps": 40_000},
)


def test_each_arm_is_judged_by_its_own_learning_rate_and_its_own_probes() -> None:
    adam = figure_7a(OPTIMIZERS, parameters={"optimizer": "adam"})
    sgd = broad_of_sgd()
    probes = [probe(OPTIMIZERS, 90, 2.05e-2, BREAKS, parameters={"optimizer": "adam"})]
    found = check(study_of(OPTIMIZERS, [*adam, *sgd, *probes]))
    assert [(f.scientific, f.parameter, f.verdict) for f in found] == [
        ({"optimizer": "adam"}, "learning_rate", "ConfirmedMid"),
        ({"optimizer": "sgd"}, "learning_rate", "Ok"),
    ]


def broad_of_sgd() -> list[TrialRecord]:
    sgd = {"optimizer": "sgd"}
    return [good(OPTIMIZERS, 40 + n, r, abs(math.log(r / 1e-2)), parameters=sgd) for n, r in enumerate([1e-3, 1e-2, 1])]


def test_an_arm_without_trials_is_not_known() -> None:
    found = check(study_of(OPTIMIZERS, figure_7a(OPTIMIZERS, parameters={"optimizer": "adam"})))
    assert [f.verdict for f in found] == ["Suspected", "Unknown"]


def test_listed_learning_rates_of_a_grid_are_read_too() -> None:
    rates = ["0.0001", "0.001", "0.01", "0.1", "1.0"]
    spec = spec_of(
        [{"name": "lr", "type": "Ordinal", "role": "Nuisance", "values": rates, "valueType": "Float"}],
        training={"maxSteps": 1000},
    )
    trials = [trial_of(spec, n, {"lr": float(r)}, 1 / (n + 1)) for n, r in enumerate(rates[:3])]
    trials += [trial_of(spec, 3 + n, {"lr": float(r)}, state=State.INFEASIBLE) for n, r in enumerate(rates[3:])]
    assert verdict(trials, spec).verdict == "Suspected"


def test_the_edge_of_early_is_step_500_or_a_hundredth_of_a_long_run() -> None:
    assert [kind_of(step, 10_000) for step in (40, 500, 501)] == ["ConfirmedEarly", "ConfirmedEarly", "ConfirmedMid"]
    assert [kind_of(step, 100_000) for step in (1000, 1001)] == ["ConfirmedEarly", "ConfirmedMid"]
    assert kind_of(40, None) == "ConfirmedEarly"


def test_where_the_remedy_is_the_question_an_unstable_arm_does_not_stand_in_the_way() -> None:
    spec = sweep_spec(
        {
            "name": "warmup_steps",
            "type": "Ordinal",
            "role": "Scientific",
            "values": ["0", "1000"],
            "valueType": "Integer",
        }
    )
    without = [*figure_7a(spec, parameters={"warmup_steps": 0}), bad(spec, 20, 3e-2, [*SMOOTH[:20], math.nan],
                                                                     parameters={"warmup_steps": 0})]  # fmt: skip
    cured = [good(spec, 30 + n, r, 0.1 + n, parameters={"warmup_steps": 1000}) for n, r in enumerate([0.01, 0.02, 0.1])]
    found = check(study_of(spec, [*without, *cured]))
    assert [(f.verdict, f.severity) for f in found] == [("ConfirmedMid", Severity.INFO), ("Ok", Severity.INFO)]
    (alone, _) = check(study_of(spec, without))
    assert (alone.verdict, alone.severity) == ("ConfirmedMid", Severity.WARN)
