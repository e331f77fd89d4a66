"""One root seed, one independent stream for each source of randomness."""

import hashlib


def seed_of(root: int, source: str) -> int:
    """Return the seed in [0, 2**63) of one source, such as `initialization`, under a trial's root seed.

    A hash, because neighbouring roots (0, 1, 2, …) must not give related streams.
    """
    return int.from_bytes(hashlib.sha256(f"{root}/{source}".encode()).digest()[:8]) >> 1
