"""Whether a trial keeps to its study's constraints, from its curve: for trials that no operator has judged."""

import math

from tuning_contract.curve import Curve as WrittenCurve
from tuning_contract.curve import Row, values_of
from tuning_operator.api.study import Constraint, ObjectiveAt, TuningStudySpec
from tuning_operator.playbook.records import Curve


def violations_of(spec: TuningStudySpec, curve: Curve) -> tuple[str, ...]:
    """Return the metrics of the constraints that a curve shows to be violated; `unmeasured` has those not known."""
    known = [(c, constrained_value(spec, c, curve)) for c in spec.objective.constraints or ()]
    return tuple(c.metric for c, value in known if value is not None and not c.holds(value))


def unmeasured(spec: TuningStudySpec, curve: Curve) -> tuple[str, ...]:
    """Return the metrics of the constraints of which nobody can say whether they are kept to."""
    return tuple(c.metric for c in spec.objective.constraints or () if constrained_value(spec, c, curve) is None)


def constrained_value(spec: TuningStudySpec, constraint: Constraint, curve: Curve) -> float | None:
    """Return a constraint's metric at the evaluation that counts; None where it was not measured there, or is NaN."""
    objective = spec.objective
    written = _written(curve, objective.metric, constraint.metric)
    values = values_of(written, constraint.metric, objective.direction.value)
    value = {
        ObjectiveAt.BEST: values.best,
        ObjectiveAt.LAST: values.last,
        ObjectiveAt.LATE_MEDIAN: values.late_median,
    }[constraint.at or objective.at]
    return None if value is None or math.isnan(value) else value


def _written(curve: Curve, objective: str, metric: str) -> WrittenCurve:
    missing = (math.nan,) * len(curve)
    columns = [curve.values.get(name, missing) for name in (objective, metric)]
    return WrittenCurve(
        (objective, metric),
        tuple(
            Row(step, (loss, None if math.isnan(value) else value))
            for step, loss, value in zip(curve.steps, *columns, strict=True)
        ),
    )
