"""Reading one JSON object field by field: each reader returns a typed value or says which field is wrong, and how."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from tuning_cli.problems import shown
from tuning_contract.environment import ParameterValue
from tuning_contract.numbers import decode_number

Value = TypeVar("Value")
MAX_INTEGER = 2**53


class FieldError(ValueError):
    """One field is not as it must be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


def required(data: Mapping[str, Any], name: str, read: Callable[[Any, str], Value]) -> Value:
    """Read a field that must be there.

    Raises:
        FieldError: it is missing or malformed.
    """
    if name not in data or data[name] is None:
        raise FieldError(name, "is missing")
    return read(data[name], name)


def optional(data: Mapping[str, Any], name: str, read: Callable[[Any, str], Value]) -> Value | None:
    """Read a field that may be missing or null.

    Raises:
        FieldError: it is malformed.
    """
    value = data.get(name)
    return None if value is None else read(value, name)


def text(value: object, field: str) -> str:
    """Read a text."""
    if not isinstance(value, str):
        raise FieldError(field, f"must be a text, not {shown(value)}")
    return value


def a_name(value: object, field: str) -> str:
    """Read a text that is not empty."""
    if not text(value, field).strip():
        raise FieldError(field, "must not be empty")
    return text(value, field)


def integer(value: object, field: str) -> int:
    """Read an integer in [0, 2**53]; 20.0 is one, as some writers know floats only."""
    if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and value % 1 != 0):
        raise FieldError(field, f"must be an integer, not {shown(value)}")
    if not 0 <= value <= MAX_INTEGER:
        raise FieldError(field, f"must be an integer in [0, 2^53], not {shown(value)}")
    return int(value)


def at_least_one(value: object, field: str) -> int:
    """Read an integer of at least 1."""
    number = integer(value, field)
    if number < 1:
        raise FieldError(field, f"must be an integer of at least 1, not {number}")
    return number


def finite(value: object, field: str) -> float:
    """Read a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FieldError(field, f"must be a finite number, not {shown(value)}")
    return float(value)


def duration(value: object, field: str) -> float:
    """Read a finite number of at least 0."""
    number = finite(value, field)
    if number < 0:
        raise FieldError(field, f"must not be negative, and is {number:g}")
    return number


def measured(value: object, field: str) -> float:
    """Read a number that may be one of the strings NaN, Infinity and -Infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return value  # Python's own writer leaves them bare
    try:
        return decode_number(value)
    except ValueError:
        raise FieldError(field, f'must be a number, or "NaN", "Infinity" or "-Infinity", not {shown(value)}') from None


def moment(value: object, field: str) -> datetime:
    """Read a moment as RFC 3339 writes it."""
    try:
        return datetime.fromisoformat(text(value, field))
    except ValueError as error:
        if isinstance(error, FieldError):
            raise
        raise FieldError(field, f"must be a time such as 2026-11-27T08:00:00Z, not {shown(value)}") from None


def one_of(choices: type[StrEnum]) -> Callable[[Any, str], Any]:
    """Return a reader of one of an enumeration's values."""

    def read(value: object, field: str) -> StrEnum:
        if not isinstance(value, str) or value not in {each.value for each in choices}:
            raise FieldError(field, f"must be one of {', '.join(choices)}, not {shown(value)}")
        return choices(value)

    return read


def an_object(value: object, field: str) -> dict[str, Any]:
    """Read an object."""
    if not isinstance(value, dict):
        raise FieldError(field, f"must be an object, not {shown(value)}")
    return value


def a_list(value: object, field: str) -> list[Any]:
    """Read a list."""
    if not isinstance(value, list):
        raise FieldError(field, f"must be a list, not {shown(value)}")
    return value


def parameter(value: object, field: str) -> ParameterValue:
    """Read a hyperparameter's value: a text, a finite number or a Boolean."""
    is_number = isinstance(value, int | float) and math.isfinite(value)
    if not (isinstance(value, str) or is_number):
        raise FieldError(field, f"must be a text, a finite number or a Boolean, not {shown(value)}")
    return value  # type: ignore[return-value]
