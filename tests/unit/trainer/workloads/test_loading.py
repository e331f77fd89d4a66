"""A workload is found by its name or in the user's own file, and a file that cannot be used says why."""

from pathlib import Path

import pytest

from tests.unit.trainer.needs_torch import torch  # noqa: F401 - skips this module where there is none
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parameters import WORKLOADS, Parameters
from tuning_trainer.workloads.loading import parameters_from, workload_module

OWN = """
from dataclasses import dataclass

import torch

from tuning_trainer import parameters
from tuning_trainer.knobs import Interval, number
from tuning_trainer.workloads.workload import Regression, Workload


@dataclass(frozen=True)
class Parameters(parameters.Parameters):
    slope: float = number(2.0, Interval(-10, 10), "Of the line to learn")


def make_workload(parameters):
    x = torch.linspace(-1, 1, 100).unsqueeze(1)
    examples = (x, parameters.slope * x.squeeze(1))
    model = lambda: torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Flatten(0))
    return Workload(train=examples, validation=examples, make_model=model, task=Regression())
"""


def a_file(directory: Path, text: str = OWN, name: str = "mine.py") -> str:
    (directory / name).write_text(text, encoding="utf-8")
    return str(directory / name)


@pytest.mark.parametrize("name", WORKLOADS)
def test_ours_by_name(name: str) -> None:
    parameters = parameters_from({"workload": name})
    assert type(parameters) is Parameters
    assert workload_module(parameters).__name__ == f"tuning_trainer.workloads.{name}"


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_ones_own_with_a_parameter_of_its_own(tmp_path: Path, future: str) -> None:
    path = a_file(tmp_path, future + OWN)
    parameters = parameters_from({"workload": path, "slope": 3, "learning_rate": 0.1})
    assert (parameters.slope, parameters.learning_rate) == (3.0, 0.1)  # type: ignore[attr-defined]
    assert workload_module(parameters).make_workload(parameters).train[1][-1] == 3


def test_ones_own_parameter_is_checked_and_listed_like_ours(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    with pytest.raises(ConfigurationError, match=r"slope is 11; it must lie in \[-10, 10\].*Known.*, slope"):
        parameters_from({"workload": path, "slope": 11})
    with pytest.raises(ConfigurationError, match="unknown parameter 'slope'"):
        parameters_from({"slope": 1})


def test_a_file_may_have_the_name_of_a_module_of_pythons(tmp_path: Path) -> None:
    parameters_from({"workload": a_file(tmp_path, name="json.py")})
    import json

    assert json.loads("1") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError: No module named"),
        ("def make_workload(:", "cannot be imported: SyntaxError"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("", r"has no function make_workload\(parameters\)"),
        ("make_workload = print\nParameters = dict", "must be derived from tuning_trainer.parameters.Parameters"),
        (OWN.replace('number(2.0, Interval(-10, 10), "Of the line to learn")', "2.0"), "slope must be declared by"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parameters_from({"workload": a_file(tmp_path, text)})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no such Python file in this container"):
        parameters_from({"workload": str(tmp_path / "absent.py")})
