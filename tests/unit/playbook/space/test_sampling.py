"""Was the space sampled densely enough? (K11)"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tests.support.synthetic import a_centre, a_synthetic_study, bowl
from tuning_operator.api.findings import Finding, Severity
from tuning_operator.playbook.records import Purpose, State, StudyRecord
from tuning_operator.playbook.space.sampling import check, smooth_share

OPTIMIZER = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["sgd", "adam"]}
LONELY = [0.230, 0.262, 0.285, *np.linspace(0.30, 0.60, 27)]
DENSE = [*np.linspace(0.230, 0.2322, 12), *np.linspace(0.30, 0.60, 28)]


def _study(values: Sequence[float], noise: float | None = None, seed: int = 0, **fields: Any) -> StudyRecord:
    known = {"baseline": {"scientific": {}, "retrainDeviation": noise}} if noise is not None else {}
    spec = spec_of(**{"search": {"seed": seed}, **known, **fields})
    trials = [trial_of(spec, i, {"learning_rate": 1e-3 * (1 + i)}, float(v)) for i, v in enumerate(values)]
    return study_of(spec, trials, f"study-{seed}")


def _density(study: StudyRecord) -> Finding:
    return check(study)[0]


@pytest.mark.parametrize(
    ("values", "verdict", "severity"),
    [
        (LONELY, "Sparse", Severity.WARN),
        (DENSE, "Ok", Severity.INFO),
        ([0.3] * 5, "Unknown", Severity.INFO),
        ([], "Unknown", Severity.INFO),
        ([0.3] * 8, "Ok", Severity.INFO),
        ([0.3] * 7, "Unknown", Severity.INFO),
    ],
)
def test_the_number_of_good_trials_decides(values: list[float], verdict: str, severity: Severity) -> None:
    finding = _density(_study(values, noise=0.002))
    assert (finding.verdict, finding.severity) == (verdict, severity)
    if verdict == "Unknown":
        assert finding.action


def test_noise_makes_more_trials_good() -> None:
    assert _density(_study(LONELY, noise=0.02)).verdict == "Sparse"
    assert _density(_study(LONELY, noise=0.03)).verdict == "Ok"


def test_a_maximised_objective_is_judged_alike_and_shown_as_it_is() -> None:
    objective = {"metric": "accuracy", "direction": "Maximize"}
    finding = _density(_study([1 - v for v in LONELY], noise=0.002, objective=objective))
    assert finding.verdict == "Sparse"
    assert 0.7 < finding.evidence.numbers["limit"] < 0.77


def test_a_trial_that_was_stopped_while_good_counts_as_good() -> None:
    study = _study(LONELY, noise=0.002)
    stopped = [
        trial_of(
            study.spec, 50 + i, {"learning_rate": 0.1}, state=State.STOPPED, stopped_by="Median", curve=[0.9, 0.24]
        )
        for i in range(2)
    ]
    finding = _density(study_of(study.spec, [*study.trials, *stopped]))
    assert (finding.verdict, finding.evidence.numbers["good"]) == ("Ok", 4)


def test_a_sparse_arm_blocks_a_comparison_of_arms() -> None:
    spec = spec_of([OPTIMIZER, LEARNING_RATE], baseline={"scientific": {"optimizer": "sgd"}, "retrainDeviation": 0.002})
    trials = [
        trial_of(spec, 100 * a + i, {"optimizer": o, "learning_rate": 1e-3 * (1 + i)}, float(v))
        for a, (o, values) in enumerate((("sgd", DENSE), ("adam", LONELY)))
        for i, v in enumerate(values)
    ]
    found = [f for f in check(study_of(spec, trials)) if f.verdict != "SearchLuck"]
    assert [(f.scientific, f.verdict, f.severity) for f in found] == [
        ({"optimizer": "sgd"}, "Ok", Severity.INFO),
        ({"optimizer": "adam"}, "Sparse", Severity.BLOCK),
    ]


@pytest.mark.parametrize(("behind", "severity"), [(0.15, Severity.BLOCK), (0.25, Severity.WARN)])
def test_a_sparse_arm_that_no_missed_point_would_save_blocks_nothing(behind: float, severity: Severity) -> None:
    spec = spec_of([OPTIMIZER, LEARNING_RATE], baseline={"scientific": {"optimizer": "sgd"}, "retrainDeviation": 0.002})
    trials = [
        trial_of(spec, 100 * a + i, {"optimizer": o, "learning_rate": 1e-3 * (1 + i)}, float(v))
        for a, (o, values) in enumerate((("sgd", DENSE), ("adam", [v + behind for v in LONELY])))
        for i, v in enumerate(values)
    ]
    assert [f.severity for f in check(study_of(spec, trials)) if f.verdict == "Sparse"] == [severity]


def test_retrains_and_probes_make_no_sample_denser() -> None:
    study = _study(LONELY, noise=0.002)
    more = [
        trial_of(study.spec, 50 + i, {"learning_rate": 1e-3}, 0.23, purpose=Purpose.RETRAIN, of="t-0") for i in range(5)
    ]
    assert _density(study_of(study.spec, [*study.trials, *more])).verdict == "Sparse"


def test_search_luck_is_told_where_it_exceeds_the_noise_of_retraining() -> None:
    _, luck = check(_study(LONELY, noise=0.002))
    assert (luck.verdict, luck.severity) == ("SearchLuck", Severity.INFO)
    assert luck.evidence.numbers["spread"] > 0.004
    assert [f.verdict for f in check(_study(DENSE, noise=0.002))] == ["Ok"]


def test_search_luck_is_not_told_where_the_noise_of_retraining_is_not_known() -> None:
    assert [f.verdict for f in check(_study(LONELY))] == ["Sparse"]


def _repeated(values: Sequence[float], other: Sequence[float], noise: float | None = 0.002, **fields: Any) -> list[str]:
    mine, theirs = _study(values, noise), _study(other, noise, **{"seed": 1, **fields})
    return [f.verdict for f in check(mine, [theirs]) if f.rule == "ADP-3"]


def test_a_repetition_that_comes_to_another_result_shows_an_unstable_search() -> None:
    found = check(_study(DENSE, 0.002), [_study([v + 0.01 for v in DENSE], 0.002, seed=1)])
    unstable = [f for f in found if f.verdict == "Unstable"]
    assert [f.severity for f in unstable] == [Severity.WARN]
    assert "study-1" in unstable[0].message


def test_a_repetition_within_noise_is_stable() -> None:
    assert _repeated(DENSE, [v + 0.003 for v in DENSE]) == ["Ok"]


def test_another_study_is_no_repetition() -> None:
    assert _repeated(DENSE, [v + 0.01 for v in DENSE], objective={"metric": "other_loss"}) == []
    assert _repeated(DENSE, [v + 0.01 for v in DENSE], seed=0) == []


def test_a_repetition_that_cannot_be_compared_says_nothing() -> None:
    assert _repeated(DENSE, DENSE[:20]) == []
    assert _repeated(DENSE, [v + 0.01 for v in DENSE], noise=None) == []


@pytest.mark.parametrize(
    ("dimensions", "trials", "most"),
    [(1, 10, 1), (1, 20, 0), (2, 10, 2), (2, 20, 3), (2, 40, 2), (4, 20, 4), (4, 40, 2)],
)
def test_smooth_studies_are_rarely_sparse(dimensions: int, trials: int, most: int) -> None:
    sparse = 0
    for seed in range(30):
        objective = bowl(a_centre(seed, dimensions))
        sparse += _density(a_synthetic_study(seed, trials, objective, dimensions=dimensions)).verdict == "Sparse"
    assert sparse <= most


@pytest.mark.parametrize("seed", range(5))
def test_a_lonely_best_trial_is_sparse_wherever_the_others_lie(seed: int) -> None:
    others = np.random.default_rng(seed).uniform(0.30, 0.60, 27)
    assert _density(_study([0.230, 0.262, 0.285, *others], noise=0.002)).verdict == "Sparse"


def test_more_trials_are_asked_to_be_good_where_fewer_hyperparameters_are_searched() -> None:
    shares = [smooth_share(20, dimensions, 3) for dimensions in (1, 2, 3, 4)]
    assert shares == sorted(shares)
    assert smooth_share(40, 2, 3) < smooth_share(20, 2, 3) < 1
    assert (smooth_share(6, 2, 3), smooth_share(20, 2, 1)) == (1.0, 0.0)
