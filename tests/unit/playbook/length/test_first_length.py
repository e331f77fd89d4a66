"""The first number of training steps, from a sweep of constant learning rates (K20)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_contract.diagnostics import LEARNING_RATE as RATE_METRIC
from tuning_operator.api.findings import Finding, Severity, Side
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.length.first_length import FirstLength, check, first_length, fitted_at
from tuning_operator.playbook.records import Curve, Purpose, State, StudyRecord, TrialRecord

VECTORS: dict[str, tuple[dict[float, int | None], set[float], FirstLength]] = {
    "inside": ({1e-3: 9000, 3e-3: 4000, 1e-2: 6000}, set(), FirstLength("Measured", 4000, 3e-3)),
    "at the upper edge": (
        {1e-5: None, 1e-4: 40_000, 1e-3: 12_000}, set(), FirstLength("Edge", 12_000, 1e-3, Side.HIGH)
    ),
    "at the lower edge": ({1e-3: 4000, 1e-2: 6000, 0.1: None}, set(), FirstLength("Edge", 4000, 1e-3, Side.LOW)),
    "below one that diverged": ({1e-4: 40_000, 1e-3: 12_000}, {1e-2}, FirstLength("Measured", 12_000, 1e-3)),
    "above one that diverged": ({1e-3: 4000, 1e-2: 6000}, {1e-4}, FirstLength("Measured", 4000, 1e-3)),
    "none": ({1e-3: None, 1e-2: None}, {0.1}, FirstLength("NotFitted")),
    "nothing": ({}, set(), FirstLength("NotFitted")),
    "one rate": ({1e-3: 4000}, set(), FirstLength("Edge", 4000, 1e-3, Side.HIGH)),
    "as fast inside as at the edge": ({1e-3: 9000, 3e-3: 4000, 1e-2: 4000}, set(), FirstLength("Measured", 4000, 3e-3)),
}  # fmt: skip


@pytest.mark.parametrize(("times", "diverged", "expected"), VECTORS.values(), ids=VECTORS.keys())
def test_the_fastest_rate_tells_where_it_lies_inside_the_sweep(
    times: dict[float, int | None], diverged: set[float], expected: FirstLength
) -> None:
    assert first_length(times, diverged) == expected


def test_the_length_is_rounded_up_to_an_evaluation() -> None:
    assert first_length({1e-3: 9000, 3e-3: 3901, 1e-2: 6000}, interval=500).steps == 4000


def test_a_training_set_is_fitted_where_the_median_of_the_loss_is_low_and_not_by_one_lucky_batch() -> None:
    assert fitted_at([10, 20, 30, 40, 50], [2.3, 1.0, 0.02, 0.01, 0.01], 0.023) == 30
    assert fitted_at([10, 20, 30, 40, 50], [2.3, 1.0, 0.001, 0.9, 0.8], 0.023) is None
    assert fitted_at([10, 20, 30], [math.nan, math.nan, math.nan], 0.023) is None
    assert fitted_at([], [], 0.023) is None


SPEC = spec_of(training={"evaluateEverySteps": 100})


def swept(spec: TuningStudySpec, number: int, rate: float, fits_at: int | None, **fields: Any) -> TrialRecord:
    """Return a sweep's trial of 10,000 steps whose training loss reaches a hundredth of 2.3 at a step."""
    steps = range(100, 10_001, 100)
    speed = math.log(100) / (fits_at - 100) if fits_at else math.log(20) / 10_000
    train = [2.3 * math.exp(-speed * (step - 100)) for step in steps]
    parameters = {"learning_rate": rate, **fields.pop("parameters", {})}
    return trial_of(spec, number, parameters, train=train, steps=steps, purpose=Purpose.STEP_SWEEP, **fields)


def diverged(spec: TuningStudySpec, number: int, rate: float, **fields: Any) -> TrialRecord:
    train = [2.3, math.nan]
    state = fields.pop("state", State.INFEASIBLE)
    return trial_of(
        spec, number, {"learning_rate": rate}, train=train, purpose=Purpose.STEP_SWEEP, state=state, **fields
    )


def verdict(trials: Sequence[TrialRecord], spec: TuningStudySpec = SPEC) -> Finding:
    return check(study_of(spec, trials))[0]


INSIDE = [swept(SPEC, n, rate, at) for n, (rate, at) in enumerate([(1e-3, 9000), (3e-3, 4000), (1e-2, 6000)])]


def test_a_sweep_gives_the_first_length_and_the_criterion_that_it_used() -> None:
    found = verdict(INSIDE)
    assert (found.verdict, found.severity, found.parameter) == ("Measured", Severity.INFO, "learning_rate")
    assert found.evidence.numbers["maxSteps"] == pytest.approx(4000, abs=200)
    assert found.evidence.numbers["fitLoss"] == pytest.approx(0.023)
    assert found.evidence.trials[0] == "t-1"


@pytest.mark.parametrize("seed", range(20))
def test_noise_moves_the_first_length_by_a_little_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noisy = []
    for trial in INSIDE:
        values = tuple(np.asarray(trial.curve.values["train_loss"]) * rng.lognormal(0, 0.2, len(trial.curve)))
        noisy.append(TrialRecord(**{**trial.__dict__, "curve": Curve(trial.curve.steps, {"train_loss": values})}))
    found = verdict(noisy)
    assert found.verdict == "Measured"
    assert found.evidence.numbers["maxSteps"] == pytest.approx(4000, rel=0.15)


def test_all_rates_on_one_side_of_the_optimum_deceive() -> None:
    found = verdict([swept(SPEC, 0, 1e-5, None), swept(SPEC, 1, 1e-4, 8000), swept(SPEC, 2, 1e-3, 3000)])
    assert (found.verdict, found.side, found.severity) == ("Edge", Side.HIGH, Severity.WARN)


def test_a_rate_that_diverged_above_makes_the_largest_one_an_inner_one_and_lost_or_crashed_ones_do_not() -> None:
    below = [swept(SPEC, 0, 1e-4, 8000), swept(SPEC, 1, 1e-3, 3000)]
    assert verdict([*below, diverged(SPEC, 2, 1e-2)]).verdict == "Measured"
    assert verdict([*below, diverged(SPEC, 2, 1e-2, state=State.LOST)]).verdict == "Edge"
    assert verdict([*below, diverged(SPEC, 2, 1e-2, state=State.FAILED)]).verdict == "Edge"
    assert verdict([*below, diverged(SPEC, 2, 1e-2, reason="OutOfMemory")]).verdict == "Edge"


def test_where_no_rate_fits_the_sweep_is_to_be_longer() -> None:
    found = verdict([swept(SPEC, 0, 1e-4, None), swept(SPEC, 1, 1e-3, None)])
    assert (found.verdict, "20000" in found.action) == ("NotFitted", True)


AUGMENT = {"name": "augment", "type": "Categorical", "role": "Nuisance", "values": ["none", "mixup"]}
DROPOUT = {"name": "dropout", "type": "Float", "role": "Nuisance", "low": 0.0, "high": 0.5}
SCHEDULE = {"name": "schedule", "type": "Categorical", "role": "Nuisance", "values": ["constant", "cosine"]}


@pytest.mark.parametrize(
    ("hyperparameter", "off", "on"),
    [(AUGMENT, "none", "mixup"), (DROPOUT, 0.0, 0.1), (SCHEDULE, "constant", "cosine")],
    ids=["augmentation", "regularisation", "a schedule"],
)
def test_a_sweep_with_a_schedule_augmentation_or_regularisation_is_invalid(
    hyperparameter: dict[str, Any], off: object, on: object
) -> None:
    spec = spec_of([LEARNING_RATE, hyperparameter])
    sweeps = {
        value: [
            swept(spec, n, rate, at, parameters={hyperparameter["name"]: value})
            for n, (rate, at) in enumerate([(1e-3, 9000), (3e-3, 4000), (1e-2, 6000)])
        ]
        for value in (off, on)
    }
    assert verdict(sweeps[off], spec).verdict == "Measured"
    found = verdict(sweeps[on], spec)
    assert (found.verdict, found.severity) == ("InvalidSweep", Severity.WARN)


def test_a_rate_that_the_curves_show_to_decay_is_not_constant_and_one_that_stays_is() -> None:
    def with_rates(trial: TrialRecord, last: float) -> TrialRecord:
        rates = tuple(np.linspace(1.0, last, len(trial.curve)))
        curve = Curve(trial.curve.steps, {**trial.curve.values, RATE_METRIC: rates})
        return TrialRecord(**{**trial.__dict__, "curve": curve})

    assert verdict([with_rates(t, 0.1) for t in INSIDE]).verdict == "InvalidSweep"
    cosine = spec_of(training={"schedule": {"family": "Cosine"}})
    assert verdict(INSIDE, cosine).verdict == "InvalidSweep"
    # What was measured goes before what the manifest says of the search's schedule.
    assert verdict([with_rates(t, 1.0) for t in INSIDE], cosine).verdict == "Measured"


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [trial_of(SPEC, 0, {"learning_rate": 0.1}, 0.5)],
        [trial_of(SPEC, 0, {"learning_rate": 0.1}, 0.5, purpose=Purpose.STEP_SWEEP)],
        [diverged(SPEC, 0, 0.1, state=State.RUNNING)],
    ],
    ids=["no trials", "no sweep", "no training loss", "still running"],
)
def test_too_little_data_is_never_a_pass(trials: list[TrialRecord]) -> None:
    found = verdict(trials)
    assert (found.verdict, bool(found.action)) == ("Unknown", True)


# From one study to the next.


def study(size: str = "64", drop: str = "0.0", steps: int = 1000, model: str | None = None) -> StudyRecord:
    spec = spec_of(
        [
            LEARNING_RATE,
            {"name": "batch_size", "type": "Integer", "role": "Fixed", "value": size},
            {"name": "dropout", "type": "Float", "role": "Fixed", "value": drop},
        ],
        training={"maxSteps": steps} | ({"model": model} if model else {}),
    )
    return study_of(spec)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (study(), "Ok"),
        (study(size="16"), "Recheck"),
        (study(drop="0.3"), "Recheck"),
        (study(size="16", steps=4000), "Ok"),
        (study_of(spec_of([LEARNING_RATE])), "Unknown"),
    ],
    ids=["nothing changed", "a smaller batch", "dropout", "with another length", "of unknown length"],
)
def test_noisier_gradients_ask_for_another_look_at_the_length(after: StudyRecord, expected: str) -> None:
    assert [f.verdict for f in check(after, [study()])] == ["Unknown", expected]


def test_another_model_asks_for_another_look_too() -> None:
    assert check(study(model="b"), [study(model="a")])[1].verdict == "Recheck"
    assert check(study(model="b"), [study()])[1].verdict == "Ok"
