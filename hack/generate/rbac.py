"""What the operator, the bundled Prometheus and the users may do: said once, for the chart and for kustomize.

The operator gets what it uses and nothing that would make it worth stealing: no secrets, no `exec`, no pods of its own
making, no rights to give rights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hack.generate.files import Files, yaml_text
from tuning_operator.api.base import GROUP

Rule = Mapping[str, Sequence[str]]

OPERATOR: Final = "tuning-operator"
PROMETHEUS: Final = "tuning-operator-prometheus"

CHART_FILES: Final = Path("charts/tuning-operator/files/rbac")
MANIFESTS: Final = Path("manifests/rbac")
SOURCE: Final = "hack/generate/rbac.py"

READ: Final = ("get", "list", "watch")


def rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> Rule:
    """Return one rule of a Role: what may be done to which resources of a group."""
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


OPERATOR_RULES: Final[tuple[Rule, ...]] = (
    # Studies, too: where a study says nextStudy.policy Run, the operator creates the one that follows it.
    rule(GROUP, ["tuningstudies", "tuningtrials"], [*READ, "create"]),
    rule(GROUP, ["tuningstudies/status", "tuningtrials/status"], ["update"]),
    # Where OwnerReferencesPermissionEnforcement is on, an owner that blocks its deletion may be named only by someone
    # who may set its finalizers: studies own trials, trials own Jobs.
    rule(GROUP, ["tuningstudies/finalizers", "tuningtrials/finalizers"], ["update"]),
    rule("batch", ["jobs"], [*READ, "create", "patch", "delete"]),
    rule("", ["pods"], ["list", "watch"]),
    # Reading events, too: that a quota or Pod Security refuses a Job's pods is said nowhere else.
    rule("", ["events"], ["list", "create"]),
)

PROMETHEUS_RULES: Final[tuple[Rule, ...]] = (rule("", ["pods"], READ),)


@dataclass(frozen=True)
class UserRole:
    """A role for people, added to the cluster's own role of the same name."""

    name: str
    aggregate_to: str
    rules: tuple[Rule, ...]


_VIEW: Final = (
    rule(GROUP, ["tuningstudies", "tuningtrials"], READ),
    rule(GROUP, ["tuningstudies/status", "tuningstudies/scale", "tuningtrials/status"], ["get"]),
)
_EDIT: Final = (
    *_VIEW,
    rule(GROUP, ["tuningstudies"], ["create", "update", "patch", "delete", "deletecollection"]),
    rule(GROUP, ["tuningstudies/scale"], ["update", "patch"]),
)
# Trials are the operator's to write; that an administrator may clear them away is for repairs.
_ADMIN: Final = (*_EDIT, rule(GROUP, ["tuningtrials"], ["delete", "deletecollection"]))

USER_ROLES: Final = (
    UserRole("admin", "admin", _ADMIN),
    UserRole("edit", "edit", _EDIT),
    UserRole("view", "view", _VIEW),
)


def labels(component: str) -> dict[str, str]:
    """Return the labels of the kustomize base's objects; the chart's are the same, plus Helm's own."""
    return {
        "app.kubernetes.io/name": OPERATOR,
        "app.kubernetes.io/instance": OPERATOR,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": OPERATOR,
    }


def roles() -> Files:
    """Return the kustomize base's roles, and the rules that the chart's templates read."""
    files = {
        MANIFESTS / "operator.yaml": _account_with_role(OPERATOR, "operator", OPERATOR_RULES),
        MANIFESTS / "prometheus.yaml": _account_with_role(PROMETHEUS, "prometheus", PROMETHEUS_RULES),
        MANIFESTS / "users.yaml": [_user_role(role) for role in USER_ROLES],
        CHART_FILES / "operator.yaml": [{"rules": OPERATOR_RULES}],
        CHART_FILES / "prometheus.yaml": [{"rules": PROMETHEUS_RULES}],
        CHART_FILES / "users.yaml": [
            {role.name: {"aggregateTo": role.aggregate_to, "rules": role.rules} for role in USER_ROLES}
        ],
    }
    return {path: yaml_text(documents, SOURCE) for path, documents in files.items()}


def _account_with_role(name: str, component: str, rules: Sequence[Rule]) -> list[dict[str, Any]]:
    metadata = {"name": name, "labels": labels(component)}
    api = "rbac.authorization.k8s.io"
    return [
        # The pod that needs the token asks for it; nothing else that runs as this account gets one.
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False},
        {"apiVersion": f"{api}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": list(rules)},
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": name},
            # kustomize writes the namespace that it installs into.
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "tuning-operator-system"}],
        },
    ]


def _user_role(role: UserRole) -> dict[str, Any]:
    aggregation = {f"rbac.authorization.k8s.io/aggregate-to-{role.aggregate_to}": "true"}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"{OPERATOR}-{role.name}", "labels": {**labels("users"), **aggregation}},
        "rules": list(role.rules),
    }
