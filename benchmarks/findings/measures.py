"""All that is measured. Another rule's rates come in here: a value whose `rows` say what was counted."""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from benchmarks.findings import adoption, winner
from benchmarks.findings.rates import Row


class Measure(Protocol):
    """One situation, or a few that belong together, of one rule; it is sent to a process of its own."""

    def rows(self, repetitions: int) -> list[Row]:
        """Return what was counted, with a number of runs proportional to `repetitions`."""


RULES: Final[tuple[Callable[[bool], Iterable[Measure]], ...]] = (winner.measures, adoption.measures)
"""For each rule, what is measured of it; given True, only what is quick."""


def all_measures(quick: bool = False) -> list[Measure]:
    """Return everything that is measured."""
    return [measure for rule in RULES for measure in rule(quick)]
