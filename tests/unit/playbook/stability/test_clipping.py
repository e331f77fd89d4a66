"""Whether to clip gradients, and at which norm (K15)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.support.studies import study_of, trial_of
from tests.unit.playbook.stability.sweeps import BREAKS, SMOOTH, figure_7a, good, probe, sweep_spec
from tuning_contract.diagnostics import CLIPPED_FRACTION, GRAD_NORM, Diagnostics, LogHistogram
from tuning_operator.api.findings import Finding
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.records import Curve, TrialRecord
from tuning_operator.playbook.stability.clipping import check, judge, norms_of, share_above

ONE_TO_100 = LogHistogram.of(float(n) for n in range(1, 101))
CONSTANT = LogHistogram.of([3.0] * 1000)
FIGURE_9 = LogHistogram.of([*np.geomspace(1e5, 3, 100), *np.random.default_rng(0).lognormal(np.log(3), 0.2, 9900)])
"""ResNet-200: norms start near 1e5 and settle near 3; 1 is too aggressive, about 4 is good."""

VECTORS = {
    "1 to 100, unstable": (ONE_TO_100, None, True, "Recommended", 90.0),
    "1 to 100, stable": (ONE_TO_100, None, False, "NotNeeded", 90.0),
    "clipped at 40": (ONE_TO_100, 40.0, False, "TooAggressive", None),
    "clipped at 40, unstable": (ONE_TO_100, 40.0, True, "TooAggressive", None),
    "clipped at 90, unstable": (ONE_TO_100, 90.0, True, "Tighten", 75.0),
    "clipped at 75, unstable": (ONE_TO_100, 70.0, True, "Tighten", 60.0),
    "clipped at 55, unstable: harder is a lower rate": (ONE_TO_100, 55.0, True, "TooAggressive", None),
    "clipped at 90, stable": (ONE_TO_100, 90.0, False, "Ok", None),
    "constant, stable": (CONSTANT, None, False, "NotNeeded", 3.1),
    "figure 9": (FIGURE_9, None, False, "Recommended", 4.0),
    "figure 9 at 1": (FIGURE_9, 1.0, False, "TooAggressive", None),
    "figure 9 at 4": (FIGURE_9, 4.0, False, "Ok", None),
}


@pytest.mark.parametrize(
    ("norms", "threshold", "unstable", "verdict", "proposed"), VECTORS.values(), ids=VECTORS.keys()
)
def test_the_threshold_begins_at_the_90th_percentile_and_goes_down_only_where_it_helps(
    norms: LogHistogram, threshold: float | None, unstable: bool, verdict: str, proposed: float | None
) -> None:
    found = judge(norms, threshold=threshold, clipped=None, unstable=unstable)
    assert found.verdict == verdict
    assert found.threshold == (None if proposed is None else pytest.approx(proposed, abs=1.0))


def test_the_share_above_a_threshold_is_read_within_a_bucket() -> None:
    assert share_above(ONE_TO_100, 40.0) == pytest.approx(0.6, abs=0.03)
    assert share_above(ONE_TO_100, 1e6) == 0.0
    assert share_above(ONE_TO_100, 1e-6) == 1.0


CLIP = {"name": "clip_norm", "type": "Float", "role": "Fixed", "value": "40.0"}


def measured(trials: Sequence[TrialRecord], norms: LogHistogram) -> list[TrialRecord]:
    return [replace(t, diagnostics=Diagnostics(grad_norm_histogram=norms)) for t in trials]


def verdict(spec: TuningStudySpec, trials: Sequence[TrialRecord]) -> Finding:
    (finding,) = check(study_of(spec, trials))
    return finding


def test_unstable_training_is_clipped_at_the_90th_percentile_of_its_best_trials() -> None:
    spec = sweep_spec()
    trials = [*measured(figure_7a(spec), ONE_TO_100), probe(spec, 20, 2.05e-2, BREAKS)]
    wild = replace(trials[0], diagnostics=Diagnostics(grad_norm_histogram=LogHistogram.of([1e9] * 9999)))
    found = verdict(spec, [wild, *trials[1:]])
    assert found.verdict == "Recommended"
    assert found.evidence.numbers["threshold"] == pytest.approx(90, abs=1)
    assert found.evidence.trials == ["t-5", "t-6", "t-4"]


def test_stable_training_with_ordinary_norms_needs_no_clipping() -> None:
    spec = sweep_spec()
    trials = measured(
        [good(spec, n, rate, abs(np.log(rate / 1e-2)), steps=range(100, 4001, 100)) for n, rate in enumerate(
            np.geomspace(1e-4, 1, 12))], CONSTANT)  # fmt: skip
    found = verdict(spec, trials)
    assert (found.verdict, found.evidence.notes) == ("NotNeeded", [])


def test_healthy_gradient_norms_are_hardly_ever_called_outliers() -> None:
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(300):
        decline = 1 + rng.uniform(0, 4) * np.exp(-np.arange(5000) / rng.uniform(50, 1000))
        norms = LogHistogram.of((decline * rng.lognormal(0, rng.uniform(0.05, 0.5), 5000)).tolist())
        alarms += judge(norms, threshold=None, clipped=None, unstable=False).verdict == "Recommended"
    assert alarms <= 15


def test_too_much_clipping_halves_the_learning_rate() -> None:
    spec = sweep_spec(CLIP)
    found = verdict(spec, measured(figure_7a(spec), ONE_TO_100))
    assert (found.verdict, found.parameter) == ("TooAggressive", "clip_norm")
    assert found.evidence.numbers["clipped"] == pytest.approx(0.6, abs=0.03)
    assert "0.00205" in found.action


def test_the_share_that_the_trainer_counted_goes_before_the_histogram() -> None:
    spec = sweep_spec(CLIP)
    trials = []
    for trial in measured(figure_7a(spec), ONE_TO_100):
        values = {**trial.curve.values, CLIPPED_FRACTION: tuple([0.1] * len(trial.curve))}
        trials.append(replace(trial, curve=Curve(trial.curve.steps, values)))
    found = verdict(spec, trials)
    assert found.verdict == "Ok"
    assert found.evidence.numbers["clipped"] == pytest.approx(0.1)


def test_unstable_training_that_is_clipped_already_is_clipped_harder() -> None:
    spec = sweep_spec(CLIP | {"value": "90.0"})
    trials = [*measured(figure_7a(spec), ONE_TO_100), probe(spec, 20, 2.05e-2, BREAKS)]
    found = verdict(spec, trials)
    assert found.verdict == "Tighten"
    assert found.evidence.numbers["threshold"] == pytest.approx(75, abs=1.5)


@pytest.mark.parametrize("value", ["0.0", "-1.0"])
def test_a_threshold_that_is_no_norm_is_no_clipping(value: str) -> None:
    spec = sweep_spec(CLIP | {"value": value})
    assert verdict(spec, measured(figure_7a(spec), ONE_TO_100)).verdict == "NotNeeded"


def test_norms_in_the_curve_do_where_no_step_was_counted() -> None:
    spec = sweep_spec()
    curve = Curve(tuple(range(1, 101)), {GRAD_NORM: tuple(float(n) for n in range(1, 101))})
    trial = replace(trial_of(spec, 0, {"learning_rate": 0.1}, 0.5), curve=curve)
    assert norms_of(trial).total == 100
    found = verdict(spec, [trial])
    assert found.evidence.numbers["percentile90"] == pytest.approx(90, abs=1)


@pytest.mark.parametrize(
    "trials",
    [[], [good(sweep_spec(), 0, 0.1, 0.5, SMOOTH)]],
    ids=["no trials", "no norms"],
)
def test_too_little_data_is_never_a_pass(trials: list[TrialRecord]) -> None:
    found = verdict(sweep_spec(), trials)
    assert (found.verdict, bool(found.action)) == ("Unknown", True)
