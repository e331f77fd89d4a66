"""What the operator tells a trial's container, through its environment."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tuning_contract import CONTRACT_VERSION
from tuning_contract.metrics import DEFAULT_PATH, DEFAULT_PORT

Direction = Literal["Minimize", "Maximize"]
ObjectiveAt = Literal["Best", "Last", "LateMedian"]
ParameterValue = str | int | float | bool

SEARCH: Final = "Search"
"""The purpose of most trials: a new point of the search space."""
BATCH_SIZE_PROBE: Final = "BatchSizeProbe"
"""To measure the throughput at its batch size (playbook: BAT-8)."""
INSTABILITY_PROBES: Final = ("InstabilityProbe", "HiddenInstabilityProbe")
"""To see the training loss of every early step at a high learning rate (playbook: WRM-2, UNS-9)."""

TERMINATION_LOG: Final = "/dev/termination-log"
PARAMETER_PREFIX: Final = "TUNING_PARAMETER_"


class ContractError(ValueError):
    """The environment is not one that the operator writes; the message names the variable."""


def parameters_json(parameters: Mapping[str, ParameterValue]) -> str:
    """Return the one spelling of `parameters` that trial object, container and hash share.

    Floats are written as Python's repr, which reads back to the same double.
    """
    return json.dumps(dict(parameters), sort_keys=True, separators=(",", ":"), allow_nan=False)


def parameters_hash(text: str) -> str:
    """Return the SHA-256, in hexadecimal, of a parameters' JSON text."""
    return hashlib.sha256(text.encode()).hexdigest()


def parameter_variable(name: str) -> str:
    """Return the name of the variable that carries one parameter, for images that want `--lr=$(…)` arguments.

    >>> parameter_variable("learning_rate")
    'TUNING_PARAMETER_LEARNING_RATE'
    """
    return PARAMETER_PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper())


def parameter_text(value: ParameterValue) -> str:
    """Return a parameter as it stands in a variable or an argument: `true`, `64`, `0.001`, `adamw`."""
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class TrialEnvironment:
    """One attempt of one trial, as its container sees it."""

    study: str
    study_uid: str
    trial: str
    attempt: int
    """Counts from 0; a retry after a lost pod has the next number and the same checkpoint directory."""
    parameters: Mapping[str, ParameterValue]
    seed: int
    """The root of all of the trial's randomness, in [0, 2**31); the same for all attempts of a trial."""
    metric: str
    """The name under which the container reports the objective, such as `validation_loss`."""
    direction: Direction = "Minimize"
    at: ObjectiveAt = "Best"
    metrics: tuple[str, ...] = ()
    """Further metrics that the study needs, such as those of its constraints: the record states them exactly."""
    purpose: str = SEARCH
    """Why the trial runs; a probe measures more than other trials do."""
    metrics_port: int = DEFAULT_PORT
    metrics_path: str = DEFAULT_PATH
    checkpoint_dir: str | None = None
    """A directory of this trial alone, shared by its attempts; it may not exist yet. None: no checkpoints are kept."""
    termination_log: str = field(default=TERMINATION_LOG)

    @property
    def parameters_json(self) -> str:
        """The parameters in their one spelling."""
        return parameters_json(self.parameters)

    def to_env(self) -> dict[str, str]:
        """Return the variables that `from_env` reads back to an equal value, and one more for each parameter."""
        variables = {
            "TUNING_CONTRACT_VERSION": str(CONTRACT_VERSION),
            "TUNING_STUDY": self.study,
            "TUNING_STUDY_UID": self.study_uid,
            "TUNING_TRIAL": self.trial,
            "TUNING_ATTEMPT": str(self.attempt),
            "TUNING_PARAMETERS": self.parameters_json,
            "TUNING_SEED": str(self.seed),
            "TUNING_OBJECTIVE_METRIC": self.metric,
            "TUNING_OBJECTIVE_DIRECTION": self.direction,
            "TUNING_OBJECTIVE_AT": self.at,
            "TUNING_METRICS_PORT": str(self.metrics_port),
            "TUNING_METRICS_PATH": self.metrics_path,
            "TUNING_TERMINATION_LOG": self.termination_log,
        }
        if self.metrics:
            variables["TUNING_METRICS"] = ",".join(self.metrics)
        if self.purpose != SEARCH:
            variables["TUNING_PURPOSE"] = self.purpose
        if self.checkpoint_dir is not None:
            variables["TUNING_CHECKPOINT_DIR"] = self.checkpoint_dir
        for name, value in self.parameters.items():
            variables[parameter_variable(name)] = parameter_text(value)
        return variables

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "TrialEnvironment":
        """Read a trial's environment.

        Raises:
            ContractError: a variable is absent or malformed, or the contract's version is another one.
        """
        version = _required(env, "TUNING_CONTRACT_VERSION")
        if version != str(CONTRACT_VERSION):
            raise ContractError(f"TUNING_CONTRACT_VERSION is {version}; this image speaks {CONTRACT_VERSION}")
        return cls(
            study=_required(env, "TUNING_STUDY"),
            study_uid=_required(env, "TUNING_STUDY_UID"),
            trial=_required(env, "TUNING_TRIAL"),
            attempt=_integer(env, "TUNING_ATTEMPT"),
            parameters=cls.parameters_from_json(_required(env, "TUNING_PARAMETERS")),
            seed=_integer(env, "TUNING_SEED"),
            metric=_required(env, "TUNING_OBJECTIVE_METRIC"),
            direction=_choice(env, "TUNING_OBJECTIVE_DIRECTION", ("Minimize", "Maximize")),
            at=_choice(env, "TUNING_OBJECTIVE_AT", ("Best", "Last", "LateMedian")),
            metrics=tuple(filter(None, env.get("TUNING_METRICS", "").split(","))),
            purpose=env.get("TUNING_PURPOSE", SEARCH),
            metrics_port=_integer(env, "TUNING_METRICS_PORT"),
            metrics_path=_required(env, "TUNING_METRICS_PATH"),
            checkpoint_dir=env.get("TUNING_CHECKPOINT_DIR"),
            termination_log=_required(env, "TUNING_TERMINATION_LOG"),
        )

    @staticmethod
    def parameters_from_json(text: str) -> dict[str, ParameterValue]:
        """Read the parameters' JSON text.

        Raises:
            ContractError: it is not a JSON object of strings, finite numbers and Booleans.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ContractError(f"TUNING_PARAMETERS is not JSON: {error}") from None
        if not isinstance(value, dict) or not all(map(is_parameter_value, value.values())):
            raise ContractError("TUNING_PARAMETERS must be a JSON object of strings, finite numbers and Booleans")
        return value


def _required(env: Mapping[str, str], name: str) -> str:
    try:
        return env[name]
    except KeyError:
        raise ContractError(f"{name} is not set: was this container started by the tuning operator?") from None


def _integer(env: Mapping[str, str], name: str) -> int:
    text = _required(env, name)
    if not re.fullmatch(r"\d{1,18}", text):
        raise ContractError(f"{name} is not a non-negative integer: {text!r:.60}")
    return int(text)


def _choice(env: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> Any:
    text = _required(env, name)
    if text not in allowed:
        raise ContractError(f"{name} is {text!r:.60}; it must be one of {', '.join(allowed)}")
    return text


def is_parameter_value(value: object) -> bool:
    """Whether a container may receive it as a parameter: a string, a finite number or a Boolean."""
    # Python's reader lets NaN and 1e999 through, which no JSON may hold.
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
