"""Whether the first steps, between evaluations, hide an instability (K16)."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tests.unit.playbook.stability.sweeps import BREAKS, bad, figure_7a, good, probe, sweep_spec
from tuning_contract.diagnostics import Diagnostics
from tuning_operator.api.findings import Finding, Severity
from tuning_operator.playbook.records import Purpose, TrialRecord
from tuning_operator.playbook.stability.hidden import blow_up, check

SPEC = sweep_spec()
FIGURE_5 = [2.3, 52, 60, 101, 94, 58, 15, 6, 5.2, 5.1]
"""Evaluated every 1,000 steps it looks normal."""
RECOVERS = [*FIGURE_5, *np.geomspace(5.1, 2.0, 490)]
SMOOTH = tuple(np.geomspace(2.3, 1.0, 500))


@pytest.mark.parametrize("losses", [FIGURE_5, RECOVERS], ids=["the vector", "all 500 steps"])
def test_figure_5_blows_up(losses: list[float]) -> None:
    found = blow_up(losses)
    assert found is not None
    assert found.step <= 3
    assert found.peak > 50


def test_whether_it_recovered_is_said() -> None:
    recovered, stayed = blow_up(RECOVERS), blow_up([2.3] * 10 + [50.0] * 90)
    assert recovered is not None
    assert stayed is not None
    assert (recovered.recovered, stayed.recovered) == (True, False)


def test_a_loss_that_is_not_finite_has_blown_up() -> None:
    found = blow_up([2.3, 2.2, math.nan, 2.0])
    assert found is not None
    assert (found.step, found.peak) == (3, math.inf)


@pytest.mark.parametrize(
    "losses",
    [
        [],
        [2.3],
        [2.3, 2.2, 2.1, 2.0],
        SMOOTH,
        [2.3, 2.8, 3.0, 2.9, 2.6, *SMOOTH],
        [*SMOOTH[:100], 40.0, *SMOOTH[100:]],
        [-1.0, -1.1, -1.2, -1.3],
    ],
    ids=["nothing", "one step", "the vector", "smooth", "a small hump", "one bad batch", "negative"],
)
def test_a_smooth_beginning_is_no_alarm(losses: Sequence[float]) -> None:
    assert blow_up(losses) is None


def test_noise_from_small_batches_is_hardly_ever_taken_for_a_blow_up() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(500):
        trend = rng.uniform(0.3, 10) * np.exp(-np.arange(500) / rng.uniform(100, 5000))
        alarms += blow_up((trend * rng.lognormal(0, rng.uniform(0.02, 0.5), 500)).tolist()) is not None
    assert alarms <= 5


def hidden_probe(
    number: int, rate: float, losses: Sequence[float], purpose: Purpose = Purpose.HIDDEN_INSTABILITY_PROBE
) -> TrialRecord:
    dense = Diagnostics(dense_loss=tuple(losses))
    return trial_of(SPEC, number, {"learning_rate": rate}, 1.0, purpose=purpose, diagnostics=dense, max_steps=500)


def verdict(trials: Sequence[TrialRecord]) -> Finding:
    (finding,) = check(study_of(SPEC, trials))
    return finding


def test_a_blow_up_at_twice_the_best_rate_is_hidden_instability() -> None:
    found = verdict([*figure_7a(SPEC), hidden_probe(20, 8.2e-3, RECOVERS)])
    assert (found.verdict, found.severity, found.rule) == ("HiddenEarly", Severity.WARN, "UNS-8")
    assert found.evidence.numbers["baseLearningRate"] == 8.2e-3
    assert found.action.index("warm-up") < found.action.index("clipping")


def test_a_smooth_probe_passes() -> None:
    assert verdict([*figure_7a(SPEC), hidden_probe(20, 8.2e-3, SMOOTH)]).verdict == "Ok"
    at_five_times = hidden_probe(20, 2.05e-2, SMOOTH, purpose=Purpose.INSTABILITY_PROBE)
    assert verdict([*figure_7a(SPEC), at_five_times]).verdict == "Ok"


def test_without_a_probe_sparse_evaluations_ask_for_one() -> None:
    found = verdict(figure_7a(SPEC))
    assert found.verdict == "NotProbed"
    assert found.evidence.numbers == {"firstEvaluation": 1000, "best": 4.1e-3, "probeRate": 8.2e-3}


@pytest.mark.parametrize(
    "more",
    [
        [hidden_probe(20, 8.2e-3, SMOOTH[:50])],
        [hidden_probe(20, 4.1e-3, SMOOTH)],
        [hidden_probe(20, 4.1e-2, RECOVERS, purpose=Purpose.INSTABILITY_PROBE)],
        [hidden_probe(20, 1e-3, RECOVERS)],
    ],
    ids=["too few steps", "at the best rate", "a blow-up at ten times it", "a blow-up below it"],
)
def test_a_probe_that_says_too_little_leaves_it_open(more: list[TrialRecord]) -> None:
    assert verdict([*figure_7a(SPEC), *more]).verdict == "NotProbed"


def test_evaluations_that_begin_early_hide_nothing() -> None:
    steps = range(100, 4001, 100)
    assert verdict([good(SPEC, n, 10 ** (n - 4), n + 0.5, steps=steps) for n in range(3)]).verdict == "Ok"


def test_an_instability_that_the_curves_show_is_not_hidden() -> None:
    assert verdict([*figure_7a(SPEC), probe(SPEC, 20, 2.05e-2, BREAKS)]).verdict == "Ok"


@pytest.mark.parametrize(
    "trials",
    [[], [bad(SPEC, 0, 0.1)], [trial_of(SPEC, 0, {"learning_rate": 0.1}, 0.5)]],
    ids=["no trials", "only failures", "no curves"],
)
def test_too_little_data_is_never_a_pass(trials: list[TrialRecord]) -> None:
    found = verdict(trials)
    assert (found.verdict, bool(found.action)) == ("Unknown", True)


def test_without_a_learning_rate_nothing_is_known() -> None:
    spec = spec_of([{"name": "dropout", "type": "Float", "role": "Nuisance", "low": 0.0, "high": 0.5}])
    (found,) = check(study_of(spec, [trial_of(spec, 0, {"dropout": 0.1}, 0.5)]))
    assert found.verdict == "Unknown"
