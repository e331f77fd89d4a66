"""Which batch size's throughput to measure next: pure data, for the operator to run (BAT-7, BAT-8).

One after the other, from the smallest: side by side on one device they would slow each other down, and beyond the size
that runs out of memory, or gains nothing any more, there is nothing to find out.
"""

from typing import Final

from tuning_operator.api.hyperparameters import Hyperparameter, Meaning
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.length.batch_size import choose
from tuning_operator.playbook.length.throughput import batch_size_of, probed
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import Purpose, State, StudyRecord
from tuning_operator.playbook.stability.probes import ProbeTrial

PROBE_STEPS: Final = 100
"""An image that measures nothing before it trains, tells its throughput by the evaluations of so many steps."""


def batch_size(spec: TuningStudySpec) -> Hyperparameter | None:
    """Return the hyperparameter that is the batch size; None: no trial hears of one."""
    return next((h for h in spec.hyperparameters if meaning_of(h) is Meaning.BATCH_SIZE), None)


def next_batch_size_probe(study: StudyRecord) -> ProbeTrial | None:
    """Return the probe that should run next; None: none is asked for, one runs, or all is known."""
    hyperparameter = batch_size(study.spec)
    launched = [t for t in study.trials if t.purpose is Purpose.BATCH_SIZE_PROBE and t.state is not State.LOST]
    if hyperparameter is None or any(trial.state is State.RUNNING for trial in launched):
        return None
    choice = choose(probed(study), study.thresholds)
    if choice.limit_reached or choice.verdict == "Bottleneck":
        return None
    known = {batch_size_of(study, trial) for trial in launched}
    left = [size for size in sorted(study.spec.training.batch_sizes or ()) if size not in known]
    name = hyperparameter.parameter_name
    done = (t for t in study.trials if t.purpose is Purpose.SEARCH and t.state is State.SUCCEEDED)
    of = next((trial for trial in done if name in trial.parameters), None)
    if not left or of is None:
        return None
    return ProbeTrial(Purpose.BATCH_SIZE_PROBE, of.name, {**of.parameters, name: left[0]}, PROBE_STEPS)
