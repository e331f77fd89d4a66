"""The other way to handle failures: to tell the worst loss so far instead of a failure."""

from benchmarks.search.simulation import Contestant, Entrant
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import Assignment


class Penalty:
    """Tells a contestant of an infeasible trial as of one that was as bad as the worst, once there is a worst."""

    def __init__(self, inner: Contestant) -> None:
        self._inner = inner
        self._worst: float | None = None
        self._waiting: list[int] = []

    def ask(self, number: int) -> Assignment:
        """Return what the inner contestant says."""
        return self._inner.ask(number)

    def tell(self, number: int, loss: float | None) -> None:
        """Tell the loss, or the worst one; before there is any, the trial counts as running."""
        if loss is not None:
            self._worst = loss if self._worst is None else max(self._worst, loss)
            self._inner.tell(number, loss)
        else:
            self._waiting.append(number)
        while self._worst is not None and self._waiting:
            self._inner.tell(self._waiting.pop(), self._worst)


def with_penalty(entrant: Entrant) -> Entrant:
    """Return the entrant whose failures are the worst losses."""

    def penalised(arm: Arm, seed: int) -> Contestant:
        return Penalty(entrant(arm, seed))

    return penalised
