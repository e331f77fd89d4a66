"""Which trials can be one population: those that differ in numbers alone, and not in the operations of a step."""

from collections.abc import Sequence

from tuning_contract import pack
from tuning_contract.pack import Shape
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parameters import Parameters
from tuning_trainer.population.members import Member


def shape_of(parameters: Parameters) -> Shape:
    """Return what must be equal within a population, by name: defaults count like what was given.

    `weight_decay_kind` counts by what it comes to, coupled or decoupled.
    """
    return pack.shape_of(
        parameters.as_dict() | {"weight_decay_kind": "decoupled" if parameters.decoupled else "coupled"}
    )


def packs(members: Sequence[Member], most: int) -> list[list[Member]]:
    """Divide the members into populations of at most `most`, in the order in which they were given.

    A pack of one says that nothing else fits it, or that only the ordinary loop can train it.
    """
    alike: dict[Shape, list[Member]] = {}
    for member in members:
        alike.setdefault(shape_of(member.parameters), []).append(member)
    packed = []
    for group in alike.values():
        size = 1 if beyond_a_population(group[0].parameters) else most
        packed += [group[n : n + size] for n in range(0, len(group), size)]
    return packed


def beyond_a_population(parameters: Parameters) -> str | None:
    """Say what of a run only the ordinary loop can do; None where there is nothing."""
    said = parameters.as_dict()
    if said.get("precision", "float32") != "float32":
        return "its precision is not float32"
    if said.get("examples_on", "device") != "device":
        return "its examples are not on the device"
    return "it is compiled" if said.get("compile") else None


def refusal(members: Sequence[Member]) -> str | None:
    """Say why the members are not one population; None where they are.

    The sentence names the first one that does not fit, and everything in which it differs from the first of all.
    """
    first, *others = members
    if reason := beyond_a_population(first.parameters):
        return f"{first.trial} cannot be trained in a population: {reason}"
    wanted = dict(shape_of(first.parameters))
    for other in others:
        has = dict(shape_of(other.parameters))
        differing = [name for name in sorted(wanted.keys() | has.keys()) if wanted.get(name) != has.get(name)]
        if differing:
            listed = ", ".join(f"{name} ({wanted.get(name)} and {has.get(name)})" for name in differing)
            return f"{first.trial} and {other.trial} cannot be trained together: they differ in {listed}"
    return None


def require_packable(members: Sequence[Member]) -> None:
    """Refuse members that are not one population.

    Raises:
        ConfigurationError: with the reason.
    """
    if reason := refusal(members):
        raise ConfigurationError(reason)
