"""Admission policies: what the API server must ask about *who* writes, which a schema cannot.

The operator creates Jobs in any namespace that it serves. Without the policy on authors, permission to create studies
would be permission to run any pod; without the one on trials, so would permission to create trials. A third one keeps
the pod's template as it is, where the schema's own rule can be deceived.

They look only at what they guard. The garbage collector's patches of finalizers, which foreground deletion and the
deletion of a namespace wait for, change neither spec nor status, and pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tuning_operator.api.base import GROUP, VERSION
from tuning_operator.api.rules import formatted

Manifest = dict[str, Any]

API: Final = "admissionregistration.k8s.io/v1"


@dataclass(frozen=True)
class ServiceAccount:
    """The account that the operator runs as."""

    namespace: str = "tuning-operator-system"
    name: str = "tuning-operator"

    @property
    def username(self) -> str:
        """Its name as the API server authenticates it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


def admission_policies(
    operator: ServiceAccount,
    *,
    prefix: str = "tuning-operator",
    labels: Mapping[str, str] | None = None,
    namespaces: Sequence[str] = (),
) -> list[Manifest]:
    """Return the policies and their bindings.

    Args:
        operator: The only account that may write trials.
        prefix: What the objects' names begin with; two installations in a cluster need different ones.
        labels: Labels of the objects.
        namespaces: The namespaces that the operator serves; none named means all.
    """
    metadata = {"labels": dict(labels)} if labels else {}
    policies = {
        f"{prefix}-study-author": study_author(operator),
        f"{prefix}-study-template": study_template(),
        f"{prefix}-trial-writer": trial_writer(operator),
    }
    return [
        manifest
        for name, spec in policies.items()
        for manifest in (
            _policy({"name": name, **metadata}, spec),
            _binding({"name": name, **metadata}, name, namespaces),
        )
    ]


def study_author(operator: ServiceAccount) -> Manifest:
    """Return the rule that a study gives no power that its author lacks.

    The operator's own are exempt: it creates studies that follow another one (nextStudy.policy Run), in that one's
    namespace and with its template, whose author was asked. It cannot be asked for the right to use their account.
    """
    may_create_jobs = (
        'authorizer.group("batch").resource("jobs").namespace(request.namespace).check("create").allowed()'
    )
    may_use = (
        'authorizer.group("").resource("serviceaccounts").namespace(request.namespace).name(account)'
        '.check("use").allowed()'
    )
    template = "object.?spec.trial.template.spec"  # absent where `kubectl scale` writes
    return {
        # Scaling is in the list since it makes the operator create Jobs, too.
        "matchConstraints": _matching("tuningstudies", "tuningstudies/scale"),
        "matchConditions": [
            {
                "name": "spec-is-written",
                "expression": 'request.operation == "CREATE" || object.spec != oldObject.spec',
            },
            {
                "name": "not-by-the-operator",
                "expression": f'request.userInfo.username != "{operator.username}"',
            },
        ],
        "variables": [
            {
                # The pod's account may be given by either name; empty means default.
                "name": "accounts",
                "expression": f'[{template}.serviceAccountName.orValue(""), {template}.serviceAccount.orValue("")]'
                '.filter(account, account != "" && account != "default")',
            },
        ],
        "validations": [
            {
                "expression": may_create_jobs,
                "message": "a study creates Jobs: to create or change one you must be allowed to create Jobs yourself",
                "messageExpression": formatted(
                    "a study creates Jobs: to create or change one you must be allowed to create Jobs (batch) "
                    "in namespace %s yourself",
                    "request.namespace",
                ),
                "reason": "Forbidden",
            },
            {
                "expression": f"variables.accounts.all(account, {may_use})",
                "message": "the pods of trials run as a service account that you may not use: "
                "you need the verb use on it, or leave serviceAccountName out",
                "messageExpression": formatted(
                    "the pods of trials would run as service account %s: to use it you must be allowed the verb use "
                    "on this service account in namespace %s, or leave serviceAccountName out",
                    'variables.accounts.join(" and ")',
                    "request.namespace",
                ),
                "reason": "Forbidden",
            },
        ],
    }


def study_template() -> Manifest:
    """Return the rule that a study's template never changes.

    The CRD says so, too, but where it keeps unknown fields its comparison misses one field swapped for another.
    """
    return {
        "matchConstraints": _matching("tuningstudies", operations=["UPDATE"]),
        "validations": [
            {
                "expression": "object.spec.trial == oldObject.spec.trial",
                "message": "trial cannot be changed, since trials of different templates are not comparable: "
                "create another study",
                "reason": "Invalid",
            }
        ],
    }


def trial_writer(operator: ServiceAccount) -> Manifest:
    """Return the rule that only the operator writes trials. Who may delete them is for RBAC to say."""
    return {
        "matchConstraints": _matching("tuningtrials", "tuningtrials/status"),
        "matchConditions": [
            {
                "name": "spec-or-status-is-written",
                "expression": 'request.operation == "CREATE" || object.?spec != oldObject.?spec'
                ' || (request.subResource == "status" && object.?status != oldObject.?status)',
            }
        ],
        "validations": [
            {
                "expression": f'request.userInfo.username == "{operator.username}"',
                "message": "trials are written by the operator alone: create or change a TuningStudy instead",
                "reason": "Forbidden",
            }
        ],
    }


def _policy(metadata: Manifest, spec: Manifest) -> Manifest:
    return {
        "apiVersion": API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": metadata,
        "spec": {"failurePolicy": "Fail", **spec},
    }


def _binding(metadata: Manifest, policy: str, namespaces: Sequence[str]) -> Manifest:
    spec: Manifest = {"policyName": policy, "validationActions": ["Deny"]}
    if namespaces:
        served = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}
        spec["matchResources"] = {"namespaceSelector": {"matchExpressions": [served]}}
    return {"apiVersion": API, "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata, "spec": spec}


def _matching(*resources: str, operations: Sequence[str] = ("CREATE", "UPDATE")) -> Manifest:
    rule = {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": list(operations),
        "resources": list(resources),
    }
    return {"resourceRules": [rule]}
