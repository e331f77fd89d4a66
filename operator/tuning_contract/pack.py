"""Several trials that one process trains: what its container is told, and which trials may share one.

A pack's container gets the variables of a trial, but for those that only one trial has: they stand, trial by trial, in
TUNING_PACK. An image that does not know that variable must not be packed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tuning_contract.environment import (
    PARAMETER_PREFIX,
    SEARCH,
    ContractError,
    ParameterValue,
    TrialEnvironment,
    is_parameter_value,
    parameters_json,
)

PACK_VARIABLE: Final = "TUNING_PACK"
MAX_MEMBERS: Final = 24
"""So many results fit into the 4096 bytes of one termination message, whatever their numbers."""
MAX_PACK_TEXT: Final = 100_000
"""In bytes: Linux takes at most 131,072 for one variable."""

ONE_TRIALS_OWN: Final = frozenset(
    {
        "TUNING_TRIAL",
        "TUNING_ATTEMPT",
        "TUNING_PARAMETERS",
        "TUNING_SEED",
        "TUNING_PURPOSE",
        "TUNING_CHECKPOINT_DIR",
    }
)
"""The variables that a pack's container does not have; the single parameters' are not there either."""

MAY_DIFFER: Final = frozenset(
    {
        "learning_rate",
        "momentum",
        "beta1",
        "beta2",
        "epsilon",
        "weight_decay",
        "dropout",
        "label_smoothing",
        "schedule",
        "warmup_steps",
        "decay_steps",
        "final_learning_rate_fraction",
        "decay_factor",
        "decay_every_steps",
        "clip_norm",
        "ema_decay",
        "initialization_seed",
        "order_seed",
        "dropout_seed",
        "dense_loss_steps",
    }
)
"""The parameters in which the trials of a pack may differ: numbers of a step, and not its operations or shapes. In
everything else they must be equal, so also in every parameter of which nothing is known here."""

OF_THE_PROCESS: Final = frozenset(
    {"peak_memory_bytes", "examples_per_second", "steps_per_second", "data_wait_fraction"}
)
"""The trainer's metrics that are measured of a whole process: they say nothing about one of its trials."""

Shape = tuple[tuple[str, ParameterValue], ...]


def shape_of(parameters: Mapping[str, ParameterValue]) -> Shape:
    """Return what must be equal within a pack, by name.

    >>> shape_of({"learning_rate": 0.1, "batch_size": 64})
    (('batch_size', 64),)
    """
    return tuple(sorted((name, value) for name, value in parameters.items() if name not in MAY_DIFFER))


@dataclass(frozen=True)
class PackEnvironment:
    """One attempt of each of several trials, each as it would be seen by a container of its own."""

    members: tuple[TrialEnvironment, ...]
    """They differ in trial, attempt, parameters, seed, purpose and checkpoint directory alone."""

    @property
    def text(self) -> str:
        """What stands in TUNING_PACK; its hash stands in the pack's record."""
        return json.dumps([_own(member) for member in self.members], separators=(",", ":"), allow_nan=False)

    def to_env(self) -> dict[str, str]:
        """Return the variables that `from_env` reads back to an equal value."""
        told = self.members[0].to_env()
        shared = {n: v for n, v in told.items() if n not in ONE_TRIALS_OWN and not n.startswith(PARAMETER_PREFIX)}
        return {**shared, PACK_VARIABLE: self.text}

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "PackEnvironment":
        """Read a pack's environment.

        Raises:
            ContractError: a variable is absent or malformed, or the contract's version is another one.
        """
        try:
            entries = json.loads(env[PACK_VARIABLE])
        except KeyError:
            raise ContractError(f"{PACK_VARIABLE} is not set") from None
        except (ValueError, RecursionError) as error:
            raise ContractError(f"{PACK_VARIABLE} is not JSON: {error}") from None
        if not isinstance(entries, list) or not entries:
            raise ContractError(f"{PACK_VARIABLE} must be a JSON list of at least one trial")
        nobody = {"TUNING_TRIAL": "", "TUNING_ATTEMPT": "0", "TUNING_PARAMETERS": "{}", "TUNING_SEED": "0"}
        shared = TrialEnvironment.from_env({**{n: v for n, v in env.items() if n not in ONE_TRIALS_OWN}, **nobody})
        return cls(tuple(_member(shared, number, entry) for number, entry in enumerate(entries)))


def pack_hash(text: str) -> str:
    """Return the first 128 bits of the SHA-256, in hexadecimal, of what stands in TUNING_PACK: short enough a label."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _own(member: TrialEnvironment) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "trial": member.trial,
        "attempt": member.attempt,
        "parameters": json.loads(parameters_json(member.parameters)),
        "seed": member.seed,
    }
    if member.purpose != SEARCH:
        entry["purpose"] = member.purpose
    if member.checkpoint_dir is not None:
        entry["checkpointDir"] = member.checkpoint_dir
    return entry


def _member(shared: TrialEnvironment, number: int, entry: object) -> TrialEnvironment:
    where = f"entry {number} of {PACK_VARIABLE}"
    if not isinstance(entry, dict):
        raise ContractError(f"{where} must be an object")
    trial, parameters, checkpoint = entry.get("trial"), entry.get("parameters"), entry.get("checkpointDir")
    purpose = entry.get("purpose", SEARCH)
    if not isinstance(trial, str) or not trial or not isinstance(purpose, str):
        raise ContractError(f"{where}: trial and purpose must be texts")
    if not isinstance(checkpoint, str | None):
        raise ContractError(f"{where}: checkpointDir must be a text")
    if not isinstance(parameters, dict) or not all(map(is_parameter_value, parameters.values())):
        raise ContractError(f"{where}: parameters must be an object of strings, finite numbers and Booleans")
    numbers = {name: entry.get(name) for name in ("attempt", "seed")}
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ContractError(f"{where}: {name} must be a non-negative integer")
    return replace(
        shared,
        trial=trial,
        attempt=entry["attempt"],
        parameters=parameters,
        seed=entry["seed"],
        purpose=purpose,
        checkpoint_dir=checkpoint,
    )
