"""Was each hyperparameter tuned in every arm that has it? (ISO-4, ROL-6, ROL-15)."""

from collections.abc import Sequence
from typing import Final

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Category, Hyperparameter, Meaning, Role
from tuning_operator.playbook.answers import answer
from tuning_operator.playbook.arms import Arm
from tuning_operator.playbook.meaning import category_of, meaning_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.thresholds import Origin, Threshold

TUNED_VALUES: Final = Threshold(
    "tunedValues", 3, Origin.DEFAULT, "So many different values of a hyperparameter count as tuning it", low=2
)
TUNED_FOR_EACH: Final = (Category.OPTIMIZER, Category.REGULARIZATION)


def not_tuned(study: StudyRecord, compared: Sequence[Arm]) -> list[Finding]:
    """Return the hyperparameters of optimizer and regularisation that one arm has tuned, and another has not (ISO-4).

    Hyperparameters that exist under different conditions are the same where they have the same meaning, or else the
    same parameter in the container: two learning rates are tuned each in its own arm. A meaning that an arm does not
    have at all, such as the momentum of Adam, is not missed. What an arm has fixed at one value counts as not tuned.
    """
    tuned = [_tuned(study, arm) for arm in compared]
    found = []
    for what in sorted({key for states in tuned for key, (_, is_tuned) in states.items() if is_tuned}):
        for arm, states in zip(compared, tuned, strict=True):
            if what not in states or states[what][1] or _has_just_begun(study, arm, compared):
                continue
            h = states[what][0]
            count = _distinct(h, arm)
            others = [a for a, s in zip(compared, tuned, strict=True) if what in s and s[what][1]]
            found.append(
                answer(
                    study,
                    Code.FAIR_COMPARISON,
                    "NotTuned",
                    Severity.BLOCK,
                    "ISO-4",
                    f"{h.parameter_name} has {count} value{'' if count == 1 else 's'} in this arm, and was tuned in "
                    f"{len(others)} other{'' if len(others) == 1 else 's'}: the arm may only look worse.",
                    action=f"Search {h.parameter_name} in every arm, with as many trials.",
                    parameter=h.parameter_name,
                    scientific=arm.scientific,
                    numbers={"values": count, "armsTuned": len(others)},
                    thresholds=[TUNED_VALUES],
                    trials=arm.launched,
                )
            )
    return found


def fixed_everywhere(study: StudyRecord, compared: Sequence[Arm]) -> list[Finding]:
    """Return the optimizer's hyperparameters that no arm has tuned: a caveat (ROL-15)."""
    tuned = [_tuned(study, arm) for arm in compared if arm.launched]
    found = []
    for what in sorted({key for states in tuned for key in states}):
        states = [s[what] for s in tuned if what in s]
        h = states[0][0]
        if any(is_tuned for _, is_tuned in states) or category_of(h) is not Category.OPTIMIZER:
            continue
        if h.role is Role.NUISANCE and max(len(arm.launched) for arm in compared) < study.thresholds[TUNED_VALUES]:
            continue
        because = f" ({h.fixed_reason.rstrip('.')})" if h.fixed_reason else ""
        found.append(
            answer(
                study,
                Code.FAIR_COMPARISON,
                "Fixed",
                Severity.INFO if h.fixed_reason else Severity.WARN,
                "ROL-15",
                f"{h.parameter_name} is tuned in no arm{because}: the comparison holds for its value only.",
                action=f"Make {h.parameter_name} a nuisance hyperparameter, or state its fixedReason.",
                parameter=h.parameter_name,
                thresholds=[TUNED_VALUES],
            )
        )
    return found


def _has_just_begun(study: StudyRecord, arm: Arm, compared: Sequence[Arm]) -> bool:
    """Whether an arm lacks values as it lacks trials, and the others have hardly more; or it has none at all."""
    trials = len(arm.launched)
    most = max(len(other.launched) for other in compared)
    return not trials or (trials < study.thresholds[TUNED_VALUES] and trials >= most - 1)


def _tuned(study: StudyRecord, arm: Arm) -> dict[str, tuple[Hyperparameter, bool]]:
    """Return, by meaning or parameter, what of an arm's hyperparameters should be tuned, and whether it was."""
    found: dict[str, tuple[Hyperparameter, bool]] = {}
    for h in _space(study, arm):
        if h.role is Role.SCIENTIFIC or category_of(h) not in TUNED_FOR_EACH:
            continue
        meaning = meaning_of(h)
        key = h.parameter_name if meaning is Meaning.OTHER else meaning.value
        is_tuned = _distinct(h, arm) >= _enough(study, h)
        known = found.get(key)
        if known is None or (is_tuned and not known[1]):
            found[key] = (h, is_tuned)
    return found


def _space(study: StudyRecord, arm: Arm) -> list[Hyperparameter]:
    """Return the hyperparameters that exist in an arm: in its trials, or by the specification."""
    in_trials = {name for t in arm.launched for name in t.assignment}
    searched = {h.name for h in arm.dimensions}
    names = in_trials | searched
    return [h for h in study.spec.hyperparameters if h.name in names]


def _distinct(hyperparameter: Hyperparameter, arm: Arm) -> int:
    return len({t.assignment[hyperparameter.name] for t in arm.launched if hyperparameter.name in t.assignment})


def _enough(study: StudyRecord, hyperparameter: Hyperparameter) -> float:
    """Return how many values are tuning: a list of two has no more than two."""
    enough = study.thresholds[TUNED_VALUES]
    if hyperparameter.role is Role.NUISANCE and hyperparameter.type.is_list:
        return max(2, min(enough, len(hyperparameter.values or ())))
    return enough
