"""Which trials would tell whether training is unstable: pure data, for the operator to run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tuning_contract.diagnostics import DENSE_STEPS
from tuning_contract.environment import ParameterValue
from tuning_operator.api.findings import Code, Finding
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning
from tuning_operator.playbook.arms import Arm, arm_key, arms, is_lost
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import Purpose, StudyRecord, TrialRecord
from tuning_operator.playbook.run_length import run_length
from tuning_operator.playbook.stability.rates import belongs_to, learning_rates, rate_of

INSTABILITY_RATIOS: Final = (5.0, 10.0)
"""Of the best rate, from the text (WRM-2)."""
HIDDEN_RATIO: Final = 2.0
"""Of the best rate, from the text (UNS-9)."""
SAME_RATE: Final = 0.01
"""A rate within this share of another was probed with it."""


@dataclass(frozen=True)
class ProbeTrial:
    """A trial to run beside the search: the best one of an arm, at a higher learning rate."""

    purpose: Purpose
    of: str
    """The trial whose parameters it takes."""
    parameters: Mapping[str, ParameterValue]
    """What its container receives."""
    max_steps: int | None
    """How many steps to train at most; None: as long as the trial that it probes."""


def probes(study: StudyRecord, finding: Finding) -> tuple[ProbeTrial, ...]:
    """Return the trials that a finding of instability asks for: none where it asks for none, or where they have run.

    For `Suspected` the best trial of the arm at 5 and at 10 times its rate (WRM-2), as long as itself; for `NotProbed`
    at twice its rate for 500 steps (UNS-9), or as long as itself where its warm-up and its decay do not fit in. A rate
    above the hyperparameter's `hardHigh` is left out. All of them are to report the training loss of every early step.
    """
    if finding.code is not Code.INSTABILITY or finding.verdict not in ("Suspected", "NotProbed"):
        return ()
    found = _arm_and_rate(study, finding)
    if found is None:
        return ()
    arm, learning_rate = found
    best = next((t for t in arm.feasible if rate_of(learning_rate, t) is not None), None)
    if best is None:
        return ()
    if finding.verdict == "NotProbed":
        length = _hidden_length(study, best)
        return _at(arm, learning_rate, best, Purpose.HIDDEN_INSTABILITY_PROBE, (HIDDEN_RATIO,), length)
    return _at(arm, learning_rate, best, Purpose.INSTABILITY_PROBE, INSTABILITY_RATIOS, None)


def _hidden_length(study: StudyRecord, best: TrialRecord) -> int | None:
    length = min(DENSE_STEPS, run_length(study, best) or DENSE_STEPS)
    meanings = {h.parameter_name: meaning_of(h) for h in study.spec.hyperparameters}
    # Of what says how the rate decays, whole numbers are steps.
    scheduled = sum(
        value
        for name, value in best.parameters.items()
        if meanings.get(name) in (Meaning.WARMUP_STEPS, Meaning.DECAY)
        and isinstance(value, int)
        and not isinstance(value, bool)
    )
    return length if scheduled < length else None


def _arm_and_rate(study: StudyRecord, finding: Finding) -> tuple[Arm, Hyperparameter] | None:
    key = arm_key(finding.scientific)
    for arm in arms(study):
        for learning_rate in learning_rates(arm):
            if arm_key(arm.scientific) == key and learning_rate.parameter_name == finding.parameter:
                return arm, learning_rate
    return None


def _at(
    arm: Arm,
    learning_rate: Hyperparameter,
    best: TrialRecord,
    purpose: Purpose,
    ratios: Sequence[float],
    max_steps: int | None,
) -> tuple[ProbeTrial, ...]:
    base = rate_of(learning_rate, best) or 0.0
    # Of running probes too: what was started is not asked for again.
    launched = [t for t in arm.study.trials if t.purpose is purpose and belongs_to(arm, t) and not is_lost(t)]
    ran = [rate for t in launched if (rate := rate_of(learning_rate, t)) is not None]
    rates = [ratio * base for ratio in ratios]
    wanted = [
        rate
        for rate in rates
        if (learning_rate.hard_high is None or rate <= learning_rate.hard_high)
        and not any(abs(rate - other) <= SAME_RATE * rate for other in ran)
    ]
    name = learning_rate.parameter_name
    return tuple(ProbeTrial(purpose, best.name, {**best.parameters, name: rate}, max_steps) for rate in wanted)
