"""Adoption: how often a change that brings nothing is adopted, and how often one that helps."""

from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

import numpy as np

from benchmarks.findings.rates import Rate, Row
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.comparison.adoption import check, retrains_wanted
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord

GAINS: Final = (0.5, 1.0, 2.0)
"""In standard deviations of a retrain."""
SEED_SHARES: Final = (0.0, 0.8)
"""How much of a retrain's variance the seed makes, alike on both sides."""
OVERSAMPLING: Final = 40
"""Retrains cost nothing here: so many times as many studies as of the winner rule."""


@dataclass(frozen=True)
class Adoption:
    """Two sides with normal results, trained again in pairs of seeds."""

    name: str
    limit: float
    retrains: dict[str, Any] = field(default_factory=dict)

    def rows(self, repetitions: int) -> list[Row]:
        """Return the error and the power by the size of the gain."""
        found = []
        for share in SEED_SHARES:
            case = {"retrains": self.name, "seed's share": f"{share:g}"}
            found.append(Row("Adoption", case, self._adopted(0.0, share, repetitions), limit=self.limit))
            found += [
                Row("Adoption", case | {"effect": f"{g:g}"}, hits=self._adopted(g, share, repetitions)) for g in GAINS
            ]
        return found

    def _adopted(self, gain: float, share: float, repetitions: int) -> Rate:
        spec = _spec(self.retrains)
        number = OVERSAMPLING * repetitions
        count = 0
        for i in range(number):
            rng = np.random.default_rng(crc32(f"{self.name} {gain} {share} {i}".encode()))
            count += check(_study(spec, gain, share, rng))[0].verdict == "Adopt"
        return Rate(count, number)


def measures(quick: bool) -> list[Adoption]:
    """Return what is measured."""
    plans = [
        Adoption("5", 0.15),
        Adoption("5, adds complexity", 0.05, {"addsComplexity": True}),
        Adoption("29 pairs", 0.05, {"confirm": True}),
    ]
    return plans[:2] if quick else [*plans, Adoption("3", 0.15, {"count": 3}), Adoption("10", 0.15, {"count": 10})]


def _spec(retrains: dict[str, Any]) -> TuningStudySpec:
    return TuningStudySpec.model_validate(
        {
            "goal": {"question": "Is new better?", "kind": "TryChange"},
            "baseline": {"scientific": {"variant": "old"}},
            "objective": {"metric": "validation_loss"},
            "hyperparameters": [
                {"name": "variant", "type": "Categorical", "role": "Scientific", "values": ["old", "new"]}
            ],
            "budget": {"maxTrials": 2, "maxRetrains": 100},
            "retrains": retrains,
            "trial": {"template": {"spec": {"containers": [{"name": "trainer"}]}}},
        }
    )


def _study(spec: TuningStudySpec, gain: float, share: float, rng: np.random.Generator) -> StudyRecord:
    number = retrains_wanted(StudyRecord("simulated", spec))
    common = np.sqrt(share) * rng.standard_normal(number)
    trials: list[TrialRecord] = []
    for arm, mean in (("old", 0.0), ("new", -gain)):
        # The search has found something better than what training it again gives: it was chosen.
        trials.append(_trial(len(trials), arm, mean - 1.0, Purpose.SEARCH, None))
        for seed, loss in enumerate(mean + common + np.sqrt(1 - share) * rng.standard_normal(number)):
            trials.append(_trial(len(trials), arm, float(loss), Purpose.RETRAIN, seed))
    return StudyRecord("simulated", spec, tuple(trials))


def _trial(index: int, arm: str, loss: float, purpose: Purpose, seed: int | None) -> TrialRecord:
    return TrialRecord(
        name=f"t-{index}",
        assignment={"variant": arm},
        parameters={"variant": arm},
        state=State.SUCCEEDED,
        value=loss,
        index=index,
        purpose=purpose,
        seed=seed,
    )
