"""When a training loss has risen after it had fallen, and when it has not."""

import math

import numpy as np
import pytest

from tuning_operator.playbook.series import Series
from tuning_operator.playbook.stability.rise import rise_after_decline
from tuning_operator.playbook.thresholds import Thresholds

NAN, INF = math.nan, math.inf


def falling(start: float, end: float, points: int) -> list[float]:
    return list(np.geomspace(start, end, points))


FIGURE_7B = [*falling(10.4, 2.3, 10), *np.linspace(4.0, 3.2, 90)]
"""Evaluated every 1,000 steps: the loss jumps at step 11,000 of 100,000 and never recovers."""

RISES = {
    "figure 7b": (FIGURE_7B, 10),
    "10 to 2.3, then 4.1": ([*falling(10, 2.3, 10), *[4.1] * 5], 10),
    "NaN after a decline": ([*falling(2.3, 1.0, 4), NAN, NAN], 4),
    "infinite after a decline": ([*falling(2.3, 1.0, 4), INF], 4),
    "infinite once": ([*falling(2.3, 1.0, 5), INF, *falling(1.0, 0.9, 5)], 5),
    "a stretch that recovers": ([*falling(5, 1, 20), 3, 3.5, 3, 2.5, *falling(1.2, 0.9, 20)], 20),
    "a negative loss": ([*np.linspace(-1, -5, 12), *[-2.0] * 6], 12),
    "a zigzag, as in figure 4": ([*falling(3, 1, 12), *[2.8, 1.4] * 10], 12),
}
SILENT = {
    "nothing": [],
    "one point": [2.3],
    "all NaN": [NAN] * 10,
    "NaN from the beginning": [2.3, NAN, NAN],
    "a loss that always rises": falling(2.3, 20, 20),
    "a monotone loss": falling(10, 0.01, 50),
    "a flat loss": [2.3] * 50,
    "measured at every other evaluation": [v for loss in falling(10, 1, 20) for v in (loss, NAN)][:-1],
    "one spike": [*falling(5, 1, 20), 50.0, *falling(1, 0.9, 20)],
    "a last point that is a spike": [*falling(5, 1, 20), 50.0],
    "a small spike that recovers": [*falling(5, 1, 20), *[1.2] * 4, *falling(1, 0.9, 20)],
    "a warm-up": [2.3, 2.35, 2.4, 2.38, 2.3, *falling(2.2, 0.5, 30)],
    "a decline of less than a tenth, and back": [2.3, 2.28, 2.25, 2.2, 2.25, 2.3, 2.3, 2.3],
}


@pytest.mark.parametrize(("losses", "index"), RISES.values(), ids=RISES.keys())
def test_a_loss_that_fell_and_went_up_is_a_rise_at_the_evaluation_where_it_did(losses: list[float], index: int) -> None:
    rise = rise_after_decline(range(100, 100 * len(losses) + 1, 100), losses)
    assert rise is not None
    assert abs(rise.index - index) <= 2  # the running median sees a jump a little early or late
    assert rise.step == 100 * (rise.index + 1)
    assert rise.height > 0


@pytest.mark.parametrize("losses", SILENT.values(), ids=SILENT.keys())
def test_a_loss_that_does_not_fall_and_then_rise_is_no_alarm(losses: list[float]) -> None:
    assert rise_after_decline(range(1, len(losses) + 1), losses) is None


def test_a_study_may_ask_for_a_larger_rise() -> None:
    losses = [*falling(10, 2.3, 10), *[4.1] * 5]
    assert rise_after_decline(range(len(losses)), losses, Thresholds({"riseShare": 0.5})) is None


def noisy(rng: np.random.Generator, points: int, kind: str) -> Series:
    """Return a realistic training loss without any instability."""
    t = np.arange(1, points + 1) / points
    start = rng.uniform(1, 11)
    floor = start * rng.uniform(0.02, 0.4)
    power = floor + (start - floor) * (1 + t * rng.uniform(5, 200)) ** -0.5
    curves = {
        "exponential": floor + (start - floor) * np.exp(-t * rng.uniform(2, 30)),
        "power": power,
        "cosine": power - 0.3 * (power - floor) * (1 - np.cos(np.pi * t)) / 2,
        "warm-up": floor + (start - floor) * np.exp(-np.maximum(t - 0.07, 0) * 10) * (1 + 0.03 * np.sin(40 * t)),
        "steps": (floor + (start - floor) * np.exp(-10 * t)) * np.where(t < 0.5, 1, np.where(t < 0.8, 0.7, 0.6)),
    }
    loss: Series = curves[kind] * (1 + rng.normal(0, rng.uniform(0.005, 0.05), points))
    spike = rng.integers(2, points - 5)
    loss[spike : spike + rng.integers(1, 5)] += rng.uniform(0.01, 0.06) * (loss[0] - loss.min())
    return loss


@pytest.mark.parametrize("points", [20, 60, 200])
@pytest.mark.parametrize("kind", ["exponential", "power", "cosine", "warm-up", "steps"])
def test_noise_and_small_spikes_are_hardly_ever_taken_for_a_rise(kind: str, points: int) -> None:
    rng = np.random.default_rng(points)
    alarms = sum(rise_after_decline(range(points), noisy(rng, points, kind).tolist()) is not None for _ in range(100))
    assert alarms <= 3


@pytest.mark.parametrize("points", [60, 200])
@pytest.mark.parametrize("kind", ["exponential", "power", "cosine", "warm-up", "steps"])
def test_a_jump_by_half_of_the_fall_is_nearly_always_seen(kind: str, points: int) -> None:
    rng = np.random.default_rng(points)
    seen = 0
    for _ in range(100):
        losses = noisy(rng, points, kind)
        at = int(points * rng.uniform(0.3, 0.8))
        losses[at:] += 0.5 * (losses[0] - losses[at])
        seen += rise_after_decline(range(points), losses.tolist()) is not None
    assert seen >= 80
