"""Go durations such as 90m or 1h30m, as Kubernetes people write them."""

import re
from datetime import timedelta

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = timedelta(days=100_000)
"""Longer ones mean the same: for ever; and a timedelta has an end."""


def parse_duration(text: str) -> timedelta:
    """Return the duration that a Go duration string names.

    Raises:
        ValueError: it is none.

    >>> parse_duration("1h30m")
    datetime.timedelta(seconds=5400)
    """
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a duration: {text!r:.60}; write it like 90m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return timedelta(seconds=min(seconds, _LONGEST.total_seconds()))
