"""The programs we run, built from `hack/go`: what is on the machine's PATH may be any version."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path

from hack import shell
from hack.cache import HASH_LENGTH, files_in, hash_of_files, made
from hack.paths import ROOT, cache

KUBERNETES_VERSION = "v1.34.4"
GO_MODULE = ROOT / "hack" / "go"

_PACKAGES = {
    "kubernetes": "./kubernetes",
    "coredns": "./coredns",
    "pause": "./pause",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kind": "sigs.k8s.io/kind",
    "helm": "helm.sh/helm/v3/cmd/helm",
}


class Binaries:
    """Paths of our programs. Asking for one builds it when it is missing."""

    @cached_property
    def folder(self) -> Path:
        """Where the binaries of this version of `hack/go` are."""
        return cache() / "bin" / module_hash()

    @property
    def kubernetes(self) -> Path:
        """Every Kubernetes program and etcd in one binary: `kubernetes kube-apiserver …`."""
        return self._built("kubernetes")

    @property
    def kubectl(self) -> Path:
        """kubectl: the same binary by that name, or alone where nothing else of Kubernetes is needed."""
        if (self.folder / "kubernetes").exists():
            return made(self.folder / "kubectl", lambda path: path.symlink_to("kubernetes"))
        return self._built("kubectl")

    @property
    def kind(self) -> Path:
        """kind, which runs a cluster in a container."""
        return self._built("kind")

    @property
    def helm(self) -> Path:
        """Helm 3, compiled against the cluster's version of the client libraries."""
        return self._built("helm")

    @property
    def coredns(self) -> Path:
        """CoreDNS with the plugins that a cluster's Corefile uses; for the node image."""
        return self._built("coredns")

    @property
    def pause(self) -> Path:
        """The process that holds a pod's namespaces; for the node image."""
        return self._built("pause")

    def missing(self, *names: str) -> list[str]:
        """Which of these programs would have to be built."""
        return [name for name in names if not (self.folder / name).exists()]

    def _built(self, name: str) -> Path:
        return made(self.folder / name, lambda temporary: _build(_PACKAGES[name], temporary))


binaries = Binaries()


def module_hash() -> str:
    """What the binaries are made from: the files of `hack/go`."""
    return hash_of_files(GO_MODULE, files_in(GO_MODULE))[:HASH_LENGTH]


def linker_flags(version: str = KUBERNETES_VERSION) -> str:
    """Strip symbols, and state the version that the API server and its clients compare with each other."""
    major, minor, _ = version.removeprefix("v").split(".")
    facts = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "0" * 40,
        "buildDate": "1970-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stated = [f"-X {package}.{name}={value}" for package in packages for name, value in facts.items()]
    return " ".join(["-s", "-w", *stated])


def _build(package: str, target: Path) -> None:
    if shutil.which("go") is None:
        raise shell.CommandError(
            "Go is needed to build the cluster's programs, and `go` is not on the PATH: install Go 1.24 or newer"
        )
    shell.run(
        "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", linker_flags(), "-o", target, package,
        log="go-build",
        cwd=GO_MODULE,
        env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
    )  # fmt: skip
