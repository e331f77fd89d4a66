"""No member can tell who is beside it: not by its numbers, not when another one diverges or leaves."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.trainer.needs_torch import torch
from tests.unit.trainer.population.runs import Given, differing, member, ordinary, steps_together
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.population.members import Member
from tuning_trainer.population.population import Population


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trained(members: list[Member], steps: int = 50) -> torch.Tensor:
    return steps_together(members, steps)[0]


def test_a_member_is_a_function_of_its_own_seed_and_not_of_its_place_or_number() -> None:
    members = differing(optimizer="adamw")
    forward, backward, few = trained(members), trained(members[::-1]), trained(members[2:4])
    torch.testing.assert_close(backward.flip(0), forward, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(few, forward[2:4], rtol=1e-6, atol=1e-7)


def test_equal_members_with_other_seeds_are_other_runs() -> None:
    one, same, other = trained([member(1), replace(member(1), trial="same"), member(2)], 5)
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_a_neighbour_that_diverges_changes_nothing() -> None:
    calm = [member(n, optimizer="momentum", dropout=0.2, learning_rate=0.01 * (n + 1)) for n in range(3)]
    wild = member(9, optimizer="momentum", learning_rate=1e6, weight_decay=1e3)
    beside = trained([calm[0], wild, *calm[1:]])
    assert not beside[1, -1].isfinite().any()
    assert torch.equal(beside[[0, 2, 3]], trained(calm))


@pytest.mark.parametrize(
    ("optimizer", "order"), [("nesterov", {}), ("rmsprop", {}), ("nadamw", {}), ("nadamw", {"order_seed": 4})]
)
def test_those_that_stay_go_on_unchanged_when_others_leave(optimizer: str, order: Given) -> None:
    members = differing(optimizer=optimizer, learning_rate=0.003, **order)
    all_the_way = trained(members)
    population = Population(members)
    numbers = list(range(8))
    for leaves_at, leaving in ((7, 0), (20, 5), (25, 7), (31, 3)):
        while population.step < leaves_at:
            population.take_step()
        population.keep([n for n, number in enumerate(numbers) if number != leaving])
        numbers.remove(leaving)
    while population.step < 50:
        population.take_step()
    torch.testing.assert_close(population.weights.values, all_the_way[numbers, -1], rtol=1e-6, atol=1e-7)
    assert [row.member for row in population.rows] == [members[n] for n in numbers]
    logs = [row.log for row in population.rows]
    population.evaluate()
    assert all(log.histogram.total == 50 for log in logs), "steps before a neighbour left are counted, too"


BATCH_NORM = """
import torch
from tuning_trainer.workloads.workload import Regression, Workload
def make_workload(parameters):
    x = torch.linspace(-1, 1, 64).unsqueeze(1)
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.line = torch.nn.Linear(1, 1)
            self.extra = {extra}
        def forward(self, x):
            return self.extra(self.line(x)).flatten(0)
    return Workload((x, x.squeeze(1)), (x, x.squeeze(1)), Model, Regression())
"""


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("torch.nn.BatchNorm1d(1)", "running_mean"),
        ("torch.nn.Dropout1d(parameters.dropout)", "nn.Dropout of the parameter dropout alone"),
        ("torch.nn.Dropout(0.25)", "nn.Dropout of the parameter dropout alone"),
        ("lambda x: torch.nn.functional.dropout(x, parameters.dropout)", "random"),
    ],
)
def test_a_model_that_would_mix_members_is_refused(tmp_path: Path, extra: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(BATCH_NORM.format(extra=extra))
    mine = [
        Member.of(str(n), {"workload": str(tmp_path / "mine.py"), "dropout": 0.5 * n, "batch_size": 8}, n)
        for n in range(2)
    ]
    ordinary(mine[0]).take_step()
    with pytest.raises(ConfigurationError, match=message):
        Population(mine).take_step()
