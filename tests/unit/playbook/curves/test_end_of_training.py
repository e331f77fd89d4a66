"""How the top trials end tells whether a workload is compute-bound (playbook K10)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.curves import curve
from tests.support.studies import spec_of, study_of, trial_of
from tuning_operator.api.findings import Finding, Severity
from tuning_operator.playbook.curves.end_of_training import (
    Ending,
    check,
    ending_of,
    ending_of_most,
    ending_of_study,
    tail_of,
)
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.series import Series, as_series

F = np.arange(1, 51) / 50
SLOW = 0.2 + 0.7 * np.exp(-F / 0.6)
FAST = 0.2 + 0.7 * np.exp(-F / 0.04)
FLAT_AFTER_30 = np.where(F < 0.3, 0.9 - 2 * F, 0.3)
FALLING = 1 - 0.8 * F
HALF = 0.2 + 0.7 * np.exp(-F / 0.16)


@pytest.mark.parametrize(
    ("validation", "training", "ending"),
    [
        (SLOW, SLOW, Ending.STILL_IMPROVING),
        (SLOW, None, Ending.STILL_IMPROVING),
        (FAST, FAST, Ending.SATURATED),
        (FAST, None, None),
        (FLAT_AFTER_30, FALLING, Ending.TRAINING_ONLY),
        (HALF, HALF, Ending.SETTLED),
        (as_series([0.5] * 50), as_series([0.5] * 50), Ending.SATURATED),
        # Overfitting: the objective has long turned, the training loss goes on.
        (0.3 + np.abs(F - 0.3), FALLING, Ending.TRAINING_ONLY),
    ],
)
def test_the_last_fifth_tells_how_a_run_ends(validation: Series, training: Series | None, ending: Ending) -> None:
    assert ending_of(tail_of(validation), None if training is None else tail_of(training)) is ending


def test_noise_that_hides_a_fall_is_no_evidence_that_there_is_none() -> None:
    rng = np.random.default_rng(0)
    noisy = [tail_of(curve(rng, "cosine", 50, 0.2)) for _ in range(40)]
    # Training falls, and so does the objective, but for its noise: that it stands still is said of few.
    endings = [ending_of(tail, tail_of(FALLING)) for tail in noisy]
    assert endings.count(Ending.SETTLED) == 0
    assert endings.count(None) >= 5


@pytest.mark.parametrize(
    ("endings", "most"),
    [
        ([Ending.STILL_IMPROVING] * 3 + [Ending.SATURATED] * 2, Ending.STILL_IMPROVING),
        ([Ending.STILL_IMPROVING] * 2 + [Ending.SATURATED] * 2, None),
        ([Ending.SATURATED] * 3, Ending.SATURATED),
        ([Ending.TRAINING_ONLY] * 2 + [Ending.SETTLED], Ending.TRAINING_ONLY),
        ([Ending.SETTLED] * 2 + [Ending.TRAINING_ONLY], Ending.SETTLED),
    ],
)
def test_a_study_ends_as_most_of_its_top_trials_do(endings: list[Ending], most: Ending | None) -> None:
    assert ending_of_most(endings) is most


def test_five_values_are_no_run() -> None:
    with pytest.raises(ValueError, match="6"):
        tail_of(as_series([1.0] * 5))


def study_with(*pairs: tuple[Series, Series | None], **fields: Any) -> StudyRecord:
    spec = spec_of(**fields)
    sign = -1 if spec.objective.direction.value == "Maximize" else 1
    return study_of(
        spec,
        [
            trial_of(spec, i, {"learning_rate": 0.01}, curve=list(sign * v), train=None if t is None else list(t))
            for i, (v, t) in enumerate(pairs)
        ],
    )


def only(findings: Sequence[Finding]) -> Finding:
    (finding,) = findings
    return finding


@pytest.mark.parametrize(
    ("pair", "verdict", "rule"),
    [
        ((SLOW, SLOW), "StillImproving", "CRV-14"),
        ((FAST, FAST), "Saturated", "CRV-15"),
        ((FLAT_AFTER_30, FALLING), "Neither", "STP-4"),
        ((HALF, HALF), "Ok", "CRV-14"),
        ((FAST, None), "Unknown", "CRV-15"),
        ((SLOW[:11], SLOW[:11]), "Unknown", "CRV-14"),
    ],
)
def test_the_study_says_how_its_best_trials_end(pair: tuple[Series, Series | None], verdict: str, rule: str) -> None:
    for fields in ({}, {"objective": {"metric": "accuracy", "direction": "Maximize"}}):
        finding = only(check(study_with(pair, pair, pair, **fields)))
        assert (finding.verdict, finding.rule, finding.severity) == (verdict, rule, Severity.INFO)


def test_best_trials_that_end_in_different_ways_are_mixed_and_counted() -> None:
    finding = only(check(study_with((SLOW, SLOW), (FAST, FAST), (HALF, HALF))))
    assert finding.verdict == "Mixed"
    numbers = finding.evidence.numbers
    assert (numbers["stillImproving"], numbers["saturated"], numbers["settled"]) == (1, 1, 1)


def test_only_the_top_trials_count() -> None:
    study = study_with(*[(FAST, FAST)] * 3, *[(SLOW + 0.5, SLOW)] * 9)
    assert only(check(study)).verdict == "Saturated"
    assert ending_of_study(study) is Ending.SATURATED


def test_a_missing_training_loss_is_named() -> None:
    assert "train_loss" in only(check(study_with((FAST, None)))).action


def test_without_results_nothing_is_known() -> None:
    assert only(check(study_with())).verdict == "Unknown"
    assert ending_of_study(study_with()) is None
    spec = spec_of()
    assert only(check(study_of(spec, [trial_of(spec, 0, {"learning_rate": 0.1}, value=0.3)]))).verdict == "Unknown"


def share(make: Callable[[], Series], points: int, ending: Ending, repeats: int = 40) -> float:
    """Return how many of a hundred studies with three top trials are said to end in one way."""
    found = []
    for _ in range(repeats):
        endings = [e for _ in range(3) if (e := ending_of(tail_of(make()), tail_of(make()))) is not None]
        found.append(endings and ending_of_most(endings) is ending)
    return 100 * sum(map(bool, found)) / repeats


@pytest.mark.parametrize("points", [12, 20, 50, 200])
def test_saturated_runs_are_hardly_ever_said_to_improve_and_improving_ones_never_saturated(points: int) -> None:
    rng = np.random.default_rng(points)
    for noise in (0.0001, 0.001, 0.01, 0.05):
        assert share(lambda: curve(rng, "saturated", points, noise), points, Ending.STILL_IMPROVING) <= 5  # noqa: B023
        assert share(lambda: curve(rng, "saturated", points, noise), points, Ending.TRAINING_ONLY) <= 5  # noqa: B023
    for noise in (0.0001, 0.001):
        assert share(lambda: curve(rng, "cosine", points, noise), points, Ending.STILL_IMPROVING) >= 95  # noqa: B023
