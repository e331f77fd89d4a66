"""What changes the noise of the gradients, and with it how long to train (STP-7, NCB-6, NCB-8)."""

from collections.abc import Sequence
from typing import Final

from tuning_operator.api.findings import Code, Finding, Severity
from tuning_operator.api.hyperparameters import Category, Hyperparameter, Meaning, Role
from tuning_operator.playbook.answers import answer, passed, unknown
from tuning_operator.playbook.meaning import category_of, meaning_of
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.run_length import study_length

REGULARISERS: Final = (Category.REGULARIZATION, Category.REGULARIZATION_SWITCH)


def recheck(study: StudyRecord, earlier: Sequence[StudyRecord]) -> list[Finding]:
    """Return whether the length of training must be looked at again; nothing where there is no study before.

    It need not where the length was changed too: somebody has looked.
    """
    if not earlier:
        return []
    before = earlier[-1]
    changed = noise_changes(before, study)
    code, rule = Code.MAX_TRAIN_STEPS, "STP-7"
    if not changed:
        return [passed(study, code, rule, f"Nothing that decides how long to train has changed since {before.name}.")]
    steps_before, steps = study_length(before), study_length(study)
    if steps_before is None or steps is None:
        message = (
            f"Whether the length of training is still right is not known; since {before.name}: {'; '.join(changed)}."
        )
        return [unknown(study, code, rule, message, action="Set training.maxSteps.", notes=changed)]
    numbers = {"maxStepsBefore": steps_before, "maxSteps": steps}
    if steps_before != steps:
        message = f"The length of training was changed together with what decides it: {'; '.join(changed)}."
        return [passed(study, code, rule, message, numbers=numbers, notes=changed)]
    return [
        answer(
            study,
            code,
            "Recheck",
            Severity.INFO,
            rule,
            f"Since {before.name}, what decides how long to train has changed, and the length has not: "
            f"{'; '.join(changed)}.",
            action="Look at the number of training steps again: noisier gradients may need more.",
            numbers=numbers,
            notes=changed,
        )
    ]


def noise_changes(before: StudyRecord, study: StudyRecord) -> list[str]:
    """Return what has changed between two studies that changes the gradients' noise, or the model, in words."""
    changed = []
    for kind in ("batch size", "augmentation", "regularisation"):
        old, new = _domains(before, kind), _domains(study, kind)
        for name in sorted(old.keys() | new.keys()):
            was, now = old.get(name, "nothing"), new.get(name, "nothing")
            if was != now:
                changed.append(f"{kind} {name} from {was} to {now}")
    models = before.spec.training.model, study.spec.training.model
    if all(models) and models[0] != models[1]:
        changed.append(f"the model from {models[0]} to {models[1]}")
    return changed


def _domains(study: StudyRecord, kind: str) -> dict[str, str]:
    """Return the domains of all hyperparameters of a kind, by parameter name; several under one name together."""
    found: dict[str, str] = {}
    for hyperparameter in study.spec.hyperparameters:
        if _kind_of(hyperparameter) == kind:
            name, domain = hyperparameter.parameter_name, _domain(hyperparameter)
            found[name] = f"{found[name]} or {domain}" if name in found else domain
    return found


def _kind_of(hyperparameter: Hyperparameter) -> str | None:
    if meaning_of(hyperparameter) is Meaning.BATCH_SIZE:
        return "batch size"
    if meaning_of(hyperparameter) is Meaning.AUGMENTATION:
        return "augmentation"
    return "regularisation" if category_of(hyperparameter) in REGULARISERS else None


def _domain(hyperparameter: Hyperparameter) -> str:
    """Return what values a hyperparameter may have, as a text that compares."""
    if hyperparameter.role is Role.FIXED:
        return hyperparameter.value or ""
    if hyperparameter.values is not None:
        return "one of " + ", ".join(hyperparameter.values)
    return f"{hyperparameter.low:g} to {hyperparameter.high:g}"
