"""How a rule says what it has found."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tuning_contract.environment import ParameterValue
from tuning_operator.api.findings import OK, UNKNOWN, VERDICTS, Code, Evidence, Finding, Severity, Side
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.thresholds import Threshold

MAX_TRIALS = 10
MAX_MESSAGE = 1024


def answer(
    study: StudyRecord,
    code: Code,
    verdict: str,
    severity: Severity,
    rule: str,
    message: str,
    *,
    action: str = "",
    parameter: str | None = None,
    side: Side | None = None,
    scientific: Mapping[str, ParameterValue] | None = None,
    numbers: Mapping[str, float] | None = None,
    thresholds: Sequence[Threshold] = (),
    trials: Sequence[TrialRecord] = (),
    notes: Sequence[str] = (),
    **more: Any,
) -> Finding:
    """Return a finding with the evidence as the API keeps it.

    Args:
        study: The study that it is about; gives the thresholds' values.
        code: What was looked at.
        verdict: One of the code's, `Ok` or `Unknown`.
        severity: What it does to the conclusion.
        rule: The Playbook's rule, such as `BND-4`.
        message: What was found, in a sentence.
        action: What to do about it.
        parameter: The parameter's name in the container.
        side: Which end of its range.
        scientific: The arm; none: the whole study.
        numbers: What was measured; numbers that are not finite are left out, as JSON has none.
        thresholds: Those that the verdict rests on.
        trials: Those that show it, the best evidence first; the first ten are named.
        notes: What else there is to say.
        more: `new_limit`, `expression` and `cut` of the verdicts that have them.

    Raises:
        ValueError: the code has no such verdict.
    """
    if verdict not in (OK, UNKNOWN) and verdict not in VERDICTS[code]:
        raise ValueError(f"{code} has no verdict {verdict}: it has {', '.join(VERDICTS[code])}")
    return Finding(
        code=code,
        verdict=verdict,
        severity=severity,
        rule=rule,
        parameter=parameter,
        side=side,
        scientific=dict(scientific or {}),
        message=message[:MAX_MESSAGE],
        evidence=Evidence(
            numbers={name: float(value) for name, value in (numbers or {}).items() if math.isfinite(value)},
            thresholds=study.thresholds.used(*thresholds),
            trials=[trial.name for trial in trials[:MAX_TRIALS]],
            notes=[note[:512] for note in notes[:8]],
        ),
        action=action[:MAX_MESSAGE],
        **more,
    )


def passed(study: StudyRecord, code: Code, rule: str, message: str, **where: Any) -> Finding:
    """Return that a check was made and all is well; `where` as in `answer`."""
    return answer(study, code, OK, Severity.INFO, rule, message, **where)


def unknown(study: StudyRecord, code: Code, rule: str, message: str, **where: Any) -> Finding:
    """Return that a check could not be made, and in `message` and `action` why and what to set; never a pass."""
    return answer(study, code, UNKNOWN, Severity.INFO, rule, message, **where)
