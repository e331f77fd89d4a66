"""Which cluster the user wants: their own (CLUSTER=existing), or the local one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hack.shell import CommandError


class RefusedError(CommandError):
    """What the user asked for cannot be done, and why."""


def chosen_by_user(environment: Mapping[str, str]) -> bool:
    """Whether the user wants their own cluster."""
    choice = environment.get("CLUSTER", "kind")
    if choice not in ("kind", "existing"):
        raise RefusedError(f"CLUSTER={choice} is unknown: leave it unset for a local cluster, or say CLUSTER=existing")
    return choice == "existing"


def user_kubeconfig(environment: Mapping[str, str]) -> Path:
    """The user's kubeconfig, which we read and never write; refused without a registry that its nodes pull from."""
    if not environment.get("IMAGE_REGISTRY"):
        raise RefusedError(
            "CLUSTER=existing needs IMAGE_REGISTRY: a registry that you may push to and that the cluster's nodes pull"
            " from, for example IMAGE_REGISTRY=registry.example.com/team"
        )
    named = environment.get("KUBECONFIG")
    if not named or not Path(named).is_file():
        raise RefusedError("CLUSTER=existing needs KUBECONFIG: the path of the cluster's kubeconfig file")
    return Path(named)
