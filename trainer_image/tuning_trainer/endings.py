"""The ways in which a run ends before its last step, as exceptions; no PyTorch here, so that `__main__` knows them."""

import re

from tuning_contract.exit_codes import ExitCode


class InfeasibleError(Exception):
    """These hyperparameters cannot be trained with. The message says where it showed."""

    reason: str
    exit_code: ExitCode


class DivergenceError(InfeasibleError):
    """A loss became NaN or infinite."""

    reason = "NonFiniteObjective"
    exit_code = ExitCode.DIVERGED


class OutOfMemoryError(InfeasibleError):
    """The accelerator or the host had no more memory."""

    reason = "OutOfMemory"
    exit_code = ExitCode.OUT_OF_MEMORY


class InterruptionError(Exception):
    """Somebody asked the run to stop; it can go on from its checkpoint where it has one."""


def is_lack_of_memory(error: BaseException) -> bool:
    """Tell lack of memory, on GPU or host, from other errors of NumPy, Python or PyTorch."""
    # torch.cuda.OutOfMemoryError is a RuntimeError; the CPU's allocator, and CUDA's libraries with memory of their own
    # (CUBLAS_STATUS_ALLOC_FAILED), raise a plain one with only a text.
    said = re.search(r"out of memory|allocate memory|alloc_failed", str(error), re.IGNORECASE)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and said is not None)
