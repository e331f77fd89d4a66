"""The trials of a population, as the operator or a file tells of them. No PyTorch here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuning_contract.environment import BATCH_SIZE_PROBE, INSTABILITY_PROBES, ParameterValue
from tuning_contract.pack import PackEnvironment
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parameters import SEEDS, Parameters
from tuning_trainer.workloads.loading import parameters_from


@dataclass(frozen=True)
class Member:
    """One attempt of one trial."""

    trial: str
    attempt: int
    given: Mapping[str, ParameterValue]
    """The parameters that its record is about, as they were given."""
    parameters: Parameters
    """All of them."""
    seed: int

    @classmethod
    def of(cls, trial: str, given: Mapping[str, ParameterValue], seed: int, attempt: int = 0) -> "Member":
        """Return a member; its parameters are checked.

        Raises:
            ConfigurationError: a parameter is unknown or its value impossible; the message begins with the trial.
        """
        try:
            return cls(trial, attempt, given, parameters_from(given), seed)
        except ConfigurationError as error:
            raise ConfigurationError(f"{trial}: {error}") from None


def members_of(environment: PackEnvironment) -> list[Member]:
    """Return the trials that a pack's container hears of, each with its parameters checked.

    Raises:
        ConfigurationError: a trial cannot be trained so or stands there twice, or is a probe, which measures itself
            alone.
    """
    for trial in environment.members:
        if trial.purpose in (BATCH_SIZE_PROBE, *INSTABILITY_PROBES):
            raise ConfigurationError(f"{trial.trial}: a {trial.purpose} is trained alone")
    members = [Member.of(t.trial, t.parameters, t.seed, t.attempt) for t in environment.members]
    require_distinct(members)
    return members


def require_distinct(members: Sequence[Member]) -> None:
    """Refuse trials that stand there twice: each has one result.

    Raises:
        ConfigurationError: with their names.
    """
    names = [member.trial for member in members]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"twice among the members: {', '.join(twice)}")


def members_from(text: str) -> list[Member]:
    """Read the JSON list of a population's members: `[{"trial", "parameters", "seed", "attempt"}, …]`.

    Raises:
        ConfigurationError: it is no such list, names a trial twice, or a member cannot be trained.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"the members are not JSON: {error}") from None
    if not isinstance(data, list) or not data:
        raise ConfigurationError("the members must be a JSON list with at least one of them")
    members = [_member(number, entry) for number, entry in enumerate(data)]
    require_distinct(members)
    return members


def _member(number: int, entry: object) -> Member:
    if not isinstance(entry, dict) or not {"trial", "parameters", "seed"} <= entry.keys() <= FIELDS:
        raise ConfigurationError(
            f'member {number} must be {{"trial": …, "parameters": {{…}}, "seed": …, "attempt": …}}'
        )
    trial, given, seed, attempt = entry["trial"], entry["parameters"], entry["seed"], entry.get("attempt", 0)
    # The name is that of a file, too.
    if not isinstance(trial, str) or not trial or trial.startswith(".") or "/" in trial or not trial.isprintable():
        raise ConfigurationError(f"the trial of member {number} must be a name, not {trial!r:.60}")
    for name, value in (("seed", seed), ("attempt", attempt)):
        if not isinstance(value, int) or isinstance(value, bool) or value not in SEEDS:
            raise ConfigurationError(f"{trial}: {name} must be a whole number in {SEEDS}, not {value!r:.60}")
    if not isinstance(given, dict) or not all(isinstance(value, str | int | float) for value in given.values()):
        raise ConfigurationError(f"{trial}: parameters must be a JSON object of strings, numbers and Booleans")
    return Member.of(trial, given, seed, attempt)


FIELDS = {"trial", "parameters", "seed", "attempt"}
