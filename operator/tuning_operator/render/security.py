"""The restricted Pod Security Standard, filled in where a template says nothing.

What the template sets wins; whether the namespace admits it is for its Pod Security admission to say.
"""

import copy
from typing import Any

USER = 65532
TMP_VOLUME = "tuning-tmp"


def with_restricted_defaults(pod_spec: dict[str, Any]) -> dict[str, Any]:
    """Return the pod spec with every unset field that the restricted standard asks for.

    A read-only root needs a place to write: /tmp becomes an emptyDir, and HOME points to it.
    """
    spec = copy.deepcopy(pod_spec)
    spec.setdefault("automountServiceAccountToken", False)
    context = spec.setdefault("securityContext", {})
    context.setdefault("runAsNonRoot", True)
    if context["runAsNonRoot"]:
        context.setdefault("runAsUser", USER)
    context.setdefault("fsGroup", USER)
    # Without it the kubelet walks a large checkpoint volume at each start to change owners that are right already.
    context.setdefault("fsGroupChangePolicy", "OnRootMismatch")
    context.setdefault("seccompProfile", {"type": "RuntimeDefault"})
    needs_tmp = [_restrict(container) for kind in ("initContainers", "containers") for container in spec.get(kind, [])]
    if any(needs_tmp):
        spec.setdefault("volumes", []).append({"name": TMP_VOLUME, "emptyDir": {}})
    return spec


def _restrict(container: dict[str, Any]) -> bool:
    """Restrict one container in place; return whether it was given the emptyDir on /tmp."""
    context = container.setdefault("securityContext", {})
    context.setdefault("allowPrivilegeEscalation", False)
    context.setdefault("capabilities", {}).setdefault("drop", ["ALL"])
    context.setdefault("readOnlyRootFilesystem", True)
    mounts = container.setdefault("volumeMounts", [])
    if not context["readOnlyRootFilesystem"] or any(m.get("mountPath", "").rstrip("/") == "/tmp" for m in mounts):  # noqa: S108
        return False
    mounts.append({"name": TMP_VOLUME, "mountPath": "/tmp"})  # noqa: S108
    env = container.setdefault("env", [])
    if not any(entry.get("name") == "HOME" for entry in env):
        env.append({"name": "HOME", "value": "/tmp"})  # noqa: S108
    return True
