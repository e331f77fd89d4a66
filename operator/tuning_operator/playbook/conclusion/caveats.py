"""What restricts a conclusion: a winner under conditions is a winner under these conditions."""

from collections.abc import Sequence

from tuning_operator.api.findings import UNKNOWN, Finding, Severity
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning, Role
from tuning_operator.playbook.conclusion.gate import in_order
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.search.space import fixed_value

MAX_CAVEATS = 32
MAX_TEXT = 512


def caveats(study: StudyRecord, findings: Sequence[Finding], acknowledged: Sequence[str] = ()) -> list[str]:
    """Return the caveats, the weightiest first, at most 32: those acknowledged, warnings, fixed values, short runs,
    and checks that could not be made."""
    warned = [f.message for f in in_order(findings) if f.severity is Severity.WARN]
    found = [*acknowledged, *warned, *_short_rounds(study), *_fixed(study), *_unchecked(findings)]
    return [text[:MAX_TEXT] for text in dict.fromkeys(found) if text][:MAX_CAVEATS]


def _fixed(study: StudyRecord) -> list[str]:
    """Every fixed hyperparameter restricts what was found to its value (ROL-3), a seed to what it has drawn (ADP-2)."""
    return [_of_fixed(h) for h in study.spec.hyperparameters if h.role is Role.FIXED]


def _of_fixed(hyperparameter: Hyperparameter) -> str:
    name, value = hyperparameter.parameter_name, fixed_value(hyperparameter)
    reason = f": {hyperparameter.fixed_reason}" if hyperparameter.fixed_reason else "."
    if meaning_of(hyperparameter) is Meaning.SEED:
        return f"All trials of the search share {name} = {value}; what another one would change is not in them{reason}"
    return f"Holds for {name} = {value}, which was fixed{reason}"


def _short_rounds(study: StudyRecord) -> list[str]:
    """What short runs say may not hold for long ones, not even for some twice as long (CMP-3)."""
    production, steps = study.spec.training.production_steps, trained_steps(study)
    if production is None or steps is None or steps >= production:
        return []
    return [
        f"Trials trained {steps:,} of {production:,} steps ({steps / production:.0%}): long ones may rank differently."
    ]


def _unchecked(findings: Sequence[Finding]) -> list[str]:
    codes = dict.fromkeys(f.code.value for f in findings if f.verdict == UNKNOWN)
    return [f"Not checked for lack of data: {', '.join(codes)}."] if codes else []


def trained_steps(study: StudyRecord) -> int | None:
    """Return for how many steps a trial of the study trains; None where it is not known."""
    if study.spec.training.max_steps is not None:
        return study.spec.training.max_steps
    for hyperparameter in study.spec.hyperparameters:
        if hyperparameter.role is Role.FIXED and meaning_of(hyperparameter) is Meaning.MAX_STEPS:
            return int(float(hyperparameter.value or 0)) or None
    known = {t.max_steps for t in study.trials if t.max_steps is not None}
    return known.pop() if len(known) == 1 else None
