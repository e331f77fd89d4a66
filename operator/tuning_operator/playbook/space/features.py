"""Which features do not help, and are better left out (K23; EXP-5)?"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from tuning_contract.environment import ParameterValue, parameter_text
from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Category, Hyperparameter, Role
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.arms import DIFFERENT, Arm, arm_key, arms, noise
from tuning_operator.playbook.meaning import category_of
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.thresholds import Origin, Threshold
from tuning_operator.search.space import values_of

FEATURE_TRIALS: Final = Threshold(
    "featureTrials", 8, Origin.DEFAULT, "The fewest feasible trials with and without a feature to compare them"
)
SWITCHES: Final[tuple[tuple[ParameterValue, ParameterValue], ...]] = (
    (False, True),
    ("false", "true"),
    ("off", "on"),
    ("no", "yes"),
    ("none", "on"),
    ("disabled", "enabled"),
    ("without", "with"),
)
"""Without a feature, and with it; texts in any case."""


def check(study: StudyRecord) -> list[Finding]:
    """Return for each scientific hyperparameter that turns a feature on and off whether the feature helps."""
    divided = arms(study)
    switches = ((h, without, with_) for h in study.spec.hyperparameters for without, with_ in _switch(h))
    return [_feature(study, h, without, with_, divided) for h, without, with_ in switches]


def _switch(hyperparameter: Hyperparameter) -> list[tuple[ParameterValue, ParameterValue]]:
    """Return a scientific hyperparameter's values without and with the feature; nothing where it is no feature."""
    if hyperparameter.role is not Role.SCIENTIFIC or not hyperparameter.type.is_list:
        return []
    values = values_of(hyperparameter)
    by_text = {parameter_text(v).lower(): v for v in values}
    pairs = [tuple(parameter_text(v).lower() for v in pair) for pair in SWITCHES]
    if category_of(hyperparameter) is Category.REGULARIZATION_SWITCH:
        pairs.append(("0", "1"))
    return [(by_text[a], by_text[b]) for a, b in dict.fromkeys(pairs) if len(values) == 2 and {a, b} == set(by_text)]


def _feature(
    study: StudyRecord,
    hyperparameter: Hyperparameter,
    without: ParameterValue,
    with_: ParameterValue,
    divided: Sequence[Arm],
) -> Finding:
    """EXP-5: a feature whose arm is within noise of the one without does not help, whatever else is scientific."""
    name, t = hyperparameter.parameter_name, study.thresholds
    pairs = _paired(name, without, with_, divided)
    compared = [arm for pair in pairs for arm in pair]
    sigma = noise(study, [trial for arm in compared for trial in arm.top])
    where: dict[str, Any] = {"parameter": name, "thresholds": [FEATURE_TRIALS, DIFFERENT], "trials": bests(compared)}
    least = min((len(arm.feasible) for arm in compared), default=0)
    if least < max(t[FEATURE_TRIALS], 1) or sigma == 0:
        why = "the noise is not known" if sigma == 0 and least else f"an arm has {least} feasible trials"
        return unknown(
            study,
            Code.ROLE,
            "EXP-5",
            f"Whether {name} helps cannot be said: {why}.",
            action="Run more trials of each, and report the training curve or retrain, to know the noise.",
            numbers={"feasible": least, "noise": sigma},
            **where,
        )
    gains = [off.losses[0] - on.losses[0] for off, on in pairs]
    gain = max(gains)
    where["numbers"] = {"gain": gain, "noise": sigma}
    found = f"The best trial with {name} is {_better(gain)} than the best without, and the noise is {sigma:.3g}"
    if gain <= t[DIFFERENT] * sigma:
        return answer(
            study,
            Code.ROLE,
            "RemoveFeature",
            Severity.INFO,
            "EXP-5",
            f"{found}: it does not help.",
            action=f"Leave it out ({name}={parameter_text(without)}), to keep later experiments simple.",
            scientific={name: with_},
            **where,
        )
    return passed(
        study,
        Code.ROLE,
        "EXP-5",
        f"{found}.",
        scientific={name: with_},
        **where,
    )


def _paired(name: str, without: ParameterValue, with_: ParameterValue, divided: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Return arms that differ in the feature alone: without it, and with it."""

    def others(arm: Arm) -> str:
        return arm_key({n: v for n, v in arm.scientific.items() if n != name})

    on = {others(arm): arm for arm in divided if arm.scientific.get(name) == with_}
    off = [arm for arm in divided if name in arm.scientific and arm.scientific[name] == without]
    return [(arm, on[others(arm)]) for arm in off if others(arm) in on]


def _better(gain: float) -> str:
    return f"{abs(gain):.3g} {'better' if gain >= 0 else 'worse'}"


def bests(some: Iterable[Arm]) -> list[TrialRecord]:
    """Return the best trial of each arm that has one."""
    return [arm.best for arm in some if arm.best is not None]
