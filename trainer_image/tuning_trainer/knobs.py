"""How a parameter is declared and checked: type, range, default and meaning stand in one place."""

import dataclasses
import math
import typing
from dataclasses import dataclass
from typing import Any

from tuning_contract.environment import ParameterValue


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
        return f"{'(' if self.open_low else '['}{_short(self.low)}, {_short(self.high)}{')' if self.open_high else ']'}"


def one_of(default: str, allowed: tuple[str, ...], meaning: str) -> Any:
    """Declare a parameter that is one of these words."""
    return dataclasses.field(default=default, metadata={"allowed": allowed, "meaning": meaning})


def number(default: float, allowed: Interval, meaning: str) -> Any:
    """Declare a parameter that is a number; the field's type, int or float, says which kind."""
    return dataclasses.field(default=default, metadata={"allowed": allowed, "meaning": meaning})


def optional(allowed: Interval, meaning: str) -> Any:
    """Declare a number that need not be given; it is None then."""
    return dataclasses.field(default=None, metadata={"allowed": allowed, "meaning": meaning})


@dataclass(frozen=True)
class Knob:
    """One declared parameter."""

    name: str
    type: type
    allowed: tuple[str, ...] | Interval
    default: Any
    meaning: str

    @property
    def shown(self) -> str:
        """What is allowed, in Markdown."""
        return ", ".join(f"`{word}`" for word in self.allowed) if isinstance(self.allowed, tuple) else str(self.allowed)


def knobs_of(parameters: type) -> dict[str, Knob]:
    """Read the declarations of a dataclass back, by name: `float | None` is a float that need not be given.

    Raises:
        ConfigurationError: a field is declared in another way.
    """
    hints = typing.get_type_hints(parameters)
    knobs = {}
    for field in dataclasses.fields(parameters):
        kinds = [kind for kind in typing.get_args(hints[field.name]) if kind is not type(None)] or [hints[field.name]]
        if field.metadata.keys() != {"allowed", "meaning"}:
            raise ConfigurationError(f"{field.name} must be declared by number, one_of or optional of knobs.py")
        knobs[field.name] = Knob(field.name, kinds[0], default=field.default, **field.metadata)
    return knobs


def problem(knob: Knob, value: ParameterValue) -> str | None:
    """Say why `value` is impossible for a parameter; None where it is possible."""
    if isinstance(knob.allowed, tuple):
        return None if value in knob.allowed or _is_own_workload(knob, value) else _not_a_word(knob, value)
    if isinstance(value, str):
        return f"{knob.name} is the text {value!r:.60}; it must be a number (in a study: set its type or valueType)"
    if isinstance(value, bool) or value not in knob.allowed:
        return f"{knob.name} is {value!r:.60}; it must lie in {knob.allowed}"
    if knob.type is int and value != int(value):
        return f"{knob.name} is {value!r:.60}; it must be a whole number"
    return None


def _is_own_workload(knob: Knob, value: ParameterValue) -> bool:
    return knob.name == "workload" and isinstance(value, str) and value.endswith(".py")


def _not_a_word(knob: Knob, value: ParameterValue) -> str:
    own = ", or the path of a Python file" if knob.name == "workload" else ""
    return f"{knob.name} is {value!r:.60}; it must be one of {', '.join(knob.allowed)}{own}"  # type: ignore[arg-type]


def _short(bound: float) -> str:
    """Return a bound as people write it.

    >>> _short(65536), _short(1e6), _short(0.5), _short(2**31)
    ('65536', '1e+06', '0.5', '2^31')
    """
    exponent = math.log2(bound) if bound > 0 else 0.0
    if exponent >= 20 and exponent.is_integer():
        return f"2^{exponent:.0f}"
    return str(int(bound)) if bound == int(bound) and bound < 1e6 else f"{bound:g}"
