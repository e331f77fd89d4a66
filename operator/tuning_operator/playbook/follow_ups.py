"""Trials that a study runs after its search, because the Playbook asks for them: retrains and probes."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import count
from typing import Final

from tuning_contract.environment import ParameterValue
from tuning_operator.api.findings import AdoptionDecision, Conclusion, Finding
from tuning_operator.api.hyperparameters import Meaning
from tuning_operator.playbook.assignment import resolve
from tuning_operator.playbook.comparison.outcome import Outcome
from tuning_operator.playbook.comparison.retrains import retrain_plan
from tuning_operator.playbook.length.batch_size_probes import is_measuring, next_batch_size_probe
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import Purpose, StudyRecord
from tuning_operator.playbook.stability.probes import ProbeTrial, probes
from tuning_operator.search.seeds import derived_seed
from tuning_operator.search.space import Assignment


@dataclass(frozen=True)
class FollowUp:
    """One more trial of a study."""

    purpose: Purpose
    number: int
    """Its number among the study's trials of this purpose, from 0."""
    of: str
    """The trial that it repeats or probes."""
    assignment: Assignment
    parameters: Mapping[str, ParameterValue]
    """What the container is to receive."""
    seed: int
    """The root of its randomness, in [0, 2**31)."""


def follow_ups(
    study: StudyRecord,
    findings: Sequence[Finding],
    outcome: Outcome,
    conclusion: Conclusion,
    earlier: Sequence[StudyRecord] = (),
) -> tuple[FollowUp, ...]:
    """Return the trials that should still run, probes before retrains: an unstable winner is none.

    The probes of batch sizes come between: they say nothing about a winner, and the next study shall have them. While
    one of them runs, nothing else is asked for: it would slow the probe down.

    What runs already is not asked for again. `budget.maxProbes` and `budget.maxRetrains` bound them.

    Args:
        study: The study, its search being over.
        findings: Of all rules.
        outcome: Which arm is best.
        conclusion: Retrains decide on what may be concluded; of what is blocked there is nothing to decide.
        earlier: The studies before it, oldest first: a throughput that they have measured is measured again only
            where it does not hold any more.
    """
    if is_measuring(study):
        return ()
    wanted = _probes(study, findings) or _batch_size_probes(study, earlier)
    if not wanted and conclusion.decision is AdoptionDecision.NEED_RETRAINS:
        return _retrains(study, outcome)
    return wanted


PROBES: Final = (Purpose.INSTABILITY_PROBE, Purpose.HIDDEN_INSTABILITY_PROBE)


def _probes(study: StudyRecord, findings: Sequence[Finding]) -> tuple[FollowUp, ...]:
    numbers = {trial.index for trial in study.trials if trial.purpose in PROBES}
    wanted = [probe for finding in findings for probe in probes(study, finding)]
    left = max(study.spec.budget.max_probes - len(numbers), 0)
    return tuple(_probe(study, probe, number) for probe, number in zip(wanted[:left], _unused(numbers), strict=False))


def _batch_size_probes(study: StudyRecord, earlier: Sequence[StudyRecord]) -> tuple[FollowUp, ...]:
    """The study's author has named the sizes, so `budget.maxProbes` does not count them."""
    probe = next_batch_size_probe(study, earlier)
    numbers = {trial.index for trial in study.trials if trial.purpose is Purpose.BATCH_SIZE_PROBE}
    return () if probe is None else (_probe(study, probe, next(_unused(numbers))),)


def _retrains(study: StudyRecord, outcome: Outcome) -> tuple[FollowUp, ...]:
    numbers = {trial.index for trial in study.trials if trial.purpose is Purpose.RETRAIN}
    return tuple(
        FollowUp(
            Purpose.RETRAIN, number, plan.of, resolve(study.spec, plan.parameters), dict(plan.parameters), plan.seed
        )
        for plan, number in zip(retrain_plan(study, outcome), _unused(numbers), strict=False)
    )


def _unused(numbers: Set[int]) -> Iterator[int]:
    """Yield numbers that no trial has: of two that were created side by side, the later one may alone be there."""
    return (number for number in count() if number not in numbers)


def _probe(study: StudyRecord, probe: ProbeTrial, number: int) -> FollowUp:
    parameters = _shortened(study, probe)
    assignment = resolve(study.spec, parameters)
    seed = derived_seed(study.spec.search.seed, probe.of, number, "probe") % 2**31
    return FollowUp(probe.purpose, number, probe.of, assignment, parameters, seed)


def _shortened(study: StudyRecord, probe: ProbeTrial) -> dict[str, ParameterValue]:
    parameters = dict(probe.parameters)
    if probe.max_steps is None:
        return parameters
    lengths = [h.parameter_name for h in study.spec.hyperparameters if meaning_of(h) is Meaning.MAX_STEPS]
    for name in lengths:
        length = parameters.get(name)
        # Never raised: where it counts epochs, it is small.
        if isinstance(length, int | float) and not isinstance(length, bool):
            parameters[name] = min(probe.max_steps, length)
    return parameters
