"""What an arm that overfits is given to tune."""

from typing import Any

import pytest

from tests.support.findings import finding
from tests.support.studies import LEARNING_RATE, spec_of, study_of
from tuning_operator.api.findings import Code
from tuning_operator.api.hyperparameters import Role
from tuning_operator.playbook.proposal.change import Change
from tuning_operator.playbook.proposal.edits.regularizers import regularised

OVERFITS = finding(Code.OVERFITTING, "BestTrial")
SEARCHED = {"name": "wd", "type": "Float", "role": "Nuisance", "low": 1e-6, "high": 1e-2, "scale": "Log"}


def changed(*hyperparameters: dict[str, Any], verdict: str = "BestTrial") -> Change:
    spec = spec_of([LEARNING_RATE, *hyperparameters])
    return regularised(study_of(spec), [OVERFITS.model_copy(update={"verdict": verdict})], Change(spec))


def test_weight_decay_is_added_where_there_is_no_regulariser() -> None:
    change = changed()
    added = change.hyperparameter("weight_decay")
    assert added is not None
    assert (added.role, added.low, added.high, added.scale) == (Role.NUISANCE, 1e-6, 1e-1, "Log")
    assert "the container must know it" in change.reasons[0]


@pytest.mark.parametrize(("name", "high"), [("dropout", 0.5), ("label_smoothing", 0.2), ("weight_decay", 0.1)])
def test_a_fixed_regulariser_is_searched_instead(name: str, high: float) -> None:
    change = changed({"name": name, "type": "Float", "role": "Fixed", "value": "0.0", "fixedReason": "as before"})
    opened = change.hyperparameter(name)
    assert opened is not None
    assert (opened.role, opened.high, opened.value, opened.fixed_reason) == (Role.NUISANCE, high, None, None)


def test_what_is_searched_already_is_enough() -> None:
    assert changed(SEARCHED).reasons == ()


def test_overfitting_elsewhere_than_in_the_best_trials_changes_nothing() -> None:
    assert changed(verdict="Elsewhere").reasons == ()
