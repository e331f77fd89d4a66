"""Which batch size's throughput to measure next: pure data, for the operator to run (BAT-7, BAT-8).

One after the other, from the smallest: side by side on one device they would slow each other down, and beyond the size
that runs out of memory, or gains nothing any more, there is nothing to find out.
"""

import math
from collections.abc import Sequence
from typing import Final

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.length.batch_size import choose
from tuning_operator.playbook.length.throughput import as_size, batch_size_of, known_throughput
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord
from tuning_operator.playbook.specification.design import is_told_in_epochs
from tuning_operator.playbook.stability.probes import ProbeTrial

PROBE_STEPS: Final = 100
"""An image that measures nothing before it trains, tells its throughput by the evaluations of so many steps."""


def batch_size_parameters(spec: TuningStudySpec) -> list[Hyperparameter]:
    """Return the hyperparameters that are the batch size: of several, each trial has one."""
    return [h for h in spec.hyperparameters if meaning_of(h) is Meaning.BATCH_SIZE]


def depending_on_batch_size(spec: TuningStudySpec) -> list[str]:
    """Return the names of the hyperparameters that exist at some batch sizes alone: at others no trial has them."""
    sizes = {h.name for h in batch_size_parameters(spec)}
    return [h.name for h in spec.hyperparameters if h.when is not None and h.when.name in sizes]


def is_measuring(study: StudyRecord) -> bool:
    """Whether a throughput is being measured, which anything that runs beside it would change."""
    return any(t.purpose is Purpose.BATCH_SIZE_PROBE and t.state is State.RUNNING for t in study.trials)


def next_batch_size_probe(study: StudyRecord, earlier: Sequence[StudyRecord] = ()) -> ProbeTrial | None:
    """Return the probe that should run next; None: none is asked for, another trial runs, or all is known.

    What `earlier` studies have measured is known, too, as long as it holds (BAT-14).

    After a probe that has failed there is none either: larger sizes would fail too, and each failure counts towards
    `budget.maxFailedTrials`. Many images crash where they run out of memory. A probe that was lost is repeated once.
    """
    sizes = study.spec.training.batch_sizes
    if not sizes or depending_on_batch_size(study.spec) or any(t.state is State.RUNNING for t in study.trials):
        return None
    launched = [t for t in study.trials if t.purpose is Purpose.BATCH_SIZE_PROBE]
    table = known_throughput(study, earlier)
    choice = choose(table, study.thresholds)
    if choice.limit_reached or choice.verdict == "Bottleneck" or any(t.state is State.FAILED for t in launched):
        return None
    if sum(trial.state is State.LOST for trial in launched) > 1:
        return None  # What is lost again and again tells nothing, and each loss is a failed trial of the study.
    done = {batch_size_of(study, trial) for trial in launched if trial.state not in (State.LOST, State.STOPPED)}
    known = done | table.keys()
    size = min((size for size in sizes if size not in known), default=None)
    of = _probed_trial(study, launched)
    if size is None or of is None:
        return None
    return ProbeTrial(Purpose.BATCH_SIZE_PROBE, of.name, _parameters(study.spec, of, size), None)


def _probed_trial(study: StudyRecord, launched: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the best trial that has a batch size; where probes ran already, theirs, so that only the size differs."""
    done = [t for t in study.trials if t.purpose is Purpose.SEARCH and t.state is State.SUCCEEDED]
    fit = [t for t in done if batch_size_of(study, t) is not None]
    before = {trial.of for trial in launched}
    return min(fit, key=lambda trial: (trial.name not in before, *_rank(study, trial)), default=None)


def _rank(study: StudyRecord, trial: TrialRecord) -> tuple[bool, float, int]:
    loss = study.loss(trial)
    return bool(trial.violations), math.inf if math.isnan(loss) else loss, trial.index


def _parameters(spec: TuningStudySpec, of: TrialRecord, size: int) -> dict[str, ParameterValue]:
    """Return a trial's parameters with another batch size, and with its length cut as far as a probe needs it."""
    names = {h.parameter_name for h in batch_size_parameters(spec) if h.name in of.assignment}
    changed = {name: _like(of.parameters[name], size) for name in names if name in of.parameters}
    return {**of.parameters, **_shortened(spec, of), **changed}


def _shortened(spec: TuningStudySpec, of: TrialRecord) -> dict[str, ParameterValue]:
    """Return the parameters that are counted in steps, all shortened alike.

    A warm-up that is longer than the training would be refused. What other hyperparameters depend on stays as it is.
    """
    parents = {h.when.name for h in spec.hyperparameters if h.when is not None}
    steps = {
        h.parameter_name: (meaning_of(h), number)
        for h in spec.hyperparameters
        if h.name in of.assignment and _is_in_steps(h) and (number := as_size(of.parameters.get(h.parameter_name)))
    }
    length = max((number for meaning, number in steps.values() if meaning is Meaning.MAX_STEPS), default=0)
    wanted = 1 if is_told_in_epochs(spec) else PROBE_STEPS
    if length <= wanted or any(h.name in parents for h in spec.hyperparameters if _is_in_steps(h)):
        return {}
    return {
        name: _like(of.parameters[name], max(number * wanted // length, int(meaning is Meaning.MAX_STEPS)))
        for name, (meaning, number) in steps.items()
    }


def _is_in_steps(hyperparameter: Hyperparameter) -> bool:
    meaning = meaning_of(hyperparameter)
    is_decay = meaning is Meaning.DECAY and "steps" in hyperparameter.parameter_name.lower()
    return is_decay or meaning in (Meaning.MAX_STEPS, Meaning.WARMUP_STEPS)


def _like(value: ParameterValue, number: int) -> ParameterValue:
    """Return a number as the container is used to it: as a text where the trial has one, and as 64.0 for 32.0."""
    if isinstance(value, str):
        return str(number)
    return float(number) if isinstance(value, float) else number
