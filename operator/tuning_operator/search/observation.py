"""What search may learn from: the trials of a study, as values."""

from dataclasses import dataclass

from tuning_operator.search.space import Assignment


@dataclass(frozen=True)
class Observation:
    """A trial that is under way, or that has ended."""

    arm: int
    position: int
    """Its place in the arm; negative: it is a trial of an earlier study."""
    assignment: Assignment
    loss: float | None = None
    """The objective, turned so that smaller is better; None while it is not known, or where there is none."""
    second_loss: float | None = None
    """The second objective likewise, where the study has one and the trial has both."""
    constrained: tuple[float | None, ...] = ()
    """The value of each constraint's metric, in their order; None where it is not known."""
    infeasible: bool = False
    """It diverged or ran out of memory: evidence that such points are bad, and not that they were never tried."""
    failed: bool = False
    """It ended by an error, or was stopped: it says nothing about its point, but that it was tried."""

    @property
    def is_pending(self) -> bool:
        """Whether the trial is still under way."""
        return self.loss is None and not self.infeasible and not self.failed
