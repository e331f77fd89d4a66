"""A specification of which the Playbook says nothing, and changes of it, a line each."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.studies import spec_of, study_of
from tuning_operator.api.findings import OK, Finding
from tuning_operator.playbook.specification import check

H = Mapping[str, Any]


def a_float(name: str, low: float, high: float, role: str = "Nuisance", scale: str = "Linear", **more: Any) -> H:
    return {"name": name, "type": "Float", "role": role, "low": low, "high": high, "scale": scale, **more}


def a_log(name: str, low: float, high: float, role: str = "Nuisance", **more: Any) -> H:
    return a_float(name, low, high, role, "Log", **more)


def a_count(name: str, low: int, high: int, role: str = "Nuisance", **more: Any) -> H:
    return {"name": name, "type": "Integer", "role": role, "low": low, "high": high, **more}


def a_list(name: str, *values: str, role: str = "Scientific", **more: Any) -> H:
    return {"name": name, "type": "Categorical", "role": role, "values": list(values), **more}


def a_fixed(name: str, value: str, kind: str = "Float", **more: Any) -> H:
    return {"name": name, "type": kind, "role": "Fixed", "value": value, **more}


def when(name: str, *values: str) -> Mapping[str, Any]:
    return {"when": {"name": name, "values": list(values)}}


LAYERS = {**a_list("num_layers", "2", "4"), "type": "Ordinal", "valueType": "Integer"}
RATE = a_log("learning_rate", 1e-4, 1.0)
DECAY = a_log("weight_decay", 1e-6, 1e-2)
SPACE: Sequence[H] = (
    LAYERS,
    RATE,
    DECAY,
    a_fixed("optimizer", "nesterov", "Categorical"),
    a_fixed("momentum", "0.9"),
    a_fixed("max_steps", "1000", "Integer"),
)
"""Two arms with two dimensions: ten trials each are enough."""
OPTIMIZERS: Sequence[H] = (
    a_list("optimizer", "adamw", "nesterov"),
    a_log("adamw_rate", 1e-5, 1e-1, parameter="learning_rate", **when("optimizer", "adamw")),
    a_log("nesterov_rate", 1e-4, 1.0, parameter="learning_rate", **when("optimizer", "nesterov")),
    a_fixed("momentum", "0.9", **when("optimizer", "nesterov")),
    *(a_fixed(name, "0.9", fixedReason="the usual value") for name in ("beta1", "beta2", "epsilon")),
    a_fixed("max_steps", "1000", "Integer"),
)
"""A fair comparison of two optimizers."""


def found(*changed: H, of: Sequence[H] = SPACE, without: Sequence[str] = (), **fields: Any) -> list[Finding]:
    """Return what is said of the clean specification with some hyperparameters and fields changed."""
    space = {h["name"]: h for h in (*of, *changed) if h["name"] not in without}
    clean = {
        "goal": {"question": "Do more layers help?"},
        "budget": {"maxTrials": 20, "parallelTrials": 2},
        "training": {"evaluateEverySteps": 50},
    }
    for name, value in fields.items():
        known = clean.get(name)
        clean[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return check(study_of(spec_of(list(space.values()), **clean)))


def verdicts(findings: Sequence[Finding]) -> set[str]:
    """Return what was found, without what all is well with."""
    return {finding.verdict for finding in findings} - {OK}


def only(findings: Sequence[Finding], verdict: str) -> Finding:
    """Return the one finding with the verdict."""
    (it,) = (finding for finding in findings if finding.verdict == verdict)
    return it
