"""The policies as data; what they do is tested on a real API server."""

from typing import Any

import pytest

from tuning_operator.api.policies import ServiceAccount, admission_policies

OPERATOR = ServiceAccount("tuning", "operator")


def of_kind(kind: str, **options: Any) -> list[dict[str, Any]]:
    """Return the objects of a kind."""
    return [manifest for manifest in admission_policies(OPERATOR, **options) if manifest["kind"] == kind]


def test_each_policy_is_bound_and_denies() -> None:
    policies = of_kind("ValidatingAdmissionPolicy")
    bindings = of_kind("ValidatingAdmissionPolicyBinding")
    assert [policy["metadata"]["name"] for policy in policies] == [
        binding["spec"]["policyName"] for binding in bindings
    ]
    assert all(policy["spec"]["failurePolicy"] == "Fail" for policy in policies)
    assert all(binding["spec"]["validationActions"] == ["Deny"] for binding in bindings)


def test_the_operator_alone_writes_trials_and_is_not_asked_for_the_rights_of_a_study_s_author() -> None:
    naming = [p for p in of_kind("ValidatingAdmissionPolicy") if "system:serviceaccount:tuning:operator" in str(p)]
    names = [p["metadata"]["name"] for p in naming]
    assert names == ["tuning-operator-study-author", "tuning-operator-trial-writer"]


@pytest.mark.parametrize("policy", of_kind("ValidatingAdmissionPolicy"), ids=lambda policy: policy["metadata"]["name"])
def test_deletions_are_no_policy_s_concern(policy: dict[str, Any]) -> None:
    for rule in policy["spec"]["matchConstraints"]["resourceRules"]:
        assert set(rule["operations"]) <= {"CREATE", "UPDATE"}


def test_bindings_can_be_limited_to_the_namespaces_that_are_served() -> None:
    for binding in of_kind("ValidatingAdmissionPolicyBinding", namespaces=["a", "b"]):
        assert binding["spec"]["matchResources"]["namespaceSelector"] == {
            "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a", "b"]}]
        }


def test_names_and_labels_are_the_installation_s() -> None:
    for manifest in admission_policies(OPERATOR, prefix="team-a", labels={"team": "a"}):
        assert manifest["metadata"]["name"].startswith("team-a-")
        assert manifest["metadata"]["labels"] == {"team": "a"}
