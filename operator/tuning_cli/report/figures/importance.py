"""How much each hyperparameter matters, as the rules about roles have measured it (K23)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tuning_cli.report.figures.axis import name_of
from tuning_operator.api.findings import Code, Finding

SHARE: Final = "share"
"""The number in the evidence of a finding about roles."""


@dataclass(frozen=True)
class Importance:
    """One hyperparameter in one arm."""

    arm: str
    parameter: str
    share: float
    """Of the results' variance, in [0, 1]."""


def importance_of(findings: Sequence[Finding]) -> tuple[Importance, ...]:
    """Return what the findings say, the most important hyperparameter first."""
    found = [
        Importance(name_of(f.scientific), f.parameter, f.evidence.numbers[SHARE])
        for f in findings
        if f.code is Code.ROLE and f.parameter is not None and SHARE in f.evidence.numbers
    ]
    return tuple(sorted(found, key=lambda each: -each.share))
