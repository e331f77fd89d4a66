"""A study of Optuna's, from its storage: distributions become the space, intermediate values the curves."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tuning_cli.problems import InputError, Problem, Warnings
from tuning_cli.reading.guessed_study import Domain, Guess, conditions_of, manifest_of, parameter_name
from tuning_contract.environment import ParameterValue
from tuning_contract.numbers import encode_number

STATES: Final[Mapping[str, str]] = {
    "COMPLETE": "Succeeded",
    "PRUNED": "Stopped",
    "FAIL": "Failed",
    "RUNNING": "Running",
}
"""Trials that wait have no parameters yet and are left out."""
PRUNER: Final = "Pruner"
SOURCE: Final = "optuna"
ALGORITHMS: Final[Mapping[str, str]] = {"grid_id": "Grid", "grid": "Grid"}
"""Which system attributes of a trial tell which sampler drew it."""


def load(storage: str, name: str | None) -> Any:
    """Return Optuna's study.

    Raises:
        InputError: Optuna is not installed, or the storage has no such study.
    """
    try:
        import optuna
    except ImportError:
        raise InputError(
            Problem("--from optuna needs the package optuna: pip install optuna (beside kubectl-tuning)")
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        names = optuna.get_all_study_names(storage)
        if name is None and len(names) == 1:
            name = names[0]
        if name not in names:
            wanted = "has several studies: choose one by --name" if name is None else f"has no study {name}"
            raise InputError(Problem(f"{wanted}; there are: {', '.join(names) or 'none'}", without_password(storage)))
        return optuna.load_study(study_name=name, storage=storage)
    except InputError:
        raise
    except Exception as error:  # whatever a database's driver raises
        raise InputError(
            Problem(f"cannot be read as Optuna's storage: {_first_line(error)}", without_password(storage))
        ) from None


def manifest_from(study: Any, metric: str | None, scientific: Sequence[str], warnings: Warnings) -> dict[str, Any]:
    """Return a TuningStudy's manifest for Optuna's study.

    Raises:
        InputError: it has several objectives, or no trial has parameters.
    """
    if len(study.directions) != 1:
        raise InputError(Problem(f"{study.study_name} has {len(study.directions)} objectives; one can be analysed"))
    trials = _trials(study)
    if not any(t.params for t in trials):
        raise InputError(Problem(f"{study.study_name} has no trial with parameters"))
    domains: dict[str, Domain] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            domain, known = _domain(distribution), domains.get(parameter_name(name))
            domains[parameter_name(name)] = domain if known is None else _union(known, domain)
    assigned = [_parameters(t) for t in trials if t.params]
    conditions = conditions_of(list(domains), assigned, domains)
    undecided = [n for n in domains if n not in conditions and not all(n in t for t in assigned)]
    for name in undecided:
        warnings.add(
            Problem("exists in some trials only, and no list decides in which: it is left out", SOURCE, field=name)
        )
    algorithm = _algorithm(trials, warnings)
    return manifest_of(
        Guess(
            name=study.study_name,
            metric=parameter_name(metric or (study.metric_names or ["objective"])[0]),
            domains={n: d for n, d in domains.items() if n not in undecided},
            maximize=study.direction.name == "MAXIMIZE",
            trials=len(trials),
            at=_counted_evaluation(trials),
            algorithm=algorithm,
            scientific=scientific,
            conditions=conditions,
            called={parameter_name(name): name for t in trials for name in t.distributions},
        )
    )


def objects_from(study: Any, metric: str) -> list[dict[str, Any]]:
    """Return Optuna's trials as the objects that trials.jsonl has."""
    return [_object(trial, metric) for trial in _trials(study)]


def _trials(study: Any) -> list[Any]:
    return [t for t in study.get_trials(deepcopy=False) if t.state.name in STATES]


def _object(trial: Any, metric: str) -> dict[str, Any]:
    state = STATES[trial.state.name]
    body: dict[str, Any] = {
        "name": f"trial-{trial.number}",
        "index": trial.number,
        "parameters": _parameters(trial),
        "state": state,
        "curve": [{"step": s, metric: encode_number(v)} for s, v in sorted(trial.intermediate_values.items())],
    }
    if trial.values:
        body["value"] = encode_number(trial.values[0])
    if state == "Stopped":
        body |= {"stoppedBy": PRUNER, "reason": "Pruned"}
    if trial.datetime_start is not None:
        body["startedAt"] = trial.datetime_start.isoformat()
    constraints = trial.system_attrs.get("constraints") or ()
    violated = [f"constraint_{i}" for i, value in enumerate(constraints) if value > 0]
    return body | ({"violations": violated} if violated else {})


def _parameters(trial: Any) -> dict[str, ParameterValue]:
    # A choice may be None, or any object that its author could name: it stands as its text.
    return {
        parameter_name(name): value if isinstance(value, str | int | float | bool) else str(value)
        for name, value in trial.params.items()
    }


def _domain(distribution: Any) -> Domain:
    if hasattr(distribution, "choices"):
        choices = tuple(c if isinstance(c, str | int | float | bool) else str(c) for c in distribution.choices)
        return Domain(values=choices)
    if distribution.low == distribution.high:
        return Domain(values=(distribution.low,))
    is_integer = isinstance(distribution.low, int) and isinstance(distribution.high, int)
    return Domain(float(distribution.low), float(distribution.high), bool(distribution.log), is_integer)


def _union(one: Domain, other: Domain) -> Domain:
    """Return the domain of a parameter whose distribution changed between trials."""
    if one.values or other.values or one.low is None or other.low is None or one.high is None or other.high is None:
        return Domain(values=tuple(dict.fromkeys((*one.values, *other.values))))
    low, high = min(one.low, other.low), max(one.high, other.high)
    return Domain(low, high, one.log and other.log, one.integer and other.integer)


def _counted_evaluation(trials: Sequence[Any]) -> str:
    """Return whether the values that Optuna was told are the curves' last points, rather than their best."""
    told = [
        (t.values[0], list(dict(sorted(t.intermediate_values.items())).values()))
        for t in trials
        if t.values and len(t.intermediate_values) > 1
    ]
    last = sum(value == curve[-1] for value, curve in told)
    return "Last" if told and 2 * last > len(told) else "Best"


def _algorithm(trials: Sequence[Any], warnings: Warnings) -> str:
    seen = {key.split(":")[0] for t in trials for key in t.system_attrs}
    for key, algorithm in ALGORITHMS.items():
        if key in seen:
            return algorithm
    warnings.add(
        Problem(
            "Optuna does not store which sampler drew the trials: Bayesian is assumed, as its default is. For a random "
            "or quasi-random sampler say so in a study.yaml (spec.search.algorithm)",
            SOURCE,
            field="spec.search.algorithm",
        )
    )
    return "Bayesian"


def without_password(url: str) -> str:
    """Return a storage's URL as it may stand in a message.

    >>> without_password("mysql://me:secret@host/db")
    'mysql://me:***@host/db'
    """
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
