"""Manifests for tests: valid as they are, so that a test states only what matters to it."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tuning_operator.api.base import API_VERSION

Manifest = dict[str, Any]


def a_study(name: str = "digits", **spec: Any) -> Manifest:
    """Return a TuningStudy; keywords are merged into its spec, with None removing a field.

    >>> a_study(budget={"parallelTrials": 4})["spec"]["budget"]
    {'maxTrials': 8, 'parallelTrials': 4}
    """
    valid = {
        "objective": {"metric": "validation_loss"},
        "hyperparameters": [a_range("learning_rate", low=1e-4, high=1.0, scale="Log")],
        "budget": {"maxTrials": 8},
        "trial": {"template": {"spec": {"containers": [{"name": "trainer", "image": "localhost/trainer"}]}}},
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "TuningStudy",
        "metadata": {"name": name},
        "spec": merged(valid, spec),
    }


def a_range(name: str = "learning_rate", **fields: Any) -> Manifest:
    """Return a hyperparameter that is a Float range, searched as a nuisance."""
    return merged({"name": name, "type": "Float", "role": "Nuisance", "low": 0.0, "high": 1.0}, fields)


def a_choice(name: str = "optimizer", **fields: Any) -> Manifest:
    """Return a hyperparameter that is a Categorical, compared as scientific."""
    return merged({"name": name, "type": "Categorical", "role": "Scientific", "values": ["adamw", "nesterov"]}, fields)


def a_fixed(name: str = "max_steps", **fields: Any) -> Manifest:
    """Return a hyperparameter that is fixed, to a whole number."""
    return merged({"name": name, "type": "Integer", "role": "Fixed", "value": "600"}, fields)


def a_trial(name: str = "digits-0a1b2c3d-0", study: str = "digits", **spec: Any) -> Manifest:
    """Return a TuningTrial; keywords are merged into its spec."""
    valid = {
        "studyRef": {"name": study, "uid": "6f1c"},
        "index": 0,
        "position": 0,
        "assignments": [{"name": "learning_rate", "value": "0.01"}],
        "parameters": '{"learning_rate": 0.01}',
        "parametersHash": "0" * 64,
        "seed": 7,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "TuningTrial",
        "metadata": {"name": name},
        "spec": merged(valid, spec),
    }


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Manifest:
    """Return `base` with the changes: objects are merged, everything else is replaced, None removes."""
    result = deepcopy(dict(base))
    for key, change in changes.items():
        if change is None:
            result.pop(key, None)
        elif isinstance(change, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], change)
        else:
            result[key] = deepcopy(change)
    return result
