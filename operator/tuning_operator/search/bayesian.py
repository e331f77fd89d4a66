"""Bayesian optimisation: for exploitation, once exploration has shown where to look.

Playbook, "What algorithm should be used for the exploitation phase?": when the good region is known, Bayesian
optimisation finds the best point in it. Nothing is kept between calls: the model is built anew from the observations,
so that a restarted operator suggests the same. A Gaussian process predicts the loss, trials that still run count as
having ended as predicted, and the next point is the one with the largest expected improvement.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from tuning_operator.api.hyperparameters import HyperparameterType
from tuning_operator.search.arms import Arm
from tuning_operator.search.constraints import ConstraintModel, Limits, scaled
from tuning_operator.search.domain import number_of_points, points_of
from tuning_operator.search.encoding import Array, feature_owners, features_of, snapped, unit_point, units_of
from tuning_operator.search.gaussian_process import GaussianProcess, conditioned, fitted
from tuning_operator.search.observation import Observation
from tuning_operator.search.sequence import ExhaustedError, PointKey, key_of
from tuning_operator.search.space import Assignment
from tuning_operator.search.warping import warped

FEWEST_RESULTS = 8
"""Results before the model is used: with fewer, quasi-random points teach more."""
MOST_RESULTS = 256
"""That the model knows: its cost grows with their cube."""
MOST_FITTED = 128
"""Of these, the results that choose its kernel, which takes tens of times as long as to use it."""
WIDE_CANDIDATES = 768
"""Drawn from the whole space."""
CENTRES = 6
"""Points with the best prediction, around which more candidates are drawn."""
NEAR_CANDIDATES = 64
"""For each centre and round."""
STEPS = (0.2, 0.05, 0.0125)
"""Standard deviations of the steps from the centres, in units of a range, one for each round."""
MOVED_SHARES = (0.2, 0.5, 1.0)
"""Of the coordinates that a step moves, one drawn for each candidate."""
MOST_LISTED = 2048
"""A space with no more points is listed, and not sampled."""


def is_ready(arm: Arm, observations: Sequence[Observation]) -> bool:
    """Whether there is enough to learn from; until then the caller draws quasi-random points."""
    placed, _ = _placed(arm, observations)
    return _suffice(arm, placed)


def bayesian_point(
    arm: Arm, observations: Sequence[Observation], seed: int, constraints: Sequence[Limits] = ()
) -> Assignment:
    """Return the point to try next: a function of the arguments alone.

    Args:
        arm: where to search.
        observations: those of this arm, oldest first, those that are under way among them.
        seed: a different one for each suggestion.
        constraints: what the metrics in `Observation.constrained` must keep to, in that order.

    Raises:
        ExhaustedError: all points of the arm have been tried.
        ValueError: there is too little to learn from; see `is_ready`.
    """
    placed, units = _placed(arm, observations)
    if not _suffice(arm, placed):
        raise ValueError(f"too few results to learn from: {FEWEST_RESULTS} are needed")
    rng = np.random.default_rng(seed)
    model = _model(arm, placed, units, constraints)
    tried = {key_of(o.assignment) for o in observations}
    for row in _ranked(model, arm, tried, rng):
        assignment = arm.assignment_at(unit_point(arm, row))
        if key_of(assignment) not in tried:
            return assignment
    return _any_other(arm, tried)


@dataclass(frozen=True)
class Model:
    """What is believed about the arm's points."""

    arm: Arm
    objective: GaussianProcess
    feasibility: GaussianProcess | None
    """Of values 1 (feasible) and -1; None where all were feasible."""
    constraints: tuple[ConstraintModel, ...]
    incumbent: float | None
    """The lowest expected loss of an allowed point with a result or under way; None: no point is allowed yet."""
    units: Array
    """Rows of these points, the most promising first."""

    def merit(self, units: Array) -> Array:
        """Return the logarithm of the expected improvement times the probability of a feasible, allowed point.

        While no point is allowed, only that probability: there is nothing to improve on.
        """
        features = features_of(self.arm, units)
        merit = _log_allowed(self.constraints, features)
        if self.incumbent is not None:
            mean, deviation = self.objective.posterior(features)
            merit = merit + _log_expected_improvement(self.incumbent - mean, deviation)
        if self.feasibility is not None:
            label, doubt = self.feasibility.posterior(features)
            merit += log_ndtr(label / doubt)
        return merit


def _model(arm: Arm, placed: Sequence[Observation], units: Array, constraints: Sequence[Limits]) -> Model:
    features = features_of(arm, units)
    kept = _kept(placed)
    scored = [i for i in kept if placed[i].loss is not None]
    pending = [i for i, o in enumerate(placed) if o.is_pending]
    values = warped([_loss_or_worst(placed[i]) for i in scored])
    objective = _process(arm, features[scored], values).believing(features[pending])
    feasibility = None
    if any(placed[i].infeasible for i in kept):
        labels = np.array([-1.0 if placed[i].infeasible else 1.0 for i in kept])
        feasibility = _process(arm, features[kept], labels)
    models = tuple(_constraint_models(arm, placed, features, kept, pending, constraints))
    # Those under way count too: to come out as they will is no improvement.
    shown = scored + pending
    expected, _ = objective.posterior(features[shown])
    probability = _log_allowed(models, features[shown])
    allowed = np.array([_is_allowed(placed[i], constraints, p) for i, p in zip(shown, probability, strict=True)])
    if not allowed.any():
        return Model(arm, objective, feasibility, models, None, units[shown][np.argsort(-probability, kind="stable")])
    order = np.lexsort((expected, ~allowed))
    return Model(arm, objective, feasibility, models, float(expected[allowed].min()), units[shown][order])


def _constraint_models(
    arm: Arm,
    placed: Sequence[Observation],
    features: Array,
    kept: Sequence[int],
    pending: Sequence[int],
    constraints: Sequence[Limits],
) -> Iterator[ConstraintModel]:
    for number, limits in enumerate(constraints):
        known = [(i, v) for i in kept if placed[i].constrained and (v := placed[i].constrained[number]) is not None]
        found = scaled([value for _, value in known], limits) if known else None
        if found is not None:
            process = _process(arm, features[[i for i, _ in known]], found.values).believing(features[pending])
            yield ConstraintModel(process, found.low, found.high)


def _log_allowed(models: Sequence[ConstraintModel], features: Array) -> Array:
    """Return the logarithm of the probability that all constraints are kept to; they are taken to be independent."""
    total: Array = np.zeros(len(features))
    for model in models:
        total = total + model.log_probability(features)
    return total


def _is_allowed(observation: Observation, constraints: Sequence[Limits], log_probability: float) -> bool:
    """Return whether a trial keeps to the constraints: as measured, else as it is more likely than not."""
    known = observation.constrained
    if len(known) == len(constraints) and all(value is not None for value in known):
        return all(limits.hold(value) for limits, value in zip(constraints, known, strict=True) if value is not None)
    return log_probability >= math.log(0.5)


def _process(arm: Arm, features: Array, values: Array) -> GaussianProcess:
    chosen = np.linspace(0, len(values) - 1, min(len(values), MOST_FITTED)).astype(int)
    return conditioned(fitted(features[chosen], values[chosen], feature_owners(arm)), features, values)


def _log_expected_improvement(gain: Array, deviation: Array) -> Array:
    """Return log E[max(0, gain + deviation * Z)] without underflow (Ament et al. 2023, arXiv 2310.20708)."""
    z = np.maximum(gain / deviation, -1e4)
    high, low = np.maximum(z, -1), np.minimum(z, -1)
    near = np.log(_density(high) + high * ndtr(high))
    # The same, with the density taken out of the sum: both terms vanish, and what matters is their ratio.
    ratio = math.sqrt(math.pi / 2) * erfcx(-low / math.sqrt(2))
    far = -(low**2) / 2 - math.log(2 * math.pi) / 2 + np.log1p(low * ratio)
    merit: Array = np.log(deviation) + np.where(z > -1, near, far)
    return merit


def _density(z: Array) -> Array:
    density: Array = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return density


def _suffice(arm: Arm, placed: Sequence[Observation]) -> bool:
    return bool(arm.dimensions) and sum(o.loss is not None for o in placed) >= FEWEST_RESULTS


def _placed(arm: Arm, observations: Sequence[Observation]) -> tuple[list[Observation], Array]:
    """Return the observations that the arm's space has a place for, and their units."""
    placed, rows = [], []
    for observation in observations:
        try:
            rows.append(units_of(arm, [observation.assignment]))
        except ValueError:
            continue
        placed.append(observation)
    return placed, np.vstack([np.empty((0, len(arm.dimensions))), *rows])


def _kept(observations: Sequence[Observation]) -> list[int]:
    """Return which results the model is fitted to: the best half and the newest half where they are too many."""
    ended = [i for i, o in enumerate(observations) if not o.is_pending]
    if len(ended) <= MOST_RESULTS:
        return ended
    best = set(sorted(ended, key=lambda i: _loss_or_worst(observations[i]))[: MOST_RESULTS // 2])
    newest = [i for i in ended if i not in best][-(MOST_RESULTS - len(best)) :]
    return sorted([*best, *newest])


def _loss_or_worst(observation: Observation) -> float:
    return math.inf if observation.loss is None else observation.loss


def _ranked(model: Model, arm: Arm, tried: set[PointKey], rng: np.random.Generator) -> Array:
    """Return rows of candidates, the most promising first."""
    size = number_of_points(arm)
    if size is not None and size <= MOST_LISTED:
        rest = [point for point in points_of(arm) if key_of(point) not in tried]
        units = units_of(arm, rest)
        return units[np.argsort(-model.merit(units), kind="stable")] if rest else units
    units = snapped(arm, rng.random((WIDE_CANDIDATES, len(arm.dimensions))))
    units = np.vstack([units, _around(arm, model.units[:CENTRES], STEPS[0], rng)])
    merit = model.merit(units)
    for step in STEPS[1:]:
        near = _around(arm, units[np.argsort(-merit, kind="stable")[:CENTRES]], step, rng)
        units, merit = np.vstack([units, near]), np.concatenate([merit, model.merit(near)])
    return units[np.argsort(-merit, kind="stable")]


def _around(arm: Arm, centres: Array, step: float, rng: np.random.Generator) -> Array:
    """Return points near the centres: each has some of its coordinates moved, at least one."""
    origin = np.repeat(centres, NEAR_CANDIDATES, axis=0)
    number, dimensions = origin.shape
    fresh = rng.random(origin.shape)
    origin = np.where(np.isnan(origin), fresh, origin)
    lengths = [max(step, 1 / len(h.values)) if h.values else step for h in arm.dimensions]
    moved = origin + lengths * rng.standard_normal(origin.shape)
    # Reflected, not cut off: the bounds would be tried far more often than what is near them.
    moved = 1 - np.abs(1 - np.mod(np.abs(moved), 2))
    moved = np.where([h.type is HyperparameterType.CATEGORICAL for h in arm.dimensions], fresh, moved)
    is_moved = rng.random(origin.shape) < rng.choice(MOVED_SHARES, size=(number, 1))
    is_moved[np.arange(number), rng.integers(dimensions, size=number)] = True
    return snapped(arm, np.where(is_moved, moved, origin))


def _any_other(arm: Arm, tried: set[PointKey]) -> Assignment:
    if number_of_points(arm) is not None:
        for point in points_of(arm):
            if key_of(point) not in tried:
                return point
    raise ExhaustedError(f"arm {arm.key} has no further point")
