"""Both sides of a question are trained again with the same seeds, as often as the study has fixed."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.studies import trial_of
from tests.unit.playbook.comparison.test_adoption import study
from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.playbook.comparison.adoption import check
from tuning_operator.playbook.comparison.retrains import PlannedRetrain, Role, retrain_plan
from tuning_operator.playbook.comparison.winner import outcome
from tuning_operator.playbook.records import Purpose, State, StudyRecord


def plan_of(asked: StudyRecord) -> list[PlannedRetrain]:
    return retrain_plan(asked, outcome(asked))


def run(asked: StudyRecord, planned: list[PlannedRetrain], **fields: Any) -> StudyRecord:
    trials = tuple(
        trial_of(
            asked.spec,
            100 + i,
            p.parameters,
            1.0 if p.side is Role.BASELINE else 0.9 + 0.001 * p.pair,
            purpose=Purpose.RETRAIN,
            of=p.of,
            seed=p.seed,
            **fields,
        )
        for i, p in enumerate(planned)
    )
    return replace(asked, trials=asked.trials + trials)


def test_pairs_share_a_seed_and_no_two_pairs_do() -> None:
    planned = plan_of(study([], [], retrains={"count": 4}))
    assert [(p.side, p.pair) for p in planned] == [(s, k) for k in range(4) for s in Role]
    assert {p.of for p in planned if p.side is Role.BASELINE} == {"t-0"}
    assert {p.of for p in planned if p.side is Role.CANDIDATE} == {"t-4"}
    assert [p.number for p in planned] == list(range(8))
    seeds = [p.seed for p in planned if p.side is Role.BASELINE]
    assert len(set(seeds)) == 4
    assert seeds == [p.seed for p in planned if p.side is Role.CANDIDATE]
    assert planned == plan_of(study([], [], retrains={"count": 4}))


def test_what_was_made_is_not_planned_again_and_what_was_lost_is() -> None:
    asked = study([], [], retrains={"count": 4})
    planned = plan_of(asked)
    assert plan_of(run(asked, planned[:3])) == planned[3:]
    assert plan_of(run(asked, planned[:3], state=State.RUNNING)) == planned[3:]
    assert plan_of(run(asked, planned[:3], state=State.LOST)) == planned


def test_after_all_of_them_there_is_a_decision() -> None:
    asked = study([], [], retrains={"count": 4})
    done = run(asked, plan_of(asked))
    assert plan_of(done) == []
    assert [f.verdict for f in check(done)] == ["Adopt"]


def test_nothing_is_planned_that_cannot_come_to_a_decision() -> None:
    assert plan_of(study([], [])) == []
    assert plan_of(study([], [], retrains={"confirm": True})) == []
    assert len(plan_of(study([], [], retrains={"confirm": True}, budget={"maxTrials": 8, "maxRetrains": 58}))) == 58
    empty = study([], [], retrains={})
    assert plan_of(replace(empty, trials=())) == []


@pytest.mark.parametrize("value", [7, "7"])
def test_retrains_do_not_share_the_seed_that_the_search_s_trials_do(value: ParameterValue) -> None:
    alone = study([], [], retrains={"count": 4})
    seeds = [
        Hyperparameter.model_validate({"name": "order_seed", "type": "Integer", "role": "Fixed", "value": "7"}),
        Hyperparameter.model_validate({"name": "width", "type": "Integer", "role": "Fixed", "value": "8"}),
    ]
    spec = alone.spec.model_copy(update={"hyperparameters": [*alone.spec.hyperparameters, *seeds]})
    trials = [replace(t, parameters={**t.parameters, "order_seed": value, "width": 8}) for t in alone.trials]
    planned = plan_of(replace(alone, spec=spec, trials=tuple(trials)))
    orders = [p.parameters["order_seed"] for p in planned if p.side is Role.BASELINE]
    assert len(set(orders)) == 4
    assert value not in orders
    assert {type(order) for order in orders} == {type(value)}
    assert all(0 <= int(order) < 2**31 for order in orders)
    assert orders == [p.parameters["order_seed"] for p in planned if p.side is Role.CANDIDATE], "pairs share them"
    assert {p.parameters["width"] for p in planned} == {8}
    assert [p.seed for p in planned] == [p.seed for p in plan_of(alone)]
