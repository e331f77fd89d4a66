"""Scraping: the relabelling, run on pods as Prometheus discovers them."""

import re
from typing import Any

import pytest

from hack.generate.scraping import trial_job
from tuning_contract import metrics
from tuning_contract.pack import pack_hash

POD = {
    "__address__": "10.0.0.7:8000",
    "__metrics_path__": "/metrics",
    "__meta_kubernetes_namespace": "team",
    "__meta_kubernetes_pod_name": "digits-4d482d94-7-1-x2x4z",
    "__meta_kubernetes_pod_phase": "Running",
    "__meta_kubernetes_pod_container_port_name": "tuning-metrics",
    "__meta_kubernetes_pod_label_tuning_operator_dev_study": "digits",
    "__meta_kubernetes_pod_label_tuning_operator_dev_study_uid": "6f1c",
    "__meta_kubernetes_pod_label_tuning_operator_dev_trial": "digits-4d482d94-7",
    "__meta_kubernetes_pod_label_tuning_operator_dev_attempt": "1",
}

PACK = pack_hash("[]")


def relabelled(target: dict[str, str], of: str = "relabel_configs") -> dict[str, str] | None:
    """Apply the relabelling as Prometheus does, to a target or to a series; None: it is dropped."""
    labels = dict(target)
    for step in trial_job()[of]:
        value = ";".join(labels.get(source, "") for source in step["source_labels"])
        match = re.fullmatch(step.get("regex", "(.*)"), value)
        if step.get("action") == "keep":
            if not match:
                return None
        elif match:
            labels[step["target_label"]] = match[1] if "replacement" not in step else step["replacement"]
    # A label without a value is none.
    return {name: value for name, value in labels.items() if value and not name.startswith("__meta")}


def test_a_trial_gets_the_labels_that_the_operator_asks_for() -> None:
    assert relabelled(POD) == {
        "__address__": "10.0.0.7:8000",
        "__metrics_path__": "/metrics",
        metrics.LABEL_NAMESPACE: "team",
        metrics.LABEL_POD: "digits-4d482d94-7-1-x2x4z",
        metrics.LABEL_STUDY: "digits",
        metrics.LABEL_STUDY_UID: "6f1c",
        metrics.LABEL_TRIAL: "digits-4d482d94-7",
        metrics.LABEL_ATTEMPT: "1",
    }


def test_the_path_comes_from_the_annotation() -> None:
    found = relabelled({**POD, "__meta_kubernetes_pod_annotation_tuning_operator_dev_metrics_path": "/stats"})
    assert found is not None
    assert found["__metrics_path__"] == "/stats"


@pytest.mark.parametrize(
    "difference",
    [
        {"__meta_kubernetes_pod_phase": "Pending"},
        {"__meta_kubernetes_pod_phase": "Succeeded"},
        {"__meta_kubernetes_pod_container_port_name": "http"},
        {"__meta_kubernetes_pod_label_tuning_operator_dev_trial": ""},
    ],
)
def test_what_is_no_running_trial_is_left_alone(difference: dict[str, Any]) -> None:
    assert relabelled({**POD, **difference}) is None


def test_a_pod_of_several_trials_says_which_one_a_series_is_of() -> None:
    scraped = {"trial": "digits-7", "attempt": "0", "pack": PACK, "exported_trial": "digits-9", "study_uid": "6f1c"}
    series = relabelled({**scraped, "exported_attempt": "2", "exported_study_uid": "other"}, "metric_relabel_configs")
    assert series == {
        "trial": "digits-9",
        "attempt": "2",
        "pack": PACK,
        "study_uid": "6f1c",
        "exported_study_uid": "other",
    }


def test_a_pod_of_one_trial_cannot_pose_as_another() -> None:
    scraped = {"trial": "digits-7", "attempt": "0", "exported_trial": "digits-9", "exported_attempt": "2"}
    for its_own in ({}, {"pack": "blue"}):
        assert relabelled({**scraped, **its_own}, "metric_relabel_configs") == {**scraped, **its_own}


def test_what_a_pack_says_of_none_of_its_trials_is_the_first_ones() -> None:
    scraped = {"trial": "digits-7", "attempt": "0", "pack": PACK}
    assert relabelled(scraped, "metric_relabel_configs") == scraped
