"""How messages name an arm, a number and some trials."""

from collections.abc import Mapping

from tuning_contract.environment import ParameterValue, parameter_text


def arm_text(scientific: Mapping[str, ParameterValue]) -> str:
    """Return what a sentence says of the arm: ` with optimizer=adam`; empty for the whole study."""
    if not scientific:
        return ""
    return " with " + ", ".join(f"{name}={parameter_text(value)}" for name, value in scientific.items())


def counted(number: int, noun: str) -> str:
    """Return `1 trial`, `2 trials`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
