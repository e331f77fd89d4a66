"""Everything that a run can be told, on one screen: meaning, range and default of each parameter.

Values marked [playbook] follow the Deep Learning Tuning Playbook (github.com/google-research/tuning_playbook); the
others were found by trying, on these workloads. `OTHER_DEFAULTS` has those in which a workload differs from digits.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Self

from tuning_contract.diagnostics import DENSE_STEPS
from tuning_contract.environment import ParameterValue
from tuning_trainer.knobs import ConfigurationError, Interval, flag, knobs_of, number, one_of, optional, problem

WORKLOADS: Final = ("digits", "tabular", "characters", "regression")
OPTIMIZERS: Final = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "nadam", "nadamw")
DECOUPLED_OPTIMIZERS: Final = ("adamw", "nadamw")
SCHEDULES: Final = ("constant", "linear", "cosine", "step")
DECAY_KINDS: Final = ("by_optimizer", "coupled", "decoupled")
ACTIVATIONS: Final = ("relu", "gelu", "silu", "tanh")
NORMALIZATIONS: Final = ("standard", "post", "none")
PRECISIONS: Final = ("float32", "bfloat16")
PLACES: Final = ("device", "host")

FRACTION: Final = Interval(0, 1)
BELOW_ONE: Final = Interval(0, 1, open_high=True)
ABOVE_ZERO: Final = Interval(0, 1, open_low=True)
STEPS: Final = Interval(0, 10_000_000)
SEEDS: Final = Interval(0, 2**31, open_high=True)

OTHER_DEFAULTS: Final[Mapping[str, Mapping[str, ParameterValue]]] = {
    "digits": {},
    "tabular": {"hidden_width": 32},
    "characters": {
        "optimizer": "adamw",
        "learning_rate": 0.003,
        "weight_decay": 0.1,
        "batch_size": 32,
        "hidden_width": 64,
        "activation": "gelu",
        "evaluation_examples": 256,
        "evaluate_every_steps": 50,
    },
    "regression": {"optimizer": "adamw", "learning_rate": 0.01, "hidden_width": 64, "evaluate_every_steps": 50},
}


@dataclass(frozen=True)
class Parameters:
    """All parameters of one run, each within its range. One that the run has no use for has no effect."""

    workload: str = one_of("digits", WORKLOADS, "What is learned: one of these, or the path of your own Python file")
    max_steps: int = number(600, Interval(1, 10_000_000), "Length of the run in steps (digits: 600 are 36 epochs)")
    batch_size: int = number(64, Interval(1, 65_536), "Training examples a step")
    gradient_accumulation: int = number(
        1, Interval(1, 65_536), "Parts into which a batch is cut to save memory; the update is the same"
    )

    optimizer: str = one_of("nesterov", OPTIMIZERS, "Update rule [playbook: Nesterov momentum, or Adam or NAdam]")
    learning_rate: float = number(0.05, Interval(0, 1e6, open_low=True), "Base learning rate, after the warm-up")
    momentum: float = number(0.9, BELOW_ONE, "Momentum; used by `momentum`, `nesterov` and `rmsprop`")
    one_minus_momentum: float | None = optional(ABOVE_ZERO, "1 - `momentum`, in its place")
    beta1: float = number(0.9, BELOW_ONE, "Decay of the gradient's mean; used by Adam and NAdam")
    one_minus_beta1: float | None = optional(ABOVE_ZERO, "1 - `beta1`, in its place")
    beta2: float = number(
        0.999, BELOW_ONE, "Decay of the squared gradient's mean; used by Adam and NAdam, and as ρ by `rmsprop`"
    )
    one_minus_beta2: float | None = optional(ABOVE_ZERO, "1 - `beta2`, in its place")
    epsilon: float = number(
        1e-8, Interval(0, 1e3, open_low=True), "Added to that mean's root; used by Adam, NAdam and `rmsprop`"
    )

    weight_decay: float = number(1e-4, Interval(0, 1e3), "Decay λ of weights, not of biases and norms")
    weight_decay_kind: str = one_of(
        "by_optimizer",
        DECAY_KINDS,
        "`coupled`: λθ is added to the gradient; `decoupled`: ηλθ to the update; `by_optimizer`: decoupled where its "
        "name ends in w",
    )
    dropout: float = number(0.0, BELOW_ONE, "Probability with which a feature is dropped")
    label_smoothing: float = number(0.0, BELOW_ONE, "Share of a class target spread evenly over all classes")

    schedule: str = one_of("cosine", SCHEDULES, "Shape of the learning rate's decay [playbook: linear or cosine]")
    warmup_steps: int = number(0, STEPS, "Steps over which the rate first rises linearly from near 0; < `max_steps`")
    warmup_fraction: float | None = optional(BELOW_ONE, "`warmup_steps` as a fraction of `max_steps`, in their place")
    decay_steps: int = number(0, STEPS, "Length in steps of the decay at the end of the run; 0: all after the warm-up")
    final_learning_rate_fraction: float = number(0.0, FRACTION, "Where the decay ends, as a fraction of the base rate")
    decay_factor: float = number(0.1, Interval(0, 1, open_low=True), "Factor of each drop of the `step` schedule")
    decay_every_steps: int = number(0, STEPS, "Steps from drop to drop of the `step` schedule; 0: a third of the decay")
    clip_norm: float = number(0.0, Interval(0, 1e9), "Gradients with a larger norm are scaled down to it; 0: never")
    ema_decay: float = number(
        0.0, BELOW_ONE, "Decay of the exponential moving average of weights, which is then evaluated; 0: none"
    )

    hidden_width: int = number(
        8, Interval(1, 4096), "Channels of the first convolution (later ones have twice as many), or units of a layer"
    )
    depth: int = number(2, Interval(1, 64), "Convolutions, hidden layers or transformer blocks")
    activation: str = one_of("relu", ACTIVATIONS, "Nonlinearity")
    normalization: str = one_of(
        "standard",
        NORMALIZATIONS,
        "`standard`: group norm after a convolution, layer norm after a hidden layer and inside a transformer's "
        "branches [playbook]; `post`: after their sums instead",
    )

    initialization_seed: int | None = optional(SEEDS, "Seed of the first weights; none: by the trial's seed")
    order_seed: int | None = optional(SEEDS, "Seed of the order of the examples; none: by the trial's seed")
    dropout_seed: int | None = optional(SEEDS, "Seed of dropout; none: by the trial's seed")

    precision: str = one_of(
        "float32", PRECISIONS, "Of products and convolutions; weights, gradient, optimizer and loss stay float32"
    )
    compile: bool = flag(
        False, "Compile the training step's model with torch.compile; needs a C++ compiler in the image"
    )
    examples_on: str = one_of(
        "device",
        PLACES,
        "Where all examples lie: `host`, for more than the GPU's memory holds, sends each batch ahead of its step",
    )

    evaluate_every_steps: int = number(
        20, Interval(1, 10_000_000), "Evaluation, report and checkpoint interval in steps"
    )
    keep_best_checkpoints: int = number(
        3, Interval(1, 100), "Of how many of the best evaluations the checkpoint directory keeps the weights [playbook]"
    )
    evaluation_examples: int = number(
        0, STEPS, "Of each split, how many examples, always the same, these evaluations use; 0: all"
    )
    dense_loss_steps: int = number(
        0, Interval(0, DENSE_STEPS), "Of how many first steps the record has each training loss, for probes"
    )
    step_delay_seconds: float = number(
        0.0, Interval(0, 60), "Pause after each step, in seconds: slows a run down so that people and tests can watch"
    )

    @classmethod
    def from_mapping(cls, given: Mapping[str, ParameterValue]) -> Self:
        """Return the workload's defaults with the `given` values in their place.

        Raises:
            ConfigurationError: a name is unknown or a value impossible; the message lists all of them.
        """
        known = knobs_of(cls)
        problems = [f"unknown parameter {name!r}{_meant(name, known)}" for name in given if name not in known]
        problems += [said for name in given if name in known and (said := problem(known[name], given[name]))]
        if problems:
            raise ConfigurationError(f"{'; '.join(problems)}. Known parameters: {', '.join(known)}")
        values = {**OTHER_DEFAULTS.get(str(given.get("workload", "digits")), {}), **given}
        parameters = cls(**{name: known[name].read(value) for name, value in values.items()})
        if problems := contradictions(parameters, given):
            raise ConfigurationError("; ".join(problems))
        return parameters.resolved()

    def resolved(self) -> Self:
        """Return the same run, said without the parameters that stand in others' places."""
        values: dict[str, ParameterValue | None] = {}
        for name in ("momentum", "beta1", "beta2"):
            if (complement := getattr(self, f"one_minus_{name}")) is not None:
                values |= {name: 1.0 - complement, f"one_minus_{name}": None}
        if self.warmup_fraction is not None:
            values |= {"warmup_steps": round(self.warmup_fraction * self.max_steps), "warmup_fraction": None}
        return dataclasses.replace(self, **values)  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, ParameterValue]:
        """Return all values by name, without those that are not set."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}

    @property
    def decoupled(self) -> bool:
        """Whether the weights decay beside the gradient's update and not through it."""
        if self.weight_decay_kind == "by_optimizer":
            return self.optimizer in DECOUPLED_OPTIMIZERS
        return self.weight_decay_kind == "decoupled"


def _meant(name: str, known: Iterable[str]) -> str:
    """Return what was probably meant: a record's message has no room for the whole list."""
    close = get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def contradictions(parameters: Parameters, given: Mapping[str, ParameterValue]) -> list[str]:
    """Say which values, each possible, are impossible together."""
    run = parameters.resolved()
    problems = [
        f"{one} and {other} say the same thing; give one of them"
        for one, other in (
            ("momentum", "one_minus_momentum"),
            ("beta1", "one_minus_beta1"),
            ("beta2", "one_minus_beta2"),
            ("warmup_steps", "warmup_fraction"),
        )
        if one in given and other in given
    ]
    if run.warmup_steps + run.decay_steps > run.max_steps - 1:
        problems.append("warmup_steps and decay_steps together must be less than max_steps")
    if run.batch_size % run.gradient_accumulation:
        problems.append(f"batch_size {run.batch_size} cannot be cut into {run.gradient_accumulation} equal parts")
    if run.optimizer in DECOUPLED_OPTIMIZERS and run.weight_decay_kind == "coupled":
        problems.append(f"{run.optimizer} is {run.optimizer[:-1]} with decoupled weight decay: give that one instead")
    if run.normalization == "post" and run.workload in WORKLOADS and run.workload != "characters":
        problems.append(f"normalization post is of transformer blocks, and {run.workload} has none")
    return problems


def parameters_table() -> str:
    """Return the Markdown table of all parameters, as it stands in docs/trainer.md."""
    rows = ["| Parameter | Type | Allowed | Default | Meaning |", "|---|---|---|---|---|"]
    for knob in knobs_of(Parameters).values():
        default = "" if knob.default is None else str(knob.default)
        rows.append(f"| `{knob.name}` | {knob.type.__name__} | {knob.shown} | {default} | {knob.meaning} |")
    return "\n".join(rows)


def defaults_table() -> str:
    """Return the Markdown table of the defaults in which workloads differ from digits, as in docs/trainer.md."""
    rows = ["| Workload | Its own defaults |", "|---|---|"]
    for workload, defaults in OTHER_DEFAULTS.items():
        shown = ", ".join(f"`{name}` {value}" for name, value in defaults.items())
        rows.append(f"| `{workload}` | {shown or 'those of the table above'} |")
    return "\n".join(rows)
