"""The learning rate is a function of the step."""

import pytest

from tuning_contract.environment import ParameterValue
from tuning_trainer.parameters import SCHEDULES, Parameters
from tuning_trainer.schedules import learning_rate_at


def rates(**changes: ParameterValue) -> list[float]:
    """Return all rates of a run of 8 steps at base rate 1."""
    parameters = Parameters.from_mapping({"learning_rate": 1.0, "max_steps": 8, "warmup_steps": 0} | changes)
    return [learning_rate_at(step, parameters) for step in range(parameters.max_steps)]


COSINE = [1.0, 0.961940, 0.853553, 0.691342, 0.5, 0.308658, 0.146447, 0.038060]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"schedule": "constant"}, [1.0] * 8),
        ({"schedule": "linear"}, [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        ({"schedule": "cosine"}, COSINE),
        ({"schedule": "cosine", "learning_rate": 0.5}, [rate / 2 for rate in COSINE]),
        ({"schedule": "constant", "warmup_steps": 3}, [0.25, 0.5, 0.75] + [1.0] * 5),
        ({"schedule": "linear", "warmup_steps": 4}, [0.2, 0.4, 0.6, 0.8, 1.0, 0.75, 0.5, 0.25]),
        ({"schedule": "linear", "decay_steps": 4}, [1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]),
        (
            {"schedule": "linear", "decay_steps": 4, "max_steps": 10},
            [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25],
        ),
        ({"schedule": "linear", "warmup_steps": 1, "decay_steps": 2}, [0.5] + [1.0] * 6 + [0.5]),
        (
            {"schedule": "linear", "final_learning_rate_fraction": 0.2},
            [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3],
        ),
        ({"schedule": "constant", "final_learning_rate_fraction": 0.2}, [1.0] * 8),
        ({"schedule": "step"}, [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01]),
        ({"schedule": "step", "decay_factor": 0.5, "decay_every_steps": 2}, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]),
        ({"schedule": "step", "decay_steps": 3}, [1.0] * 6 + [0.1, 0.01]),
        ({"schedule": "step", "warmup_steps": 2}, [1 / 3, 2 / 3, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01]),
        ({"schedule": "step", "final_learning_rate_fraction": 0.05}, [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.05, 0.05]),
    ],
)
def test_rates(changes: dict[str, ParameterValue], expected: list[float]) -> None:
    assert rates(**changes) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_step_is_wasted_at_rate_zero(schedule: str) -> None:
    assert all(0 < rate <= 1 for rate in rates(schedule=schedule, warmup_steps=3))


def test_a_longer_run_keeps_its_linear_decay_and_extends_the_constant_phase() -> None:
    short = rates(schedule="linear", decay_steps=4)
    long = rates(schedule="linear", decay_steps=4, max_steps=20)
    assert long[-4:] == short[-4:]
    assert long[:16] == [1.0] * 16


def test_a_longer_run_stretches_its_cosine_decay() -> None:
    assert rates(schedule="cosine", max_steps=16)[::2] == pytest.approx(rates(schedule="cosine"))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_after_the_end_the_rate_stays_where_the_decay_has_led(schedule: str) -> None:
    parameters = Parameters(schedule=schedule, max_steps=8, learning_rate=1.0, final_learning_rate_fraction=0.25)
    end = 1.0 if schedule == "constant" else 0.25
    assert [learning_rate_at(step, parameters) for step in (8, 9, 1000)] == pytest.approx([end] * 3)
