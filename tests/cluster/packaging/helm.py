"""Helm and kustomize, as a user runs them, and what they render."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from hack.control_plane import ControlPlane
from hack.paths import ROOT
from hack.tools import KUBERNETES_VERSION, binaries

CHART = ROOT / "charts" / "tuning-operator"
MANIFESTS = ROOT / "manifests"

Manifest = dict[str, Any]


def template(*arguments: str, release: str = "tuning-operator", namespace: str = "tuning-operator-system") -> str:
    """Return what `helm template` says, be it manifests or an error."""
    return _run(
        "template", release, str(CHART), "--namespace", namespace, "--kube-version", KUBERNETES_VERSION, *arguments
    )


def rendered(*arguments: str, **where: str) -> list[Manifest]:
    """Return the objects of the chart."""
    return documents(template(*arguments, **where))


def kustomized() -> list[Manifest]:
    """Return the objects of the kustomize base."""
    command = [str(binaries.kubectl), "kustomize", str(MANIFESTS)]
    return documents(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def documents(text: str) -> list[Manifest]:
    """Return the objects in a YAML text."""
    return [document for document in YAML(typ="safe", pure=True).load_all(text) if document]


def of_kind(objects: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    """Return the objects of some kinds."""
    return [thing for thing in objects if thing["kind"] in kinds]


def named(objects: Sequence[Manifest], kind: str, name: str) -> Manifest:
    """Return one object."""
    (found,) = (thing for thing in of_kind(objects, kind) if thing["metadata"]["name"] == name)
    return found


class Helm:
    """Helm on a control plane. Nothing runs there, so an installation never waits for pods."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def install(self, release: str, namespace: str, *values: str) -> str:
        """Install a release; return what Helm says, be it notes or an error."""
        return self._helm("install", release, str(CHART), "--namespace", namespace, "--create-namespace", *values)

    def upgrade(self, release: str, namespace: str, *values: str) -> str:
        """Upgrade a release."""
        return self._helm("upgrade", release, str(CHART), "--namespace", namespace, *values)

    def uninstall(self, release: str, namespace: str) -> str:
        """Uninstall a release."""
        return self._helm("uninstall", release, "--namespace", namespace)

    def uninstall_all(self) -> None:
        """Uninstall every release."""
        for release in json.loads(self._helm("list", "--all-namespaces", "--output=json")):
            self.uninstall(release["name"], release["namespace"])

    def lint(self) -> str:
        """Check the chart."""
        return self._helm("lint", str(CHART), "--kube-version", KUBERNETES_VERSION, "--strict")

    def _helm(self, *arguments: str) -> str:
        return _run(*arguments, "--kubeconfig", str(self._plane.kubeconfig), folder=self._plane.folder)


def _run(*arguments: str, folder: Path | None = None) -> str:
    # Helm's caches and settings are those of the test, never the user's.
    homes: Mapping[str, str] = (
        {} if folder is None else {f"HELM_{kind}_HOME": str(folder / "helm") for kind in ("CACHE", "CONFIG", "DATA")}
    )
    result = subprocess.run(
        [str(binaries.helm), *arguments], env={**os.environ, **homes}, capture_output=True, text=True
    )
    return result.stdout if result.returncode == 0 else result.stdout + result.stderr
