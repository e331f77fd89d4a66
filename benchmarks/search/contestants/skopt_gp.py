"""scikit-optimize's Gaussian process, which Katib runs: running trials count as the best loss ("constant liar")."""

import warnings

from skopt import Optimizer
from skopt.space import Categorical, Dimension, Integer, Real

from benchmarks.search.contestants.axes import Axis, Native, axes_of
from benchmarks.search.simulation import Contestant
from tuning_operator.search.arms import Arm
from tuning_operator.search.space import Assignment, exists


class SkoptGP:
    """Katib's settings: ten initial points, the three acquisition functions in turn ("gp_hedge").

    The space is flat: what does not exist is searched nevertheless, and ignored. A failure has to be told as a loss.
    """

    def __init__(self, arm: Arm, seed: int) -> None:
        self._axes = axes_of(arm)
        self._dimensions = [_dimension(axis) for axis in self._axes]
        self._seed = seed
        self._points: dict[int, list[Native]] = {}
        self._losses: dict[int, float] = {}

    def ask(self, number: int) -> Assignment:
        """Return scikit-optimize's suggestion."""
        optimizer = Optimizer(
            self._dimensions,
            base_estimator="GP",
            n_initial_points=10,
            acq_func="gp_hedge",
            random_state=(self._seed * 4096 + number) % 2**31,
        )
        if self._losses:
            lie = min(self._losses.values())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                optimizer.tell(list(self._points.values()), [self._losses.get(i, lie) for i in self._points])
                point = optimizer.ask()
        else:
            point = optimizer.ask()
        self._points[number] = point
        return self._assignment(point)

    def tell(self, number: int, loss: float | None) -> None:
        """Take the loss."""
        if loss is None:
            raise ValueError("scikit-optimize has no failures: tell it a penalty")
        self._losses[number] = loss

    def _assignment(self, point: list[Native]) -> Assignment:
        assignment: Assignment = {}
        for axis, native in zip(self._axes, point, strict=True):
            if exists(axis.hyperparameter, assignment):
                assignment[axis.hyperparameter.name] = axis.value(native)
        return assignment


def _dimension(axis: Axis) -> Dimension:
    prior = "log-uniform" if axis.is_log else "uniform"
    match axis.kind:
        case "choice":
            return Categorical(list(range(int(axis.high) + 1)))
        case "whole":
            return Integer(int(axis.low), int(axis.high), prior=prior)
        case _:
            return Real(axis.low, axis.high, prior=prior)


def skopt_gp(arm: Arm, seed: int) -> Contestant:
    """Return scikit-optimize's Gaussian process."""
    return SkoptGP(arm, seed)
