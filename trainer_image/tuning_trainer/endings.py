"""The ways in which a run ends before its last step, as exceptions; no PyTorch here, so that `__main__` knows them."""

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
