"""What a Dockerfile reads: its default base image, and the files that it copies."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from hack.cache import files_in

_DEFAULT_BASE = re.compile(r"^\s*ARG\s+BASE_IMAGE=(\S+)", re.IGNORECASE | re.MULTILINE)


def default_base(text: str) -> str | None:
    """The default of `ARG BASE_IMAGE`, in full; None if the Dockerfile has none."""
    match = _DEFAULT_BASE.search(text)
    return full_name(match[1].strip("\"'")) if match else None


def full_name(reference: str) -> str:
    """An image's name with its registry: engines disagree about what a short name means."""
    first, _, rest = reference.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        return reference
    return f"docker.io/{reference}" if rest else f"docker.io/library/{reference}"


def inputs(file: Path, context: Path) -> list[Path]:
    """The files of the context that the build copies: what else changes there changes no image."""
    copied = list(sources(file.read_text()))
    files = files_in(context)
    if any("$" in source or "*" in source or source in (".", "./") for source in copied):
        return files
    roots = [context / source.strip("/") for source in copied]
    ignore = context / ".dockerignore"
    return [path for path in files if path == ignore or any(path == root or root in path.parents for root in roots)]


def sources(text: str) -> Iterator[str]:
    """The sources of COPY and ADD instructions that come from the context."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True) if re.match(r"\s*(COPY|ADD)\s", line, re.IGNORECASE) else []
        if any(word.startswith("--from=") for word in words):
            continue
        paths = [word for word in words[1:] if not word.startswith("--")]
        yield from (word.strip('[],"') for word in paths[:-1])
