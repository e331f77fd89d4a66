"""How long a trial trains, on which schedule, and how often it is evaluated (K04, the specification's side of K21)."""

from collections.abc import Iterator
from typing import Final

from tuning_operator.api.findings import Finding
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning
from tuning_operator.api.procedure import ScheduleFamily
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.specification.design import (
    PlannedArm,
    block,
    is_exploring,
    is_told_in_epochs,
    not_known,
    reach,
    steps_of,
    warn,
)
from tuning_operator.playbook.thresholds import Origin, Threshold
from tuning_operator.search.space import is_searched

WARMUP_SHARE: Final = Threshold(
    "warmupShare", 0.1, Origin.TEXT, "No warm-up longer than this share of the run is tried", high=1.0
)
EVALUATIONS_LEAST: Final = Threshold("evaluationsLeast", 20, Origin.DEFAULT, "So many evaluations a run show its best")
ROUNDS_MOST: Final = Threshold("roundsMost", 3, Origin.TEXT, "More rounds of growing length are seldom worth it")

SET_STEPS: Final = "Set spec.training.maxSteps."


def max_steps_searched(study: StudyRecord) -> list[Finding]:
    """NCB-3: all trials of a study train equally long."""
    return [
        block(
            study,
            "MaxStepsSearched",
            "NCB-3",
            f"{h.parameter_name}, the length of training, is searched: the longest runs would win.",
            action=f"Fix {h.parameter_name}; the findings say afterwards whether it was too long or too short.",
            parameter=h.parameter_name,
        )
        for h in study.spec.hyperparameters
        if is_searched(h) and _is_length(study, h)
    ]


def _is_length(study: StudyRecord, hyperparameter: Hyperparameter) -> bool:
    """Whether it says how long a trial trains: by its meaning, or because the stopping rule reads it as that."""
    is_named = hyperparameter.parameter_name == study.spec.stopping.steps_parameter
    return meaning_of(hyperparameter) is Meaning.MAX_STEPS or (is_named and hyperparameter.meaning is None)


def warmup_too_long(study: StudyRecord, arm: PlannedArm) -> list[Finding]:
    """WRM-7: no warm-up of more than a tenth of the run is tried; one that is fixed restricts what is found."""
    steps = steps_of(study.spec, arm)
    found = []
    for h, longest in _warmups(study, arm):
        is_share = h is not None and meaning_of(h) is Meaning.WARMUP_FRACTION
        parameter = None if h is None else h.parameter_name
        if not is_share and steps is None:
            found.append(_length_unknown(study, arm, "WRM-7", f"a warm-up of {longest:g} steps is too long", parameter))
            continue
        share = longest if is_share else longest / (steps or 1)
        if share <= study.thresholds[WARMUP_SHARE]:
            continue
        say = block if h is not None and is_searched(h) else warn
        limit = study.thresholds[WARMUP_SHARE] * (1 if is_share else steps or 1)
        found.append(
            say(
                study,
                "WarmupTooLong",
                "WRM-7",
                f"{parameter or 'The warm-up'} can be {longest:g}: {share:.0%} of a run.",
                action=f"Lower it to at most {limit:g}, or train longer.",
                parameter=parameter,
                scientific=arm.scientific,
                numbers={"share": share},
                thresholds=[WARMUP_SHARE],
            )
        )
    return found


def _warmups(study: StudyRecord, arm: PlannedArm) -> Iterator[tuple[Hyperparameter | None, float]]:
    """Yield the longest that each warm-up can be; without a hyperparameter, the one of `training.schedule`."""
    for h in arm.with_meaning(Meaning.WARMUP_STEPS, Meaning.WARMUP_FRACTION):
        numbers = reach(h)
        if numbers is not None and numbers[1] > 0:
            yield h, numbers[1]
    schedule = study.spec.training.schedule
    if schedule is not None and schedule.warmup_steps:
        yield None, schedule.warmup_steps


def _length_unknown(study: StudyRecord, arm: PlannedArm, rule: str, question: str, parameter: str | None) -> Finding:
    reason = "a trial's length is told in epochs" if is_told_in_epochs(study.spec) else "a trial's length is not known"
    return not_known(
        study,
        rule,
        f"Nobody can say whether {question}: {reason}.",
        action=SET_STEPS,
        parameter=parameter,
        scientific=arm.scientific,
    )


def time_based_evaluation(study: StudyRecord) -> list[Finding]:
    """EVS-4: evaluations by the clock depend on the machine's load."""
    seconds = study.spec.training.evaluate_every_seconds
    if seconds is None:
        return []
    return [
        block(
            study,
            "TimeBasedEvaluation",
            "EVS-4",
            f"Trials are evaluated every {seconds} seconds: slower ones have their evaluations at other steps.",
            action="Evaluate at regular steps, and set spec.training.evaluateEverySteps instead of "
            "evaluateEverySeconds.",
        )
    ]


def few_evaluations(study: StudyRecord, arm: PlannedArm) -> list[Finding]:
    """NCB-2: the best checkpoint of a run is found only where it was evaluated. The curves tell where this does not."""
    every = study.spec.training.evaluate_every_steps
    if every is None:
        return []
    steps = steps_of(study.spec, arm)
    if steps is None:
        return [_length_unknown(study, arm, "NCB-2", f"an evaluation every {every} steps is often enough", None)]
    evaluations = int(steps // every)
    least = study.thresholds[EVALUATIONS_LEAST]
    if evaluations >= least:
        return []
    return [
        warn(
            study,
            "FewEvaluations",
            "NCB-2",
            f"A trial is evaluated {evaluations} times: the best step of a run is hardly seen.",
            action=f"Evaluate every {max(1, int(steps // least))} steps or more often.",
            scientific=arm.scientific,
            numbers={"evaluations": evaluations},
            thresholds=[EVALUATIONS_LEAST],
        )
    ]


def early_stopping(study: StudyRecord) -> list[Finding]:
    """CKP-4: while exploring, whole curves are worth more than what stopping saves."""
    rule = study.spec.stopping.rule
    if not (rule.compares and is_exploring(study.spec)):
        return []
    return [
        warn(
            study,
            "EarlyStopping",
            "CKP-4",
            f"The rule {rule.value} cuts curves that the findings would need, and its trials have no result.",
            action="Use spec.stopping.rule DivergedOnly while exploring.",
        )
    ]


def too_many_rounds(study: StudyRecord) -> list[Finding]:
    """CMP-4, RD2-5: one to three rounds of growing length are practical."""
    rounds = study.spec.training.rounds
    if rounds is None or rounds <= study.thresholds[ROUNDS_MOST]:
        return []
    return [
        warn(
            study,
            "TooManyRounds",
            "CMP-4",
            f"{rounds} rounds of growing length are planned: more than {study.thresholds[ROUNDS_MOST]:g} suit only "
            "very long and expensive runs.",
            action="Begin with two: short runs that settle model and optimizer, then a few long ones.",
            numbers={"rounds": rounds},
            thresholds=[ROUNDS_MOST],
        )
    ]


def piecewise_schedule(study: StudyRecord) -> list[Finding]:
    """LRD-5: a schedule that somebody found by hand depends on all that they trained with."""
    schedule = study.spec.training.schedule
    named = [h for h in study.spec.hyperparameters if meaning_of(h) is Meaning.DECAY and _is_piecewise(h)]
    if not named and (schedule is None or schedule.family is not ScheduleFamily.PIECEWISE):
        return []
    return [
        warn(
            study,
            "PiecewiseSchedule",
            "LRD-5",
            "The learning rate follows a piecewise schedule: copied ones suit the pipeline that they were made for.",
            action="Use a linear or a cosine decay, or write down the procedure that found the pieces.",
            parameter=named[0].parameter_name if named else None,
        )
    ]


def _is_piecewise(hyperparameter: Hyperparameter) -> bool:
    return any("piecewise" in text.lower() for text in (*(hyperparameter.values or ()), hyperparameter.value or ""))
