"""How a trial's process says why it ended.

The codes lie outside the ranges of shells (126-165) and of sysexits.h except where the meaning is the same.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of a trial's process that the operator understands; every other non-zero code is a crash."""

    COMPLETED = 0
    CRASHED = 1
    BAD_CONFIGURATION = 78
    """EX_CONFIG of sysexits.h: an unknown parameter or an impossible value. Never retried."""
    DIVERGED = 100
    """The objective became non-finite: evidence about the search space, not an error."""
    OUT_OF_MEMORY = 101
    """The accelerator or the host ran out of memory, caught by the process itself: evidence as well."""
    INTERRUPTED = 143
    """128 + SIGTERM: a checkpoint was written where there is a place for it, and the trial can go on."""

    @classmethod
    def is_infeasible(cls, code: int) -> bool:
        """Whether the code says that these hyperparameters cannot be trained with."""
        return code in (cls.DIVERGED, cls.OUT_OF_MEMORY)
