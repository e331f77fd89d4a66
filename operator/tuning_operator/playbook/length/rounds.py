"""Rounds of growing length: what a longer round takes over from a shorter one (K21).

Source: Deep Learning Tuning Playbook, "Deciding how long to train when training is compute-bound"; K21.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Meaning
from tuning_operator.api.procedure import ScheduleFamily
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import whole
from tuning_operator.playbook.length.carry_over import (
    LOW_RATE,
    Phases,
    carried_over,
    low_share_planned,
    low_share_seen,
    phases_of,
)
from tuning_operator.playbook.length.transfer import RULES, overlap, rank_agreement, transfer_of
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.run_length import study_length
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds
from tuning_operator.search.space import is_searched

FIRST_ROUND: Final = Threshold(
    "firstRoundShare", 0.1, Origin.TEXT, "The first round is this share of the production run", high=1.0
)
SHORT_ROUND: Final = Threshold(
    "shortRoundShare", 0.2, Origin.TEXT, "Learning rates chosen in shorter rounds only are myopic", high=1.0
)
MORE_LOW_RATE: Final = Threshold(
    "moreLowRate", 0.1, Origin.DEFAULT, "A longer round may spend this share of its steps more at a low rate", high=1.0
)
STRETCHED: Final = Threshold(
    "decayStretched", 2.0, Origin.DEFAULT, "A linear decay more than so many times as long is stretched", low=1.0
)
OVERLAP: Final = Threshold(
    "overlapTrials", 5, Origin.DEFAULT, "So many configurations must be in both rounds to compare their ranks", low=2.0
)
AGREEMENT: Final = Threshold(
    "rankAgreement",
    0.7,
    Origin.DEFAULT,
    "With a smaller rank correlation short rounds do not tell of long ones",
    high=1.0,
)
USUAL_ROUNDS: Final = 2
"""From the text (CMP-7)."""


def round_lengths(production_steps: int, rounds: int = USUAL_ROUNDS, thresholds: Thresholds = DEFAULTS) -> list[int]:
    """Return the length of each round, ascending: from a tenth of the production run to all of it (CMP-3, RD2-6).

    Rounds between grow geometrically. With one round it is the production run.
    """
    if rounds < 2:
        return [production_steps]
    lengths = np.geomspace(thresholds[FIRST_ROUND] * production_steps, production_steps, rounds)
    return [max(1, round(length)) for length in lengths]


def next_length(production_steps: int, steps: int, rounds: int = USUAL_ROUNDS) -> int | None:
    """Return the length of the round after one of that many steps; None: it was the production run."""
    return next((length for length in round_lengths(production_steps, rounds) if length > 1.5 * steps), None) or (
        production_steps if steps < production_steps else None
    )


def check(study: StudyRecord, earlier: Sequence[StudyRecord] = ()) -> list[Finding]:
    """Return what the next, longer round takes over, and whether this one took over well from a shorter one (K21).

    Args:
        study: The study.
        earlier: The studies before it, oldest first; compared with is the newest that was shorter.
    """
    steps = study_length(study)
    if steps is None:
        message = "What longer runs take over is not known: the length of a trial is not."
        return [unknown(study, Code.SCHEDULE_CARRY_OVER, "CMP-8", message, action="Set training.maxSteps.")]
    shorter = next((s for s in reversed(earlier) if (n := study_length(s)) is not None and n < steps), None)
    production = study.spec.training.production_steps
    coming = None
    if production is not None:
        coming = next_length(production, steps, study.spec.training.rounds or USUAL_ROUNDS)
    found: list[Finding] = []
    if coming is not None and production is not None:
        found += [_planned(study, steps, coming, production), *_transfers(study, steps, production)]
    if shorter is not None:
        found += [*_low_rates(study, shorter, steps), *_decay(study, shorter, steps), _ranks(study, shorter)]
    if not found:
        message = f"No longer round is planned after {steps} steps (training.productionSteps), and none was shorter."
        found = [passed(study, Code.SCHEDULE_CARRY_OVER, "CMP-1", message)]
    return found


def _planned(study: StudyRecord, steps: int, coming: int, production: int) -> Finding:
    phases = phases_of(study.spec.training.schedule, steps)
    if phases is None:
        message = f"How the schedule goes over to {coming} steps is not known: its family is not."
        action = "Set training.schedule.family, and decaySteps where the decay is not the whole run."
        return unknown(study, Code.SCHEDULE_CARRY_OVER, "CMP-8", message, action=action)
    longer = carried_over(phases, coming)
    notes = ["That extra steps should extend the phase of the high rate is speculative advice."]
    if phases.family not in (ScheduleFamily.CONSTANT, ScheduleFamily.LINEAR, ScheduleFamily.COSINE):
        notes.append(f"For {phases.family} the text has no advice: check how much of the run is at a low rate.")
    return answer(
        study,
        Code.SCHEDULE_CARRY_OVER,
        "Planned",
        Severity.INFO,
        "RD2-4" if phases.family is ScheduleFamily.COSINE else "RD2-3",
        f"After {steps} steps, the next round trains {coming}: warm-up {longer.warmup}, constant {longer.constant}, "
        f"decay {longer.decay} steps.",
        action="Run the best configurations of this round with that schedule and the same base learning rate.",
        numbers=_numbers(longer) | {"steps": steps, "nextSteps": coming, "productionSteps": production},
        thresholds=(FIRST_ROUND,),
        notes=notes,
    )


def _transfers(study: StudyRecord, steps: int, production: int) -> list[Finding]:
    """Return, for each hyperparameter that was searched, what may be carried over to the long run (RD1-2 to RD1-5)."""
    found = []
    is_short = steps < study.thresholds[SHORT_ROUND] * production
    seen: set[str] = set()
    for hyperparameter in study.spec.hyperparameters:
        name = hyperparameter.parameter_name
        if not is_searched(hyperparameter) or meaning_of(hyperparameter) is Meaning.MAX_STEPS or name in seen:
            continue
        seen.add(name)
        label = transfer_of(hyperparameter)
        myopic = is_short and meaning_of(hyperparameter) is Meaning.LEARNING_RATE  # RD1-6
        found.append(
            answer(
                study,
                Code.SCHEDULE_CARRY_OVER,
                "Transfer",
                Severity.INFO,
                RULES[label],
                f"From {steps} to {production} steps, {name}: {label}.",
                action="A learning rate chosen in short runs alone is myopic: try others in the long run."
                if myopic
                else "",
                parameter=name,
                thresholds=(SHORT_ROUND,) if myopic else (),
                notes=[label.value],
            )
        )
    return found


def _low_rates(study: StudyRecord, shorter: StudyRecord, steps: int) -> list[Finding]:
    """See whether the longer round spends its extra steps at a low rate (CMP-9)."""
    before, after = _low_share(shorter, study_length(shorter) or 0), _low_share(study, steps)
    if before is None or after is None:
        message = "How much of the longer round is at a low learning rate is not known."
        action = "Export learning_rate at every evaluation, or set training.schedule.family."
        return [unknown(study, Code.SCHEDULE_CARRY_OVER, "CMP-9", message, action=action)]
    where: dict[str, Any] = {
        "numbers": {"lowShareBefore": before, "lowShare": after},
        "thresholds": (LOW_RATE, MORE_LOW_RATE),
    }
    if after - before <= study.thresholds[MORE_LOW_RATE]:
        message = (
            f"The longer round spends {after:.0%} of its steps at a low learning rate, {shorter.name} {before:.0%}."
        )
        return [passed(study, Code.SCHEDULE_CARRY_OVER, "CMP-9", message, **where)]
    return [
        answer(
            study,
            Code.SCHEDULE_CARRY_OVER,
            "TooMuchLowRate",
            Severity.WARN,
            "CMP-9",
            f"The longer round spends {after:.0%} of its steps at a low learning rate, {shorter.name} {before:.0%}: "
            "its extra steps are wasted.",
            action="Extend the phase of the high rate instead of the end of the decay.",
            **where,
        )
    ]


def _low_share(study: StudyRecord, steps: int) -> float | None:
    """Return the share of low rates: by the curves of the trials, else by the schedule."""
    seen = [share for t in whole(study).feasible if (share := low_share_seen(t, study.thresholds)) is not None]
    if seen:
        return float(np.median(seen))
    phases = phases_of(study.spec.training.schedule, steps)
    return None if phases is None else low_share_planned(phases, study.thresholds)


def _decay(study: StudyRecord, shorter: StudyRecord, steps: int) -> list[Finding]:
    """See whether a linear decay was stretched with the run (RD2-3); nothing for other families."""
    before = phases_of(shorter.spec.training.schedule, study_length(shorter) or 0)
    after = phases_of(study.spec.training.schedule, steps)
    if before is None or after is None or {before.family, after.family} != {ScheduleFamily.LINEAR}:
        return []
    numbers = {"decayStepsBefore": before.decay, "decaySteps": after.decay}
    if after.decay <= study.thresholds[STRETCHED] * before.decay:
        message = f"The decay takes {after.decay} steps, {before.decay} in {shorter.name}."
        return [passed(study, Code.SCHEDULE_CARRY_OVER, "RD2-3", message, numbers=numbers, thresholds=(STRETCHED,))]
    return [
        answer(
            study,
            Code.SCHEDULE_CARRY_OVER,
            "DecayStretched",
            Severity.WARN,
            "RD2-3",
            f"The decay was stretched with the run, from {before.decay} to {after.decay} steps.",
            action=f"Decay over {before.decay} steps, as in {shorter.name}, and keep the rate constant for longer.",
            numbers=numbers,
            thresholds=(STRETCHED,),
            notes=["That extra steps should extend the phase of the high rate is speculative advice."],
        )
    ]


def _ranks(study: StudyRecord, shorter: StudyRecord) -> Finding:
    """See whether configurations that both rounds have tried come in the same order (CMP-6)."""
    pairs = overlap(shorter, study)
    agreement = rank_agreement([a for a, _ in pairs], [b for _, b in pairs])
    where: dict[str, Any] = {
        "numbers": {"overlap": len(pairs), "rankCorrelation": math.nan if agreement is None else agreement},
        "thresholds": (OVERLAP, AGREEMENT),
    }
    if len(pairs) < study.thresholds[OVERLAP] or agreement is None:
        message = (
            f"Whether {shorter.name} tells of the longer round is not known: {len(pairs)} configurations are in both."
        )
        action = f"Run {study.thresholds[OVERLAP]:g} configurations of the shorter round again, good and bad ones."
        return unknown(study, Code.SCHEDULE_CARRY_OVER, "CMP-6", message, action=action, **where)
    if agreement >= study.thresholds[AGREEMENT]:
        message = f"The order of {len(pairs)} configurations is much the same as in {shorter.name}."
        return passed(study, Code.SCHEDULE_CARRY_OVER, "CMP-6", message, **where)
    return answer(
        study,
        Code.SCHEDULE_CARRY_OVER,
        "NotTransferred",
        Severity.WARN,
        "CMP-6",
        f"The order of {len(pairs)} configurations is another one than in {shorter.name}: rank correlation "
        f"{agreement:.2f}.",
        action=f"Do not rely on what {shorter.name} concluded: tune again in the longer round.",
        **where,
    )


def _numbers(phases: Phases) -> dict[str, float]:
    return {"warmupSteps": phases.warmup, "constantSteps": phases.constant, "decaySteps": phases.decay}
