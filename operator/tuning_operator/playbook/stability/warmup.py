"""Learning-rate warm-up: which to try where training is unstable, and which one was found (K14).

The aim is the shortest warm-up that gives access to rates well above the one at which training is unstable without.

Source: Deep Learning Tuning Playbook, "How can optimization failures be debugged and mitigated?"; K14.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import Arm, arms
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.run_length import study_length
from tuning_operator.playbook.specification.training import WARMUP_SHARE as LONGEST
from tuning_operator.playbook.stability.unstable import Stability, stabilities, stability_of
from tuning_operator.playbook.stability.warmup_trials import Tried, tried_of
from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

BASE_RATIO: Final = Threshold(
    "warmupBaseRatio",
    10.0,
    Origin.TEXT,
    "The base rate to warm up to, in times of the unstable one; then its square",
    low=1.0,
)
REACH: Final = Threshold(
    "warmupReach",
    3.0,
    Origin.DEFAULT,
    "A warm-up has helped where training survives at this many times the rate that is unstable without",
    low=1.0,
)
RAISE_STEPS: Final = Threshold(
    "warmupRaiseSteps", 0.05, Origin.TEXT, "Where one longer than this share is needed, a longer run is", high=1.0
)
LISTED: Final = (10, 1_000, 10_000, 100_000)
"""Steps of warm-up to try, from the text (WRM-7)."""
LEAST_CANDIDATES: Final = 3
ROOM: Final = 3
"""Times the text's shortest: where no more is allowed, the candidates begin at one step."""
POST_WARMUP: Final = 2
"""Times the warm-up: how long the rate then stays constant, from the text (WRM-6)."""


@dataclass(frozen=True)
class WarmupPlan:
    """Which warm-ups to try: the rate rises from 0 to a base rate, and stays there for `POST_WARMUP` times as long."""

    base_rates: tuple[float, float]
    """The second one if the first can be trained with."""
    warmup_steps: tuple[int, ...]
    """Ascending; empty: none fits."""


@dataclass(frozen=True)
class Choice:
    """What came of it."""

    verdict: str
    """Found, RaiseSteps or Insufficient."""
    warmup_steps: int | None = None
    """The shortest that survives."""
    total_steps: int | None = None
    """Of the run with the warm-up before the old schedule (WRM-8)."""


def plan(unstable_rate: float, max_steps: int, shorter: int = 0, thresholds: Thresholds = DEFAULTS) -> WarmupPlan:
    """Return the warm-ups to try.

    Args:
        unstable_rate: The learning rate at which training is unstable (WRM-3).
        max_steps: How long a run is without the warm-up.
        shorter: A warm-up that is there already and does not help: only longer ones are planned.
        thresholds: The study's.
    """
    ratio = thresholds[BASE_RATIO]
    rates = (ratio * unstable_rate, ratio**2 * unstable_rate)  # WRM-4
    return WarmupPlan(rates, candidates(max_steps, shorter, thresholds))


def candidates(max_steps: int, shorter: int = 0, thresholds: Thresholds = DEFAULTS) -> tuple[int, ...]:
    """Return the lengths of warm-up to try: those of the text that fit, filled up to three (WRM-7).

    The text's list suits long runs and skips a hundred; so where fewer than three fit, there are three at equal ratios
    up to the longest that is allowed, or, between the text's own, the geometric middle of the widest gap.
    """
    longest = math.floor(thresholds[LONGEST] * max_steps)
    if longest <= shorter:
        return ()
    listed = [steps for steps in LISTED if shorter < steps <= longest]
    if len(listed) >= LEAST_CANDIDATES:
        return tuple(listed)
    if shorter:
        spaced = np.geomspace(shorter, longest, LEAST_CANDIDATES + 1)[1:]
    elif longest <= ROOM * LISTED[0]:
        spaced = np.geomspace(1, longest, LEAST_CANDIDATES)
    else:
        ends = sorted({*listed, longest})
        low, high = max(pairwise(ends), key=lambda gap: gap[1] / gap[0])
        spaced = np.asarray([*ends, *([math.sqrt(low * high)] if len(ends) < LEAST_CANDIDATES else [])])
    return tuple(sorted({round(steps) for steps in spaced}))


def choose(survived: Mapping[int, bool], max_steps: int, thresholds: Thresholds = DEFAULTS) -> Choice:
    """Return the shortest warm-up that survived (WRM-6).

    Args:
        survived: For each length of warm-up that was tried at a base rate well above the unstable one, whether a run
            survived ramp and plateau. What is longer than a tenth of the run does not count.
        max_steps: How long a run is without the warm-up.
        thresholds: The study's.
    """
    longest = thresholds[LONGEST] * max_steps
    survivors = sorted(steps for steps, lives in survived.items() if lives and 0 < steps <= longest)
    if not survivors:
        return Choice("Insufficient")
    needs_more = survivors[0] > thresholds[RAISE_STEPS] * max_steps  # WRM-9
    return Choice("RaiseSteps" if needs_more else "Found", survivors[0], max_steps + survivors[0])


def check(study: StudyRecord, earlier: Sequence[StudyRecord] = ()) -> list[Finding]:
    """Return which warm-up to try, or which one was found; for each arm (K14).

    Args:
        study: The study. Where it searches or compares warm-ups, it is judged by them; else by its instability.
        earlier: The studies before it, oldest first: the newest that was unstable tells the rate from which on the
            warm-up must help.
    """
    tried = tried_of(study, earlier)
    if tried is not None:
        return [_found(study, group) for group in tried]
    found = stabilities(study)
    return [_planned(study, arm, stability_of(found, arm)) for arm in arms(study)]


def _planned(study: StudyRecord, arm: Arm, stability: Stability) -> Finding:
    """Plan a warm-up where training is unstable."""
    where: dict[str, Any] = {"scientific": arm.scientific}
    cause = stability.instability
    notes: list[str] = []
    if cause is None and stability.suspicion is not None and not study.spec.budget.max_probes:
        cause, notes = stability.suspicion, ["Not confirmed: the study allows no probes (budget.maxProbes)."]
    if cause is None:
        open_question = stability.suspicion or stability.not_known
        if open_question is None:
            return passed(study, Code.WARMUP, "WRM-1", "No warm-up is needed: training is stable.", **where)
        message = "Whether a warm-up is needed is not known: whether training is unstable is not."
        return unknown(study, Code.WARMUP, "WRM-2", message, action=open_question.action, **where)
    where["parameter"] = cause.parameter
    max_steps = study_length(study)
    if max_steps is None:
        message = "A warm-up is needed, and how long it may be is not known: the length of a run is not."
        return unknown(study, Code.WARMUP, "WRM-7", message, action="Set training.maxSteps.", **where)
    schedule = study.spec.training.schedule
    shorter = (schedule.warmup_steps or 0) if schedule else 0
    planned = plan(cause.evidence.numbers["baseLearningRate"], max_steps, shorter, study.thresholds)
    if not planned.warmup_steps:
        return _insufficient(study, max_steps, {}, where)
    return _plan_told(study, planned, cause, max_steps, notes, where)


def _plan_told(
    study: StudyRecord, planned: WarmupPlan, cause: Finding, max_steps: int, notes: Sequence[str], where: dict[str, Any]
) -> Finding:
    lengths = ", ".join(f"{steps}" for steps in planned.warmup_steps)
    first, second = planned.base_rates
    unstable = cause.evidence.numbers["baseLearningRate"]
    return answer(
        study,
        Code.WARMUP,
        "Plan",
        Severity.INFO,
        "WRM-4",
        f"Training is unstable at {unstable:g}: a warm-up may give access to {first:g} and more.",
        action=f"Try warm-ups of {lengths} steps from 0 to {first:g}, each with {POST_WARMUP} times as many steps at "
        f"that rate after it; if one survives, also to {second:g}.",
        numbers={
            "unstableBaseLearningRate": unstable,
            "baseLearningRate": first,
            "secondBaseLearningRate": second,
            "maxSteps": max_steps,
            **{f"warmupSteps{n}": steps for n, steps in enumerate(planned.warmup_steps, 1)},
        },
        thresholds=(BASE_RATIO, LONGEST),
        notes=[*notes, f"warmup_steps: {lengths}", f"base learning rates: {first:g}, {second:g}"],
        **where,
    )


def _found(study: StudyRecord, tried: Tried) -> Finding:
    """Say which of the warm-ups that were tried is the shortest that survives."""
    where: dict[str, Any] = {"scientific": tried.scientific, "parameter": tried.parameter}
    if tried.unstable_rate is None or tried.max_steps is None:
        message = (
            "Which warm-up helps is not known: at which rate, or how long, training is unstable without it is not."
        )
        action = "Name the study in which training was unstable in previousStudies, and set training.maxSteps."
        return unknown(study, Code.WARMUP, "WRM-6", message, action=action, **where)
    # The plan aims at ten times that rate, and a search that goes so far hardly ever tries its very end.
    least = study.thresholds[REACH] * tried.unstable_rate
    survived = tried.survived(least)
    if not survived:
        message = f"Which warm-up helps is not known: none was followed to its plateau at a rate of {least:g} or more."
        ratio = study.thresholds[BASE_RATIO]
        action = f"Try warm-ups up to {ratio * tried.unstable_rate:g}, {ratio:g} times the unstable rate."
        return unknown(study, Code.WARMUP, "WRM-6", message, action=action, **where)
    choice = choose(survived, tried.max_steps, study.thresholds)
    numbers = {"unstableBaseLearningRate": tried.unstable_rate, "maxSteps": tried.max_steps}
    if choice.warmup_steps is None:
        return _insufficient(study, tried.max_steps, numbers, where)
    share = choice.warmup_steps / tried.max_steps
    survivors = tried.survivors(choice.warmup_steps, least)
    reached = survivors[0].rate
    advice = "" if choice.verdict == "Found" else " Consider a longer run: the warm-up takes much of this one."
    return answer(
        study,
        Code.WARMUP,
        choice.verdict,
        Severity.INFO,
        "WRM-9" if advice else "WRM-6",
        f"The shortest warm-up that trains at {reached:g} is {choice.warmup_steps} steps, {share:.0%} of the run.",
        action=f"Put it before the old schedule, {choice.total_steps} steps in all, and compare with the run without "
        f"it at the best checkpoints.{advice}",
        numbers=numbers
        | {
            "baseLearningRate": reached,
            "warmupSteps": choice.warmup_steps,
            "totalSteps": choice.total_steps or math.nan,
        },
        thresholds=(REACH, LONGEST, RAISE_STEPS),
        trials=[a.trial for a in survivors],
        **where,
    )


def _insufficient(study: StudyRecord, max_steps: int, numbers: Mapping[str, float], where: dict[str, Any]) -> Finding:
    longest = study.thresholds[LONGEST] * max_steps
    return answer(
        study,
        Code.WARMUP,
        "Insufficient",
        Severity.WARN,
        "WRM-7",
        f"No warm-up up to {longest:g} steps, {study.thresholds[LONGEST]:.0%} of the run, makes training stable.",
        action="Clip gradients next; do not try longer warm-ups in a run of this length.",
        numbers=numbers,
        thresholds=(LONGEST,),
        **where,
    )
