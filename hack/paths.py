"""Where things are: the checkout, and the cache outside it that everything here is built into."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_CLUSTER = "tuning-operator"


def cache() -> Path:
    """The folder of everything we build, download and log; `down --purge` removes it."""
    chosen = os.environ.get("TUNING_OPERATOR_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(chosen).expanduser() if chosen else Path(base).expanduser() / "tuning-operator"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def logs() -> Path:
    """The folder of the commands' output, one file a topic."""
    folder = cache() / "logs"
    folder.mkdir(exist_ok=True)
    return folder


def cluster_name() -> str:
    """The local cluster's name. Tests that disturb a cluster have one of their own, beside the one that people use."""
    return os.environ.get("TUNING_OPERATOR_CLUSTER") or DEFAULT_CLUSTER


def cluster_files() -> Path:
    """The folder of the local cluster's files."""
    if cluster_name() == DEFAULT_CLUSTER:
        return cache()
    folder = cache() / "clusters" / cluster_name()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kind_kubeconfig() -> Path:
    """The kubeconfig of the kind cluster. The user's own is never written."""
    return cluster_files() / "kubeconfig"
