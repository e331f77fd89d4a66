"""The local cluster's container: whether it is whole, its creation and its deletion."""

from __future__ import annotations

import os
import time
from enum import Enum
from pathlib import Path

from hack import kind_config, shell
from hack.cache import remove
from hack.engine import Engine
from hack.node_image import NodeImage
from hack.paths import cluster_files, cluster_name, kind_kubeconfig
from hack.tools import binaries

READY_SECONDS = "180s"
ANSWER_SECONDS = 30.0
"""How long the API server of a running container may take until it answers: after a start, or on a busy machine."""
MODULES = Path("/lib/modules")


class State(Enum):
    """What is there of the cluster."""

    MISSING = "missing"
    BROKEN = "broken"
    READY = "ready"


def decide_state(container: str | None, running: bool, finished: str | None) -> State:
    """What to make of the node's container: `finished` is the one that the last complete creation left."""
    if container is None:
        return State.MISSING
    return State.READY if running and container == finished else State.BROKEN


def state(engine: Engine) -> State:
    """What is there now: a creation that was interrupted left a container, but no mark that it finished."""
    mark = _finished_mark()
    finished = mark.read_text() if mark.exists() and kind_kubeconfig().exists() else None
    return decide_state(_container(engine), _container(engine, "--filter=status=running") is not None, finished)


def answers(patience: float = ANSWER_SECONDS) -> bool:
    """Whether the API server answers within `patience` seconds.

    An engine without a daemon calls a container running whose processes are gone: a machine that was snapshotted, or
    whose processes were all killed, leaves its files as they were.
    """
    began = time.monotonic()
    while not _ready():
        if time.monotonic() - began > patience:
            return False
        time.sleep(1)
    return True


def _ready() -> bool:
    ask = ("get", "--raw=/readyz", "--request-timeout=5s")
    return shell.succeeds(binaries.kubectl, "--kubeconfig", kind_kubeconfig(), *ask)


def _container(engine: Engine, *filters: str) -> str | None:
    listed = engine.output(
        "ps", "--all", "--no-trunc", f"--filter=name=^{kind_config.node()}$", *filters, "--format={{.ID}}"
    )
    return listed.strip() or None


def _finished_mark() -> Path:
    return cluster_files() / "cluster-finished"


def create(engine: Engine, image: NodeImage) -> None:
    """Create the cluster, in place of what an interrupted creation left."""
    delete(engine)
    if not MODULES.exists() and os.geteuid() == 0:
        MODULES.mkdir()  # kind mounts it, and a kernel without modules lacks it
    config = kind_config.render(image)
    temporary = kind_kubeconfig().with_name("kubeconfig.part")
    remove(temporary)
    remove(temporary.with_name(f"{temporary.name}.lock"))
    file = cluster_files() / "kind.json"
    file.write_text(config)
    shell.run(
        binaries.kind, "create", "cluster", "--config", file, "--kubeconfig", temporary, "--wait", READY_SECONDS,
        log="kind",
        env=engine.environment,
    )  # fmt: skip
    temporary.rename(kind_kubeconfig())
    _finished_mark().write_text(_container(engine) or "")


def delete(engine: Engine) -> None:
    """Delete the cluster and its kubeconfig, as far as they are there."""
    remove(_finished_mark())
    if _container(engine) is not None:
        shell.run(
            binaries.kind, "delete", "cluster", "--name", cluster_name(), "--kubeconfig", kind_kubeconfig(),
            log="kind",
            env=engine.environment,
        )  # fmt: skip
    for path in cluster_files().glob("kubeconfig*"):
        remove(path)
