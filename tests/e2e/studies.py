"""Studies for real pods: small, and with the restricted resources of a small machine."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.builders import Manifest, a_fixed, a_range, a_study

CLAIM = "checkpoints"


def a_training(name: str, *, trials: int = 1, parallel: int = 0, slow: float = 0.0, **parts: Any) -> Manifest:
    """Return a study of our trainer over the learning rate.

    Args:
        name: the study's name.
        trials: how many.
        parallel: how many at once; 0: all.
        slow: seconds for which the trainer pauses after each step.
        parts: `fixed`, parameters as numbers or texts; `container` and `pod`, merged into the template; `checkpoint`,
            whether trials keep checkpoints in the claim; `trial_fields`, of spec.trial; all else goes into the spec.
    """
    fixed = {"max_steps": 100, **({"step_delay_seconds": slow} if slow else {}), **parts.pop("fixed", {})}
    searched = parts.pop("searched", [a_range("learning_rate", low=0.01, high=0.3, scale="Log")])
    fixed = {key: value for key, value in fixed.items() if key not in {each["name"] for each in searched}}
    template = {"spec": pod_spec(parts.pop("container", {}), parts.pop("pod", {}))}
    trial: Manifest = {"template": template, **parts.pop("trial_fields", {})}
    if parts.pop("checkpoint", False):
        trial["checkpoint"] = {"claimName": CLAIM}
    spec = {
        "hyperparameters": [*searched, *(_fixed(key, value) for key, value in fixed.items())],
        "budget": {"maxTrials": trials, "parallelTrials": parallel or trials, **parts.pop("budget", {})},
        "trial": trial,
        **parts,
    }
    return a_study(name, **spec)


def a_script(
    name: str, script: Callable[..., None], *, arguments: tuple[object, ...] = (), container: Any = None, **parts: Any
) -> Manifest:
    """Return a study whose trials run a Python function instead of the trainer, in the trainer's image."""
    program = f"{inspect.getsource(script)}\n{script.__name__}(*{arguments!r})\n"
    command = {"command": ["python3", "-c", program.replace("$(", "$$(")]}
    return a_training(name, fixed={}, container={**command, **(container or {})}, **parts)


def pod_spec(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Manifest:
    """Return a pod spec that asks for little."""
    resources = {"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"memory": "1Gi"}}
    return {
        "containers": [{"name": "trainer", "resources": resources, **container}],
        "terminationGracePeriodSeconds": 60,
        **pod,
    }


def a_claim(name: str = CLAIM) -> Manifest:
    """Return a claim for checkpoints, of the cluster's default storage."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def _fixed(name: str, value: object) -> Manifest:
    kinds = {int: "Integer", float: "Float", str: "Categorical"}
    return a_fixed(name, type=kinds[type(value)], value=str(value))
