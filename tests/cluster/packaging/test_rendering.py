"""What the chart renders: the same as the kustomize base, and for each value what it promises."""

from typing import Any

import pytest
from ruamel.yaml import YAML

from hack.generate.scraping import trial_job
from tests.cluster.packaging.helm import Manifest, kustomized, named, of_kind, rendered, template

HELMS_OWN = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")
EXISTING = ("--set=prometheus.bundled=false", "--set=prometheus.url=https://prometheus.example.com")


def comparable(thing: Manifest) -> Manifest:
    """Return an object without what Helm or kustomize puts on everything it makes."""
    metadata = dict(thing["metadata"])
    labels = {name: value for name, value in metadata.pop("labels", {}).items() if name not in HELMS_OWN}
    if thing["kind"] == "CustomResourceDefinition":
        # Helm is told to keep definitions; both kinds of labels are for people only.
        annotations = metadata.pop("annotations", {})
        annotations.pop("helm.sh/resource-policy", None)
        metadata |= {"annotations": annotations} if annotations else {}
        labels = {}
    data = {key: parsed(key, text) for key, text in thing.get("data", {}).items()}
    return {**thing, "metadata": {**metadata, "labels": labels}, **({"data": data} if data else {})}


def parsed(key: str, text: str) -> Any:
    """Return a configuration's meaning: two writers of YAML order and indent differently."""
    return YAML(typ="safe", pure=True).load(text) if key.endswith(".yaml") else text


def by_name(objects: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Return the objects under their kinds and names."""
    found = {(thing["kind"], thing["metadata"]["name"]): comparable(thing) for thing in objects}
    assert len(found) == len(objects)
    # Helm makes the namespace itself.
    return {key: thing for key, thing in found.items() if key[0] != "Namespace"}


def test_the_chart_and_the_kustomize_base_are_the_same() -> None:
    chart, base = by_name(rendered()), by_name(kustomized())
    # Helm restarts Prometheus when its configuration changes; kustomize leaves that to the user.
    template_of_prometheus = chart["Deployment", "tuning-operator-prometheus"]["spec"]["template"]["metadata"]
    assert list(template_of_prometheus.pop("annotations")) == ["tuning-operator.dev/configuration"]
    assert chart.keys() == base.keys()
    for key in chart:
        assert chart[key] == base[key], key


def operator(*values: str) -> tuple[Manifest, dict[str, str]]:
    """Return the operator's pod and its plain environment variables."""
    pod = named(rendered("--show-only=templates/deployment.yaml", *values), "Deployment", "tuning-operator")["spec"][
        "template"
    ]["spec"]
    environment = pod["containers"][0]["env"]
    return pod, {entry["name"]: entry["value"] for entry in environment if "value" in entry}


def test_the_operator_learns_the_scrape_interval_that_prometheus_has() -> None:
    objects = rendered("--set=prometheus.scrapeInterval=5s")
    configuration = named(objects, "ConfigMap", "tuning-operator-prometheus")["data"]["prometheus.yaml"]
    assert parsed("prometheus.yaml", configuration)["global"]["scrape_interval"] == "5s"
    assert operator("--set=prometheus.scrapeInterval=5s")[1]["TUNING_OPERATOR_SCRAPE_INTERVAL"] == "5"


def test_an_existing_prometheus_with_a_token_and_an_authority() -> None:
    pod, environment = operator(
        *EXISTING, "--set=prometheus.bearerTokenSecret.name=token", "--set=prometheus.caConfigMap.name=ca"
    )
    assert environment["TUNING_OPERATOR_PROMETHEUS_URL"] == "https://prometheus.example.com"
    mounted = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    sources = {volume["name"]: volume for volume in pod["volumes"]}
    token, authority = sources["prometheus-token"]["secret"], sources["prometheus-ca"]["configMap"]
    assert (
        f"{mounted['prometheus-token']}/{token['items'][0]['path']}"
        == environment["TUNING_OPERATOR_PROMETHEUS_TOKEN_FILE"]
    )
    assert (
        f"{mounted['prometheus-ca']}/{authority['items'][0]['path']}"
        == environment["TUNING_OPERATOR_PROMETHEUS_CA_FILE"]
    )
    assert (token["secretName"], authority["name"]) == ("token", "ca")


def test_an_existing_prometheus_leaves_nothing_of_ours_behind() -> None:
    assert "tuning-operator-prometheus" not in {thing["metadata"]["name"] for thing in rendered(*EXISTING)}


def test_watched_namespaces_get_roles_and_nothing_is_granted_elsewhere() -> None:
    objects = rendered("--set=watchNamespaces={team-a,team-b}", "--set=rbac.userRoles=false")
    assert not of_kind(objects, "ClusterRole", "ClusterRoleBinding")
    roles = {(role["metadata"]["namespace"], role["metadata"]["name"]) for role in of_kind(objects, "Role")}
    name = "tuning-operator-tuning-operator-system"
    assert roles == {(space, name + end) for space in ("team-a", "team-b") for end in ("", "-prometheus")}
    bindings = of_kind(objects, "RoleBinding")
    assert {(it["metadata"]["namespace"], it["roleRef"]["name"]) for it in bindings} == roles
    assert {subject["namespace"] for it in bindings for subject in it["subjects"]} == {"tuning-operator-system"}


def test_watched_namespaces_reach_the_operator_prometheus_and_the_policies() -> None:
    chosen = "--set=watchNamespaces={team-a,team-b}"
    assert operator(chosen)[1]["TUNING_OPERATOR_WATCH_NAMESPACES"] == "team-a,team-b"
    objects = rendered(chosen)
    configuration = named(objects, "ConfigMap", "tuning-operator-prometheus")["data"]["prometheus.yaml"]
    (discovery,) = parsed("prometheus.yaml", configuration)["scrape_configs"][1]["kubernetes_sd_configs"]
    assert discovery["namespaces"] == {"names": ["team-a", "team-b"]}
    for binding in of_kind(objects, "ValidatingAdmissionPolicyBinding"):
        (only,) = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert only["values"] == ["team-a", "team-b"]


def test_monitors_say_what_the_bundled_prometheus_is_told() -> None:
    objects = rendered(
        *EXISTING, "--set=prometheus.podMonitor.enabled=true", "--set=prometheus.podMonitor.labels.release=stack"
    )
    (monitor,), (service,) = of_kind(objects, "PodMonitor"), of_kind(objects, "ServiceMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    spelled = [
        {"source_labels": step["sourceLabels"], "target_label": step["targetLabel"]} for step in endpoint["relabelings"]
    ]
    naming = [
        {key: step[key] for key in ("source_labels", "target_label")}
        for step in trial_job()["relabel_configs"]
        if "target_label" in step
    ]
    assert spelled == naming
    assert monitor["spec"]["selector"]["matchExpressions"] == [
        {"key": "tuning-operator.dev/trial", "operator": "Exists"}
    ]
    assert service["spec"]["endpoints"][0]["honorLabels"]
    assert {thing["metadata"]["labels"]["release"] for thing in (monitor, service)} == {"stack"}


def test_a_network_policy_lets_the_operator_reach_its_prometheus() -> None:
    url = "--set=prometheus.url=https://prometheus.example.com:8443/api"
    objects = rendered(*EXISTING, url, "--set=networkPolicy.enabled=true")
    (policy,) = of_kind(objects, "NetworkPolicy")
    assert 8443 in [port["port"] for port in policy["spec"]["egress"][0]["ports"]]


def test_definitions_outlive_the_release() -> None:
    definitions = of_kind(rendered(), "CustomResourceDefinition")
    assert len(definitions) == 2
    assert all(it["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for it in definitions)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("crds.install", "CustomResourceDefinition"),
        ("admissionPolicies.enabled", "ValidatingAdmissionPolicy"),
        ("admissionPolicies.enabled", "ValidatingAdmissionPolicyBinding"),
    ],
)
def test_what_is_switched_off_is_gone(value: str, kind: str) -> None:
    assert f"\nkind: {kind}\n" in template()
    assert f"\nkind: {kind}\n" not in template(f"--set={value}=false")


def test_a_digest_wins_over_a_tag() -> None:
    digest = f"sha256:{'0' * 64}"
    pod, environment = operator(
        f"--set=image.digest={digest}", "--set=image.tag=v1", "--set=trainer.image.repository=registry.example.com/t"
    )
    assert pod["containers"][0]["image"] == f"localhost/tuning-operator/operator@{digest}"
    assert environment["TUNING_OPERATOR_TRAINER_IMAGE"] == "registry.example.com/t:0.1.0"


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        (["--set=prometheus.bundled=false"], "--set prometheus.url=http"),
        (["--set=prometheus.url=http://p"], "--set prometheus.bundled=false"),
        (["--set=prometheus.scrapeInterval=1m"], "at '/prometheus/scrapeInterval'"),
        (["--set=prometheus.url=prometheus:9090"], "at '/prometheus/url'"),
        (["--set=watchNamespaces={Team}"], "at '/watchNamespaces/0'"),
        (["--set=image.tagg=1"], "additional properties 'tagg' not allowed"),
        (["--set=logLevel=loud"], "at '/logLevel'"),
    ],
)
def test_values_that_cannot_work_are_refused(values: list[str], answer: str) -> None:
    said = template(*values)
    assert said.startswith("Error:")
    assert answer in said
