"""Everything that a run can be told, on one screen: meaning, range and default of each parameter.

The defaults train to a validation error below 3 % in 600 steps. Values marked [playbook] follow the Deep Learning
Tuning Playbook (github.com/google-research/tuning_playbook); the others were found by trying, on this data set.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from tuning_contract.environment import ParameterValue

OPTIMIZERS: Final = ("sgd", "momentum", "nesterov", "adamw")
SCHEDULES: Final = ("constant", "linear", "cosine")


class ConfigurationError(ValueError):
    """The run cannot start as it was asked for; the message lists everything that is wrong and what is known."""


@dataclass(frozen=True)
class Interval:
    """The real numbers between two bounds.

    >>> str(Interval(0, 1, open_high=True)), 1.0 in Interval(0, 1, open_high=True)
    ('[0, 1)', False)
    """

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.low < value if self.open_low else self.low <= value
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        return f"{'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"


def _one_of(default: str, allowed: tuple[str, ...], meaning: str) -> Any:
    return field(default=default, metadata={"allowed": allowed, "meaning": meaning})


def _number(default: float, allowed: Interval, meaning: str) -> Any:
    return field(default=default, metadata={"allowed": allowed, "meaning": meaning})


FRACTION: Final = Interval(0, 1)
FRACTION_BELOW_ONE: Final = Interval(0, 1, open_high=True)
STEPS: Final = Interval(0, 10_000_000)


@dataclass(frozen=True)
class Parameters:
    """All parameters of one run, each within its range."""

    optimizer: str = _one_of("nesterov", OPTIMIZERS, "Update rule [playbook: Nesterov momentum, or Adam]")
    learning_rate: float = _number(0.05, Interval(0, 1e6, open_low=True), "Base learning rate, after the warm-up")
    momentum: float = _number(0.9, FRACTION_BELOW_ONE, "Momentum; used by `momentum` and `nesterov`")
    beta1: float = _number(0.9, FRACTION_BELOW_ONE, "Decay of the gradient's mean; used by `adamw`")
    beta2: float = _number(0.999, FRACTION_BELOW_ONE, "Decay of the squared gradient's mean; used by `adamw`")
    epsilon: float = _number(1e-8, Interval(0, 1e3, open_low=True), "Added to the root of it; used by `adamw`")
    weight_decay: float = _number(
        1e-4, Interval(0, 1e3), "Decay of weights, not of biases and norms; decoupled in `adamw`, else an L2 penalty"
    )
    batch_size: int = _number(64, Interval(1, 1024), "Training examples a step")
    max_steps: int = _number(600, Interval(1, 10_000_000), "Length of the run in steps (600: about 36 epochs)")
    schedule: str = _one_of("cosine", SCHEDULES, "Shape of the learning rate's decay [playbook: linear or cosine]")
    warmup_steps: int = _number(0, STEPS, "Steps over which the rate first rises linearly from near 0; < max_steps")
    decay_steps: int = _number(0, STEPS, "Length in steps of the decay at the end of the run; 0: all after the warm-up")
    final_learning_rate_fraction: float = _number(0.0, FRACTION, "Where the decay ends, as a fraction of the base rate")
    clip_norm: float = _number(0.0, Interval(0, 1e9), "Gradients with a larger norm are scaled down to it; 0: never")
    dropout: float = _number(
        0.0, FRACTION_BELOW_ONE, "Probability with which a feature is dropped before the classifier"
    )
    label_smoothing: float = _number(0.0, FRACTION_BELOW_ONE, "Share of the target spread evenly over the ten classes")
    hidden_width: int = _number(8, Interval(1, 1024), "Channels of the first convolution; the second has twice as many")
    evaluate_every_steps: int = _number(
        20, Interval(1, 10_000_000), "Evaluation, report and checkpoint interval in steps"
    )
    step_delay_seconds: float = _number(
        0.0,
        Interval(0, 60),
        "Pause after each step, in seconds: slows a run down so that people and tests can watch it",
    )

    @classmethod
    def from_mapping(cls, given: Mapping[str, ParameterValue]) -> "Parameters":
        """Return the defaults with the `given` values in their place.

        Raises:
            ConfigurationError: a name is unknown or a value impossible; the message lists all of them.
        """
        known = {knob.name: knob for knob in fields(cls)}
        problems = [f"unknown parameter {name!r}" for name in given if name not in known]
        problems += [problem for name in given if name in known and (problem := _problem(known[name], given[name]))]
        if problems:
            raise ConfigurationError(f"{'; '.join(problems)}. Known parameters: {', '.join(known)}")
        typed = {name: known[name].type(value) for name, value in given.items()}  # type: ignore[operator]
        parameters = cls(**typed)
        if parameters.warmup_steps + parameters.decay_steps > parameters.max_steps - 1:
            raise ConfigurationError("warmup_steps and decay_steps together must be less than max_steps")
        return parameters

    def as_dict(self) -> dict[str, ParameterValue]:
        """Return all values by name."""
        return dataclasses.asdict(self)


def _problem(knob: "dataclasses.Field[Any]", value: ParameterValue) -> str | None:
    """Say why `value` is impossible for a parameter; None where it is possible."""
    allowed = knob.metadata["allowed"]
    if knob.type is str:
        return None if value in allowed else f"{knob.name} is {value!r:.60}; it must be one of {', '.join(allowed)}"
    if isinstance(value, str):
        return f"{knob.name} is the text {value!r:.60}; it must be a number (in a study: set its type or valueType)"
    if isinstance(value, bool) or value not in allowed:
        return f"{knob.name} is {value!r:.60}; it must lie in {allowed}"
    if knob.type is int and value != int(value):
        return f"{knob.name} is {value!r:.60}; it must be a whole number"
    return None


def parameters_table() -> str:
    """Return the Markdown table of all parameters, as it stands in the README."""
    rows = ["| Parameter | Type | Allowed | Default | Meaning |", "|---|---|---|---|---|"]
    for knob in fields(Parameters):
        allowed = knob.metadata["allowed"]
        shown = ", ".join(f"`{choice}`" for choice in allowed) if isinstance(allowed, tuple) else str(allowed)
        kind = knob.type.__name__ if isinstance(knob.type, type) else knob.type
        rows.append(f"| `{knob.name}` | {kind} | {shown} | {knob.default} | {knob.metadata['meaning']} |")
    return "\n".join(rows)
