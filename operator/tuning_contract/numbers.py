"""Numbers that may not be finite, in JSON that may hold only finite ones.

JSON has no NaN, and the Kubernetes API server refuses it; a diverged loss is data all the same. So a value travels
either as a number or as one of three strings.
"""

import math
from typing import Final

NON_FINITE: Final = ("NaN", "Infinity", "-Infinity")


def encode_number(value: float) -> float | str:
    """Return a finite value unchanged and a non-finite one as its name.

    >>> encode_number(0.5), encode_number(float("nan")), encode_number(float("-inf"))
    (0.5, 'NaN', '-Infinity')
    """
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def decode_number(value: object) -> float:
    """Read what `encode_number` wrote.

    Raises:
        ValueError: `value` is neither a finite number nor one of the three names.
    """
    if isinstance(value, str) and value in NON_FINITE:
        return float(value.replace("Infinity", "inf"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"not a number: {value!r:.60}")
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError("an integer too large for a double") from error
    if not math.isfinite(number):
        raise ValueError("a non-finite number must be spelled as a string")
    return number
