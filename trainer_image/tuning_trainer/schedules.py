"""The learning rate as a pure function of the step: nothing to save in a checkpoint, nothing to get out of step."""

import math

from tuning_trainer.parameters import Parameters


def linear(progress: float) -> float:
    """Fall from 1 to 0 along a line while `progress` goes from 0 to 1."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """Fall from 1 to 0 along half a cosine (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def learning_rate_at(step: int, parameters: Parameters) -> float:
    """Return the rate of update number `step`, which counts from 0 to max_steps - 1.

    Warm-up, then the base rate, then a decay of `decay_steps` that would reach its end at max_steps. A longer run with
    the same `decay_steps` stays longer at the base rate (RD2-3); with `decay_steps` 0 the decay is stretched (RD2-4).
    """
    if step < parameters.warmup_steps:
        # One more in the divisor: the last step of the warm-up is still below the base rate, the first above zero.
        return parameters.learning_rate * (step + 1) / (parameters.warmup_steps + 1)
    return parameters.learning_rate * decay_at(step, parameters)


def decay_at(step: int, parameters: Parameters) -> float:
    """Return the share of the base rate that is left at a step after the warm-up, in [0, 1]."""
    length = parameters.decay_steps or parameters.max_steps - parameters.warmup_steps
    decayed = min(max(0, step - (parameters.max_steps - length)), length)  # after the end it stays there
    final = parameters.final_learning_rate_fraction
    match parameters.schedule:
        case "constant":
            return 1.0
        case "linear":
            return final + (1.0 - final) * linear(decayed / length)
        case "cosine":
            return final + (1.0 - final) * cosine(decayed / length)
        case _:
            drops = decayed // (parameters.decay_every_steps or math.ceil(length / 3))
            return max(final, float(parameters.decay_factor**drops))
