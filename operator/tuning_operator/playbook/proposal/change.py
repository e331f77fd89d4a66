"""A change to a study's specification, with its reasons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tuning_operator.api.base import Model
from tuning_operator.api.findings import Code, Finding
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.records import StudyRecord

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Change:
    """A specification on its way to the next study, and why it differs from this study's."""

    spec: TuningStudySpec
    reasons: tuple[str, ...] = ()

    def hyperparameter(self, name: str) -> Hyperparameter | None:
        """Return the hyperparameter of this name; None where there is none."""
        return next((h for h in self.spec.hyperparameters if h.name == name), None)

    def replaced(self, hyperparameter: Hyperparameter, reason: str) -> "Change":
        """Return the change with another hyperparameter in the place of that of the same name."""
        found = [hyperparameter if h.name == hyperparameter.name else h for h in self.spec.hyperparameters]
        return self.with_spec({"hyperparameters": found}, reason)

    def added(self, hyperparameter: Hyperparameter, reason: str) -> "Change":
        """Return the change with one hyperparameter more."""
        return self.with_spec({"hyperparameters": [*self.spec.hyperparameters, hyperparameter]}, reason)

    def with_spec(self, fields: dict[str, Any], *reasons: str) -> "Change":
        """Return the change with other fields of the specification, by their Python names."""
        return replace(self, spec=updated(self.spec, **fields), reasons=(*self.reasons, *reasons))


Edit = Callable[[StudyRecord, Sequence[Finding], Change], Change]
"""One kind of change: a function of the study, of what was found, and of what is already changed."""


def updated(model: M, **fields: Any) -> M:
    """Return a copy of a model with other fields; a field that is given as None is as if it had never been set."""
    set_fields = {name: getattr(model, name) for name in model.model_fields_set} | fields
    return type(model)(**{name: value for name, value in set_fields.items() if value is not None})


def of(findings: Sequence[Finding], code: Code, *verdicts: str) -> list[Finding]:
    """Return the findings of a code with one of these verdicts."""
    return [f for f in findings if f.code is code and f.verdict in verdicts]


def meant(study: StudyRecord, finding: Finding) -> list[Hyperparameter]:
    """Return the hyperparameters that a finding is about: those of its parameter that exist in its arm.

    Two entries may share a parameter under different conditions; the arm tells which is meant.
    """
    from_arm = {**_fixed(study), **_by_name(study, finding)}
    return [
        h
        for h in study.spec.hyperparameters
        if h.parameter_name == finding.parameter
        and (h.when is None or h.when.name not in from_arm or from_arm[h.when.name] in h.when.values)
    ]


def _by_name(study: StudyRecord, finding: Finding) -> dict[str, str]:
    texts = {parameter: _text(value) for parameter, value in finding.scientific.items()}
    return {h.name: texts[h.parameter_name] for h in study.spec.hyperparameters if h.parameter_name in texts}


def _fixed(study: StudyRecord) -> dict[str, str]:
    return {h.name: h.value for h in study.spec.hyperparameters if h.value is not None}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
