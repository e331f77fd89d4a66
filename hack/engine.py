"""The container engine: Docker or Podman, whichever answers, or Podman from Debian where neither does."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hack import shell
from hack.cache import hash_of, locked
from hack.paths import cache

PROBE_SECONDS = 10
PULL_SECONDS = 20  # to hear that a registry has an image; the download itself may take longer
MACHINE_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
DEBIAN_PACKAGES = (
    "podman",
    "conmon",
    "containernetworking-plugins",
    "runc",
    "iptables",
    "mmdebstrap",
    "ca-certificates",
)

# What Podman needs where systemd does not run the machine (containers, small virtual machines): limits that a
# root without CAP_SYS_RESOURCE may set, and cgroups without systemd's help.
BARE_MACHINE_CONF = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"""


@dataclass(frozen=True)
class Engine:
    """A container engine that answers."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: shell.Argument, log: str = "engine", cwd: Path | None = None) -> None:
        """Run one of the engine's commands that may take a while."""
        shell.run(self.name, *arguments, log=log, env=self.environment, cwd=cwd)

    def output(self, *arguments: shell.Argument, timeout: float | None = None) -> str:
        """What one of the engine's commands prints."""
        return shell.output(self.name, *arguments, env=self.environment, timeout=timeout)

    def succeeds(self, *arguments: shell.Argument) -> bool:
        """Whether one of the engine's commands ends well."""
        return shell.succeeds(self.name, *arguments, env=self.environment, timeout=60)

    def has_image(self, reference: str) -> bool:
        """Whether the image is in the engine's store."""
        return self.succeeds("image", "inspect", reference)

    def registry_has(self, reference: str, seconds: float) -> bool:
        """Whether the image's registry says, in time, that it has the image."""
        return shell.succeeds(self.name, "manifest", "inspect", reference, env=self.environment, timeout=seconds)

    def save(self, reference: str, archive: Path) -> None:
        """Write an image to an archive that containerd imports."""
        self.run("save", "--output", archive, reference, log="images")

    def import_rootfs(self, archive: Path, reference: str, changes: Sequence[str] = ()) -> None:
        """Make a one-layer image of a root file system."""
        flags = [word for change in changes for word in ("--change", change)]
        self.run("import", *flags, archive, reference, log="images")

    def build(self, dockerfile: Path, context: Path, reference: str, arguments: Mapping[str, str]) -> None:
        """Build an image. The machine's certificates and pip settings are there during the build only."""
        words = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        with self._build_time_files() as mounts:
            self.run("build", *words, *mounts, "--tag", reference, "--file", dockerfile, context, log="images")

    def remove_images(self, prefix: str) -> None:
        """Remove every image whose name starts with a prefix."""
        listed = self.output("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        ours = [name for name in listed if name.startswith(prefix)]
        if ours:
            self.run("rmi", "--force", *ours)

    @contextmanager
    def _build_time_files(self) -> Iterator[list[str]]:
        if self.name == "docker":  # which mounts nothing into builds; it can pass variables that a Dockerfile declares
            yield [
                word
                for name in ("PIP_INDEX_URL", "PIP_TRUSTED_HOST")
                if name in os.environ
                for word in ("--build-arg", name)
            ]
            return
        with tempfile.TemporaryDirectory(prefix="tuning-build-") as folder:
            pip = Path(folder) / "pip.conf"
            pip.touch(mode=0o600)
            pip.write_text(pip_settings())
            mounts = ["--isolation=chroot", f"--volume={pip}:/etc/pip.conf:ro"]
            if MACHINE_CERTIFICATES.exists():
                mounts.append(f"--volume={MACHINE_CERTIFICATES}:{MACHINE_CERTIFICATES}:ro")
            yield mounts


def find() -> Engine:
    """The engine that answers now; an error that says what to do where none does."""
    engine = choose(docker=shell.succeeds("docker", "info", timeout=PROBE_SECONDS), podman=_podman_answers())
    if engine is None:
        raise shell.CommandError(
            "neither `docker info` nor `podman info` answers: start Docker, or install Podman"
            " (on Debian and Ubuntu, `python -m hack.cluster up` as root installs it)"
        )
    return engine


def choose(*, docker: bool, podman: bool) -> Engine | None:
    """Docker where its engine answers, else Podman, else none."""
    if docker:
        return Engine("docker")
    if podman:
        return Engine("podman", podman_environment())
    return None


def available() -> bool:
    """Whether an engine answers."""
    try:
        find()
    except shell.CommandError:
        return False
    return True


def install() -> None:
    """Install Podman from the distribution, where we can."""
    if not may_install():
        find()  # says what to do
    install_packages(*DEBIAN_PACKAGES)


def may_install() -> bool:
    """Whether this machine is a Debian or Ubuntu, and we are its root."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install_packages(*names: str) -> None:
    """Install packages of the distribution."""
    with locked("apt"):
        shell.run("apt-get", "update", "--quiet", log="apt")
        shell.run(
            "apt-get", "install", "--yes", "--no-install-recommends", *names,
            log="apt",
            env={"DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip


def podman_environment() -> dict[str, str]:
    """What Podman (and kind, which calls it) needs in its environment on this machine."""
    if Path("/run/systemd/system").exists():
        return {"KIND_EXPERIMENTAL_PROVIDER": "podman"}
    conf = cache() / f"containers-{hash_of(BARE_MACHINE_CONF)}.conf"
    if not conf.exists():
        conf.write_text(BARE_MACHINE_CONF)
    return {"KIND_EXPERIMENTAL_PROVIDER": "podman", "CONTAINERS_CONF": str(conf), "STORAGE_DRIVER": "overlay"}


def pip_settings() -> str:
    """The machine's index settings for pip, as a configuration file; paths of the machine stay out."""
    wanted = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "timeout")
    lines = ["[global]"]
    for line in shell.output("python3", "-m", "pip", "config", "list").splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in wanted:
            lines.append(f"{name} = {value.strip(chr(39))}")
    if MACHINE_CERTIFICATES.exists():
        lines.append(f"cert = {MACHINE_CERTIFICATES}")
    return "\n".join(lines) + "\n"


def _podman_answers() -> bool:
    return shutil.which("podman") is not None and shell.succeeds(
        "podman", "info", env=podman_environment(), timeout=PROBE_SECONDS
    )
