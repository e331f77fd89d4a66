"""Which cluster, which engine, and what to do with what is there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hack import engine, images
from hack.choice import RefusedError, chosen_by_user, user_kubeconfig
from hack.kind_cluster import State, decide_state
from hack.paths import ROOT


@pytest.mark.parametrize(
    ("docker", "podman", "chosen"),
    [(True, True, "docker"), (True, False, "docker"), (False, True, "podman"), (False, False, None)],
)
def test_the_engine_that_answers_is_used(docker: bool, podman: bool, chosen: str | None) -> None:
    engine_or_none = engine.choose(docker=docker, podman=podman)
    assert (engine_or_none.name if engine_or_none else None) == chosen


def test_kind_is_told_about_podman_since_it_would_pick_a_docker_that_does_not_answer() -> None:
    assert engine.podman_environment()["KIND_EXPERIMENTAL_PROVIDER"] == "podman"


@pytest.mark.parametrize(
    ("value", "expected"), [({}, False), ({"CLUSTER": "kind"}, False), ({"CLUSTER": "existing"}, True)]
)
def test_the_users_cluster_is_used_only_when_asked_for(value: dict[str, str], expected: bool) -> None:
    assert chosen_by_user(value) is expected


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(RefusedError, match="CLUSTER=minikube is unknown"):
        chosen_by_user({"CLUSTER": "minikube"})


def test_the_users_cluster_needs_a_registry_and_a_kubeconfig(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.touch()
    with pytest.raises(RefusedError, match="IMAGE_REGISTRY"):
        user_kubeconfig({"KUBECONFIG": str(kubeconfig)})
    with pytest.raises(RefusedError, match="KUBECONFIG"):
        user_kubeconfig({"IMAGE_REGISTRY": "registry.example.com/team"})
    both = {"IMAGE_REGISTRY": "registry.example.com/team", "KUBECONFIG": str(kubeconfig)}
    assert user_kubeconfig(both) == kubeconfig


@pytest.mark.parametrize("command", ["up", "images"])
def test_a_missing_registry_is_refused_before_anything_is_done(command: str, tmp_path: Path) -> None:
    environment = {**os.environ, "CLUSTER": "existing", "TUNING_OPERATOR_CACHE": str(tmp_path)}
    environment.pop("IMAGE_REGISTRY", None)
    began = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-m", "hack.cluster", command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "IMAGE_REGISTRY" in result.stdout
    assert time.monotonic() - began < 10
    assert not list(tmp_path.glob("bin"))


@pytest.mark.parametrize(
    ("container", "running", "finished", "state"),
    [
        (None, False, None, State.MISSING),
        (None, False, "a1", State.MISSING),
        ("a1", True, None, State.BROKEN),  # interrupted while it was created
        ("a1", False, "a1", State.BROKEN),  # the machine was restarted
        ("b2", True, "a1", State.BROKEN),  # created anew and interrupted
        ("a1", True, "a1", State.READY),
    ],
)
def test_a_half_made_cluster_is_recognised(
    container: str | None, running: bool, finished: str | None, state: State
) -> None:
    assert decide_state(container, running, finished) is state


def test_an_image_gets_its_name_in_the_users_registry() -> None:
    local = "localhost/tuning-operator/trainer:0123abc"
    assert images.remote_name(local, "registry.example.com/team/") == (
        "registry.example.com/team/tuning-operator-trainer:0123abc"
    )
