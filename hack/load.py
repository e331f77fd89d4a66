"""Bring an image into a node of kind: stream it, without the layers that the node has."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Collection
from typing import IO

from hack.engine import Engine
from hack.paths import logs
from hack.shell import CommandError, tail

CHUNK = 1 << 20
BLOBS = "blobs/sha256/"
NAME = "io.containerd.image.name"
IMPORT = (
    "ctr",
    "--namespace=k8s.io",
    "images",
    "import",
    "--all-platforms",
    "--digests",
    "--snapshotter=overlayfs",
    "-",
)


def load(engine: Engine, reference: str, node: str) -> None:
    """Copy an image from the engine's store to the node's, as a stream."""
    # Podman's default format is docker-archive, which must be complete; an OCI archive may lack known layers.
    form = ["--format=oci-archive", "--uncompressed"] if engine.name == "podman" else []
    known = set(engine.output("exec", node, "ctr", "--namespace=k8s.io", "content", "list", "--quiet").split())
    log = logs() / "load.log"
    environment = {**os.environ, **engine.environment}
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            [engine.name, "save", *form, reference], stdout=subprocess.PIPE, stderr=errors, env=environment
        ) as saving,
        subprocess.Popen(
            [engine.name, "exec", "--interactive", node, *IMPORT],
            stdin=subprocess.PIPE, stdout=errors, stderr=errors, env=environment,
        ) as importing,
    ):  # fmt: skip
        assert saving.stdout is not None
        assert importing.stdin is not None
        try:
            copy_missing(saving.stdout, importing.stdin, known, reference)
            importing.stdin.close()
        except (OSError, tarfile.TarError) as error:
            saving.kill()
            importing.kill()
            raise CommandError(f"loading {reference} broke off: {error}; the end of {log}:\n{tail(log)}") from error
        codes = saving.wait(), importing.wait()
    if any(codes):
        raise CommandError(f"loading {reference} ended with {codes}; the end of {log}:\n{tail(log)}")


def copy_missing(source: IO[bytes], sink: IO[bytes], known: Collection[str], reference: str) -> None:
    """Copy an image archive without the blobs that are known, and with the image's full name in its index."""
    with (
        tarfile.open(fileobj=source, mode="r|", bufsize=CHUNK) as archive,
        tarfile.open(fileobj=sink, mode="w|", bufsize=CHUNK) as copy,
    ):
        for member in archive:
            if member.name.startswith(BLOBS) and f"sha256:{member.name.removeprefix(BLOBS)}" in known:
                continue
            content = archive.extractfile(member)
            if member.name == "index.json" and content is not None:
                text = named(content.read().decode(), reference).encode()
                member.size, content = len(text), io.BytesIO(text)
            copy.addfile(member, content)
    while source.read(CHUNK):  # the padding after the archive's end: a writer must not find a closed pipe
        pass


def named(index: str, reference: str) -> str:
    """An OCI index that calls its image by a full name, which containerd reads from an annotation."""
    parsed = json.loads(index)
    for manifest in parsed["manifests"]:
        manifest.setdefault("annotations", {})[NAME] = reference
    return json.dumps(parsed)
