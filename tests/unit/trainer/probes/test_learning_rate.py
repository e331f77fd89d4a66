"""A sweep over learning rates tells steady ones from those at which the loss rises or is lost."""

import json
import math

import pytest

from tests.unit.trainer.needs_torch import torch  # noqa: F401 - skips this module where there is none
from tuning_contract.environment import ParameterValue
from tuning_trainer.probes.__main__ import main
from tuning_trainer.probes.learning_rate import Outcome, one_rate


@pytest.mark.parametrize(
    ("losses", "verdict", "last"),
    [
        ([2.0, 1.5, 1.0], "steady", 1.0),
        ([2.0, 2.9, 1.0], "steady", 1.0),
        ([2.0, 1.0, 40.0, 1.5], "rose to 40 at step 3", 1.5),
        ([2.0, 1.0, math.nan, math.nan], "diverged at step 3", math.nan),
        ([2.0, math.inf, 1.0], "diverged at step 2", 1.0),
        ([*[2.0] * 18, 1.0, 0.5], "steady", 0.75),
    ],
)
def test_what_happened(losses: list[float], verdict: str, last: float) -> None:
    outcome = Outcome(0.1, losses)
    assert outcome.verdict == verdict
    assert outcome.last == pytest.approx(last, nan_ok=True)
    json.dumps(outcome.to_json(), allow_nan=False)


def test_a_real_edge_is_found() -> None:
    given: dict[str, ParameterValue] = {"workload": "regression", "optimizer": "nesterov"}
    low, high = (one_rate(given, rate, 60) for rate in (0.01, 0.3))
    assert len(low.losses) == 60
    assert (low.verdict, high.verdict.split()[0]) == ("steady", "diverged")


def test_the_warm_up_that_is_given_is_kept() -> None:
    given: dict[str, ParameterValue] = {"workload": "regression", "optimizer": "nesterov"}
    without, warmed = (one_rate({**given, "warmup_steps": steps}, 0.06, 60) for steps in (0, 50))
    assert without.verdict.split()[0] == "diverged"
    assert all(map(math.isfinite, warmed.losses))


def test_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["learning_rate", "--set", "workload=tabular", "--steps", "5", "--rates", "0.01", "0.1"]
    assert main([*arguments, "--json"]) == 0
    assert [one["learningRate"] for one in json.loads(capsys.readouterr().out)] == [0.01, 0.1]
    assert main(arguments) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
