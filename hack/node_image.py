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
    tag = reference.rpartition(":")[2]
    bare = f"{REPOSITORY}-bare:{tag}"
    _build_bare_node(engine, folder / "bare", bare)
    system = folder / "system"
    system.mkdir()
    programs = _programs_image(engine, system, f"{REPOSITORY}-programs:{tag}")
    coredns = _one_binary_image(engine, system, binaries.coredns, f"{REPOSITORY}-coredns:{tag}")
    pause = _one_binary_image(engine, system, binaries.pause, f"{REPOSITORY}-pause:{tag}")
    names = {
        programs: [*(f"registry.k8s.io/{name}:{KUBERNETES_VERSION}" for name in COMPONENTS), ETCD],
        coredns: [COREDNS],
        pause: [PAUSE],
    }
    _preload(engine, bare, system, names, reference)
    engine.succeeds("rmi", "--force", bare, *names)  # an interrupted build may still hold one


def _build_bare_node(engine: Engine, context: Path, reference: str) -> None:
    shutil.copytree(FILES, context)
    shutil.copytree(_kind_sources() / "images" / "base" / "files", context / "kind", symlinks=True)
    _pack(
        context / "kubernetes.tar", binaries.kubernetes, "usr/bin/kubelet", hard=("usr/bin/kubeadm", "usr/bin/kubectl")
    )
    arguments = {"BASE_IMAGE": DEBIAN.ensure(engine), "KUBERNETES_VERSION": KUBERNETES_VERSION, "PAUSE_IMAGE": PAUSE}
    engine.build(context / "Dockerfile", context, reference, arguments)


def _programs_image(engine: Engine, context: Path, reference: str) -> str:
    """One image that gets five names; Debian, because kube-proxy runs iptables."""
    names = tuple(f"usr/local/bin/{name}" for name in (*COMPONENTS, "etcd"))
    _pack(context / "programs.tar", binaries.kubernetes, names[0], hard=names[1:])
    dockerfile = context / "programs.Dockerfile"
    dockerfile.write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nADD programs.tar /\n")
    engine.build(dockerfile, context, reference, {"BASE_IMAGE": DEBIAN.ensure(engine)})
    return reference


def _one_binary_image(engine: Engine, context: Path, binary: Path, reference: str) -> str:
    name = binary.name
    shutil.copy(binary, context / name)
    dockerfile = context / f"{name}.Dockerfile"
    dockerfile.write_text(f'FROM scratch\nCOPY {name} /{name}\nENTRYPOINT ["/{name}"]\n')
    engine.build(dockerfile, context, reference, {})
    return reference


def _preload(engine: Engine, bare: str, folder: Path, names: dict[str, list[str]], reference: str) -> None:
    """Put images into containerd's store of the node image, by running containerd in it."""
    lines = []
    for number, (local, wanted) in enumerate(names.items()):
        engine.save(local, folder / f"{number}.tar")
        lines.append(f"/system/{number}.tar {local} {' '.join(wanted)}\n")
    (folder / "list").write_text("".join(lines))
    container = f"tuning-operator-preload-{reference.rpartition(':')[2]}"
    engine.succeeds("rm", "--force", container)
    try:
        engine.run(
            "run", "--detach", "--name", container, "--privileged", "--network=none",
            "--volume", f"{folder}:/system:ro", "--entrypoint=sleep", bare, "infinity",
        )  # fmt: skip
        engine.run("exec", container, "/kind/bin/preload.sh", "/system/list", log="images")
        changes = ('ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]', "STOPSIGNAL SIGRTMIN+3", "CMD []")
        flags = [word for change in changes for word in ("--change", change)]
        engine.run("commit", *flags, container, reference, log="images")
    finally:
        engine.succeeds("rm", "--force", "--volumes", container)


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
