"""Make each thing once: it is named by a hash of what it is made from, and appears only when complete."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.paths import cache

HASH_LENGTH = 12


def hash_of(*parts: str) -> str:
    """A short hash of texts, in order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:HASH_LENGTH]


def hash_of_files(root: Path, files: Iterable[Path]) -> str:
    """A short hash of names, contents and executable bits; the order of `files` does not matter."""
    digest = hashlib.sha256()
    for file in sorted(set(files)):
        if not file.is_file():
            continue  # deleted, but still in git's index
        content = file.read_bytes()
        executable = bool(file.stat().st_mode & 0o100)
        digest.update(f"{file.relative_to(root).as_posix()}\0{executable}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:HASH_LENGTH]


def files_in(folder: Path) -> list[Path]:
    """A folder's files as git sees them (tracked, or new and not ignored); without git, all of them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        return [folder / name for name in listed.stdout.split("\0") if name]
    return [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]


def made(path: Path, make: Callable[[Path], None]) -> Path:
    """`path`, made by `make(temporary)` if missing.

    Two processes never make it twice, and one that is interrupted leaves nothing that looks complete.
    """
    if path.exists():
        return path
    with locked(path.name):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.part")
            remove(temporary)
            make(temporary)
            temporary.rename(path)
    return path


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time. The kernel gives the lock back when a process ends, however it ends."""
    folder = cache() / "locks"
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
