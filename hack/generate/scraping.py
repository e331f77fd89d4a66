"""How Prometheus finds trials and names their series: the same for every way of installing it.

A trial's pod is found by its labels, so an image needs to know nothing of us. The relabelling below is written once
and comes out as Prometheus's own configuration (bundled, or printed for an existing server) and as a PodMonitor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hack.generate.files import Files, yaml_text
from hack.generate.rbac import PROMETHEUS, labels
from tuning_contract import metrics
from tuning_operator.api.names import (
    ANNOTATION_METRICS_PATH,
    LABEL_ATTEMPT,
    LABEL_PACK,
    LABEL_STUDY,
    LABEL_STUDY_UID,
    LABEL_TRIAL,
    METRICS_PORT_NAME,
)

SCRAPE_INTERVAL: Final = "15s"
SAMPLE_LIMIT: Final = 10000
LABEL_LIMIT: Final = 64

CHART_FILES: Final = Path("charts/tuning-operator/files/scraping")
SOURCE: Final = "hack/generate/scraping.py"


@dataclass(frozen=True)
class Relabel:
    """One step of relabelling; unset fields keep Prometheus's default."""

    source: str | tuple[str, ...]
    target: str | None = None
    regex: str | None = None
    action: str | None = None
    replacement: str | None = None

    def for_prometheus(self) -> dict[str, Any]:
        """Return it as prometheus.yaml spells it."""
        return self._spelled("source_labels", "target_label")

    def for_monitor(self) -> dict[str, Any]:
        """Return it as a PodMonitor spells it."""
        return self._spelled("sourceLabels", "targetLabel")

    def _spelled(self, source: str, target: str) -> dict[str, Any]:
        fields = {
            source: [self.source] if isinstance(self.source, str) else [*self.source],
            "regex": self.regex,
            target: self.target,
            "replacement": self.replacement,
            "action": self.action,
        }
        return {name: value for name, value in fields.items() if value is not None}


def meta(kind: str, name: str) -> str:
    """Return the service discovery's label for a pod's label or annotation.

    >>> meta("label", "tuning-operator.dev/study-uid")
    '__meta_kubernetes_pod_label_tuning_operator_dev_study_uid'
    """
    return f"__meta_kubernetes_pod_{kind}_" + name.replace("/", "_").replace(".", "_").replace("-", "_")


NAMING: Final = (
    Relabel(meta("annotation", ANNOTATION_METRICS_PATH), "__metrics_path__", "(.+)"),
    Relabel("__meta_kubernetes_namespace", metrics.LABEL_NAMESPACE),
    Relabel("__meta_kubernetes_pod_name", metrics.LABEL_POD),
    Relabel(meta("label", LABEL_STUDY), metrics.LABEL_STUDY),
    Relabel(meta("label", LABEL_STUDY_UID), metrics.LABEL_STUDY_UID),
    Relabel(meta("label", LABEL_TRIAL), metrics.LABEL_TRIAL),
    Relabel(meta("label", LABEL_ATTEMPT), metrics.LABEL_ATTEMPT),
    Relabel(meta("label", LABEL_PACK), metrics.LABEL_PACK),
)
"""Whose series these are. What the pod says under these names becomes `exported_…`: it cannot pose as another."""


def _of_a_pack(label: str) -> tuple[Relabel, Relabel]:
    sources = (metrics.LABEL_PACK, f"exported_{label}")
    return (
        Relabel(sources, label, "[0-9a-f]{32};(.+)"),
        Relabel(sources, f"exported_{label}", "[0-9a-f]{32};.+", replacement=""),
    )


SHARING: Final = (*_of_a_pack(metrics.LABEL_TRIAL), *_of_a_pack(metrics.LABEL_ATTEMPT))
"""A pack's pod may say which of its trials a series is of; its study, and so its namespace, it may not. A
pod of one trial may not, but for an image that forges a pack's label: that one can speak for others of its study."""

CHOOSING: Final = (
    Relabel(meta("label", LABEL_TRIAL), regex=".+", action="keep"),
    Relabel("__meta_kubernetes_pod_container_port_name", regex=METRICS_PORT_NAME, action="keep"),
    # A pod that is pending has no address, and one that has ended does not answer.
    Relabel("__meta_kubernetes_pod_phase", regex="Running", action="keep"),
)
"""Which pods are trials. A PodMonitor says the same by its selector, its port and `filterRunning`."""

LIMITS: Final = {"sample_limit": SAMPLE_LIMIT, "label_limit": LABEL_LIMIT}
"""No trial may flood the server that all of them share."""


def trial_job() -> dict[str, Any]:
    """Return the scrape job of the trials, for all namespaces."""
    return {
        "job_name": "tuning-trials",
        **LIMITS,
        "kubernetes_sd_configs": [{"role": "pod", "selectors": [{"role": "pod", "label": LABEL_TRIAL}]}],
        "relabel_configs": [step.for_prometheus() for step in (*CHOOSING, *NAMING)],
        "metric_relabel_configs": [step.for_prometheus() for step in SHARING],
    }


def operator_job() -> dict[str, Any]:
    """Return the scrape job of the operator; its series about studies carry the study's namespace."""
    return {
        "job_name": "tuning-operator",
        "honor_labels": True,
        "static_configs": [{"targets": ["tuning-operator:8080"]}],
    }


def scraping() -> Files:
    """Return what the chart's templates read, and the kustomize base's configuration of Prometheus."""
    configuration = {
        "global": {"scrape_interval": SCRAPE_INTERVAL},
        "scrape_configs": [operator_job(), trial_job()],
    }
    configuration_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": PROMETHEUS, "labels": labels("prometheus")},
        "data": {"prometheus.yaml": yaml_text([configuration], SOURCE)},
    }
    files = {
        CHART_FILES / "trials.yaml": trial_job(),
        CHART_FILES / "podmonitor.yaml": {
            "relabelings": [step.for_monitor() for step in NAMING],
            "metricRelabelings": [step.for_monitor() for step in SHARING],
        },
        Path("manifests/manager/prometheus-configuration.yaml"): configuration_map,
    }
    return {path: yaml_text([document], SOURCE) for path, document in files.items()}
