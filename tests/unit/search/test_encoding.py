"""A matrix of unit coordinates says of each row what the assignment at that point says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import a_choice, a_range
from tests.support.views import a_spec
from tests.unit.search.test_bayesian import MIXED, nuisance, one_arm, only
from tuning_operator.search.arms import arms_of
from tuning_operator.search.encoding import feature_owners, features_of, snapped, unit_point, units_of


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_a_row_is_where_its_assignment_stands(seed: int) -> None:
    cube = np.random.default_rng(seed).random((20, len(MIXED.dimensions)))
    rows = snapped(MIXED, cube)
    assignments = [MIXED.assignment_at(unit_point(MIXED, row)) for row in cube]
    np.testing.assert_allclose(rows, units_of(MIXED, assignments), atol=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_a_snapped_row_has_the_same_assignment(seed: int) -> None:
    cube = np.random.default_rng(seed).random((20, len(MIXED.dimensions)))
    again = snapped(MIXED, np.nan_to_num(snapped(MIXED, cube), nan=0.5))
    np.testing.assert_allclose(snapped(MIXED, cube), again, atol=1e-9)


def test_two_values_of_a_categorical_are_at_distance_one() -> None:
    arm = one_arm(nuisance("clip", "none", "norm", "value"))
    features = features_of(arm, units_of(arm, [{"clip": "none"}, {"clip": "norm"}, {"clip": "value"}]))
    assert feature_owners(arm) == [0, 0, 0]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.isclose(np.linalg.norm(features[a] - features[b]), 1)


def test_what_exists_in_neither_of_two_points_keeps_them_together() -> None:
    arm = one_arm(nuisance("clip", "off", "on"), a_range("norm", **only("clip", "on")))
    rows = snapped(arm, np.array([[0.1, 0.2], [0.2, 0.9], [0.9, 0.9]]))
    features = features_of(arm, rows)
    assert (features[0] == features[1]).all()
    assert np.isnan(rows[:2, 1]).all()
    assert rows[2, 1] == 0.9


def test_a_condition_on_a_scientific_value_is_decided_by_the_arm() -> None:
    spec = a_spec(hyperparameters=[a_choice(), a_range("norm", **only("optimizer", "adamw"))])
    adamw, _ = arms_of(spec)
    assert snapped(adamw, np.array([[0.25]]))[0, 0] == 0.25
