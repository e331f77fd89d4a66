"""`python -m hack.demo run` and `down`: what `make demo` and `make demo-down` call."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from hack import cluster, images, shell
from hack.choice import chosen_by_user, user_kubeconfig
from hack.demo import follow, installation
from hack.paths import ROOT
from hack.progress import Step, run, say

SAMPLE = ROOT / "manifests" / "samples" / "01-first-study.yaml"

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command("run")
def run_command(
    sample: Annotated[Path, typer.Option(help="The study to run: a manifest with one TuningStudy.")] = SAMPLE,
    picture: Annotated[Path | None, typer.Option(help="Keep the result as an SVG, too.")] = None,
) -> None:
    """Bring up a cluster, install the operator, run a sample study and show its result."""
    _told(lambda: _run(sample, picture))


@app.command("down")
def down_command() -> None:
    """Remove what the demo created: the local cluster, or its release and namespaces on yours."""
    _told(_down)


def _run(sample: Path, picture: Path | None) -> None:
    if chosen_by_user(os.environ):
        # Before anything else, so that a missing registry or a wrong context costs a second and not ten minutes.
        installation.confirm(cluster.Cluster(user_kubeconfig(os.environ), local=False), os.environ)
    target = cluster.up()
    built = images.ensure()
    run(
        [
            Step("Install the operator and a Prometheus with Helm", lambda: installation.install(target, built), 15),
            Step(f"kubectl apply -f {_shown(sample)}", lambda: installation.apply_sample(target, sample)),
        ]
    )
    follow.follow(target, installation.study_name(sample), picture)


def _down() -> None:
    if not chosen_by_user(os.environ):
        cluster.down()
        say("The local cluster is gone. Built programs and images stay in the cache for the next time;")
        say("`python -m hack.cluster down --purge` removes them too.")
        return
    target = cluster.Cluster(user_kubeconfig(os.environ), local=False)
    for line in installation.uninstall(target):
        say(line)


def _shown(path: Path) -> str:
    resolved = path.resolve()
    return str(resolved.relative_to(ROOT) if resolved.is_relative_to(ROOT) else path)


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
