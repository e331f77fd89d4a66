"""What differs in numbers can be trained together; what differs in shape is refused by name. No PyTorch."""

import dataclasses
from pathlib import Path

import pytest

from tuning_contract.environment import ParameterValue
from tuning_contract.pack import MAY_DIFFER
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parameters import Parameters
from tuning_trainer.population.members import Member
from tuning_trainer.population.packing import packs, refusal, require_packable

Given = dict[str, ParameterValue]


def member(name: str, **given: ParameterValue) -> Member:
    return Member.of(name, given, seed=1)


@pytest.mark.parametrize(
    "given",
    [
        {"learning_rate": 0.1, "schedule": "linear", "warmup_steps": 10, "clip_norm": 1.0, "dropout": 0.5},
        {"one_minus_momentum": 0.05, "weight_decay": 0.5, "label_smoothing": 0.2, "ema_decay": 0.9},
        {"warmup_fraction": 0.1, "initialization_seed": 3, "order_seed": 4},
        {"weight_decay_kind": "coupled"},
    ],
)
def test_what_may_differ(given: Given) -> None:
    assert refusal([member("a"), member("b", **given)]) is None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"workload": "tabular"}, "hidden_width (8 and 32), workload (digits and tabular)"),
        ({"batch_size": 32}, "batch_size (64 and 32)"),
        ({"max_steps": 700}, "max_steps (600 and 700)"),
        ({"optimizer": "momentum"}, "optimizer (nesterov and momentum)"),
        ({"weight_decay_kind": "decoupled"}, "weight_decay_kind (coupled and decoupled)"),
        ({"depth": 3, "activation": "gelu"}, "activation (relu and gelu), depth (2 and 3)"),
        ({"gradient_accumulation": 2}, "gradient_accumulation (1 and 2)"),
        ({"evaluate_every_steps": 5}, "evaluate_every_steps (20 and 5)"),
    ],
)
def test_what_may_not_differ_is_named(given: Given, named: str) -> None:
    members = [member("a"), member("b"), member("c", **given)]
    assert refusal(members) == f"a and c cannot be trained together: they differ in {named}"
    with pytest.raises(ConfigurationError, match="a and c cannot"):
        require_packable(members)


def test_members_are_grouped_in_their_order_and_at_most_so_many() -> None:
    members = [member(str(n), learning_rate=0.1 * (n + 1), depth=1 + n % 2) for n in range(7)]
    grouped = [[m.trial for m in pack] for pack in packs(members, most=3)]
    assert grouped == [["0", "2", "4"], ["6"], ["1", "3", "5"]]
    assert all(refusal(pack) is None for pack in packs(members, most=3))


def test_one_s_own_parameters_must_be_equal(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "from tuning_trainer import parameters\n"
        "from tuning_trainer.knobs import Interval, number\n"
        "@dataclass(frozen=True)\n"
        "class Parameters(parameters.Parameters):\n"
        "    slope: float = number(2.0, Interval(-10, 10), 'Of the line')\n"
        "def make_workload(parameters): ...\n"
    )
    members = [member(name, workload=str(path), slope=slope) for name, slope in (("a", 1.0), ("b", 2.0))]
    assert "slope (1.0 and 2.0)" in str(refusal(members))


def test_what_may_differ_are_parameters() -> None:
    assert {field.name for field in dataclasses.fields(Parameters)} >= MAY_DIFFER
