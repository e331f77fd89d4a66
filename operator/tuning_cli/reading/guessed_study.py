"""A study for trials that come without one: every parameter a nuisance hyperparameter, until the user says more."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tuning_cli.problems import InputError, Problem
from tuning_contract.environment import ParameterValue, parameter_text
from tuning_operator.api.base import API_VERSION
from tuning_operator.playbook.meaning import ALIASES

DECADES_FOR_LOG: Final = 2.0
MOST_VALUES: Final = 32
FEW_NUMBERS: Final = 4
"""So many different numbers, each several times, are a list that somebody wrote down, and no range."""


@dataclass(frozen=True)
class Domain:
    """Where the values of one parameter may come from."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    integer: bool = False
    values: tuple[ParameterValue, ...] = ()
    """Of a list; empty: a range."""


@dataclass(frozen=True)
class Guess:
    """What is known of a study from its trials and from the user."""

    name: str
    metric: str
    domains: Mapping[str, Domain]
    maximize: bool = False
    trials: int = 1
    at: str = "Best"
    algorithm: str = "QuasiRandom"
    scientific: Sequence[str] = ()
    conditions: Mapping[str, tuple[str, tuple[ParameterValue, ...]]] = field(default_factory=dict)
    """By parameter: it exists only where another one has one of these values."""
    called: Mapping[str, str] = field(default_factory=dict)
    """By parameter, its name in the tool that it comes from, such as `optimizer/lr` of `optimizer_lr`."""


def manifest_of(guess: Guess) -> dict[str, Any]:
    """Return a TuningStudy's manifest.

    Raises:
        InputError: something is to be scientific that is no parameter.
    """
    unknown = [name for name in guess.scientific if name not in guess.domains]
    if unknown:
        message = f"{', '.join(unknown)} cannot be scientific: the parameters are {', '.join(guess.domains)}"
        raise InputError(Problem(message, field="--scientific"))
    question = f"Which values of {', '.join(guess.scientific or list(guess.domains)[:4])} give the best {guess.metric}?"
    return {
        "apiVersion": API_VERSION,
        "kind": "TuningStudy",
        "metadata": {"name": object_name(guess.name)},
        "spec": {
            "goal": {"question": question[:512], "kind": "Understand" if guess.scientific else "Minimise"},
            "objective": {
                "metric": guess.metric,
                "direction": "Maximize" if guess.maximize else "Minimize",
                "at": guess.at,
            },
            "hyperparameters": [_hyperparameter(guess, name, domain) for name, domain in guess.domains.items()],
            "search": {"algorithm": guess.algorithm},
            "budget": {"maxTrials": max(guess.trials, 1)},
            "trial": {"template": {"spec": {"containers": [{"name": "trainer"}]}}},
        },
    }


def observed_domain(values: Sequence[ParameterValue]) -> Domain:
    """Return a domain that has all these values: their extremes where they are numbers, else their list.

    Numbers over two decades or more are taken to be on a logarithmic scale.
    """
    different = sorted(set(values), key=lambda v: (isinstance(v, str), v))
    numbers = [v for v in different if isinstance(v, int | float) and not isinstance(v, bool)]
    repeated = len(different) <= FEW_NUMBERS and len(values) >= 3 * len(different)
    if len(numbers) < len(different) or len(different) == 1 or repeated:
        return Domain(values=tuple(different))
    low, high = float(numbers[0]), float(numbers[-1])
    log = low > 0 and math.log10(high / low) >= DECADES_FOR_LOG
    return Domain(low, high, log, integer=all(isinstance(v, int) for v in numbers))


def conditions_of(
    names: Sequence[str], trials: Sequence[Mapping[str, ParameterValue]], domains: Mapping[str, Domain]
) -> dict[str, tuple[str, tuple[ParameterValue, ...]]]:
    """Return for each parameter that only some trials have the one whose values decide it, with these values.

    A parameter for which there is none is missing in the answer.
    """
    found: dict[str, tuple[str, tuple[ParameterValue, ...]]] = {}
    always = [n for n in names if all(n in t for t in trials)]
    deciders = [n for n in always if domains[n].values]
    for name in (n for n in names if n not in always):
        for decider in deciders:
            having = {t[decider] for t in trials if name in t}
            if having and not having & {t[decider] for t in trials if name not in t}:
                found[name] = (decider, tuple(v for v in domains[decider].values if v in having))
                break
    return found


def parameter_name(name: str) -> str:
    """Return a name that a hyperparameter may have: other characters than letters, digits and _ become _.

    >>> parameter_name("optim/lr")
    'optim_lr'
    """
    plain = re.sub(r"[^a-zA-Z0-9_]", "_", name)[:63]
    return plain if re.match(r"[a-zA-Z_]", plain) else f"_{plain}"[:63]


def object_name(name: str) -> str:
    """Return a name that a Kubernetes object may have.

    >>> object_name("My study #1")
    'my-study-1'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-") or "study"


def _hyperparameter(guess: Guess, name: str, domain: Domain) -> dict[str, Any]:
    role = "Scientific" if name in guess.scientific else "Nuisance"
    body: dict[str, Any] = {"name": name} | _meaning(name, guess.called.get(name, name))
    if domain.values:
        kind = _value_type(domain.values)
        texts = list(dict.fromkeys(parameter_text(v) for v in domain.values))
        is_numeric = kind in ("Integer", "Float")
        body |= {"type": "Ordinal" if is_numeric else "Categorical"}
        body |= {"role": role, "values": texts} if len(texts) > 1 else {"role": "Fixed", "value": texts[0]}
        body |= {} if kind == "String" else {"valueType": kind}
    else:
        body |= {"type": "Integer" if domain.integer else "Float", "role": role}
        body |= {"low": domain.low, "high": domain.high} | ({"scale": "Log"} if domain.log else {})
    if name in guess.conditions:
        decider, values = guess.conditions[name]
        body["when"] = {"name": decider, "values": [parameter_text(v) for v in values]}
    return body


def _meaning(name: str, called: str) -> dict[str, str]:
    """Return the meaning that the last part of a longer name tells, such as the learning rate of `optimizer/lr`."""
    tail = re.split(r"[/.]", called)[-1]
    if tail == name:
        return {}
    return next(({"meaning": m.value} for m, aliases in ALIASES.items() if tail in aliases and name not in aliases), {})


def _value_type(values: Sequence[ParameterValue]) -> str:
    if all(isinstance(v, bool) for v in values):
        return "Boolean"
    if any(isinstance(v, bool | str) for v in values):
        return "String"
    return "Integer" if all(isinstance(v, int) for v in values) else "Float"
