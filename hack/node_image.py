"""The image of kind's node: the published one where it can be pulled, else made here from upstream's sources.

Ours follows kind's own `images/base/Dockerfile`, with Debian's containerd, runc and CNI plugins, and with one
Kubernetes binary by several names. It is made in three layers of work, each kept by the hash of what it is made
from: Debian's packages; kind's files and our binary; the images of kube-system, preloaded as kind preloads them.
"""

from __future__ import annotations

import datetime
import json
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hack import shell
from hack.cache import hash_of, locked
from hack.debian import Base
from hack.engine import PULL_SECONDS, Engine
from hack.paths import cache
from hack.tools import GO_MODULE, KUBERNETES_VERSION, binaries, module_hash

PUBLISHED = f"docker.io/kindest/node:{KUBERNETES_VERSION.rpartition('.')[0]}.0"
REPOSITORY = "localhost/tuning-operator/node"
FILES = Path(__file__).parent / "node"
ETCD = "registry.k8s.io/etcd:3.6.5-0"
COREDNS = "registry.k8s.io/coredns/coredns:v1.12.1"
PAUSE = "registry.k8s.io/pause:3.10.1"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")

DEBIAN = Base(
    "node-debian",
    "bookworm",  # whose systemd 252 still boots on cgroup v1
    (
        "systemd", "systemd-sysv", "dbus", "containerd", "runc", "containernetworking-plugins",
        "iptables", "iproute2", "conntrack", "ethtool", "ebtables", "socat", "mount", "kmod", "procps", "jq", "curl",
        "util-linux", "hostname", "findutils", "pigz", "libseccomp2", "ca-certificates",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class NodeImage:
    """A node image, and whether it is ours: then it brings its own network and storage."""

    reference: str
    ours: bool


def find(engine: Engine) -> NodeImage | None:
    """The node image that is here already, or that can be pulled; None if it has to be made."""
    if engine.has_image(PUBLISHED):
        return NodeImage(PUBLISHED, ours=False)
    if engine.has_image(our_reference()):
        return NodeImage(our_reference(), ours=True)
    return NodeImage(PUBLISHED, ours=False) if pullable(engine, PUBLISHED) else None


def our_reference() -> str:
    """The name of our node image, which says what it is made from."""
    recipe = Path(__file__).read_text() + "".join(file.read_text() for file in sorted(FILES.iterdir()))
    return f"{REPOSITORY}:{hash_of(module_hash(), DEBIAN.reference, recipe)}"


def pullable(engine: Engine, reference: str) -> bool:
    """Pull an image if its registry has it. A refusal is remembered for the day: asking costs seconds."""
    refusal = cache() / "refused" / f"{hash_of(reference, str(datetime.datetime.now(datetime.UTC).date()))}"
    if refusal.exists():
        return False
    if not engine.registry_has(reference, PULL_SECONDS):
        refusal.parent.mkdir(exist_ok=True)
        refusal.touch()
        return False
    engine.run("pull", reference, log="images")
    return True


def make(engine: Engine) -> NodeImage:
    """Make our node image if it is missing."""
    reference = our_reference()
    with locked("node-image"):
        if not engine.has_image(reference):
            with tempfile.TemporaryDirectory(dir=cache(), prefix="node-") as folder:
                _make(engine, Path(folder), reference)
    return NodeImage(reference, ours=True)


def _make(engine: Engine, folder: Path, reference: str) -> None:
    base = f"{REPOSITORY}-bare:{reference.rpartition(':')[2]}"
    _build_bare_node(engine, folder / "bare", base)
    archives = [
        _component_image(engine, folder / "components"),
        _scratch_image(engine, folder / "coredns", binaries.coredns, COREDNS, '["/coredns"]'),
        _scratch_image(engine, folder / "pause", binaries.pause, PAUSE, '["/pause"]'),
    ]
    _preload(engine, base, archives, reference)


def _build_bare_node(engine: Engine, context: Path, reference: str) -> None:
    shutil.copytree(FILES, context)
    shutil.copytree(_kind_sources() / "images" / "base" / "files", context / "kind", symlinks=True)
    _pack(
        context / "kubernetes.tar", binaries.kubernetes, "usr/bin/kubelet", hard=("usr/bin/kubeadm", "usr/bin/kubectl")
    )
    arguments = {"BASE_IMAGE": DEBIAN.ensure(engine), "KUBERNETES_VERSION": KUBERNETES_VERSION, "PAUSE_IMAGE": PAUSE}
    engine.build(context / "Dockerfile", context, reference, arguments)


def _component_image(engine: Engine, context: Path) -> Path:
    """One image under five names; Debian, because kube-proxy runs iptables."""
    context.mkdir()
    names = tuple(f"usr/local/bin/{name}" for name in (*COMPONENTS, "etcd"))
    _pack(context / "programs.tar", binaries.kubernetes, names[0], hard=names[1:])
    dockerfile = context / "Dockerfile"
    dockerfile.write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nADD programs.tar /\n")
    references = [f"registry.k8s.io/{name}:{KUBERNETES_VERSION}" for name in COMPONENTS] + [ETCD]
    engine.build(dockerfile, context, references[0], {"BASE_IMAGE": DEBIAN.ensure(engine)})
    for reference in references[1:]:
        engine.run("tag", references[0], reference)
    return _saved(engine, context, references)


def _scratch_image(engine: Engine, context: Path, binary: Path, reference: str, entrypoint: str) -> Path:
    context.mkdir()
    shutil.copy(binary, context / binary.name)
    dockerfile = context / "Dockerfile"
    dockerfile.write_text(f"FROM scratch\nCOPY {binary.name} /{binary.name}\nENTRYPOINT {entrypoint}\n")
    engine.build(dockerfile, context, reference, {})
    return _saved(engine, context, [reference])


def _saved(engine: Engine, folder: Path, references: list[str]) -> Path:
    archive = folder / "image.tar"
    engine.save(references, archive)
    return archive


def _preload(engine: Engine, base: str, archives: list[Path], reference: str) -> None:
    """Put images into containerd's store of the node image, by running containerd in it."""
    name = f"tuning-operator-preload-{reference.rpartition(':')[2]}"
    engine.succeeds("rm", "--force", name)
    folders = [word for archive in archives for word in ("--volume", f"{archive.parent}:/{archive.parent.name}:ro")]
    engine.run(
        "run",
        "--detach",
        "--name",
        name,
        "--privileged",
        "--network=none",
        *folders,
        "--entrypoint=sleep",
        base,
        "infinity",
    )
    try:
        paths = " ".join(f"/{archive.parent.name}/{archive.name}" for archive in archives)
        engine.run("exec", name, "/kind/bin/preload.sh", *paths.split(), log="images")
        changes = ['ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]', "STOPSIGNAL SIGRTMIN+3", "CMD []"]
        flags = [word for change in changes for word in ("--change", change)]
        engine.run("commit", *flags, name, reference, log="images")
    finally:
        engine.succeeds("rm", "--force", name)


def _pack(archive: Path, binary: Path, first: str, hard: tuple[str, ...]) -> None:
    """A tar of one binary by several names, linked: copies would multiply the image's size."""
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo(first)
        entry.size, entry.mode = binary.stat().st_size, 0o755
        with binary.open("rb") as content:
            tar.addfile(entry, content)
        for name in hard:
            link = tarfile.TarInfo(name)
            link.type, link.linkname, link.mode = tarfile.LNKTYPE, first, 0o755
            tar.addfile(link)


def _kind_sources() -> Path:
    shell.output("go", "mod", "download", "sigs.k8s.io/kind", cwd=GO_MODULE)
    described = json.loads(shell.output("go", "list", "-m", "-json", "sigs.k8s.io/kind", cwd=GO_MODULE))
    return Path(described["Dir"])
