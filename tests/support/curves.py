"""Training curves as they come: many shapes, lengths and sizes of noise; none of them overfits, rises or repeats."""

from collections.abc import Iterator

import numpy as np

from tuning_operator.playbook.series import Series

SHAPES = ("decay", "saturated", "cosine", "plateau", "steps", "warmup")


def shape_of(name: str, fraction: Series, speed: float = 0.5) -> Series:
    """Return a noise-free loss from about 1 to about 0 over the fractions of a run, in (0, 1].

    Args:
        name: One of `SHAPES`.
        fraction: Where in the run.
        speed: In [0, 1]: how slow a decay is, or a saturation.
    """
    match name:
        case "decay":
            return np.exp(-fraction / (0.15 + 0.65 * speed))
        case "saturated":
            return np.exp(-fraction / (0.01 + 0.04 * speed))
        case "cosine":
            return 0.6 * np.exp(-fraction / 0.1) + 0.2 * (1 + np.cos(np.pi * fraction))
        case "plateau":
            return np.maximum(0.0, 1 - 10 * fraction)
        case "steps":
            return np.asarray(0.4 * np.exp(-fraction / 0.08) + 0.4 * (fraction < 0.5) + 0.2 * (fraction < 0.75))
        case _:
            return np.exp(-fraction / 0.2) + 0.5 * np.exp(-(((fraction - 0.06) / 0.03) ** 2))


def curve(
    rng: np.random.Generator, shape: str, points: int, noise: float, floor: float = 0.2, height: float = 0.7
) -> Series:
    """Return one loss curve; `noise` is a fraction of its height."""
    clean = shape_of(shape, np.arange(1, points + 1) / points, float(rng.random()))
    return np.asarray(floor + height * (clean + noise * rng.standard_normal(points)))


def curves(count: int, seed: int = 0, fewest: int = 10, most: int = 200) -> Iterator[Series]:
    """Return curves of all shapes, `fewest` to `most` points, with noise from 1e-5 to a tenth of their height."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        points = int(rng.integers(fewest, most + 1))
        noise = float(10 ** rng.uniform(-5, -1))
        floor, height = float(rng.uniform(0.05, 0.6)), float(rng.uniform(0.3, 2.5))
        yield curve(rng, SHAPES[i % len(SHAPES)], points, noise, floor, height)
