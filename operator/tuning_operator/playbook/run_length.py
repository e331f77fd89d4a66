"""How many steps a trial trains."""

from tuning_operator.api.hyperparameters import Meaning, Role
from tuning_operator.api.procedure import TrainingUnit
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.search.space import fixed_value


def run_length(study: StudyRecord, trial: TrialRecord) -> int | None:
    """Return the steps that the trial was to train: as it says, else as the study says, else as far as its curve goes.

    Never fewer than the curve has, for a parameter such as `epochs` counts something else. None where nothing is known.
    """
    told = trial.max_steps
    if told is None and study.spec.training.unit is TrainingUnit.STEPS:
        told = study.spec.training.max_steps or _as_steps(
            next(
                (
                    v
                    for h in study.spec.hyperparameters
                    if meaning_of(h) is Meaning.MAX_STEPS and (v := trial.assignment.get(h.name)) is not None
                ),
                None,
            )
        )
    seen = trial.curve.steps[-1] if trial.curve.steps else None
    return max((n for n in (told, seen) if n is not None), default=None)


def planned_length(spec: TuningStudySpec) -> int | None:
    """Return the steps that a study's trials train, where its manifest says it; None: it does not, or in epochs."""
    if spec.training.unit is not TrainingUnit.STEPS:
        return None
    if spec.training.max_steps is not None:
        return spec.training.max_steps
    fixed = (h for h in spec.hyperparameters if h.role is Role.FIXED and meaning_of(h) is Meaning.MAX_STEPS)
    return next((n for h in fixed if (n := _as_steps(fixed_value(h))) is not None), None)


def study_length(study: StudyRecord) -> int | None:
    """Return the steps of a study's trials: as planned, else of the longest trial; None where nothing is known."""
    longest = max((n for t in study.trials if (n := run_length(study, t)) is not None), default=None)
    return planned_length(study.spec) or longest


def _as_steps(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
        return None
    return int(value)
