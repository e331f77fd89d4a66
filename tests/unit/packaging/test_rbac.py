"""Roles: nothing that could be turned into more."""

import pytest

from hack.generate.rbac import OPERATOR_RULES, PROMETHEUS_RULES, USER_ROLES, Rule


def granted(rules: tuple[Rule, ...]) -> set[tuple[str, str]]:
    """Return what the rules allow, as (resource, verb)."""
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


ALL = [OPERATOR_RULES, PROMETHEUS_RULES, *(role.rules for role in USER_ROLES)]


@pytest.mark.parametrize("rules", ALL)
def test_nothing_is_granted_by_a_star(rules: tuple[Rule, ...]) -> None:
    assert not [rule for rule in rules for words in rule.values() if "*" in words]


@pytest.mark.parametrize("rules", ALL)
def test_nobody_gets_what_leads_to_more(rules: tuple[Rule, ...]) -> None:
    resources = {resource for resource, _ in granted(rules)}
    assert not resources & {"secrets", "pods/exec", "serviceaccounts/token", "roles", "clusterroles", "rolebindings"}
    assert not {verb for _, verb in granted(rules)} & {"bind", "escalate", "impersonate"}


def test_the_operator_makes_no_pods_and_deletes_no_trials() -> None:
    may = granted(OPERATOR_RULES)
    assert {verb for resource, verb in may if resource == "pods"} == {"list", "watch"}
    assert {verb for resource, verb in may if resource == "tuningtrials"} == {"get", "list", "watch", "create"}
    # A study that follows another one is created (nextStudy.policy Run); none is ever changed or deleted.
    assert {verb for resource, verb in may if resource == "tuningstudies"} == {"get", "list", "watch", "create"}


def test_prometheus_sees_pods_and_nothing_else() -> None:
    assert granted(PROMETHEUS_RULES) == {("pods", "get"), ("pods", "list"), ("pods", "watch")}


def test_people_with_more_rights_have_those_of_the_others_too() -> None:
    admin, edit, view = (granted(role.rules) for role in USER_ROLES)
    assert admin > edit > view
    assert {verb for _, verb in view} == {"get", "list", "watch"}


def test_people_never_write_trials() -> None:
    for role in USER_ROLES:
        written = {verb for resource, verb in granted(role.rules) if resource.startswith("tuningtrials")}
        assert not written & {"create", "update", "patch"}
