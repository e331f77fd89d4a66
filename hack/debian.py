"""Base images made from Debian's packages, for machines that reach a package mirror but no image registry."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hack import shell
from hack.cache import hash_of, locked
from hack.engine import Engine, install_packages, may_install
from hack.paths import cache

DEFAULT_MIRROR = "http://deb.debian.org/debian"
KEPT_APT_SETTINGS = ("Acquire::Check-", "Acquire::http", "Acquire::https", "Acquire::Retries")
SLIM = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*")


@dataclass(frozen=True)
class Base:
    """A minimal Debian with some packages, as an image whose tag says what it is made of."""

    name: str
    suite: str
    packages: tuple[str, ...]
    changes: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The image's name."""
        tag = hash_of(self.suite, *self.packages, *self.changes, *self.hooks)
        return f"localhost/tuning-operator/{self.name}:{tag}"

    def ensure(self, engine: Engine) -> str:
        """The image's name, after making it if it is missing."""
        with locked(f"image-{self.name}"):
            if not engine.has_image(self.reference):
                self._make(engine)
        return self.reference

    def _make(self, engine: Engine) -> None:
        if not may_install():
            raise shell.CommandError(
                f"the image {self.name} cannot be pulled, and making it needs root and mmdebstrap (Debian, Ubuntu)"
            )
        if shutil.which("mmdebstrap") is None:
            install_packages("mmdebstrap")
        with tempfile.TemporaryDirectory(dir=cache(), prefix="rootfs-") as folder:
            archive = Path(folder) / "rootfs.tar"
            shell.run(
                *mmdebstrap(self.suite, self.packages, archive, apt_settings(), self.hooks),
                mirror(),
                log=f"debian-{self.name}",
            )
            engine.import_rootfs(archive, self.reference, self.changes)


def mmdebstrap(
    suite: str, packages: Sequence[str], archive: Path, settings: Sequence[str], hooks: Sequence[str] = ()
) -> list[str]:
    """The command that makes a root file system, but for the mirror; the image names only the public mirror."""
    sources = f"deb {DEFAULT_MIRROR} {suite} main"
    return [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in SLIM),
        *(f"--aptopt={setting}" for setting in settings),
        f"--customize-hook=echo '{sources}' > \"$1/etc/apt/sources.list\"",
        '--customize-hook=rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/resolv.conf" "$1/etc/hostname"',
        *(f"--customize-hook={hook}" for hook in hooks),
        suite,
        str(archive),
    ]


def mirror() -> str:
    """The mirror that this machine's own apt uses, if it runs Debian; else the public one."""
    if platform.freedesktop_os_release().get("ID") != "debian":
        return DEFAULT_MIRROR
    folder = Path("/etc/apt")
    files = [*sorted(folder.glob("sources.list.d/debian.sources")), folder / "sources.list"]
    return first_mirror("\n".join(file.read_text() for file in files if file.exists()))


def first_mirror(sources: str) -> str:
    """The first mirror of Debian itself in apt's configuration, of either format."""
    for line in sources.splitlines():
        match = re.match(r"(?:URIs:|deb\s+(?:\[[^\]]*\]\s*)?)\s*(\S+)", line)
        if match and match[1].rstrip("/").endswith("/debian"):
            return match[1]
    return DEFAULT_MIRROR


def apt_settings() -> list[str]:
    """This machine's apt settings about how to reach a mirror."""
    dumped = shell.output("apt-config", "dump", "--format", '%F "%v";%n').splitlines()
    return [line for line in dumped if line.startswith(KEPT_APT_SETTINGS) and not line.endswith('"";')]
