"""Seeds: every source of randomness has its own, derived from the study's."""

import hashlib


def derived_seed(seed: int, arm_key: str, position: int, source: str) -> int:
    """Return a 64-bit seed for one source of randomness; different sources never share one."""
    text = f"{seed}|{arm_key}|{position}|{source}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
