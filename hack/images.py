"""Our images: built when their inputs changed, and brought to the cluster when it lacks them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hack import choice, dockerfile, node_image, shell
from hack import engine as engines
from hack.cache import hash_of, hash_of_files, locked
from hack.debian import Base
from hack.engine import Engine
from hack.kind_config import node
from hack.load import load
from hack.paths import ROOT
from hack.progress import Step, run

NAMES = ("operator", "trainer", "prometheus")
LOCAL = "localhost/tuning-operator"
PROMETHEUS = "docker.io/prom/prometheus:v3.5.0"

DOCKERFILES = {"operator": ROOT / "Dockerfile", "trainer": ROOT / "trainer_image" / "Dockerfile"}

EXAMPLES = {name: ROOT / "examples" / name / "Dockerfile" for name in ("lightning", "pytorch")}
"""Images with training code of one's own."""

_PYTHON = ("python3", "python3-venv", "python3-pip", "ca-certificates")
BASES = {
    "operator": Base("python-base", "trixie", _PYTHON),
    # Debian's PyTorch computes with whatever BLAS there is; the reference implementation, which it depends on, is ten
    # times slower than OpenBLAS. The variant on OpenMP, since PyTorch sets the number of threads for both then.
    "trainer": Base(
        "torch-base",
        "trixie",
        (*_PYTHON, "python3-torch", "python3-numpy", "python3-prometheus-client", "libopenblas0-openmp"),
    ),
    # By the conventions of the published image, so that one set of arguments serves both. Debian 12's Prometheus
    # cannot discover pods (it is compiled without kubernetes_sd_configs); Debian 13's, 2.53, can.
    "prometheus": Base(
        "prometheus",
        "trixie",
        ("prometheus", "ca-certificates"),
        changes=(
            "USER 65534",
            'ENTRYPOINT ["/bin/prometheus"]',
            'CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]',
            "WORKDIR /prometheus",
        ),
        hooks=(
            'mkdir -p "$1/prometheus" && chown 65534:65534 "$1/prometheus"',
            'rm -rf "$1/usr/share/javascript" "$1/usr/share/nodejs"',  # of the user interface: half of the image
        ),
    ),
}


@dataclass(frozen=True)
class Images:
    """Full references of our images, as pods name them."""

    operator: str
    trainer: str
    prometheus: str


def ensure() -> Images:
    """Build what is missing or outdated, bring it to the cluster, and name it."""
    if choice.chosen_by_user(os.environ):
        choice.user_kubeconfig(os.environ)
    engine = engines.find()
    built: dict[str, str] = {}

    def build(name: str) -> None:
        built[name] = deliver(engine, make(engine, name))

    run([Step(f"Build and deliver the image of {name}", partial(build, name), 15) for name in NAMES])
    return Images(**built)


def make(engine: Engine, name: str) -> str:
    """One of our images, in the engine's store."""
    if name == "prometheus":
        return prometheus(engine)
    return build_image(DOCKERFILES[name], ROOT, name, engine=engine, base=BASES[name])


def make_example(engine: Engine, name: str) -> str:
    """One of the examples' images, in the engine's store."""
    arguments = {"TRAINER_IMAGE": make(engine, "trainer")}
    file, base = EXAMPLES[name], BASES["trainer"]
    return build_image(file, ROOT, f"example-{name}", engine=engine, base=base, arguments=arguments)


def build_image(
    file: Path,
    context: Path,
    name: str,
    *,
    engine: Engine | None = None,
    base: Base = BASES["operator"],
    arguments: Mapping[str, str] | None = None,
) -> str:
    """Build an image from a Dockerfile, unless one of exactly these inputs is there; returns its reference.

    The Dockerfile's BASE_IMAGE stays its default where that can be pulled, and is `base` where not.
    """
    engine = engine or engines.find()
    chosen = {**base_argument(engine, file, base), **(arguments or {})}
    inputs = dockerfile.inputs(file, context)
    tag = hash_of(file.read_text(), hash_of_files(context, inputs), *map(str, sorted(chosen.items())))
    reference = f"{LOCAL}/{name}:{tag}"
    with locked(f"image-{name}"):
        if not engine.has_image(reference):
            engine.build(file, context, reference, chosen)
    return reference


def base_argument(engine: Engine, file: Path, base: Base) -> dict[str, str]:
    """BASE_IMAGE for a Dockerfile, or nothing where its default can be pulled."""
    default = dockerfile.default_base(file.read_text())
    if default is None or usable(engine, default):
        return {}
    return {"BASE_IMAGE": base.ensure(engine)}


def usable(engine: Engine, reference: str) -> bool:
    """Whether an image is here, or comes when pulled."""
    return engine.has_image(reference) or node_image.pullable(engine, reference)


def prometheus(engine: Engine) -> str:
    """Prometheus: the published image under our name where it can be pulled, else Debian's."""
    if not usable(engine, PROMETHEUS):
        return BASES["prometheus"].ensure(engine)
    reference = f"{LOCAL}/prometheus:{PROMETHEUS.rpartition(':')[2]}"
    engine.run("tag", PROMETHEUS, reference)
    return reference


def ensure_bases(engine: Engine) -> None:
    """Make, ahead of time, the base images that our Dockerfiles will ask for."""
    prometheus(engine)
    for name, file in DOCKERFILES.items():
        if file.exists():
            base_argument(engine, file, BASES[name])


def deliver(engine: Engine, reference: str) -> str:
    """Bring an image to where the cluster's nodes find it: into the node, or to the user's registry."""
    if choice.chosen_by_user(os.environ):
        pushed = remote_name(reference, os.environ["IMAGE_REGISTRY"])
        engine.run("tag", reference, pushed)
        engine.run("push", pushed, log="images")
        return pushed
    if reference not in on_node(engine):
        load(engine, reference, node())
    return reference


def remote_name(reference: str, registry: str) -> str:
    """The name of a local image in the user's registry."""
    name = reference.removeprefix(f"{LOCAL}/")
    return f"{registry.rstrip('/')}/tuning-operator-{name}"


def on_node(engine: Engine) -> Iterable[str]:
    """The images that the local cluster's node has."""
    try:
        return set(engine.output("exec", node(), "ctr", "--namespace=k8s.io", "images", "list", "--quiet").split())
    except shell.CommandError as error:
        raise shell.CommandError("the local cluster is not up: `python -m hack.cluster up` first") from error
