"""The learning rate as a pure function of the step: nothing to save in a checkpoint, nothing to get out of step."""

import math

from tuning_trainer.parameters import Parameters


def constant(progress: float) -> float:
    """No decay at all."""
    return 1.0


def linear(progress: float) -> float:
    """Fall from 1 to 0 along a line while `progress` goes from 0 to 1."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """Fall from 1 to 0 along half a cosine (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


SHAPES = {"constant": constant, "linear": linear, "cosine": cosine}


def learning_rate_at(step: int, parameters: Parameters) -> float:
    """Return the rate of update number `step`, which counts from 0 to max_steps - 1.

    Warm-up, then the base rate, then a decay of `decay_steps` that would reach its end at max_steps. A longer run with
    the same `decay_steps` stays longer at the base rate (playbook: lengthen the constant phase, keep the decay).
    """
    base = parameters.learning_rate
    if step < parameters.warmup_steps:
        # One more in the divisor: the last step of the warm-up is still below the base rate, the first above zero.
        return base * (step + 1) / (parameters.warmup_steps + 1)
    decay_steps = parameters.decay_steps or parameters.max_steps - parameters.warmup_steps
    progress = max(0.0, 1.0 - (parameters.max_steps - step) / decay_steps)
    final = 1.0 if parameters.schedule == "constant" else parameters.final_learning_rate_fraction
    return base * (final + (1.0 - final) * SHAPES[parameters.schedule](progress))
