"""How often something happened, with the interval that the number of tries allows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scipy.stats import binomtest

Case = Mapping[str, str | int | float]
"""A situation, by what describes it."""


@dataclass(frozen=True)
class Rate:
    """So many times, of so many."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share, in [0, 1]."""
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval (Clopper and Pearson 1934)."""
        found = binomtest(self.count, self.of).proportion_ci(0.95, "exact")
        return float(found.low), float(found.high)

    def __add__(self, other: "Rate") -> "Rate":
        return Rate(self.count + other.count, self.of + other.of)

    def as_json(self) -> dict[str, Any]:
        """Return count and number: all else follows from them."""
        return {"count": self.count, "of": self.of}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} [{low:.1%}, {high:.1%}]"


@dataclass(frozen=True)
class Row:
    """What was measured of one rule in one situation."""

    rule: str
    """The finding's code, or what else decides."""
    case: Case
    """The situation: the columns of the table."""
    false_alarms: Rate | None = None
    """Where nothing is to be found."""
    hits: Rate | None = None
    """Where something is: the power; one minus this is the share of misses."""
    limit: float | None = None
    """Promised: the largest share of false alarms."""

    def as_json(self) -> dict[str, Any]:
        """Return everything that is known as JSON."""
        rates = {"falseAlarms": self.false_alarms, "hits": self.hits}
        found = {name: rate.as_json() for name, rate in rates.items() if rate is not None}
        limit = {} if self.limit is None else {"limit": self.limit}
        return {"rule": self.rule, "case": dict(self.case)} | found | limit
