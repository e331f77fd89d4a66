"""What a longer round takes over from a shorter one (K21)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_contract.diagnostics import LEARNING_RATE as RATE_METRIC
from tuning_operator.api.findings import Finding, Severity
from tuning_operator.playbook.length.rounds import check, next_length, round_lengths
from tuning_operator.playbook.length.transfer import Transfer, rank_agreement, transfer_of
from tuning_operator.playbook.records import Curve, StudyRecord, TrialRecord


@pytest.mark.parametrize(
    ("rounds", "lengths"),
    [(1, [50_000]), (2, [5000, 50_000]), (3, [5000, 15_811, 50_000]), (4, [5000, 10_772, 23_208, 50_000])],
)
def test_rounds_grow_from_a_tenth_of_production_to_all_of_it(rounds: int, lengths: list[int]) -> None:
    assert round_lengths(50_000, rounds) == lengths


@pytest.mark.parametrize(
    ("steps", "rounds", "expected"),
    [(5000, 2, 50_000), (5000, 3, 15_811), (15_811, 3, 50_000), (40_000, 2, 50_000), (50_000, 2, None), (600, 2, 5000)],
)
def test_after_each_round_comes_the_next_longer_one_until_production(
    steps: int, rounds: int, expected: int | None
) -> None:
    assert next_length(50_000, steps, rounds) == expected


def study(
    steps: int, values: Sequence[float] = (), schedule: dict[str, Any] | None = None, **training: Any
) -> StudyRecord:
    """Return a round of that length whose trials, at fixed learning rates, had these results."""
    spec = spec_of(training={"maxSteps": steps, "schedule": schedule or {}, **training})
    rates = np.geomspace(1e-3, 1e-1, max(len(values), 1))
    trials = [trial_of(spec, n, {"learning_rate": float(rates[n])}, value) for n, value in enumerate(values)]
    return study_of(spec, trials, f"round-{steps}")


def of_rule(found: Sequence[Finding], *rules: str) -> list[str]:
    return [f.verdict for f in found if f.rule in rules]


LINEAR = {"family": "Linear", "decaySteps": 8000}


def test_the_next_round_keeps_the_length_of_a_linear_decay() -> None:
    (planned, *_) = check(study(10_000, schedule=LINEAR, productionSteps=50_000))
    assert (planned.verdict, planned.severity) == ("Planned", Severity.INFO)
    assert planned.evidence.numbers == {
        "warmupSteps": 0,
        "constantSteps": 42_000,
        "decaySteps": 8000,
        "steps": 10_000,
        "nextSteps": 50_000,
        "productionSteps": 50_000,
    }
    assert "speculative" in planned.evidence.notes[0]


def test_the_next_round_of_a_cosine_is_as_long_as_the_run() -> None:
    (planned, *_) = check(study(10_000, schedule={"family": "Cosine"}, productionSteps=50_000))
    assert (planned.rule, planned.evidence.numbers["decaySteps"]) == ("RD2-4", 50_000)


def test_other_schedules_are_to_be_checked() -> None:
    (planned, *_) = check(study(10_000, schedule={"family": "Step"}, productionSteps=50_000))
    assert "no advice" in planned.evidence.notes[1]


def test_without_the_schedules_family_nothing_is_planned() -> None:
    (planned, *_) = check(study(10_000, productionSteps=50_000))
    assert (planned.verdict, "family" in planned.action) == ("Unknown", True)


@pytest.mark.parametrize(
    "of", [study(10_000, schedule=LINEAR), study(50_000, schedule=LINEAR, productionSteps=50_000)],
    ids=["no production length", "the production run"],
)  # fmt: skip
def test_without_a_longer_round_there_is_nothing_to_carry_over(of: StudyRecord) -> None:
    assert [f.verdict for f in check(of)] == ["Ok"]


def test_a_length_that_is_not_known_is_never_a_pass() -> None:
    (found,) = check(study_of(spec_of()))
    assert (found.verdict, found.action) == ("Unknown", "Set training.maxSteps.")


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"name": "warmup_steps"}, Transfer.CARRY),
        ({"name": "hidden_size"}, Transfer.CARRY_AND_VERIFY),
        ({"name": "learning_rate"}, Transfer.RECHECK),
        ({"name": "weight_decay"}, Transfer.RECHECK),
        ({"name": "augmentation"}, Transfer.RECHECK),
        ({"name": "optimizer"}, Transfer.RECHECK),
        ({"name": "decay_factor"}, Transfer.RETUNE),
        ({"name": "anything"}, Transfer.RECHECK),
    ],
)
def test_each_kind_of_hyperparameter_transfers_as_the_text_says(fields: dict[str, str], label: Transfer) -> None:
    assert transfer_of(spec_of([LEARNING_RATE | fields]).hyperparameters[0]) is label


def test_every_searched_hyperparameter_is_labelled_once_and_a_rate_from_short_runs_alone_is_myopic() -> None:
    spec = spec_of(
        [
            LEARNING_RATE,
            {"name": "warmup_steps", "type": "Integer", "role": "Nuisance", "low": 10, "high": 100},
            {"name": "dropout", "type": "Float", "role": "Fixed", "value": "0.1"},
        ],
        training={"maxSteps": 5000, "productionSteps": 50_000, "schedule": {"family": "Cosine"}},
    )
    found = [f for f in check(study_of(spec)) if f.verdict == "Transfer"]
    assert [(f.parameter, f.rule) for f in found] == [("learning_rate", "RD1-4"), ("warmup_steps", "RD1-2")]
    assert "myopic" in found[0].action


# A longer round beside its shorter one.


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (LINEAR, LINEAR, "Ok"),
        (LINEAR, {"family": "Linear", "decaySteps": 48_000}, "DecayStretched"),
        (LINEAR, {"family": "Linear", "decaySteps": 16_000}, "Ok"),
        ({"family": "Linear"}, {"family": "Linear"}, "DecayStretched"),
    ],
    ids=["kept", "stretched", "twice as long", "as long as the run, never written down"],
)
def test_a_linear_decay_that_was_stretched_with_the_run_is_told(
    before: dict[str, Any], after: dict[str, Any], verdict: str
) -> None:
    assert of_rule(check(study(50_000, schedule=after), [study(10_000, schedule=before)]), "RD2-3") == [verdict]


def test_other_families_have_no_decay_to_stretch() -> None:
    cosine = {"family": "Cosine"}
    assert of_rule(check(study(50_000, schedule=cosine), [study(10_000, schedule=cosine)]), "RD2-3") == []


def with_curves(of: StudyRecord, rates: np.ndarray) -> StudyRecord:
    curve = Curve(tuple(range(1, len(rates) + 1)), {RATE_METRIC: tuple(rates.tolist())})
    trials = tuple(TrialRecord(**{**t.__dict__, "curve": curve}) for t in of.trials)
    return StudyRecord(of.name, of.spec, trials)


def inverse_root(steps: int) -> np.ndarray:
    return 1 / np.sqrt(np.arange(1, steps + 1))


def test_a_square_root_decay_spends_a_longer_run_at_low_rates() -> None:
    short, long = study(200, [0.5]), study(1000, [0.5])
    found = check(with_curves(long, inverse_root(1000)), [with_curves(short, inverse_root(200))])
    assert of_rule(found, "CMP-9") == ["TooMuchLowRate"]
    (one,) = [f for f in found if f.verdict == "TooMuchLowRate"]
    assert one.severity is Severity.WARN
    assert one.evidence.numbers == {"lowShareBefore": pytest.approx(0.5, abs=0.01), "lowShare": pytest.approx(0.9)}


@pytest.mark.parametrize("family", ["Cosine", "Linear", "Constant"])
def test_schedules_that_fill_the_run_spend_the_same_share_of_it_at_low_rates(family: str) -> None:
    schedule = {"family": family}
    assert of_rule(check(study(50_000, schedule=schedule), [study(5000, schedule=schedule)]), "CMP-9") == ["Ok"]


def test_without_rates_and_family_the_share_of_low_rates_is_not_known() -> None:
    assert of_rule(check(study(50_000, [0.5]), [study(5000, [0.5])]), "CMP-9") == ["Unknown"]


RANKS = [0.9, 0.8, 0.7, 0.6, 0.5, 0.55]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (RANKS, [v / 2 for v in RANKS], "Ok"),
        (RANKS, RANKS[::-1], "NotTransferred"),
        (RANKS[:4], RANKS[:4], "Unknown"),
        (RANKS, [0.5] * 6, "Unknown"),
        (RANKS, [], "Unknown"),
    ],
    ids=["identical", "reversed", "four in both", "all the same", "none in both"],
)
def test_the_order_of_configurations_in_both_rounds_tells_whether_short_runs_say_something(
    before: list[float], after: list[float], verdict: str
) -> None:
    assert of_rule(check(study(50_000, after), [study(5000, before)]), "CMP-6") == [verdict]


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_rounds_that_agree_but_for_noise_are_rarely_told_apart(noise: float) -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(200):
        before = rng.uniform(0, 1, 8)
        after = before + rng.normal(0, noise, 8)
        agreement = rank_agreement(before.tolist(), after.tolist())
        alarms += agreement is None or agreement < 0.7
    assert alarms <= 10


def test_rounds_are_compared_whatever_order_they_are_given_in() -> None:
    longer = study(50_000, RANKS)
    found = check(study(20_000, RANKS), [study(5000, RANKS[::-1]), longer])
    assert of_rule(found, "CMP-6") == ["NotTransferred"]
