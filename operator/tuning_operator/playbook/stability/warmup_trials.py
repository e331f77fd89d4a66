"""The trials with which warm-ups were tried, and which of them survived."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning
from tuning_operator.playbook.arms import Arm, arm_key, arms, is_infeasible
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import State, StudyRecord, TrialRecord
from tuning_operator.playbook.run_length import run_length, study_length
from tuning_operator.playbook.stability.rates import is_out_of_memory, learning_rates, rate_of
from tuning_operator.playbook.stability.trial_rise import rise_of
from tuning_operator.playbook.stability.unstable import stabilities
from tuning_operator.search.space import is_searched

RAMP_AND_PLATEAU = 3
"""Times the warm-up: the ramp, and a plateau twice as long; a run often collapses late in the ramp (figure 6)."""
ROUNDING = 0.99


@dataclass(frozen=True)
class Attempt:
    """One trial with a warm-up."""

    trial: TrialRecord
    warmup_steps: int
    rate: float
    survived: bool


@dataclass(frozen=True)
class Tried:
    """The attempts under the same scientific values, those of the warm-up itself left out."""

    scientific: Mapping[str, ParameterValue]
    parameter: str
    """The warm-up's."""
    attempts: tuple[Attempt, ...]
    unstable_rate: float | None
    """At which training is unstable without; None: not known."""
    max_steps: int | None
    """Of a run without the warm-up."""

    def survived(self, least_rate: float) -> dict[int, bool]:
        """Return, for each length tried at that learning rate or a higher one, whether a trial survived."""
        outcomes: dict[int, bool] = {}
        for attempt in self.attempts:
            if attempt.rate >= ROUNDING * least_rate:
                outcomes[attempt.warmup_steps] = outcomes.get(attempt.warmup_steps, False) or attempt.survived
        return outcomes

    def survivors(self, warmup_steps: int, least_rate: float) -> list[Attempt]:
        """Return the attempts of one length that survived, that with the highest rate first."""
        found = [a for a in self.attempts if a.survived and a.warmup_steps == warmup_steps]
        return sorted((a for a in found if a.rate >= ROUNDING * least_rate), key=lambda a: -a.rate)


def tried_of(study: StudyRecord, earlier: Sequence[StudyRecord]) -> list[Tried] | None:
    """Return the attempts of a study that searches or compares warm-ups; None where it does not."""
    warmup = next((h for h in study.spec.hyperparameters if is_searched(h) and _is_warmup(h)), None)
    if warmup is None:
        return None
    groups: dict[str, list[Arm]] = {}
    for arm in arms(study):
        groups.setdefault(arm_key(_without(arm.scientific, warmup)), []).append(arm)
    return [_group(study, earlier, warmup, members) for members in groups.values()]


def _group(study: StudyRecord, earlier: Sequence[StudyRecord], warmup: Hyperparameter, members: Sequence[Arm]) -> Tried:
    scientific = _without(members[0].scientific, warmup)
    found = (_attempt(study, warmup, arm, trial) for arm in members for trial in arm.trials)
    before = next(
        (
            (finding.evidence.numbers["baseLearningRate"], other)
            for other in reversed(earlier)
            if (stability := stabilities(other).get(arm_key(scientific))) is not None
            and (finding := stability.instability or stability.suspicion) is not None
        ),
        None,
    )
    unstable_rate, without = before or (None, study)
    attempts = tuple(a for a in found if a is not None)
    return Tried(scientific, warmup.parameter_name, attempts, unstable_rate, study_length(without))


def _attempt(study: StudyRecord, warmup: Hyperparameter, arm: Arm, trial: TrialRecord) -> Attempt | None:
    """Return what became of a trial with a warm-up; None: it has none, or was not followed far enough."""
    rate = next((r for h in learning_rates(arm) if (r := rate_of(h, trial)) is not None), None)
    steps = _warmup_steps(study, warmup, trial)
    if rate is None or steps is None or trial.state in (State.FAILED, State.LOST) or is_out_of_memory(trial):
        return None
    end = RAMP_AND_PLATEAU * steps
    rise = rise_of(study, trial)
    if is_infeasible(study, trial) or (rise is not None and rise.step <= end):
        return Attempt(trial, steps, rate, survived=False)
    if not trial.curve.steps or trial.curve.steps[-1] < end:
        return None
    return Attempt(trial, steps, rate, survived=True)


def _warmup_steps(study: StudyRecord, warmup: Hyperparameter, trial: TrialRecord) -> int | None:
    value = trial.assignment.get(warmup.name)
    if isinstance(value, bool | str) or value is None or value <= 0:
        return None
    if meaning_of(warmup) is Meaning.WARMUP_STEPS:
        return int(value)
    length = run_length(study, trial)
    return None if length is None else max(1, round(value * length))


def _is_warmup(hyperparameter: Hyperparameter) -> bool:
    return meaning_of(hyperparameter) in (Meaning.WARMUP_STEPS, Meaning.WARMUP_FRACTION)


def _without(scientific: Mapping[str, ParameterValue], warmup: Hyperparameter) -> dict[str, ParameterValue]:
    return {name: value for name, value in scientific.items() if name != warmup.parameter_name}
