"""The local cluster: `python -m hack.cluster up`, `images`, `status`, `down`.

Every command can be interrupted and repeated: what is done is recognised and kept, what is half done is redone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hack import engine as engines
from hack import images, kind_cluster, node_image, shell
from hack.cache import locked, remove
from hack.choice import RefusedError, chosen_by_user, user_kubeconfig
from hack.engine import Engine
from hack.kind_cluster import READY_SECONDS, State
from hack.paths import cache, kind_kubeconfig
from hack.progress import Step, run, say
from hack.tools import binaries


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers: all that anything above this module knows of it."""

    kubeconfig: Path
    local: bool

    def kubectl(self, *arguments: shell.Argument, stdin: str | None = None, timeout: float = 300) -> str:
        """Run kubectl, and return what it prints."""
        return shell.output(binaries.kubectl, "--kubeconfig", self.kubeconfig, *arguments, input=stdin, timeout=timeout)

    def helm(self, *arguments: shell.Argument, timeout: float = 600) -> str:
        """Run Helm, and return what it prints."""
        return shell.output(binaries.helm, "--kubeconfig", self.kubeconfig, *arguments, timeout=timeout)

    def advertise(self, resource: str, count: int) -> None:
        """Let every node offer `count` of an extended resource (say, `nvidia.com/gpu`) that it does not have."""
        path = "/status/capacity/" + resource.replace("~", "~0").replace("/", "~1")
        operation = json.dumps([{"op": "add", "path": path, "value": str(count)}])
        for node in self.kubectl("get", "nodes", "--output=name").split():
            self.kubectl("patch", node, "--subresource=status", "--type=json", f"--patch={operation}")


def connect() -> Cluster:
    """The cluster that is up: the user's with CLUSTER=existing, else ours. An error says how to get one."""
    if chosen_by_user(os.environ):
        return Cluster(user_kubeconfig(os.environ), local=False)
    if kind_cluster.state(engines.find()) is not State.READY:
        raise shell.CommandError("there is no local cluster: `python -m hack.cluster up` makes one")
    return Cluster(kind_kubeconfig(), local=True)


def up() -> Cluster:
    """Bring up a cluster, or find that it is up; returns when its system pods run."""
    if chosen_by_user(os.environ):
        cluster = Cluster(user_kubeconfig(os.environ), local=False)
        run(
            [
                *_program_steps("kubectl", "helm"),
                Step("Ask your cluster for its version", lambda: cluster.kubectl("version")),
            ]
        )
        return cluster
    with locked("cluster"):
        if not engines.available():
            run([Step("Install Podman: no container engine answers here", engines.install, 25)])
        engine = engines.find()
        if _is_up(engine):
            _wait_for_system()
        else:
            _create(engine)
    cluster = Cluster(kind_kubeconfig(), local=True)
    say(f"The cluster is up: export KUBECONFIG={cluster.kubeconfig}")
    return cluster


def _is_up(engine: Engine) -> bool:
    if kind_cluster.state(engine) is not State.READY:
        return False
    if kind_cluster.answers():
        return True
    say("The cluster's container is there, but its API server does not answer: it is made anew")
    return False


def _create(engine: Engine) -> None:
    image = node_image.find(engine)
    programs = ("kind", "kubectl", "helm") if image else ("kubernetes", "kind", "helm", "coredns", "pause", "kubectl")
    found = [image] if image else []
    steps = _program_steps(*programs)
    if image is None:
        steps.append(Step("Make the node's image", lambda: found.append(node_image.make(engine)), 60))
    steps.append(Step("Create the cluster", lambda: kind_cluster.create(engine, found[0]), 30))
    steps.append(Step("Wait until CoreDNS runs", _wait_for_system, 10))
    with ThreadPoolExecutor(max_workers=1) as background:  # packages are downloaded while the compiler computes
        later = background.submit(_prefetch, engine, image is None)
        steps.append(Step("Finish the bases of our images, made meanwhile", later.result))
        try:
            run(steps)
        except BaseException:
            shell.terminate_children()
            raise


def _prefetch(engine: Engine, node: bool) -> None:
    if node:
        node_image.DEBIAN.ensure(engine)
    images.ensure_bases(engine)


def _program_steps(*names: str) -> list[Step]:
    missing = binaries.missing(*names)
    seconds = {"kubernetes": 330, "helm": 25, "kubectl": 5 if "kubernetes" in names else 60}
    return [Step(f"Build {name}", partial(getattr, binaries, name), seconds.get(name, 10)) for name in missing]


def _wait_for_system() -> None:
    cluster = Cluster(kind_kubeconfig(), local=True)
    cluster.kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", f"--timeout={READY_SECONDS}")


def down(*, purge: bool = False) -> None:
    """Delete what runs (container, its volume, kind's network); with `purge`, the images and the cache as well."""
    if chosen_by_user(os.environ):
        raise RefusedError("CLUSTER=existing: `down` deletes only clusters that `up` made, never yours")
    with locked("cluster"):
        if engines.available():
            engine = engines.find()
            kind_cluster.delete(engine)
            if not engine.output("ps", "--all", "--quiet", "--filter=network=kind").strip():
                engine.succeeds("network", "rm", "kind")
            if purge:
                engine.remove_images("localhost/tuning-operator/")
    if purge:
        remove(cache())


app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command("up")
def up_command() -> None:
    """Bring up a cluster: the user's with CLUSTER=existing, else one of kind in a container."""
    _told(up)


@app.command("images")
def images_command() -> None:
    """Build the operator's, the trainer's and Prometheus's images, and bring them to the cluster."""
    _told(_build_and_print_images)


@app.command("down")
def down_command(
    purge: Annotated[bool, typer.Option("--purge", help="Also remove built programs and images.")] = False,
) -> None:
    """Delete the local cluster and everything of ours that runs."""
    _told(lambda: down(purge=purge))


@app.command("status")
def status_command() -> None:
    """Say whether the cluster is up, and how to use it."""
    _told(lambda: say(f"export KUBECONFIG={connect().kubeconfig}"))


@app.command("advertise")
def advertise_command(resource: str, count: int) -> None:
    """Let every node offer COUNT of an extended RESOURCE, for tests of scheduling without the hardware."""
    _told(lambda: connect().advertise(resource, count))


def _build_and_print_images() -> None:
    built = images.ensure()
    for name in images.NAMES:
        say(f"{name}: {getattr(built, name)}")


def _told(act: Callable[[], object]) -> None:
    """Run a command; what goes wrong is told in a line, not in a traceback."""
    try:
        with shell.interrupts_end_everything():
            act()
    except shell.CommandError as error:
        say(f"error: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        raise typer.Exit(130) from None


if __name__ == "__main__":
    app()
