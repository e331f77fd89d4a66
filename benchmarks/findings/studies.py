"""Studies whose truth is known: the operator's own quasi-random points, on a landscape, with noise."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.findings.landscapes import Landscape
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.records import State, StudyRecord, TrialRecord
from tuning_operator.search.arms import Arm, arms_of, trial_index
from tuning_operator.search.quasi_random import quasi_random_points
from tuning_operator.search.space import parameters_of, unit_of

SHARED, OWN = "shared", "own"
"""Whether the arms have one space, or each its own conditional hyperparameters."""


MOST_OWN = 3
"""Further hyperparameters have one range for all arms: a manifest has no room for more."""


@dataclass(frozen=True)
class Plan:
    """Arms with equally many trials."""

    arms: int
    trials: int
    """Of each arm."""
    dimensions: tuple[int, ...]
    """Nuisance hyperparameters of the first arm, of the second, and so on; the last number stands for all others."""
    space: str = SHARED

    def _dimensions_of(self, arm: int) -> int:
        return self.dimensions[min(arm, len(self.dimensions) - 1)]

    def spec(self) -> TuningStudySpec:
        """Return the study's manifest; the values of the scientific hyperparameter are a0, a1 and so on."""
        values = [f"a{i}" for i in range(self.arms)]
        scientific = {"name": "variant", "type": "Categorical", "role": "Scientific", "values": values}
        if self.space == SHARED:
            nuisance = [_range(f"x{k}", f"x{k}", 1e-4, 1.0) for k in range(self.dimensions[0])]
        else:
            nuisance = [
                _range(f"{value}_x{k}", f"x{k}", 10.0 ** (-4 - i), 10.0 ** (-i))
                | {"when": {"name": "variant", "values": [value]}}
                for i, value in enumerate(values)
                for k in range(min(MOST_OWN, self._dimensions_of(i)))
            ]
            rest = max(map(self._dimensions_of, range(self.arms))) - MOST_OWN
            nuisance += [_range(f"y{k}", f"y{k}", 1e-4, 1.0) for k in range(rest)]
        return TuningStudySpec.model_validate(
            {
                "goal": {"question": "Which variant is best?", "kind": "Understand"},
                "objective": {"metric": "validation_loss"},
                "hyperparameters": [scientific, *nuisance],
                "budget": {"maxTrials": self.arms * self.trials},
                "trial": {"template": {"spec": {"containers": [{"name": "trainer"}]}}},
            }
        )


def drawn(
    spec: TuningStudySpec, trials: int, landscape: Landscape, noise: float, better: float, seed: int
) -> StudyRecord:
    """Return a finished study.

    Args:
        spec: Its manifest.
        trials: Of each arm.
        landscape: Of every arm.
        noise: The standard deviation of a result, in units of the landscape's spread.
        better: By how much the first arm is better everywhere, in the same units; 0: the arms are identical.
        seed: Of the search and of the noise.
    """
    seeded = spec.model_copy(update={"search": spec.search.model_copy(update={"seed": seed})})
    rng = np.random.default_rng((seed, 17))
    found: list[TrialRecord] = []
    for arm in arms_of(seeded):
        dimensions = len(arm.dimensions)
        unit = landscape.spread(dimensions)
        points = quasi_random_points(seed, arm, 0, trials)
        assignments = [arm.assignment_at(point) for point in points]
        rows = np.array([[unit_of(h, a[h.name]) for h in arm.dimensions] for a in assignments])
        losses = landscape.loss(rows) + unit * noise * rng.standard_normal(trials)
        shift = better * unit if arm.number == 0 else 0.0
        found += [
            _trial(seeded, arm, i, dict(a), float(loss) - shift)
            for i, (a, loss) in enumerate(zip(assignments, losses, strict=True))
        ]
    return StudyRecord("simulated", seeded, tuple(found))


def _trial(spec: TuningStudySpec, arm: Arm, place: int, assignment: dict[str, Any], loss: float) -> TrialRecord:
    fails = not math.isfinite(loss)
    index = trial_index(arm, place)
    return TrialRecord(
        name=f"t-{index}",
        assignment=assignment,
        parameters=parameters_of(spec.hyperparameters, assignment),
        state=State.INFEASIBLE if fails else State.SUCCEEDED,
        value=None if fails else loss,
        index=index,
    )


def _range(name: str, parameter: str, low: float, high: float) -> dict[str, Any]:
    return {
        "name": name,
        "parameter": parameter,
        "type": "Float",
        "role": "Nuisance",
        "low": low,
        "high": high,
        "scale": "Log",
    }
