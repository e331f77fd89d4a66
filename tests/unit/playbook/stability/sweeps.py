"""Sweeps of the learning rate, as the tests of instability need them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.support.studies import LEARNING_RATE, spec_of, trial_of
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.records import Purpose, State, TrialRecord

SMOOTH: Sequence[float] = tuple(np.geomspace(10, 2.3, 40))
"""A training loss that goes well."""
BREAKS: Sequence[float] = (*np.geomspace(10, 2.3, 10), *[4.1] * 30)
"""One that rises after a tenth of the run."""
EVERY_1000 = tuple(range(1000, 40_001, 1000))


def sweep_spec(*more: Mapping[str, Any], **fields: Any) -> TuningStudySpec:
    """Return a study of the learning rate that trains 40,000 steps, evaluated every 1,000."""
    training = {"maxSteps": 40_000, "evaluateEverySteps": 1000} | fields.pop("training", {})
    return spec_of([LEARNING_RATE, *more], training=training, **fields)


def good(
    spec: TuningStudySpec, number: int, rate: float, value: float, train: Sequence[float] = SMOOTH, **fields: Any
) -> TrialRecord:
    """Return a trial with a result."""
    parameters = {"learning_rate": rate, **fields.pop("parameters", {})}
    steps = fields.pop("steps", EVERY_1000[: len(train)])
    return trial_of(spec, number, parameters, value, train=train, steps=steps, **fields)


def bad(
    spec: TuningStudySpec, number: int, rate: float, train: Sequence[float] | None = None, **fields: Any
) -> TrialRecord:
    """Return a trial that diverged."""
    parameters = {"learning_rate": rate, **fields.pop("parameters", {})}
    steps = fields.pop("steps", None if train is None else EVERY_1000[: len(train)])
    return trial_of(spec, number, parameters, state=State.INFEASIBLE, train=train, steps=steps, **fields)


def probe(spec: TuningStudySpec, number: int, rate: float, train: Sequence[float], **fields: Any) -> TrialRecord:
    """Return a probe for instability that ran to its end."""
    return good(spec, number, rate, 1.0, train, purpose=fields.pop("purpose", Purpose.INSTABILITY_PROBE), **fields)


def figure_7a(spec: TuningStudySpec, **fields: Any) -> list[TrialRecord]:
    """Return figure 7a's grid of ten rates: best at 4.1e-3, one usable above, infeasible from 1.5e-2."""
    usable = [1.6e-4, 3.1e-4, 5.9e-4, 1.1e-3, 2.1e-3, 4.1e-3, 7.8e-3]
    values = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.45]
    trials = [good(spec, n, rate, value, **fields) for n, (rate, value) in enumerate(zip(usable, values, strict=True))]
    return trials + [bad(spec, 7 + n, rate, **fields) for n, rate in enumerate([1.5e-2, 2.9e-2, 5.5e-2])]
