"""What the next trial shall train with: the one door to all algorithms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuning_contract.environment import ParameterValue, parameters_json
from tuning_operator.api.search import Algorithm
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.arms import Arm
from tuning_operator.search.bayesian import bayesian_point, is_ready
from tuning_operator.search.constraints import Limits
from tuning_operator.search.observation import Observation
from tuning_operator.search.own_points import own_points
from tuning_operator.search.pareto import weighed
from tuning_operator.search.seeds import derived_seed
from tuning_operator.search.sequence import ExhaustedError, algorithm_at, key_of, point_at, untried_point
from tuning_operator.search.space import Assignment, parameters_of


@dataclass(frozen=True)
class Suggestion:
    """What one trial shall train with."""

    assignment: Assignment
    """By hyperparameter name."""
    parameters: dict[str, ParameterValue]
    """By parameter name, as the container receives them."""
    seed: int
    """The root of the trial's own randomness, in [0, 2**31)."""
    algorithm: Algorithm
    """What has drawn the point; List: the user."""
    note: str = ""
    """Why it was not the study's algorithm; empty: it was."""

    @property
    def parameters_json(self) -> str:
        """The parameters in the one spelling that everyone hashes."""
        return parameters_json(self.parameters)


def learns_from_results(spec: TuningStudySpec, arm: Arm, position: int) -> bool:
    """Whether the trial at this place depends on other trials: then it is drawn by `suggest_adaptively`."""
    return algorithm_at(spec, arm, position // spec.search.replicates) is Algorithm.BAYESIAN


def suggest(spec: TuningStudySpec, arm: Arm, position: int) -> Suggestion:
    """Return trial number `position` (from 0) of the arm: a function of the study's seed, the arm and the position.

    Replicates of one point stand at positions next to each other, and differ in their training seed.

    Raises:
        ExhaustedError: the arm has no further point.
    """
    number = position // spec.search.replicates
    return _suggestion(spec, arm, position, point_at(spec, arm, number), algorithm_at(spec, arm, number))


def suggest_adaptively(
    spec: TuningStudySpec, arm: Arm, position: int, observations: Sequence[Observation]
) -> Suggestion:
    """Return trial number `position` of the arm, drawn by what the study's trials have shown so far.

    Args:
        spec: the study.
        arm: one of its arms.
        position: the trial's place in the arm, from 0.
        observations: of all of the study's trials, those under way among them.
    """
    ours = [each for each in observations if each.arm == arm.number]
    repeated = _replicated(spec, position, ours)
    if repeated is not None:
        return _suggestion(spec, arm, position, repeated, Algorithm.BAYESIAN)
    telling = [each for each in ours if not each.failed]
    if spec.second_objective is not None:
        telling = weighed(telling, derived_seed(spec.search.seed, arm.key, position, "weights"))
    if not is_ready(arm, telling):
        return suggest_without_model(spec, arm, position, ours, "too few results to learn from")
    try:
        seed = derived_seed(spec.search.seed, arm.key, position, "model")
        point = bayesian_point(arm, telling, seed, limits_of(spec))
    except ExhaustedError:
        return suggest_without_model(spec, arm, position, ours, "all other points were tried, here or before")
    if any(each.failed and each.assignment == point for each in ours):
        return suggest_without_model(
            spec, arm, position, ours, "a trial at the point that the model suggests has failed"
        )
    return _suggestion(spec, arm, position, point, Algorithm.BAYESIAN)


def limits_of(spec: TuningStudySpec) -> list[Limits]:
    """Return what the study's constraints allow, in their order."""
    constraints = spec.objective.constraints or ()
    return [Limits(-math.inf if c.min is None else c.min, math.inf if c.max is None else c.max) for c in constraints]


def suggest_without_model(
    spec: TuningStudySpec, arm: Arm, position: int, observations: Sequence[Observation], why: str
) -> Suggestion:
    """Return the quasi-random point that takes the place of an adaptive one, and `why` it does."""
    ours = [each for each in observations if each.arm == arm.number]
    point = _replicated(spec, position, ours)
    if point is None:
        # What an earlier study tried may be tried again where nothing else is left.
        tried = {key_of(each.assignment) for each in ours if each.position >= 0}
        number = position // spec.search.replicates - len(own_points(spec, arm))
        try:
            point = untried_point(spec, arm, max(number, 0), tried)
        except ExhaustedError:
            # Better one point twice than a study that waits for ever.
            point = point_at(spec, arm, 0)
    return _suggestion(spec, arm, position, point, Algorithm.QUASI_RANDOM, why)


def _replicated(spec: TuningStudySpec, position: int, observations: Sequence[Observation]) -> Assignment | None:
    """Return the point of which the trial at this place is a replicate; None: it is the first one of its point."""
    first = position - position % spec.search.replicates
    return next((o.assignment for o in observations if o.position == first and first != position), None)


def _suggestion(
    spec: TuningStudySpec, arm: Arm, position: int, point: Assignment, algorithm: Algorithm, note: str = ""
) -> Suggestion:
    return Suggestion(
        assignment=point,
        parameters=parameters_of(spec.hyperparameters, point),
        seed=derived_seed(spec.search.seed, arm.key, position, "training") % 2**31,
        algorithm=algorithm,
        note=note,
    )
