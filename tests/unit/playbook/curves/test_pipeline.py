"""Bugs and bottlenecks of the training pipeline, from what trials report (playbook K24)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.curves import SHAPES, curve, curves, shape_of
from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_contract.curve import thinned
from tuning_contract.diagnostics import ClassCount, Diagnostics, Evaluation, Rank
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.curves.detectors.evaluation import (
    evaluations_are_irregular,
    is_irregular,
    training_waits_for_data,
)
from tuning_operator.playbook.curves.detectors.periodic import period_of, validation_is_periodic
from tuning_operator.playbook.curves.detectors.ranks import ranks_diverge, ranks_share_data, several_ranks_write
from tuning_operator.playbook.curves.detectors.train_loss import rises, training_loss_rises
from tuning_operator.playbook.curves.detectors.validation_set import (
    classes_are_rare,
    is_skewed,
    padding_counts,
    sample_is_skewed,
)
from tuning_operator.playbook.curves.pipeline import check
from tuning_operator.playbook.records import State, StudyRecord, TrialRecord
from tuning_operator.playbook.series import Series, as_series

FALLING = [float(v) for v in np.linspace(2.0, 0.5, 30)]
RISING = [float(v) for v in np.linspace(0.5, 2.0, 30)]
FLAT = [0.5] * 30


def study_with(trials: Iterable[dict[str, Any]], rates: Sequence[float] = (), **fields: Any) -> StudyRecord:
    spec = spec_of(**fields)
    made = []
    for i, trial in enumerate(trials):
        rate = rates[i] if i < len(rates) else 0.001 * (i + 1)
        measured = {} if "value" in trial else {"curve": FALLING}
        made.append(trial_of(spec, i, {"learning_rate": rate}, **(measured | trial)))
    return study_of(spec, made)


def reporting(*diagnostics: Diagnostics) -> StudyRecord:
    return study_with([{"diagnostics": d} for d in diagnostics])


def with_metric(trial: TrialRecord, name: str, values: Iterable[float]) -> TrialRecord:
    more = {**trial.curve.values, name: tuple(float(v) for v in values)}
    return replace(trial, curve=replace(trial.curve, values=more))


def test_every_question_is_answered_even_where_nothing_was_reported() -> None:
    for study in (study_of(spec_of()), study_with([{"value": 0.3}] * 3)):
        findings = check(study)
        assert [f.verdict for f in findings] == ["Unknown"] * 10
        assert {f.code for f in findings} == {Code.PIPELINE_BUG}
        assert all(f.action for f in findings)


def test_a_sound_pipeline_that_reports_all_passes_all() -> None:
    ranks = (Rank(0, "w", "b0", "n", True), Rank(1, "w", "b1", "n"))
    full = Diagnostics(
        full_evaluation=Evaluation(0.1, 5000),
        sample_evaluation=Evaluation(0.11, 500),
        weight_sum=5000.0,
        dataset_size=5000,
        per_class={"a": ClassCount(2500, 2300), "b": ClassCount(2500, 2200)},
        ranks=ranks,
    )
    study = study_with([{"train": FALLING, "diagnostics": full}] * 4)
    waiting = study_of(study.spec, [with_metric(t, "data_wait_fraction", [0.05] * 30) for t in study.trials])
    assert [f.verdict for f in check(waiting)] == ["Ok"] * 10


# --- the training loss rises


@pytest.mark.parametrize(
    ("training", "answer"),
    [
        (RISING, True),
        (FALLING, False),
        (FLAT, False),
        # It stands still and drifts by less than a hundredth.
        ([2.303 + 0.0005 * i for i in range(30)], False),
        # One spike at the end.
        ([*FALLING[:-1], 9.0], False),
        # The rise of a warm-up, over early.
        ([float(v) for v in shape_of("warmup", np.arange(1, 51) / 50)], False),
    ],
)
def test_a_training_loss_rises_when_its_end_lies_above_its_beginning(training: list[float], answer: bool) -> None:
    assert rises(as_series(training)) is answer


def test_a_training_loss_that_rises_in_most_trials_is_a_bug() -> None:
    finding = training_loss_rises(study_with([{"train": RISING}] * 3 + [{"train": FALLING}]))
    assert (finding.verdict, finding.severity, finding.rule) == ("TrainLossRises", Severity.BLOCK, "CRV-16")
    assert finding.evidence.trials == ["t-0", "t-1", "t-2"]


def test_high_learning_rates_may_make_it_rise() -> None:
    study = study_with([{"train": FALLING}] * 3 + [{"train": RISING}] * 5)
    finding = training_loss_rises(study)
    assert (finding.verdict, "lowest learning rates" in finding.message) == ("Ok", True)


def test_without_a_searched_learning_rate_most_trials_are_enough() -> None:
    spec = spec_of([{"name": "dropout", "type": "Float", "role": "Nuisance", "low": 0.0, "high": 0.5}])
    trials = [trial_of(spec, i, {"dropout": 0.1 * i}, curve=FALLING, train=RISING) for i in range(4)]
    assert training_loss_rises(study_of(spec, trials)).verdict == "TrainLossRises"


def test_learning_rates_are_ranked_within_each_arm() -> None:
    hyperparameters: list[dict[str, Any]] = [
        {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adamw", "sgd"]},
        *(
            {**LEARNING_RATE, "name": f"{o}_lr", "parameter": "lr", "when": {"name": "optimizer", "values": [o]}}
            for o in ("adamw", "sgd")
        ),
    ]
    spec = spec_of(hyperparameters)
    rates = [("adamw", 0.001), ("adamw", 0.01), ("sgd", 0.1), ("sgd", 0.9)]
    # Only the high rates of each arm rise.
    trials = [
        trial_of(spec, i, {"optimizer": o, "lr": r}, curve=FALLING, train=RISING if i % 2 else FALLING)
        for i, (o, r) in enumerate(rates)
    ]
    assert training_loss_rises(study_of(spec, trials)).verdict == "Ok"
    turned = [replace(t, curve=trials[1 - i % 2].curve) for i, t in enumerate(trials)]
    assert training_loss_rises(study_of(spec, turned)).verdict == "TrainLossRises"


def test_a_training_loss_of_seven_points_or_none_tells_nothing() -> None:
    for train in (None, RISING[:7], [float("nan")] * 29 + [1.0]):
        finding = training_loss_rises(study_with([{"train": train}] * 3))
        assert (finding.verdict, "train_loss" in finding.action) == ("Unknown", True)


def test_no_realistic_training_loss_is_said_to_rise_and_no_rising_one_is_missed() -> None:
    assert sum(rises(v) for v in curves(3000, seed=2)) <= 3
    rng = np.random.default_rng(0)
    found = [
        rises(1.0 + np.linspace(0, 0.5, n) + 0.05 * rng.standard_normal(n)) for n in (10, 30, 200) for _ in range(100)
    ]
    assert sum(found) >= 0.97 * len(found)


# --- the validation objective is periodic


def wave(points: int, period: float, noise: float = 0.002, size: float = 0.02, seed: int = 0) -> Series:
    rng = np.random.default_rng(seed)
    i = np.arange(points)
    return np.asarray(
        0.3
        + 0.7 * np.exp(-i / points / 0.1)
        + size * np.sin(2 * np.pi * i / period)
        + noise * rng.standard_normal(points)
    )


@pytest.mark.parametrize(("points", "period"), [(24, 4), (40, 5), (60, 12), (100, 3), (200, 40)])
def test_a_rhythm_is_found_with_its_period(points: int, period: int) -> None:
    assert period_of(wave(points, period)) == pytest.approx(period, abs=1)


@pytest.mark.parametrize(
    "values",
    [
        as_series(FLAT),
        as_series(FALLING),
        0.3 + np.abs(np.arange(60) / 60 - 0.4),
        np.where(np.arange(60) < 30, 1.0, 0.5),
        np.where(np.arange(60) == 30, 1.0, 0.5),
    ],
)
def test_a_trend_a_turn_a_step_and_a_spike_are_no_rhythm(values: Series) -> None:
    assert period_of(values) is None


def test_validation_that_is_periodic_in_most_trials_is_a_warning() -> None:
    study = study_with([{"curve": list(wave(60, 6, seed=i))} for i in range(4)])
    finding = validation_is_periodic(study)
    assert (finding.verdict, finding.severity, finding.rule) == ("PeriodicValidation", Severity.WARN, "EVS-5")
    assert finding.evidence.numbers["periodSteps"] == 60
    assert "epoch" in finding.action


def test_a_rhythm_in_a_few_trials_or_of_the_learning_rate_is_no_bug() -> None:
    rng = np.random.default_rng(0)
    quiet = [{"curve": list(curve(rng, "decay", 60, 0.01))} for _ in range(3)]
    assert validation_is_periodic(study_with([{"curve": list(wave(60, 6))}, *quiet])).verdict == "Ok"
    study = study_with([{"curve": list(wave(60, 6, seed=i))} for i in range(4)])
    restarts = 0.05 + 0.05 * np.cos(2 * np.pi * np.arange(60) / 6)
    cyclic = study_of(study.spec, [with_metric(t, "learning_rate", restarts) for t in study.trials])
    finding = validation_is_periodic(cyclic)
    assert (finding.verdict, "explains" in finding.evidence.notes[0]) == ("Ok", True)


def test_fewer_than_24_evaluations_show_no_rhythm() -> None:
    assert validation_is_periodic(study_with([{"curve": list(wave(23, 4))}] * 3)).verdict == "Unknown"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("points", [24, 50, 200])
def test_a_curve_without_noise_has_no_rhythm(shape: str, points: int) -> None:
    assert period_of(0.2 + 0.7 * shape_of(shape, np.arange(1, points + 1) / points)) is None


def test_most_rhythms_twice_as_large_as_the_noise_are_found() -> None:
    rng = np.random.default_rng(0)
    found = []
    for seed in range(120):
        points = int(rng.choice([40, 100]))
        period = int(rng.integers(3, points // 4 + 1))
        found.append(period_of(wave(points, period, noise=0.02 / np.sqrt(2) / 2, seed=seed)) is not None)
    assert sum(found) >= 0.85 * len(found)


def test_hardly_any_realistic_curve_has_a_rhythm() -> None:
    found = [period_of(v) is not None for v in curves(300, seed=3, fewest=24, most=120)]
    assert sum(found) <= 0.02 * len(found)


# --- irregular evaluations


@pytest.mark.parametrize(
    ("steps", "answer"),
    [
        (range(0, 1000, 50), False),
        ([1, *range(50, 1000, 50), 977], False),
        ([50, 100, 200, 250, 400, 450, 500, 650, 700], False),
        (np.cumsum([487, 512, 530, 471, 398, 501, 460, 555]), True),
        ([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024], True),
        (np.cumsum([500, 501, 499, 500, 502, 498, 500]), False),
        ([10, 20, 37, 41], None),
        ([], None),
    ],
)
def test_evaluations_by_the_clock_are_irregular_and_gaps_in_regular_ones_are_not(
    steps: Iterable[int], answer: bool | None
) -> None:
    assert is_irregular(np.asarray(list(steps), dtype=np.int64)) is answer


@pytest.mark.parametrize("keep", [10, 64, 100, 199])
def test_a_curve_that_was_thinned_for_its_record_stays_regular(keep: int) -> None:
    steps = thinned([20 * (i + 1) for i in range(300)], keep)
    assert is_irregular(np.asarray(steps, dtype=np.int64)) is False


def test_irregular_evaluations_of_most_trials_are_a_warning() -> None:
    rng = np.random.default_rng(0)
    clocked = [{"steps": [int(s) for s in np.cumsum(rng.integers(400, 600, 30))]} for _ in range(3)]
    finding = evaluations_are_irregular(study_with([*clocked, {}]))
    assert (finding.verdict, finding.severity) == ("IrregularEvaluation", Severity.WARN)
    assert evaluations_are_irregular(study_with([clocked[0], {}, {}])).verdict == "Ok"


# --- waiting for data


@pytest.mark.parametrize(("wait", "verdict"), [(0.5, "InputBound"), (0.05, "Ok"), (0.2, "Ok")])
def test_much_waiting_for_data_is_noted(wait: float, verdict: str) -> None:
    study = study_with([{}] * 3)
    # The first interval, in which loaders start, does not count for much.
    waits = [0.9, *[wait] * 29]
    finding = training_waits_for_data(
        study_of(study.spec, [with_metric(t, "data_wait_fraction", waits) for t in study.trials])
    )
    assert (finding.verdict, finding.severity) == (verdict, Severity.INFO)
    assert finding.evidence.numbers["dataWaitFraction"] == wait


# --- the validation set


@pytest.mark.parametrize(
    ("sample", "full", "answer"),
    [
        (Evaluation(0.20, 500), Evaluation(0.10, 5000), True),
        (Evaluation(0.11, 500), Evaluation(0.10, 5000), False),
        (Evaluation(0.02, 500), Evaluation(0.10, 5000), True),
        (Evaluation(0.002, 500), Evaluation(0.0, 5000), False),
        (Evaluation(0.01, 500), Evaluation(0.0, 5000), True),
        (Evaluation(1.0, 1), Evaluation(0.1, 5000), False),
    ],
)
def test_a_sample_is_skewed_when_chance_does_not_explain_its_difference(
    sample: Evaluation, full: Evaluation, answer: bool
) -> None:
    assert is_skewed(sample, full) is answer


def sampled(error: float) -> Diagnostics:
    return Diagnostics(full_evaluation=Evaluation(0.1, 5000), sample_evaluation=Evaluation(error, 500))


def test_skew_in_half_of_the_trials_is_a_warning() -> None:
    finding = sample_is_skewed(reporting(sampled(0.2), sampled(0.1)))
    assert (finding.verdict, finding.severity, finding.rule) == ("SubsetSkew", Severity.WARN, "SMPL-2")
    assert finding.evidence.trials == ["t-0"]
    assert sample_is_skewed(reporting(sampled(0.2), sampled(0.1), sampled(0.1))).verdict == "Ok"
    assert sample_is_skewed(reporting(Diagnostics(full_evaluation=Evaluation(0.1, 10)))).verdict == "Unknown"


def test_fair_samples_are_hardly_ever_skewed() -> None:
    rng = np.random.default_rng(0)
    wrong = sum(
        is_skewed(Evaluation(rng.binomial(500, p) / 500, 500), Evaluation(p, 5000))
        for p in (0.01, 0.1, 0.5)
        for _ in range(1000)
    )
    assert wrong <= 0.06 * 3000


@pytest.mark.parametrize(
    ("weights", "size", "verdict"),
    [(5120.0, 5000, "PaddedWeights"), (5000.0, 5000, "Ok"), (4999.9, 5000, "Ok"), (5001.0, 5000, "PaddedWeights")],
)
def test_weights_that_do_not_add_up_to_the_data_set_are_a_bug(weights: float, size: int, verdict: str) -> None:
    finding = padding_counts(reporting(Diagnostics(weight_sum=weights, dataset_size=size)))
    assert finding.verdict == verdict
    assert finding.severity is (Severity.BLOCK if verdict == "PaddedWeights" else Severity.INFO)


def test_a_class_of_few_examples_is_counted_and_a_gain_of_one_example_is_called_that() -> None:
    hyperparameters = [{"name": "model", "type": "Categorical", "role": "Scientific", "values": ["a", "b"]}]
    spec = spec_of([*hyperparameters, LEARNING_RATE])
    counts = [{"rare": ClassCount(20, correct), "usual": ClassCount(900, 800)} for correct in (18, 17)]
    trials = [
        trial_of(spec, i, {"model": m, "learning_rate": 0.1}, 0.1 + i, diagnostics=Diagnostics(per_class=counts[i]))
        for i, m in enumerate("ab")
    ]
    finding = classes_are_rare(study_of(spec, trials))
    assert (finding.verdict, finding.severity, finding.rule) == ("SmallClass", Severity.INFO, "SMPL-5")
    assert finding.evidence.notes == ["rare: 18 of 20 correct; one example is 0.05. t-0 has +1 example against t-1."]
    large = Diagnostics(per_class={"usual": ClassCount(30, 20)})
    assert classes_are_rare(reporting(large)).verdict == "Ok"


# --- ranks


def ranked(*ranks: Rank) -> StudyRecord:
    return reporting(Diagnostics(ranks=ranks))


@pytest.mark.parametrize(
    ("ranks", "verdicts"),
    [
        ((Rank(0, "w", "a", "n", True), Rank(1, "w", "b", "n")), ("Ok", "Ok", "Ok")),
        ((Rank(0, "w", "a", "n", True), Rank(1, "v", "b", "n")), ("RankDivergence", "Ok", "Ok")),
        ((Rank(0, "w", "a", "n", True), Rank(1, "w", "b", "m")), ("RankDivergence", "Ok", "Ok")),
        ((Rank(0, "w", "a", "n", True), Rank(1, "w", "a", "n")), ("Ok", "RankSameData", "Ok")),
        ((Rank(0, "w", "a", "n", True), Rank(1, "w", "b", "n", True)), ("Ok", "Ok", "SeveralWriters")),
        ((Rank(0, "w", "a", "", True),), ("Ok", "Ok", "Ok")),
        ((Rank(0), Rank(1)), ("Unknown", "Unknown", "Ok")),
        ((), ("Unknown", "Unknown", "Unknown")),
    ],
)
def test_processes_must_agree_on_weights_and_buffers_and_not_on_data(
    ranks: tuple[Rank, ...], verdicts: tuple[str, str, str]
) -> None:
    findings: list[Finding] = [f(ranked(*ranks)) for f in (ranks_diverge, ranks_share_data, several_ranks_write)]
    assert tuple(f.verdict for f in findings) == verdicts
    for finding in findings:
        assert finding.severity is (Severity.INFO if finding.verdict in ("Ok", "Unknown") else Severity.BLOCK)


def test_a_trial_that_the_infrastructure_lost_accuses_nobody() -> None:
    lost = Diagnostics(ranks=(Rank(0, "w", "a"), Rank(1, "v", "a")), weight_sum=3.0, dataset_size=2)
    study = study_with([{"value": 0.1, "state": State.LOST, "diagnostics": lost}])
    assert {f.verdict for f in check(study)} == {"Unknown"}
